//! https with a certificate authority of one's own, proxies, redirects, and how much is transferred.

use super::https::{authority, https};
use super::relay::Relay;
use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use windlass::git::{Credentials, GitError, Push, Secret};

#[test]
fn https_works_with_the_authority_that_was_named_and_no_other() {
    let world = World::new();
    let port = https(world.server.port, 20);
    let address = format!("https://localhost:{port}/repo.git");
    let mut options = Options::new(&address, "live");
    let error = Store::open(options.clone()).unwrap().fetch().unwrap_err();
    let GitError::Refused { cause, hint, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("certificate") && hint.as_ref().unwrap().contains("authority"), "{cause}");

    options.network.certificate_authorities = Some(authority());
    let mut store = Store::open(options.clone()).unwrap();
    store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a", "1")).unwrap();
    assert_eq!(store.push(None, commit).unwrap(), Push::Done);
    assert_eq!(world.head("live"), Some(commit));

    // The certificate is for this machine's names only.
    options.address = Secret::new(format!("https://[::1]:{port}/repo.git"));
    assert!(Store::open(options.clone()).unwrap().fetch().is_err());
    for file in ["server-key.der", "nothing.pem"] {
        options.network.certificate_authorities = Some(authority().with_file_name(file));
        assert!(matches!(Store::open(options.clone()), Err(GitError::Refused { .. })), "{file}");
    }
}

/// A proxy that takes CONNECT and leads to the port asked for on this machine; `git.example.com` is this machine too.
struct Proxy {
    port: u16,
    /// The head of every request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `authorization`: the value of the header that must be sent.
    fn start(authorization: Option<&'static str>, target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let noted = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, noted) = (stream.unwrap(), noted.clone());
                std::thread::spawn(move || {
                    let mut client = BufReader::new(stream);
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if client.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    noted.lock().unwrap().push(head.clone());
                    let mut stream = client.into_inner();
                    if authorization.is_some_and(|value| !head.contains(&format!("Proxy-Authorization: {value}\r\n"))) {
                        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                    let server = TcpStream::connect(("127.0.0.1", target)).unwrap();
                    let (mut up, mut down) = (server.try_clone().unwrap(), stream.try_clone().unwrap());
                    std::thread::spawn(move || std::io::copy(&mut stream, &mut up));
                    let _ = std::io::copy(&mut { server }, &mut down);
                    let _ = down.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Self { port, requests }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

#[test]
fn a_proxy_is_used_unless_the_host_is_excepted() {
    let world = World::new();
    let target = https(world.server.port, 40);
    let proxy = Proxy::start(None, target);
    let mut options = Options::new(format!("https://localhost:{target}/repo.git"), "live");
    options.network.certificate_authorities = Some(authority());
    options.network.proxy = Some(Secret::new(format!("http://127.0.0.1:{}", proxy.port)));
    let mut store = Store::open(options.clone()).unwrap();
    store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a", "1")).unwrap();
    assert_eq!(store.push(None, commit).unwrap(), Push::Done);
    let asked = proxy.asked();
    assert!(!asked.is_empty() && asked.iter().all(|head| head.starts_with(&format!("CONNECT localhost:{target} "))), "{asked:?}");
    assert!(!asked.concat().contains("Proxy-Authorization"), "{asked:?}");

    for exceptions in ["localhost", "example.com, localhost", "*"] {
        options.network.no_proxy = Some(exceptions.into());
        Store::open(options.clone()).unwrap().fetch().unwrap();
        assert_eq!(proxy.asked(), Vec::<String>::new(), "{exceptions}");
    }
    options.network.no_proxy = Some("example.com".into());
    Store::open(options).unwrap().fetch().unwrap();
    assert!(!proxy.asked().is_empty());
}

#[test]
fn a_proxy_gets_its_own_credentials_and_shows_them_to_nobody() {
    let world = World::new();
    // `user:canary-p@ss`, and the token for the repository.
    let proxy = Proxy::start(Some("Basic dXNlcjpjYW5hcnktcEBzcw=="), https(world.server.port, 40));
    // The server's address is not this machine's: only the proxy can reach it.
    let mut options = Options::new("https://localhost:1/repo.git", "live");
    options.network.certificate_authorities = Some(authority());
    options.credentials = Some(Credentials::Token(Secret::new("canary-token")));
    options.network.proxy = Some(Secret::new(format!("http://user:canary-p%40ss@127.0.0.1:{}", proxy.port)));
    Store::open(options.clone()).unwrap().fetch().unwrap();
    let asked = proxy.asked().concat();
    assert!(asked.contains("CONNECT localhost:1 ") && !asked.contains("\r\nAuthorization"), "{asked}");

    options.network.proxy = Some(Secret::new(format!("http://user:canary-wrong@127.0.0.1:{}", proxy.port)));
    let error = Store::open(options.clone()).unwrap().fetch().unwrap_err();
    let GitError::Refused { cause, hint, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("407") && hint.as_ref().unwrap().contains("HTTPS_PROXY"), "{cause}");
    assert!(!format!("{error:?} {options:?}").contains("canary"), "{error:?}");

    // Nobody listens there, and what is no proxy at all.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    options.network.proxy = Some(Secret::new(format!("http://user:canary@127.0.0.1:{closed}")));
    let error = Store::open(options.clone()).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { .. }) && !format!("{error:?}").contains("canary"), "{error:?}");
    options.network.proxy = Some(Secret::new("canary-nonsense://x y"));
    let error = Store::open(options).err().unwrap();
    assert!(matches!(&error, GitError::Refused { .. }) && !format!("{error:?}").contains("canary"), "{error:?}");
}

/// Answers every request with a redirect, and notes what was sent.
fn redirecting(target: String) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let noted = Arc::new(Mutex::new(String::new()));
    let sent = noted.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 8_192];
            let count = stream.read(&mut bytes).unwrap_or(0);
            sent.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        }
    });
    (address, noted)
}

#[test]
fn redirects_lead_to_no_other_host_scheme_or_port() {
    let (elsewhere, reached) = redirecting("/".into());
    let suffix = "/repo.git/info/refs?service=git-upload-pack";
    for target in [
        format!("{elsewhere}{suffix}"),
        format!("http://169.254.169.254{suffix}"),
        format!("http://[::ffff:169.254.169.254]{suffix}"),
        format!("https://127.0.0.1{suffix}"),
        format!("//127.0.0.1:1{suffix}"),
        format!("http://127.0.0.1:1@evil.example.com{suffix}"),
        "file:///etc/passwd".into(),
        "ext::sh -c true".into(),
        String::new(),
    ] {
        let (from, sent) = redirecting(target.clone());
        let mut options = Options::new(format!("{from}/repo.git"), "live");
        options.credentials = Some(Credentials::Token(Secret::new("canary-token")));
        options.network.timeout = std::time::Duration::from_secs(2);
        let error = Store::open(options).unwrap().fetch().unwrap_err();
        let GitError::Refused { cause, hint, .. } = &error else { panic!("{target}: {error:?}") };
        assert!(cause.contains("another host or scheme") && hint.is_some(), "{target}: {cause}");
        assert_eq!(sent.lock().unwrap().matches("GET ").count(), 1, "{target}");
    }
    assert_eq!(*reached.lock().unwrap(), "", "nobody else was asked, and nobody else saw the token");
}

#[test]
fn https_does_not_lead_to_http() {
    let world = World::new();
    let port = https(world.server.port, 20);
    let plain = world.server.address("repo.git");
    world.server.set(|faults| faults.redirect = Some(plain));
    let mut options = Options::new(format!("https://localhost:{port}/repo.git"), "live");
    options.network.certificate_authorities = Some(authority());
    options.credentials = Some(Credentials::Token(Secret::new("canary-token")));
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Refused { cause, .. } if cause.contains("another host or scheme")), "{error:?}");
    assert_eq!(world.server.requests().len(), 1);
}

#[test]
fn only_what_is_needed_is_transferred() {
    // 300 commits, 40 other branches, and a blob of half a megabyte in each of five old commits and on every other branch.
    let world = World::with(20, 300);
    let noise = |seed: u32| -> String {
        let mut state = u64::from(seed) << 32 | 1;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:08x}", state >> 32)
        };
        (0..65_536).map(next).collect()
    };
    for old in 0..5u32 {
        let noise = noise(old + 1);
        server::import(&world.path, "refs/heads/main", 1, |_| format!("M 644 inline noise\ndata {}\n{noise}\n", noise.len()));
    }
    server::import(&world.path, "refs/heads/main", 1, |_| "D noise\n".into());
    for branch in 0..40u32 {
        let noise = noise(branch + 10);
        let name = format!("refs/heads/other-{branch}");
        server::import(&world.path, &name, 1, |_| format!("M 644 inline noise\ndata {}\n{noise}\n", noise.len()));
    }
    server::import(&world.path, "refs/heads/live", 150, |number| format!("M 644 inline n\ndata 3\n{number:03}\n"));
    for (way, sshd) in [(Way::Http, None), (Way::HttpZero, None), (Way::Ssh, sshd::Sshd::start())] {
        let (relay, options) = match &sshd {
            None if way == Way::Ssh => continue,
            None => {
                world.server.set(|faults| faults.version_zero = way == Way::HttpZero);
                let relay = Relay::start(world.server.port);
                let options = Options::new(format!("http://127.0.0.1:{}/repo.git", relay.port), "live");
                (relay, options)
            }
            Some(sshd) => {
                let relay = Relay::start(sshd.port);
                sshd.believe("known_hosts", "host_key", relay.port);
                let options = sshd.options(relay.port, &world.path);
                (relay, options)
            }
        };
        relay.cut_after(u64::MAX);
        let mut store = Store::open(options).unwrap();
        let heads = store.fetch().unwrap();
        let fetched = relay.mend();
        // One commit of the source, and at most a hundred of the live branch.
        assert_eq!(store.commit(heads.source).unwrap().parent, None, "{way:?}");
        let mut depth = 1;
        let mut at = store.commit(heads.live.unwrap()).unwrap();
        while let Some(parent) = at.parent {
            at = store.commit(parent).unwrap();
            depth += 1;
        }
        assert_eq!(depth, 100, "{way:?}");
        relay.cut_after(u64::MAX);
        store.fetch().unwrap();
        let again = relay.mend();
        let commit = store.write(heads.live, &file_commit("a", &format!("{way:?}"))).unwrap();
        relay.cut_after(u64::MAX);
        assert_eq!(store.push(heads.live, commit).unwrap(), Push::Done);
        let pushed = relay.mend();
        world.git(&["update-ref", "refs/heads/live", &heads.live.unwrap().to_string()]);
        let counts = world.git(&["count-objects", "-v"]);
        let sizes = counts.lines().filter(|line| line.starts_with("size")).filter_map(|line| line.split(' ').nth(1));
        let size: u64 = sizes.map(|kib| kib.parse::<u64>().unwrap() << 10).sum();
        println!("{way:?}: repository {size} bytes; first fetch {fetched}, fetch of nothing {again}, push {pushed}");
        assert!(size > 5 << 20, "{size}");
        assert!(fetched < 100_000 && again < 20_000 && pushed < 20_000, "{way:?}: {fetched}, {again}, {pushed}");
    }
}

#[test]
fn a_compressed_answer_counts_as_what_it_unfolds_to() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(b"001e# service=git-upload-pack\n0000").unwrap();
    for _ in 0..4_000 {
        encoder.write_all(format!("ffff{}", "x".repeat(65_531)).as_bytes()).unwrap();
    }
    let body = encoder.finish().unwrap();
    assert!(body.len() < 1 << 20);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = Options::new(format!("http://{}/x.git", listener.local_addr().unwrap()), "live");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 8_192]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Encoding: gzip\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    options.network.largest_answer = 8 << 20;
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Refused { cause, .. } if cause.contains("8388608 bytes")), "{error:?}");
}
