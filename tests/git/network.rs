//! https with a certificate authority of one's own, and proxies.
//!
//! The files in `tls/` were made for these tests with openssl, for `localhost` and 127.0.0.1; the authority's key was thrown
//! away.

use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use windlass::git::{GitError, Push, Secret};

/// Takes requests by https and hands them to the http server at `port`, one on each connection. Gives its own port.
fn https(port: u16, connections: usize) -> u16 {
    let certificate = CertificateDer::from(include_bytes!("tls/server.der").as_slice());
    let key = PrivateKeyDer::try_from(include_bytes!("tls/server-key.der").as_slice()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(connections) {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let _ = relay(rustls::StreamOwned::new(session, stream.unwrap()), port);
        }
    });
    own
}

fn relay(stream: rustls::StreamOwned<rustls::ServerConnection, TcpStream>, port: u16) -> std::io::Result<()> {
    let mut client = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.extend_from_slice(line.as_bytes());
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(&[&head, b"Connection: close\r\n\r\n".as_slice(), &body].concat())?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    let mut stream = client.into_inner();
    stream.write_all(&answer)?;
    stream.conn.send_close_notify();
    stream.flush()
}

#[test]
fn https_works_with_the_authority_that_was_named_and_no_other() {
    let world = World::new();
    let port = https(world.server.port, 20);
    let address = format!("https://localhost:{port}/repo.git");
    let mut options = Options::new(&address, "live");
    let error = Store::open(options.clone()).unwrap().fetch().unwrap_err();
    let GitError::Refused { cause, hint, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("certificate") && hint.as_ref().unwrap().contains("authority"), "{cause}");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/git/tls");
    options.network.certificate_authorities = Some(folder.join("authority.pem"));
    let mut store = Store::open(options.clone()).unwrap();
    store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a", "1")).unwrap();
    assert_eq!(store.push(None, commit).unwrap(), Push::Done);
    assert_eq!(world.head("live"), Some(commit));

    // The certificate is for this machine's names only.
    options.address = Secret::new(format!("https://[::1]:{port}/repo.git"));
    assert!(Store::open(options.clone()).unwrap().fetch().is_err());
    for file in ["server-key.der", "nothing.pem"] {
        options.network.certificate_authorities = Some(folder.join(file));
        assert!(matches!(Store::open(options.clone()), Err(GitError::Refused { .. })), "{file}");
    }
}

#[test]
fn a_proxy_is_used_unless_the_host_is_excepted() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream).lines();
        let request: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        send.send(request).unwrap();
    });
    let mut options = Options::new("https://git.example.com/repo.git", "live");
    options.network.proxy = Some(Secret::new(format!("http://user:canary-password@{proxy}")));
    let error = Store::open(options.clone()).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error:?} {options:?}").contains("canary"), "{error:?}");
    let request = receive.recv().unwrap();
    assert!(request[0].starts_with("CONNECT git.example.com:443"), "{request:?}");
    // Nobody listens at the proxy any more: what works goes past it.
    options.address = Secret::new(world.server.address("repo.git"));
    options.network.no_proxy = Some("example.com, 127.0.0.1".into());
    Store::open(options.clone()).unwrap().fetch().unwrap();
    options.network.no_proxy = None;
    assert!(Store::open(options.clone()).unwrap().fetch().is_err());
    options.network.proxy = Some(Secret::new("canary-nonsense://x y"));
    let error = Store::open(options).err().unwrap();
    assert!(!error.to_string().contains("canary"), "{error}");
}
