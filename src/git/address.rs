//! Where a repository is. Only https, http, ssh and folders: every other scheme (`ext::`, `git://`, …) can run programs or
//! cannot be trusted.

use super::GitError;
use super::secret::{Credentials, Secret};
use std::path::{Path, PathBuf};

/// A remote's address, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// The base of the smart http address, without a slash at the end.
    Http(String),
    /// As the `git` program takes it: `ssh://user@host/path` or `user@host:path`.
    Ssh(String),
    Folder(PathBuf),
}

impl Address {
    /// Reads an address. Credentials in a http(s) address are taken out and given beside it.
    pub(super) fn parse(text: &str) -> Result<(Self, Option<Credentials>), GitError> {
        if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
            return Err(refused("the address of the repository is empty, starts with - or holds control characters"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme.to_ascii_lowercase().as_str() {
                scheme @ ("https" | "http") => http(scheme, rest),
                "ssh" => ssh_url(rest).map(|address| (address, None)),
                "file" => folder(rest).map(|address| (address, None)),
                _ => Err(refused("only https, http, ssh and file addresses are allowed")),
            };
        }
        match (text.find(':'), text.find('/')) {
            (Some(colon), slash) if slash.is_none_or(|slash| colon < slash) => scp(text, colon).map(|address| (address, None)),
            _ => Ok((Self::Folder(PathBuf::from(text)), None)),
        }
    }

    /// What is shown of it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Http(url) | Self::Ssh(url) => url.clone(),
            Self::Folder(path) => path.display().to_string(),
        }
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Http(_) | Self::Ssh(_) => None,
        }
    }

    /// Whether what we send could be read on the way: http to another machine than this one.
    pub(super) fn is_in_the_clear(&self) -> bool {
        let Self::Http(url) = self else { return false };
        let Some(rest) = url.strip_prefix("http://") else { return false };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        !(host == "localhost" || host == "::1" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()))
    }
}

/// Host, port and path of an address, as far as they tell repositories apart: two ways of writing one address give the same.
struct Place {
    ssh: bool,
    host: String,
    port: Option<String>,
    path: String,
}

impl Place {
    fn of(address: &Address) -> Self {
        let bare = |path: &str| {
            let path = path.trim_end_matches('/');
            path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/').to_owned()
        };
        let url = |rest: &str| {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
            // The colons of an address in brackets are no port's.
            let (host, port) = match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
                Some((host, port)) => (host.to_owned(), Some(port.to_owned())),
                None => (host, None),
            };
            (host, port, bare(path.trim_start_matches('/')))
        };
        match address {
            Address::Http(address) => {
                let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
                let (host, port, path) = url(rest);
                let usual = if scheme == "http" { "80" } else { "443" };
                Self { ssh: false, host, port: Some(port.unwrap_or_else(|| usual.to_owned())), path }
            }
            Address::Ssh(address) => {
                let rest = match address.strip_prefix("ssh://") {
                    Some(rest) => rest.to_owned(),
                    None => address.replacen(':', "/", 1),
                };
                let (host, port, path) = url(&rest);
                Self { ssh: true, host, port: Some(port.unwrap_or_else(|| "22".to_owned())), path }
            }
            Address::Folder(path) => {
                Self { ssh: false, host: String::new(), port: None, path: bare(&path.display().to_string()) }
            }
        }
    }
}

/// Whether two addresses are ways of writing the same one. Over ssh and http(s) a host has one repository of a path.
pub fn is_same(one: &str, other: &str) -> bool {
    let (Ok((one, _)), Ok((other, _))) = (Address::parse(one), Address::parse(other)) else { return false };
    let (one, other) = (Place::of(&one), Place::of(&other));
    (&one.host, &one.path) == (&other.host, &other.path) && (one.port == other.port || one.ssh != other.ssh)
}

/// Whether credentials that are meant for the server of `source` may go to `live` too: the same scheme, host and port, and an address
/// that brings none of its own.
pub fn takes_credentials_of(live: &str, source: &str) -> bool {
    let server = |address: &Address| match address {
        Address::Http(url) => {
            let Place { host, port, .. } = Place::of(address);
            Some((url.starts_with("https://"), host, port))
        }
        Address::Ssh(_) | Address::Folder(_) => None,
    };
    match (Address::parse(live), Address::parse(source)) {
        (Ok((live, None)), Ok((source, _))) => server(&live).is_some() && server(&live) == server(&source),
        _ => false,
    }
}

/// What a repository is called, however it is reached: `host/path`, or the path of a folder. `None`: this is no address.
pub fn name_of(address: &str) -> Option<String> {
    let place = Place::of(&Address::parse(address).ok()?.0);
    Some(if place.host.is_empty() { place.path } else { format!("{}/{}", place.host, place.path) })
}

/// No part of a refused address is shown: it may hold credentials.
fn refused(cause: &str) -> GitError {
    GitError::Refused {
        address: "the repository's address".into(),
        cause: cause.into(),
        hint: Some("use https://host/path, ssh://user@host/path, user@host:path, file:///folder or a folder".into()),
    }
}

fn http(scheme: &str, rest: &str) -> Result<(Address, Option<Credentials>), GitError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, host) = match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    };
    check_host(host)?;
    if path.contains(['?', '#', '@', ' ']) {
        return Err(refused("a repository's address has no query, fragment, space or @ in its path"));
    }
    let base = format!("{scheme}://{}/{}", host.to_ascii_lowercase(), path.trim_matches('/'));
    let base = base.trim_end_matches('/').to_owned();
    if base.parse::<ureq::http::Uri>().is_err() {
        return Err(refused("this is not an address"));
    }
    let credentials = match userinfo.map(|userinfo| userinfo.split_once(':').unwrap_or((userinfo, ""))) {
        None | Some(("", "")) => None,
        // A lone user name in front of the host is how a token is often written.
        Some((token, "")) => Some(Credentials::Token(Secret::new(percent_decoded(token)?))),
        Some((user, password)) => {
            Some(Credentials::Basic { user: percent_decoded(user)?, password: Secret::new(percent_decoded(password)?) })
        }
    };
    Ok((Address::Http(base), credentials))
}

fn ssh_url(rest: &str) -> Result<Address, GitError> {
    let Some((authority, path)) = rest.split_once('/') else {
        return Err(refused("an ssh address needs a path"));
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err(refused("ssh takes no password in an address: use a key"));
    }
    check_user(user)?;
    check_host(host)?;
    check_path(path)?;
    Ok(Address::Ssh(format!("ssh://{rest}")))
}

/// `user@host:path`.
fn scp(text: &str, colon: usize) -> Result<Address, GitError> {
    let (authority, path) = text.split_at(colon);
    let path = path.trim_start_matches(':');
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    check_user(user)?;
    check_host(host)?;
    check_path(path)?;
    if text.contains("::") {
        return Err(refused("remote helpers (name::address) run programs and are not allowed"));
    }
    Ok(Address::Ssh(text.to_owned()))
}

fn folder(rest: &str) -> Result<Address, GitError> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(refused("a file address names a folder on this machine: file:///path"));
    }
    Ok(Address::Folder(PathBuf::from(path)))
}

/// Letters, digits and what separates them: nothing that a program could read as an option or a shell as its own.
fn check_host(host: &str) -> Result<(), GitError> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | ':' | '[' | ']');
    if host.is_empty() || host.starts_with('-') || !host.chars().all(allowed) {
        return Err(refused("the address has no usable host name"));
    }
    Ok(())
}

fn check_user(user: Option<&str>) -> Result<(), GitError> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_' | '+');
    match user {
        Some(user) if user.is_empty() || user.starts_with('-') || !user.chars().all(allowed) => {
            Err(refused("the address has no usable user name"))
        }
        _ => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), GitError> {
    if path.is_empty() || path.starts_with('-') {
        return Err(refused("the address has no usable path"));
    }
    Ok(())
}

fn percent_decoded(text: &str) -> Result<String, GitError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = if byte == b'%' {
            let digits = [rest.next().unwrap_or_default(), rest.next().unwrap_or_default()];
            let mut decoded = [0];
            hex::decode_to_slice(digits, &mut decoded).map_err(|_| refused("a % escape in the address is broken"))?;
            decoded[0]
        } else {
            byte
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|_| refused("the credentials in the address are not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap().0
    }

    #[test]
    fn credentials_are_taken_out_of_the_address() {
        let (address, credentials) = Address::parse("https://ci:p%40ss@Git.Example.com:8443/a/b.git/").unwrap();
        assert_eq!(address.shown(), "https://git.example.com:8443/a/b.git");
        assert_eq!(credentials, Some(Credentials::Basic { user: "ci".into(), password: Secret::new("p@ss") }));
        let (_, credentials) = Address::parse("https://tok-en@host/a").unwrap();
        assert_eq!(credentials, Some(Credentials::Token(Secret::new("tok-en"))));
    }

    #[test]
    fn the_four_kinds_are_told_apart() {
        assert_eq!(address("git@host:team/repo.git"), Address::Ssh("git@host:team/repo.git".into()));
        assert_eq!(address("ssh://git@host:2222/repo"), Address::Ssh("ssh://git@host:2222/repo".into()));
        assert_eq!(address("file:///srv/repo.git"), Address::Folder("/srv/repo.git".into()));
        assert_eq!(address("./a:b"), Address::Folder("./a:b".into()));
        assert_eq!(address("../repo"), Address::Folder("../repo".into()));
    }

    #[test]
    fn addresses_that_run_programs_are_refused_and_not_repeated() {
        for text in [
            "--upload-pack=evil-canary",
            "ext::sh -c evil-canary",
            "git://evil-canary/x",
            "ssh://-oProxyCommand=evil-canary/x",
            "ssh://git@-oevil-canary/x",
            "git@-oevil-canary:x",
            "-oevil-canary@host:x",
            "ssh://u:evil-canary@host/x",
            "ssh://host/",
            "ssh://host/-evil-canary",
            "https://evil-canary:x@/path",
            "https://a b/evil-canary",
            "https://host/x?evil-canary",
            "https://host/x%0a\nevil-canary",
            "https://evil-canary:%zz@host/x",
            "file://evil-canary/x",
            "ftp://host/evil-canary",
            "",
        ] {
            let error = Address::parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("evil-canary"), "{error:?}");
        }
    }

    #[test]
    fn one_repository_has_one_name_however_it_is_reached() {
        let apps = "git.example.com/team/apps";
        for (text, name, same) in [
            ("https://git.example.com/team/apps", apps, true),
            ("https://token@Git.Example.com:443/team/apps.git/", apps, true),
            ("https://git.example.com:8443/team/apps", apps, false),
            ("ssh://git@git.example.com:2222/team/apps.git", apps, true),
            ("git@git.example.com:team/apps.git", apps, true),
            ("https://git.example.com/team/apps-live", "git.example.com/team/apps-live", false),
            ("https://other.example.com/team/apps", "other.example.com/team/apps", false),
            ("/srv/git/apps.git", "/srv/git/apps", false),
            ("file:///srv/git/apps.git/", "/srv/git/apps", false),
            ("https://[::1]:3000/apps", "[::1]/apps", false),
        ] {
            assert_eq!(name_of(text).as_deref(), Some(name), "{text}");
            assert_eq!(is_same(text, "https://git.example.com/team/apps.git"), same, "{text}");
        }
        assert!(is_same("/srv/git/apps.git", "file:///srv/git/apps.git"));
        assert!(is_same("git@host:apps", "ssh://git@host/apps"));
        assert!(!is_same("ext::sh", "ext::sh"));
        assert_eq!(name_of("ext::sh"), None);
    }

    #[test]
    fn credentials_go_to_no_other_server() {
        let source = "https://token@git.example.com/team/apps.git";
        for (live, expected) in [
            ("https://git.example.com/team/live", true),
            ("https://GIT.example.com:443/other/live", true),
            ("https://own@git.example.com/team/live", false),
            ("https://git.example.com:8443/team/live", false),
            ("http://git.example.com/team/live", false),
            ("http://git.example.com:443/team/live", false),
            ("https://git.example.com.evil.org/team/live", false),
            ("https://git.example.com@evil.org/team/live", false),
            ("ssh://git@git.example.com/team/live", false),
            ("git.example.com/team/live", false),
            ("ext::https://git.example.com/team/live", false),
        ] {
            assert_eq!(takes_credentials_of(live, source), expected, "{live}");
        }
        assert!(!takes_credentials_of("https://git.example.com/live", "/srv/git/apps.git"));
        assert!(!takes_credentials_of("/srv/git/live.git", "/srv/git/apps.git"));
    }

    #[test]
    fn plain_http_to_another_machine_is_in_the_clear() {
        for (text, clear) in [
            ("http://127.0.0.1:80/x", false),
            ("http://localhost/x", false),
            ("http://[::1]:80/x", false),
            ("https://host/x", false),
            ("http://host/x", true),
            ("http://127.0.0.1.example.com/x", true),
        ] {
            assert_eq!(address(text).is_in_the_clear(), clear, "{text}");
        }
    }
}
