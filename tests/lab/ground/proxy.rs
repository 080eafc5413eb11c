//! A wire between two programs that a test can cut.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Passes bytes on to another address on loopback until it is dropped. While it is cut, connections are closed as soon as they are made.
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl State {
    fn close_all(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    /// To the server at an address such as `http://127.0.0.1:3000`.
    pub(super) fn to(url: &str) -> Self {
        let target = url.split("://").nth(1).unwrap().trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            for from in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(from) = from else { continue };
                if shared.cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(to) = TcpStream::connect(&target) else { continue };
                let mut open = shared.open.lock().unwrap();
                open.retain(|stream| stream.peer_addr().is_ok());
                for (mut from, mut to) in [(from.try_clone(), to.try_clone()), (to.try_clone(), from.try_clone())]
                    .into_iter()
                    .filter_map(|(from, to)| Some((from.ok()?, to.ok()?)))
                {
                    std::thread::spawn(move || pump(&mut from, &mut to));
                }
                open.extend([from, to]);
            }
        });
        Self { address, state, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Cuts the wire, with all that is under way on it, or mends it.
    pub(super) fn set(&self, up: bool) {
        self.state.cut.store(!up, Ordering::SeqCst);
        if !up {
            self.state.close_all();
        }
    }
}

fn pump(from: &mut TcpStream, to: &mut TcpStream) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.state.close_all();
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_wire_can_be_cut_and_mended() {
    let server = crate::metrics::server::Server::fixed("200 OK", "hello");
    let proxy = Proxy::to(&server.url());
    let ask = || {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        agent.get(proxy.url()).call().map(|mut answer| answer.body_mut().read_to_string().unwrap())
    };
    assert_eq!(ask().unwrap(), "hello");
    proxy.set(false);
    assert!(ask().is_err());
    proxy.set(true);
    assert_eq!(ask().unwrap(), "hello");
}
