//! A TCP relay in front of a server: counts what passes, and can cut everything after a number of bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct Shared {
    target: u16,
    /// Bytes of both directions, of all connections.
    passed: AtomicU64,
    /// After so many bytes nothing passes any more.
    limit: AtomicU64,
    /// Slows the server's answers down: bytes in one piece, and the time between two.
    pace: Mutex<Option<(usize, Duration)>>,
    stopped: AtomicBool,
}

pub(crate) struct Relay {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            passed: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            pace: Mutex::new(None),
            stopped: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(client) = client else { continue };
                if let Ok(server) = TcpStream::connect(("127.0.0.1", accepting.target)) {
                    connect(&accepting, client, server);
                }
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// Everything is cut after so many bytes from now on.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.shared.passed.store(0, Ordering::SeqCst);
        self.shared.limit.store(bytes, Ordering::SeqCst);
    }

    /// Everything passes again. Gives what had passed since the last `cut_after`.
    pub(crate) fn mend(&self) -> u64 {
        self.shared.limit.store(u64::MAX, Ordering::SeqCst);
        self.shared.passed.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn pace(&self, piece: usize, pause: Duration) {
        *self.shared.pace.lock().unwrap() = Some((piece, pause));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for (from, to, is_answer) in [(&client, &server, false), (&server, &client, true)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let _ = to.set_nodelay(true);
        let shared = shared.clone();
        std::thread::spawn(move || copy(&shared, from, to, is_answer));
    }
}

fn copy(shared: &Shared, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
    let mut buffer = [0; 16 << 10];
    loop {
        let pace = shared.pace.lock().unwrap().filter(|_| is_answer);
        let piece = pace.map_or(buffer.len(), |(piece, _)| piece);
        let Ok(count @ 1..) = from.read(&mut buffer[..piece]) else { break };
        if let Some((_, pause)) = pace {
            std::thread::sleep(pause);
        }
        let before = shared.passed.fetch_add(count as u64, Ordering::SeqCst);
        let left = shared.limit.load(Ordering::SeqCst).saturating_sub(before);
        let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        if to.write_all(&buffer[..allowed]).is_err() || allowed < count {
            // As a cable that is cut: both sides lose both directions.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
