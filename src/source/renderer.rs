//! What the external renderers have in common: a throw-away folder with nothing in it but the files that they need, one run
//! in it, and errors that say which program it was.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use super::program::{self, Run};
use super::{Files, Options, SourceError, secrets};
use crate::manifest::{self, ObjectSet};

/// A program that makes manifests.
pub(super) struct Renderer {
    pub(super) name: &'static str,
    /// What to do where it is not there.
    pub(super) install: &'static str,
}

impl Renderer {
    pub(super) fn failed(&self, directory: &str, cause: impl Into<String>, hint: Option<&str>) -> SourceError {
        SourceError::Renderer {
            renderer: self.name.to_owned(),
            path: if directory.is_empty() { "." } else { directory }.to_owned(),
            cause: cause.into(),
            hint: hint.map(str::to_owned),
        }
    }

    /// Refuses another version than the one that is wanted.
    pub(super) fn pinned(&self, directory: &str, found: &str, wanted: &str) -> Result<(), SourceError> {
        if super::is_version(found, wanted) {
            return Ok(());
        }
        let hint = format!("install {} {wanted}, or change the pinned version", self.name);
        Err(self.failed(directory, format!("its version is {found}, and {wanted} is required"), Some(&hint)))
    }

    /// One run in a folder of its own. `arguments` are told where the files are. Gives what the program printed.
    pub(super) fn run(
        &self,
        program: &Path,
        arguments: impl Fn(&Path) -> Vec<OsString>,
        files: &Files,
        directory: &str,
        options: &Options,
    ) -> Result<String, SourceError> {
        let Some(found) = program::find(program) else {
            let cause = format!("the program `{}` is not there", program.display());
            return Err(self.failed(directory, cause, Some(self.install)));
        };
        let folder = self.throw_away()?;
        let root = folder.path().join("source");
        for (path, content) in files {
            let file = root.join(path);
            let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&file, content));
            written.map_err(|error| self.failed(directory, format!("{path} cannot be written for it: {error}"), None))?;
        }
        let (timeout, output, memory) = (options.timeout, options.limits.output, options.limits.memory);
        let arguments = arguments(&root);
        let run = Run { program: &found, arguments: &arguments, folder: folder.path(), timeout, output, memory };
        let output = run.run().map_err(|cause| self.failed(directory, cause, None))?;
        if !output.success {
            if output.stderr.contains("out of memory") {
                // What follows is Go's own account, for those who wrote the program.
                let cause = format!("it needs more than {} MiB of memory", memory >> 20);
                return Err(self.failed(directory, cause, Some("look for a template that repeats something without end")));
            }
            // The folder's name is different each time and says nothing.
            let here = root.display().to_string();
            let text = output.stderr.replace(&format!("{here}/"), "").replace(&here, ".");
            // Nobody calls the program by hand here, and that it is an error is said before.
            let text = text.replace("\n\nUse --debug flag to render out invalid YAML", "");
            let text = text.strip_prefix("Error: ").unwrap_or(&text);
            let text = secrets::hide(text, files);
            let shown = |character: &char| !character.is_control() || *character == '\n';
            let text: String = text.chars().filter(shown).take(2000).collect();
            return Err(self.failed(directory, if text.is_empty() { "it failed and says nothing" } else { &text }, None));
        }
        String::from_utf8(output.stdout).map_err(|_| self.failed(directory, "its output is no UTF-8 text", None))
    }

    fn throw_away(&self) -> Result<tempfile::TempDir, SourceError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("windlass-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        builder.tempdir().map_err(|error| self.failed("", format!("no folder can be made for it: {error}"), None))
    }

    /// The documents that the program has printed.
    pub(super) fn parse(&self, directory: &str, text: &str) -> Result<Vec<manifest::Document>, SourceError> {
        // All files of the source in one: its size is limited by `Limits::output` already.
        let limits = manifest::Limits { bytes: usize::MAX, nodes: 1_000_000, ..manifest::Limits::default() };
        manifest::read_with(&format!("{}'s output", self.name), text, &limits)
            .map_err(|error| SourceError::Invalid { path: directory.to_owned(), text: error.to_string() })
    }

    /// What two results differ in, named by the first field; `None` where their objects are the same.
    pub(super) fn difference(&self, directory: &str, first: &str, second: &str) -> Result<Option<String>, SourceError> {
        let set = |text: &str| -> Result<ObjectSet, SourceError> {
            Ok(self.parse(directory, text)?.into_iter().map(|document| document.object).collect())
        };
        let (first, second) = (set(first)?, set(second)?);
        let keys = first.iter().chain(second.iter()).map(|(key, _)| key);
        Ok(keys.into_iter().find_map(|key| {
            let change = manifest::diff(first.get(key), second.get(key)).into_iter().next()?;
            Some(if change.path.is_empty() { key.to_string() } else { format!("{} of {key}", change.path) })
        }))
    }

    pub(super) fn not_repeatable(&self, directory: &str, what: &str) -> SourceError {
        self.failed(
            directory,
            format!("two builds of the same files differ in {what}"),
            Some("rendering must be repeatable: remove what makes random values or reads the time"),
        )
    }
}
