//! Texts from outside, as they may be shown.

/// Longest text of somebody else's own that is passed on, characters.
const MAX_TEXT: usize = 300;

/// One short line. Addresses and whatever looks like credentials before a host are left out; a plain `alice@example.com` is a user's name.
pub(super) fn plain(text: &str) -> String {
    let hidden = |word: &str| word.contains("://") || word.split_once('@').is_some_and(|(before, _)| before.contains(':'));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.map(|word| if hidden(word) { "<address>" } else { word }).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TEXT) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// The first ten characters of a commit's id; what is no id came from somebody else and is not repeated.
pub(super) fn short(id: &str) -> &str {
    match id.get(..10) {
        Some(start) if id.chars().all(|c| c.is_ascii_hexdigit()) => start,
        _ => "of another form",
    }
}

/// RFC 1123 subdomain; anything else has no business in a request's path.
pub(super) fn is_dns_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 253
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-'))
}

/// The innermost cause of an error: the outer ones carry addresses.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    plain(&error.to_string())
}
