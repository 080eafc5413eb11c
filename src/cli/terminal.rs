//! Where output goes: the answer to stdout, progress and log to stderr.

use std::io::{IsTerminal as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::args::{Color, Output};
use super::exit::Failure;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(super) const RED: Style = AnsiColor::Red.on_default();
pub(super) const CYAN: Style = AnsiColor::Cyan.on_default();

/// `text` in a style; the stream drops it where colours are off.
pub(super) fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

pub(super) struct Terminal {
    out: AutoStream<std::io::Stdout>,
    err: AutoStream<std::io::Stderr>,
    pub output: Output,
    /// Whether stdout is a terminal that can be redrawn.
    pub live: bool,
}

impl Terminal {
    pub(super) fn new(output: Output, color: Color) -> Self {
        let choice = match color {
            Color::Auto => None,
            Color::Always => Some(ColorChoice::AlwaysAnsi),
            Color::Never => Some(ColorChoice::Never),
        };
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let live = out.is_terminal();
        Self {
            out: AutoStream::new(out, choice.unwrap_or_else(|| AutoStream::choice(&std::io::stdout()))),
            err: AutoStream::new(err, choice.unwrap_or_else(|| AutoStream::choice(&std::io::stderr()))),
            output,
            live,
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// A line of the answer. A reader that went away is not an error.
    pub(super) fn line(&mut self, text: impl std::fmt::Display) {
        let _ = writeln!(self.out, "{text}");
    }

    /// Part of the answer, without a line's end.
    pub(super) fn raw(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }

    /// A line of progress.
    pub(super) fn note(&mut self, text: impl std::fmt::Display) {
        let _ = writeln!(self.err, "{text}");
    }

    /// The answer as JSON.
    pub(super) fn json<T: serde::Serialize>(&mut self, value: &T) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(error) => self.note(format!("cannot write JSON: {error}")),
        }
    }

    /// An error, with its ways out.
    pub(super) fn failure(&mut self, failure: &Failure) {
        if self.is_json() {
            let value = serde_json::json!({"error": {"code": failure.code, "text": failure.text, "hints": failure.hints}});
            self.json(&value);
            return;
        }
        let _ = writeln!(self.err, "{} {}", styled(RED.bold(), "error:"), failure.text);
        for hint in &failure.hints {
            let _ = writeln!(self.err, "{} {hint}", styled(CYAN, "hint:"));
        }
    }
}

/// A moment in the user's zone, with the UTC offset.
pub(super) fn moment(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// The time of day of a moment that is near.
pub(super) fn clock(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%H:%M:%S %:z").to_string()
}
