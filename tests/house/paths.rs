//! The paths that Rust text mentions (`std::fs::read`, `crate::git`), with `use` groups spelled out. Comments and texts are
//! left out. Not a Rust parser, and enough for code that rustfmt has been over.

/// Every path with at least one `::`, and every name that a `use` brings in.
pub(super) fn paths(text: &str) -> Vec<String> {
    let tokens = tokens(&bare(text));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at = tree(&tokens, at + 1, "", &mut found);
        } else if is_name(&tokens[at]) {
            let mut path = tokens[at].clone();
            at += 1;
            while at + 1 < tokens.len() && tokens[at] == "::" && is_name(&tokens[at + 1]) {
                path = format!("{path}::{}", tokens[at + 1]);
                at += 2;
            }
            if path.contains("::") {
                found.push(path);
            }
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one `use` tree from `at`; gives the place after it.
fn tree(tokens: &[String], mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let mut path = prefix.to_owned();
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while at < tokens.len() && tokens[at] != "}" {
                    at = tree(tokens, at, &path, found);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            name if is_name(name) || name == "*" => {
                path = if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") };
                at += 1;
            }
            _ => break,
        }
    }
    found.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut token = first.to_string();
        if first.is_alphanumeric() || first == '_' {
            while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                token.push(next);
            }
        } else if first == ':'
            && let Some(next) = rest.next_if_eq(&':')
        {
            token.push(next);
        }
        found.push(token);
    }
    found
}

/// The text without comments, and with every text literal empty.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_text(rest).filter(|_| !out.ends_with(|last: char| last.is_alphanumeric() || last == '_'))
        {
            length
        } else if first == '"' {
            quoted(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if let Some(escape) = rest.strip_prefix("'\\") {
            // The character after the backslash may be a quote itself.
            escape.char_indices().skip(1).find(|(_, one)| *one == '\'').map_or(2, |(end, _)| end + 3)
        } else {
            0
        };
        if skip == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skip..];
        }
    }
    out
}

/// The length of a text literal at the start.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (index, one) in text.char_indices().skip(1) {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw text literal (`r"…"`, `r#"…"#`) at the start.
fn raw_text(text: &str) -> Option<usize> {
    let after = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = after.chars().take_while(|one| *one == '#').count();
    if !after[hashes..].starts_with('"') {
        return None;
    }
    let start = text.len() - after.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()))
}

#[test]
fn reads_paths_and_nothing_else() {
    let text = r##"
//! crate::comment
use std::{collections::BTreeMap, io::{self, Read as _}, *};
pub use a::b; /* use c::d; */
const A: char = '"'; const B: char = '\''; const C: &str = "use e::f; \" g::h"; const D: &str = r#"i::j " k::l"#;
fn f<'a>(x: &'a crate::m::N) -> o::P { q::r!(); S::t() }
use u;
"##;
    assert_eq!(
        paths(text),
        [
            "std::collections::BTreeMap",
            "std::io::self",
            "std::io::Read",
            "std::*",
            "a::b",
            "crate::m::N",
            "o::P",
            "q::r",
            "S::t",
            "u"
        ]
    );
}
