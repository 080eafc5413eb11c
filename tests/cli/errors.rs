//! What people see when something goes wrong, whole: each scene plays the real program and compares all that it printed and
//! its exit code with a text of `errors/shown/`. `WINDLASS_UPDATE=1` writes the texts anew; read every difference.
//!
//! Each text names the cause and the way out: that is what to look for in a review.

mod apart;
mod canary;
mod events;
mod folders;
mod lua;
mod people;
mod remotes;
mod secure;

use std::path::PathBuf;

use regex::Regex;

use super::desk::{Desk, Said};

/// A scene: what was typed and what was shown, with everything that differs between two plays taken out.
pub(crate) struct Scene {
    name: &'static str,
    text: String,
    /// Texts of this play, and what they are called.
    names: Vec<(String, &'static str)>,
}

impl Scene {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, text: String::new(), names: Vec::new() }
    }

    /// From now on `text` is called `name`.
    pub(crate) fn call(&mut self, text: impl Into<String>, name: &'static str) -> &mut Self {
        self.names.push((text.into(), name));
        self
    }

    /// Something that happens beside the program.
    pub(crate) fn note(&mut self, text: &str) -> &mut Self {
        self.text += &format!("# {text}\n");
        self
    }

    #[track_caller]
    pub(crate) fn windlass(&mut self, desk: &Desk, args: &[&str]) -> Said {
        self.with(desk, args, &[])
    }

    /// The program with the environment's variables, which are shown.
    #[track_caller]
    pub(crate) fn with(&mut self, desk: &Desk, args: &[&str], env: &[(&str, &str)]) -> Said {
        let said = desk.windlass_with(args, env);
        let variables: String = env.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let lines = |mark: &str, text: &str| text.lines().map(|line| format!("{mark}{line}\n")).collect::<String>();
        let shown = format!(
            "$ {variables}windlass {}\n{}{}exit {}\n",
            args.join(" "),
            lines("", &said.out),
            lines("! ", &said.err),
            said.code
        );
        assert!(!shown.contains("panicked"), "{shown}");
        self.call(desk.repo().parent().unwrap().display().to_string(), "DESK");
        self.text += &self.plain(&shown);
        said
    }

    /// Without what differs between two plays: folders, ports, ids, moments, lengths of waits.
    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (found, name) in &self.names {
            text = text.replace(found, name);
        }
        for (pattern, name) in [
            // Commits, long and short, and the ends of the mirrors' names.
            (r"\b(?:[0-9a-f]{40}|[0-9a-f]{16}|[0-9a-f]{10})\b", "ID"),
            (r"\b\d{4}-\d\d-\d\d ", ""),
            (r"\b\d\d:\d\d:\d\d \+00:00", "TIME"),
            (r"since TIME, [0-9hms]+", "since TIME, WHILE"),
            (r"\d+ s of the settle", "SOME s of the settle"),
            (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
            (r"localhost:\d+", "localhost:PORT"),
            (r"-p \d+ ", "-p PORT "),
            (r"port \d+", "port PORT"),
            (r"\[127\.0\.0\.1\]:\d+", "[127.0.0.1]:PORT"),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, name).into_owned();
        }
        text
    }

    #[track_caller]
    pub(crate) fn end(&self) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/errors/shown");
        let file = folder.join(format!("{}.txt", self.name));
        if std::env::var("WINDLASS_UPDATE").is_ok_and(|value| value == "1") {
            std::fs::write(file, &self.text).unwrap();
            return;
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if expected != self.text {
            let diff = similar::TextDiff::from_lines(&expected, &self.text);
            panic!("{}:\n{}", self.name, diff.unified_diff().context_radius(4).header("written", "played"));
        }
    }
}
