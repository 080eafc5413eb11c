//! https for tests: takes requests and hands them to an http server.
//!
//! The files in `tls/` were made for these tests with openssl, for `localhost` and 127.0.0.1; the authority's key was thrown
//! away.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Takes requests by https and hands them to the http server at `port`, one on each connection. Gives its own port.
pub(crate) fn https(port: u16, connections: usize) -> u16 {
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

/// The authority that signed the server's certificate.
pub(crate) fn authority() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/git/tls/authority.pem")
}
