//! Commit messages: a subject, some text, and trailers that `git interpret-trailers` reads. Text from people can stand in the
//! subject, the body and (as JSON) in a value; it can never add a trailer.

use std::fmt::Write;

/// What every key of ours begins with.
pub const PREFIX: &str = "Windlass-";

/// One `Key: value` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    pub key: String,
    pub value: String,
}

/// Why a trailer cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrailerError {
    #[error("{0:?} is no key for a trailer: letters, digits and -, beginning with a letter")]
    Key(String),
    #[error("{0:?} cannot be a plain value: one line of visible text that does not begin like JSON; use a JSON value")]
    Value(String),
    #[error("a value cannot be written as JSON: {0}")]
    Json(String),
}

/// A message being put together, or taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    subject: String,
    /// Lines, without the blank ones at both ends.
    body: Vec<String>,
    trailers: Vec<Trailer>,
}

impl Message {
    /// A message with this first line; line breaks and control characters in it become spaces, and marks in front of it that
    /// mean something to Git go.
    pub fn new(subject: &str) -> Self {
        let words: String = subject.chars().map(|character| if is_unsafe(character) { ' ' } else { character }).collect();
        let subject = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let subject = subject.trim_start_matches(['-', '#', ' ']).to_owned();
        Self { subject: if subject.is_empty() { "(no subject)".into() } else { subject }, ..Self::default() }
    }

    /// Adds a paragraph of text below the subject.
    #[must_use]
    pub fn paragraph(mut self, text: &str) -> Self {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines = text.split('\n').map(|line| {
            let line: String = line.chars().map(|character| if is_unsafe(character) { ' ' } else { character }).collect();
            line.trim_end().to_owned()
        });
        self.body.push(String::new());
        self.body.extend(lines);
        self.body.dedup_by(|next, previous| next.is_empty() && previous.is_empty());
        if self.body.first().is_some_and(String::is_empty) {
            self.body.remove(0);
        }
        if self.body.last().is_some_and(String::is_empty) {
            self.body.pop();
        }
        self
    }

    /// Adds a trailer with a plain value: a number, an id, a few words of ours.
    pub fn word(self, key: &str, value: &str) -> Result<Self, TrailerError> {
        let plain =
            !value.is_empty() && value == value.trim() && !value.starts_with(['{', '[', '"']) && !value.chars().any(is_unsafe);
        if plain { self.add(key, value.to_owned()) } else { Err(TrailerError::Value(value.chars().take(100).collect())) }
    }

    /// Adds a trailer whose value is one line of JSON; the way for any text that comes from people.
    pub fn json(self, key: &str, value: &impl serde::Serialize) -> Result<Self, TrailerError> {
        let json = serde_json::to_string(value).map_err(|error| TrailerError::Json(error.to_string()))?;
        let mut line = String::with_capacity(json.len());
        for character in json.chars() {
            if is_unsafe(character) {
                // JSON lets these stand in a string; other programs may take some of them for a line's end.
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            } else {
                line.push(character);
            }
        }
        self.add(key, line)
    }

    fn add(mut self, key: &str, value: String) -> Result<Self, TrailerError> {
        if !is_key(key) {
            return Err(TrailerError::Key(key.chars().take(100).collect()));
        }
        self.trailers.push(Trailer { key: key.to_owned(), value });
        Ok(self)
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The text between subject and trailers.
    pub fn body(&self) -> String {
        self.body.join("\n")
    }

    pub fn trailers(&self) -> &[Trailer] {
        &self.trailers
    }

    /// The value of the only trailer with this key; `None` where there is none or more than one, since one of them is then
    /// not ours. Keys are compared without regard to case, as Git does.
    pub fn only<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        let mut values = self.all(key);
        let value = values.next()?;
        values.next().is_none().then_some(value)
    }

    /// The values of all trailers with this key, in their order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.trailers.iter().filter(move |trailer| trailer.key.eq_ignore_ascii_case(key)).map(|trailer| trailer.value.as_str())
    }

    /// The text for the commit.
    pub fn text(&self) -> String {
        let mut text = self.subject.clone();
        text.push('\n');
        if !self.body.is_empty() {
            text.push('\n');
            for line in &self.body {
                // A space in front takes a line's special meaning for Git away.
                if is_special(line, self.trailers.is_empty()) {
                    text.push(' ');
                }
                text.push_str(line);
                text.push('\n');
            }
        }
        if !self.trailers.is_empty() {
            text.push('\n');
            for Trailer { key, value } in &self.trailers {
                text.push_str(&format!("{key}: {value}\n"));
            }
        }
        text
    }

    /// Takes a message apart. Trailers are the last paragraph, and only if every line of it is one (or goes on with the one
    /// before, indented); the first paragraph never is. Stricter than Git, which lets other lines stand among them.
    pub fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
        let subject_end = lines.iter().position(|line| line.trim().is_empty()).unwrap_or(lines.len());
        let (subject, rest) = lines.split_at(subject_end);
        let end = rest.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |position| position + 1);
        let rest = rest.get(..end).unwrap_or_default();
        let start = rest.iter().rposition(|line| line.trim().is_empty()).map_or(0, |position| position + 1);
        let (body, last) = rest.split_at(start);
        let (body, trailers) = match read_trailers(last) {
            Some(trailers) => (body, trailers),
            None => (rest, Vec::new()),
        };
        let mut body: Vec<String> = body.iter().map(|line| line.trim_end().to_owned()).collect();
        while body.last().is_some_and(String::is_empty) {
            body.pop();
        }
        let blank = body.iter().take_while(|line| line.is_empty()).count();
        body.drain(..blank);
        Self { subject: subject.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), body, trailers }
    }
}

fn read_trailers(lines: &[&str]) -> Option<Vec<Trailer>> {
    let mut trailers: Vec<Trailer> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let last = trailers.last_mut()?;
            last.value.push(' ');
            last.value.push_str(line.trim());
        } else {
            let (key, value) = line.split_once(':')?;
            let key = key.trim_end_matches([' ', '\t']);
            if !is_key(key) {
                return None;
            }
            trailers.push(Trailer { key: key.to_owned(), value: value.trim().to_owned() });
        }
    }
    (!trailers.is_empty()).then_some(trailers)
}

fn is_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.chars().all(|character| character.is_ascii_alphanumeric() || character == '-')
}

/// A line of text that Git or a reader could take for something else: a trailer of ours anywhere, any trailer where ours do
/// not follow, the line that ends a message for `interpret-trailers`, and comments (one of which is the scissors line).
fn is_special(line: &str, is_last: bool) -> bool {
    let prefixed = line.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    // Git takes any run of letters, digits and - for a key, also one that begins with -.
    let loose = |key: &str| !key.is_empty() && key.chars().all(|character| character.is_ascii_alphanumeric() || character == '-');
    let trailer = line.split_once(':').is_some_and(|(key, _)| loose(key.trim_end()));
    prefixed || line.starts_with("---") || line.starts_with('#') || (is_last && trailer)
}

/// Characters that break a line, hide text or change its direction.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
