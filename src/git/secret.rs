//! Credentials, and how they stay out of everything that is shown.

use std::fmt;

/// A token or a password. `Debug` shows `***`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}

/// How we prove to an http(s) remote who we are. Both go out as Basic authentication, which every forge takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A token, sent as the password of the user `x-access-token` (GitHub asks for that name; GitLab, Gitea and Forgejo
    /// take any).
    Token(Secret),
    Basic {
        user: String,
        password: Secret,
    },
}

impl Credentials {
    /// The value of the `Authorization` header.
    pub(super) fn header(&self) -> String {
        let pair = match self {
            Self::Token(token) => format!("x-access-token:{}", token.reveal()),
            Self::Basic { user, password } => format!("{user}:{}", password.reveal()),
        };
        format!("Basic {}", base64(pair.as_bytes()))
    }

    fn secret(&self) -> &Secret {
        match self {
            Self::Token(secret) | Self::Basic { password: secret, .. } => secret,
        }
    }
}

/// Makes text from elsewhere (servers, programs, libraries) fit to be shown: known secrets become `***`, control
/// characters become spaces, and what is too long is cut.
#[derive(Debug, Clone, Default)]
pub(super) struct Scrub {
    hidden: Vec<Secret>,
}

/// More text than this of a server is no help to anybody (bytes).
const SHOWN: usize = 2_000;

impl Scrub {
    pub(super) fn hide(&mut self, secret: &Secret) {
        if !secret.reveal().is_empty() {
            self.hidden.push(secret.clone());
        }
    }

    pub(super) fn hide_credentials(&mut self, credentials: &Credentials) {
        self.hide(credentials.secret());
        if let Some((_, encoded)) = credentials.header().split_once(' ') {
            self.hide(&Secret::new(encoded));
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.hidden {
            text = text.replace(secret.reveal(), "***");
        }
        let mut shown = String::with_capacity(text.len().min(SHOWN));
        for line in text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()) {
            if !shown.is_empty() {
                shown.push_str("; ");
            }
            shown.extend(line.chars().map(|character| if is_misleading(character) { ' ' } else { character }));
            if shown.len() > SHOWN {
                shown.truncate(shown.floor_char_boundary(SHOWN));
                shown.push('…');
                break;
            }
        }
        shown
    }
}

/// Control characters, and those that reverse or hide what stands around them.
fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// RFC 4648, section 4, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            if position <= chunk.len() {
                let digit = (group >> (18 - 6 * position)) & 63;
                text.push(ALPHABET.get(digit as usize).copied().map_or('=', char::from));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_vectors_of_the_rfc() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let credentials = Credentials::Token(Secret::new("hunter2"));
        let mut scrub = Scrub::default();
        scrub.hide_credentials(&credentials);
        let text = format!("no \u{1b}[31mhunter2\r\n{} here", credentials.header());
        assert_eq!(scrub.text(&text), "no  [31m***; Basic *** here");
        assert_eq!(scrub.text("a\u{202e}b\u{200b}c"), "a b c");
        assert!(scrub.text(&"ä".repeat(5_000)).len() < 2_010);
        assert_eq!(format!("{credentials:?}"), "Token(***)");
    }
}
