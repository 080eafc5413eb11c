//! What is wrong with a file, and where: data only. `cli/validate.rs` shows it.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// The document cannot be used.
    Error,
    /// The document can be used; something in it has no effect or is unwise.
    Warning,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub line: u32,
    pub column: u32,
    /// Characters on that line, at least 1.
    pub length: u32,
}

/// One finding, resolved to a place and the text there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// A stable name, for example `unknown-field`.
    pub code: &'static str,
    pub severity: Severity,
    /// As the reader was told.
    pub file: String,
    pub line: u32,
    pub column: u32,
    /// How many characters of the line are meant.
    pub length: u32,
    /// The field, for example `spec.strategy.canary.steps[0].replicas`; empty where no field is meant.
    pub field: String,
    pub message: String,
    /// The line of the file, at most 200 characters of it.
    pub snippet: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The order in which findings are shown: by file, then by place.
    pub fn order(&self) -> (&str, u32, u32, &'static str, &str) {
        (&self.file, self.line, self.column, self.code, &self.message)
    }
}

/// A file and its text, for as long as places in it are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) file: String,
    text: String,
    /// Where each line begins, bytes.
    lines: Vec<usize>,
}

/// A shown line is never longer than this, characters.
const SHOWN: usize = 200;
/// A message is never longer than this, characters.
const MESSAGE: usize = 600;

impl Text {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: file.to_owned(), text: text.to_owned(), lines }
    }

    fn line(&self, number: u32) -> Option<String> {
        let start = *self.lines.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        let line = self.text.get(start..)?.lines().next()?;
        Some(line.chars().take(SHOWN).collect())
    }

    pub(crate) fn diagnostic(&self, place: Place, finding: Finding) -> Diagnostic {
        Diagnostic {
            code: finding.code,
            severity: finding.severity,
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            length: place.length.max(1),
            field: finding.path.to_string(),
            message: finding.message.chars().take(MESSAGE).collect(),
            snippet: self.line(place.line),
            hint: finding.hint,
        }
    }
}

/// A finding before its place is known: it names a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    pub(crate) path: super::path::Path,
    /// Point at the key, not at its value.
    pub(crate) at_key: bool,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Finding {
    pub(crate) fn error(code: &'static str, path: &super::path::Path, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, severity: Severity::Error, path: path.clone(), at_key: false, message, hint: None }
    }

    pub(crate) fn warning(code: &'static str, path: &super::path::Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn at_key(self) -> Self {
        Self { at_key: true, ..self }
    }
}
