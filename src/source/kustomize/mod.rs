//! Renders by kustomize's own program, in a throw-away folder with nothing in it but the files that it needs.
//!
//! These are the source directory with all that is below it and, outside of it, what its kustomizations refer to. Whatever
//! they refer to must be in the repository: nothing is fetched. No plugins, no functions, no helm.

mod secrets;
mod walk;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::collect::{Reader, is_manifest};
use super::own::{Sorted, holds_rollout};
use super::program::{self, Run};
use super::{Files, ItemKind, Options, Rendered, SourceError, Tree};
use crate::manifest::{self, ObjectSet};

fn failed(directory: &str, cause: impl Into<String>, hint: Option<&str>) -> SourceError {
    SourceError::Renderer {
        renderer: "kustomize".to_owned(),
        path: if directory.is_empty() { "." } else { directory }.to_owned(),
        cause: cause.into(),
        hint: hint.map(str::to_owned),
    }
}

pub(super) fn render(tree: &dyn Tree, directory: &str, options: &Options) -> Result<Rendered, SourceError> {
    let mut reader = Reader::new(tree, &options.limits);
    reader.everything(directory)?;
    let walked = walk::walk(&mut reader, directory)?;
    if let Some(wanted) = &options.kustomize_version {
        let found = version(options)?;
        if found.trim_start_matches('v') != wanted.trim_start_matches('v') {
            let hint = format!("install kustomize {wanted}, or change the pinned version");
            return Err(failed(directory, format!("its version is {found}, and {wanted} is required"), Some(&hint)));
        }
    }

    let first = build(&reader.files, directory, options)?;
    let second = build(&reader.files, directory, options)?;
    if first != second {
        return Err(not_repeatable(directory, &first, &second));
    }

    let mut sorted = Sorted::new(options.limits.objects);
    let origin = walked.kustomization.as_str();
    for document in parse(directory, &first)? {
        sorted.document(origin, document)?;
    }
    if !options.allow_secrets {
        secrets::refuse_made(directory, &sorted.objects, &reader.files)?;
    }
    // A Rollout beside the kustomization, that the kustomization does not list, is read as it is.
    for (path, item) in reader.list(directory)? {
        let unlisted = item.kind == ItemKind::File && is_manifest(&item.name) && !walked.reached.contains(&path);
        if unlisted && holds_rollout(&reader.read(&path)?) {
            let mut beside = Sorted::new(options.limits.objects);
            beside.file(&path, &reader.text(&path)?)?;
            sorted.rollouts.extend(beside.rollouts);
        }
    }
    if sorted.objects.is_empty() {
        return Err(failed(directory, "it made no objects", Some("list the manifests under `resources`")));
    }

    let mut inputs = BTreeMap::new();
    for root in walked.roots {
        if let Some(identity) = tree.identity(&root)? {
            inputs.insert(root, identity);
        }
    }
    let command = format!("kustomize build {}", if directory.is_empty() { "." } else { directory });
    Ok(Rendered { objects: sorted.objects, rollouts: sorted.rollouts, inputs, command: Some(command) })
}

/// The version that the program tells, for example `v5.8.1`.
pub fn version(options: &Options) -> Result<String, SourceError> {
    let folder = throw_away()?;
    let output = run(&["version".as_ref()], folder.path(), &Files::new(), "", options)?;
    let text = String::from_utf8_lossy(&output).trim().to_owned();
    // Before 5.0: `{kustomize/v4.5.7  2022-08-02T16:35:54Z  }`.
    let words = text.split(|character: char| character.is_whitespace() || matches!(character, '{' | '}' | '/' | ':'));
    let is_version = |word: &&str| {
        let rest = word.strip_prefix('v').unwrap_or(word);
        rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains('.')
    };
    words.into_iter().find(is_version).map(str::to_owned).ok_or_else(|| failed("", "it does not tell its version", None))
}

fn throw_away() -> Result<tempfile::TempDir, SourceError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("windlass-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().map_err(|error| failed("", format!("no folder can be made for it: {error}"), None))
}

/// One build in a folder of its own.
fn build(files: &Files, directory: &str, options: &Options) -> Result<String, SourceError> {
    let folder = throw_away()?;
    let root = folder.path().join("source");
    let write = |path: &str, content: &[u8]| {
        let file = root.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, content)
    };
    for (path, content) in files {
        write(path, content).map_err(|error| failed(directory, format!("{path} cannot be written for it: {error}"), None))?;
    }
    let target = root.join(directory);
    let output = run(&["build".as_ref(), target.as_os_str()], folder.path(), files, directory, options)?;
    String::from_utf8(output).map_err(|_| failed(directory, "its output is no UTF-8 text", None))
}

fn run(arguments: &[&OsStr], folder: &Path, files: &Files, directory: &str, options: &Options) -> Result<Vec<u8>, SourceError> {
    let Some(program) = program::find(&options.kustomize) else {
        let hint = "install kustomize (https://kubectl.docs.kubernetes.io/installation/kustomize), or say where it is";
        return Err(failed(directory, format!("the program `{}` is not there", options.kustomize.display()), Some(hint)));
    };
    let run = Run { program: &program, arguments, folder, timeout: options.timeout, output: options.limits.output };
    let output = run.run().map_err(|cause| failed(directory, cause, None))?;
    if !output.success {
        // The folder's name is different each time and says nothing.
        let here = folder.join("source").display().to_string();
        let text = output.stderr.replace(&format!("{here}/"), "").replace(&here, ".");
        let text = secrets::hide(&text, files);
        let text: String = text.chars().filter(|character| !character.is_control() || *character == '\n').take(2000).collect();
        return Err(failed(directory, if text.is_empty() { "it failed and says nothing" } else { &text }, None));
    }
    Ok(output.stdout)
}

fn parse(directory: &str, text: &str) -> Result<Vec<manifest::Document>, SourceError> {
    // All files of the source in one: its size is limited by `Limits::output` already.
    let limits = manifest::Limits { bytes: usize::MAX, nodes: 1_000_000, ..manifest::Limits::default() };
    manifest::read_with("kustomize's output", text, &limits)
        .map_err(|error| SourceError::Invalid { path: directory.to_owned(), text: error.to_string() })
}

fn not_repeatable(directory: &str, first: &str, second: &str) -> SourceError {
    let set = |text: &str| -> Result<ObjectSet, SourceError> {
        Ok(parse(directory, text)?.into_iter().map(|document| document.object).collect())
    };
    let (first, second) = match (set(first), set(second)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => return error,
    };
    let keys = first.iter().chain(second.iter()).map(|(key, _)| key);
    let differing = keys.into_iter().find_map(|key| {
        let change = manifest::diff(first.get(key), second.get(key)).into_iter().next()?;
        Some(if change.path.is_empty() { key.to_string() } else { format!("{} of {key}", change.path) })
    });
    let what = differing.unwrap_or_else(|| "the order of its output".to_owned());
    failed(
        directory,
        format!("two builds of the same files differ in {what}"),
        Some("rendering must be repeatable: remove what makes random values or reads the time"),
    )
}
