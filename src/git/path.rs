//! The one check for paths inside a repository.

use super::GitError;

/// A path below the root of a tree: parts with `/` between them; no part can leave the tree, reach into `.git` on any
/// file system, hide what it shows, or be impossible to check out on another system. The empty path is the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(String);

/// Linux' `PATH_MAX`, and the longest name of a directory entry (bytes).
const LONGEST: usize = 4_096;
const LONGEST_PART: usize = 255;

impl RepoPath {
    /// Checks a path. The error is `GitError::Content` and names the path.
    pub fn new(path: &str) -> Result<Self, GitError> {
        if path.is_empty() {
            return Ok(Self(String::new()));
        }
        let cause = if path.len() >= LONGEST { Some("the path is too long") } else { path.split('/').find_map(part_error) };
        match cause {
            None => Ok(Self(path.to_owned())),
            Some(cause) => Err(GitError::Content { path: shown(path), cause: cause.into() }),
        }
    }

    /// The path with `name` (itself one or more parts) below it.
    pub fn join(&self, name: &str) -> Result<Self, GitError> {
        if self.0.is_empty() || name.is_empty() {
            Self::new(&format!("{}{name}", self.0))
        } else {
            Self::new(&format!("{}/{name}", self.0))
        }
    }

    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why one part of a path cannot be, if so.
pub(super) fn part_error(part: &str) -> Option<&'static str> {
    if part.is_empty() {
        return Some("a part of the path is empty");
    }
    if part == "." || part == ".." {
        return Some("a path must not hold . or ..");
    }
    if part.len() > LONGEST_PART {
        return Some("a part of the path is too long");
    }
    if part.chars().any(|character| character.is_control() || matches!(character, '\\' | ':')) {
        return Some("a path must not hold control characters, \\ or :");
    }
    if part.chars().any(is_invisible) {
        return Some("a path must not hold invisible characters");
    }
    if part.ends_with(['.', ' ']) {
        return Some("Windows drops a dot or a space at the end of a name");
    }
    let lower = part.to_lowercase();
    if lower == ".git" || lower.strip_prefix("git~").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Some("a path must not reach into .git");
    }
    let stem = lower.split('.').next().unwrap_or_default().trim_end();
    let numbered = |device: &str| stem.strip_prefix(device).is_some_and(|digit| matches!(digit.as_bytes(), [b'0'..=b'9']));
    if matches!(stem, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt") {
        return Some("Windows keeps this name for a device and cannot check it out");
    }
    None
}

/// Zero-width and direction characters. HFS+ ignores most of them, so `.g\u{200c}it` is `.git` there.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A path as it can stand in a message: what cannot be seen is escaped.
pub(super) fn shown(path: &str) -> String {
    path.chars().take(200).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_attackers_write_is_refused() {
        let long = "a/".repeat(2_048) + "a";
        for path in [
            "../x",
            "/abs",
            "a/../../b",
            "a//b",
            "./",
            "./a",
            "a/",
            "a/.",
            ".git/hooks/x",
            "a/.GIT",
            ".Git",
            "git~1/x",
            "GIT~2",
            "a\0b",
            "a\nb",
            "a\\b",
            "C:",
            "C:/x",
            "con",
            "a/NUL.yaml",
            "com1",
            "LPT9.txt",
            "a.",
            "a ",
            ".git.",
            ".git ",
            ".g\u{200c}it",
            "a\u{202e}b",
            "a\u{feff}",
            &long,
            &"x".repeat(256),
            "/",
            "//",
            "\u{7f}",
            ".git::$INDEX_ALLOCATION",
        ] {
            let error = RepoPath::new(path).expect_err(path);
            assert!(matches!(error, GitError::Content { .. }));
        }
        for path in
            ["", "a", "a/b.yaml", ".windlass/prod/checkout.json", ".gitattributes", "ünïcode/名前", "...a", "comic", "a b"]
        {
            assert_eq!(RepoPath::new(path).map(|path| path.0), Ok(path.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn no_accepted_path_leaves_its_root(path in "([a-zA-Z.~/\\\\: \u{200c}\0\n]|\\.\\.|\\.git|git~1){0,12}") {
            if let Ok(accepted) = RepoPath::new(&path) {
                let mut depth = 0;
                for component in std::path::Path::new(accepted.as_str()).components() {
                    prop_assert!(matches!(component, std::path::Component::Normal(_)), "{component:?}");
                    depth += 1;
                }
                prop_assert_eq!(depth, accepted.parts().count());
                prop_assert!(accepted.parts().all(|part| !part.eq_ignore_ascii_case(".git")));
                prop_assert_eq!(RepoPath::new(&accepted.parts().collect::<Vec<_>>().join("/")), Ok(accepted));
            }
        }

        #[test]
        fn no_text_panics(path in any::<String>()) {
            let _ = RepoPath::new(&path);
        }
    }
}
