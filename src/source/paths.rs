//! Paths inside a repository: relative, `/` between the parts, `""` for the root.

use super::SourceError;

/// The longest path, bytes, and the most parts of one.
const LONGEST: usize = 4096;
const DEEPEST: usize = 64;

fn refused(path: &str, cause: &str) -> SourceError {
    // What cannot be shown is not shown.
    let shown = path.chars().filter(|character| !character.is_control() && !is_invisible(*character)).take(200).collect();
    SourceError::Refused { path: shown, cause: cause.to_owned() }
}

/// Takes a path that names something in a repository on every system, and nothing else: no absolute path, no `.` or `..`,
/// no empty part, no `.git` in any spelling that some file system takes for it, no device names.
pub fn check(path: &str) -> Result<(), SourceError> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > LONGEST {
        return Err(refused(path, "the path is longer than 4096 bytes"));
    }
    if path.starts_with('/') {
        return Err(refused(path, "the path must be relative to the repository's root"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts.len() > DEEPEST {
        return Err(refused(path, "the path has more than 64 parts"));
    }
    parts.into_iter().try_for_each(|part| name(part).map_err(|cause| refused(path, cause)))
}

/// One part of a path.
fn name(part: &str) -> Result<(), &'static str> {
    if part.is_empty() {
        return Err("the path has an empty part");
    }
    if part == "." || part == ".." {
        return Err("the path has a `.` or `..` in it");
    }
    if part.len() > 255 {
        return Err("a name in the path is longer than 255 bytes");
    }
    if part.contains('\\') {
        return Err("the path has a backslash in it");
    }
    if part.chars().any(|character| character.is_control() || is_invisible(character)) {
        return Err("the path has invisible characters in it");
    }
    // Windows ignores dots and blanks at the end, and takes `x:y` for a stream of `x`.
    let bare = part.split(':').next().unwrap_or(part).trim_end_matches(['.', ' ']).to_ascii_lowercase();
    if bare == ".git" || bare == "git~1" {
        return Err("the path leads into `.git`");
    }
    let stem = bare.split('.').next().unwrap_or_default();
    let numbered =
        |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit());
    if matches!(stem, "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt") {
        return Err("the path names a device");
    }
    if part.as_bytes().get(1) == Some(&b':') && part.as_bytes()[0].is_ascii_alphabetic() {
        return Err("the path names a drive");
    }
    Ok(())
}

/// Zero-width and direction characters: they hide what a path is.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The path of an entry of a directory. The name may come from a hand-made Git tree.
pub(super) fn entry(directory: &str, entry: &str) -> Result<String, SourceError> {
    let path = if directory.is_empty() { entry.to_owned() } else { format!("{directory}/{entry}") };
    if entry.contains('/') || entry.is_empty() {
        return Err(refused(&path, "the name of a file cannot be this"));
    }
    check(&path)?;
    Ok(path)
}

/// What `relative` means as seen from `directory`. Leaving the repository is an error.
pub(super) fn join(directory: &str, relative: &str) -> Result<String, SourceError> {
    if relative.starts_with('/') {
        return Err(refused(relative, "the path must be relative"));
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| refused(relative, "the path leads out of the repository"))?;
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    check(&path)?;
    Ok(path)
}
