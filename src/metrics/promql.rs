//! Values inside a PromQL query: how they are written, and where they may stand.

use std::fmt::Write as _;

/// Stand around a value between rendering and checking. Templates and escaped values hold no control characters.
const OPEN: char = '\u{1}';
const CLOSE: char = '\u{2}';

/// Writes a text for the inside of a string literal. Quotes of all three kinds, backslashes and control characters become `\xNN`, which
/// means the same in '…' and "…". In a `…` literal, which knows no escapes, the escape stands for itself: the query then finds nothing,
/// but its shape stays.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_control() || matches!(c, '"' | '\'' | '`' | '\\') {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// An escaped value with marks, so that `unmarked` can tell where it stands.
pub(super) fn marked(value: &str) -> String {
    format!("{OPEN}{}{CLOSE}", escaped(value))
}

/// A value that does not stand inside a string literal, or not safely so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    pub(super) line: usize,
    /// As it was written, without marks.
    pub(super) value: String,
    /// Inside a literal, but the template puts a backslash before it.
    pub(super) after_backslash: bool,
}

/// Takes the marks away, and refuses a query in which a value stands outside string literals and comments, or after a backslash.
pub(super) fn unmarked(marked: &str) -> Result<String, Misplaced> {
    let mut query = String::with_capacity(marked.len());
    let mut within: Option<char> = None; // the quote that ends the literal, or '\n' in a comment
    let mut line = 1;
    let mut rest = marked.chars();
    while let Some(c) = rest.next() {
        if c == OPEN {
            let value: String = rest.by_ref().take_while(|c| *c != CLOSE).collect();
            if within.is_none() {
                return Err(Misplaced { line, value, after_backslash: false });
            }
            query.push_str(&value);
            continue;
        }
        query.push(c);
        line += usize::from(c == '\n');
        within = match (within, c) {
            (None, '"' | '\'' | '`') => Some(c),
            (None, '#') => Some('\n'),
            (Some('"' | '\''), '\\') => {
                // the next character ends nothing; were it a value, an empty one would let the backslash reach the closing quote
                match rest.next() {
                    Some(OPEN) => {
                        return Err(Misplaced { line, value: rest.take_while(|c| *c != CLOSE).collect(), after_backslash: true });
                    }
                    Some(next) => {
                        query.push(next);
                        line += usize::from(next == '\n');
                    }
                    None => {}
                }
                within
            }
            (Some(end), c) if c == end => None,
            (state, _) => state,
        };
    }
    Ok(query)
}
