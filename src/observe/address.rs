//! Addresses of repositories and paths in them, as people write them in different ways.

/// Whether two addresses mean one repository: the scheme, the user, the port, the case of the host, `.git` and slashes at the end do not
/// count, so that `git@host:team/apps.git` and `https://host/team/apps` are the same.
pub(super) fn is_same_repository(a: &str, b: &str) -> bool {
    plain_repository(a) == plain_repository(b)
}

/// Host and path of a repository, without everything that may be secret.
pub(super) fn plain_repository(address: &str) -> String {
    let address = address.trim();
    let (authority, path) = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        // `user@host:path`; a colon behind a slash is part of a folder's name.
        None => match address.split_once(':').filter(|(host, _)| !host.contains('/')) {
            Some(parts) => parts,
            None => ("", address),
        },
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    // An IPv6 address holds colons itself.
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    format!("{}/{path}", host.to_ascii_lowercase())
}

/// A path without `./`, empty parts and slashes at its ends; `""` is the root. `None` where it leaves the repository.
pub(super) fn clean_path(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether what lies at `inner` lies at or below `outer`.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    clean_path(outer).is_some_and(|outer| outer.is_empty() || inner == outer || inner.starts_with(&format!("{outer}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_many_addresses() {
        let all = [
            "https://git.example.com/team/apps",
            "https://Git.Example.com/team/apps.git",
            "https://user:secret@git.example.com:443/team/apps.git/",
            "ssh://git@git.example.com:2222/team/apps.git",
            "git@git.example.com:team/apps.git",
            "http://git.example.com//team/apps",
        ];
        for address in all {
            assert_eq!(plain_repository(address), "git.example.com/team/apps", "{address}");
        }
        assert!(is_same_repository("/srv/git/apps.git", "file:///srv/git/apps"));
        assert!(is_same_repository("ssh://git@[::1]:2222/team/apps", "https://[::1]/team/apps"));
        for other in ["https://git.example.com/team/Apps", "https://git.example.org/team/apps", "git@git.example.com:apps"] {
            assert!(!is_same_repository(all[0], other), "{other}");
        }
    }

    #[test]
    fn a_path_covers_what_lies_below() {
        for outer in ["apps/shop", "./apps/shop/", "/apps", "", ".", "./", "apps/../apps/shop"] {
            assert!(covers(outer, "apps/shop"), "{outer}");
        }
        for outer in ["apps/sho", "apps/shop/base", "..", "../apps/shop", "other"] {
            assert!(!covers(outer, "apps/shop"), "{outer}");
        }
        assert!(covers("", "") && !covers("apps", ""));
    }
}
