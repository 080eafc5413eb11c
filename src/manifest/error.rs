//! Why a text is no manifest, shown with the place.

/// A finding in a file: what, where, and the way out. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.show())]
pub struct ReadError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub cause: String,
    /// The line of the finding, cut to a readable length; empty where the file seems to hold a Secret.
    pub snippet: String,
    pub hint: Option<String>,
}

/// The longest part of a line that a message shows, characters.
const SHOWN: usize = 120;

impl ReadError {
    pub(super) fn new(file: &str, text: &str, fault: Fault) -> Self {
        // A message may end up in a comment or a log: no line of a file with a Secret in it is shown.
        let snippet = if text.contains("Secret") { String::new() } else { snippet(text, fault.line, fault.column) };
        Self { file: file.to_owned(), line: fault.line, column: fault.column, cause: fault.cause, snippet, hint: fault.hint }
    }

    fn show(&self) -> String {
        let mut shown = format!("{}:{}:{}: {}", self.file, self.line, self.column, self.cause);
        if !self.snippet.is_empty() {
            shown.push('\n');
            shown.push_str(&self.snippet);
        }
        if let Some(hint) = &self.hint {
            shown.push_str("\n  hint: ");
            shown.push_str(hint);
        }
        shown
    }
}

/// A finding before it knows its file.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) cause: String,
    pub(super) hint: Option<String>,
}

/// The line, with a mark under the column. Long lines are cut around the column, control characters are blanked.
fn snippet(text: &str, line: usize, column: usize) -> String {
    let Some(content) = text.lines().nth(line.saturating_sub(1)) else { return String::new() };
    let start = column.saturating_sub(SHOWN / 2);
    let part: String =
        content.chars().skip(start).take(SHOWN).map(|character| if character.is_control() { ' ' } else { character }).collect();
    let number = line.to_string();
    let under = " ".repeat(column.saturating_sub(1).saturating_sub(start));
    format!("{number} | {}\n{} | {under}^", part.trim_end(), " ".repeat(number.len()))
}
