//! Renders by kustomize's own program, in a throw-away folder with nothing in it but the files that it needs.
//!
//! These are the source directory with all that is below it and, outside of it, what its kustomizations refer to. Whatever
//! they refer to must be in the repository: nothing is fetched. No plugins, no functions, no helm.

mod walk;

use std::collections::BTreeMap;

use super::collect::Reader;
use super::own::{Sorted, beside};
use super::renderer::Renderer;
use super::secrets;
use super::{Files, Options, Rendered, SourceError, Tree};

const RENDERER: Renderer = Renderer {
    name: "kustomize",
    install: "install kustomize (https://kubectl.docs.kubernetes.io/installation/kustomize), or say where it is",
};

fn failed(directory: &str, cause: impl Into<String>, hint: Option<&str>) -> SourceError {
    RENDERER.failed(directory, cause, hint)
}

pub(super) fn render(tree: &dyn Tree, directory: &str, options: &Options) -> Result<Rendered, SourceError> {
    let mut reader = Reader::new(tree, &options.limits);
    reader.everything(directory)?;
    let walked = walk::walk(&mut reader, directory)?;
    if let Some(wanted) = &options.kustomize_version {
        RENDERER.pinned(directory, &version(options)?, wanted)?;
    }

    let first = build(&reader.files, directory, options)?;
    let second = build(&reader.files, directory, options)?;
    if first != second {
        let differing = RENDERER.difference(directory, &first, &second)?;
        return Err(RENDERER.not_repeatable(directory, &differing.unwrap_or_else(|| "the order of its output".to_owned())));
    }

    let mut sorted = Sorted::new(options.limits.objects);
    let origin = walked.kustomization.as_str();
    for document in RENDERER.parse(directory, &first)? {
        sorted.document(origin, document)?;
    }
    if !options.allow_secrets {
        let written = secrets::written(&reader.files);
        secrets::refuse_made(directory, &sorted.objects, "kustomize made (secretGenerator)", |field, text| {
            written.contains(&(field, text.to_owned()))
        })?;
    }
    // A Rollout beside the kustomization, that the kustomization does not list, is read as it is.
    for (path, text) in beside(&mut reader, directory)? {
        if !walked.reached.contains(&path) {
            let mut beside = Sorted::new(options.limits.objects);
            beside.file(&path, &text)?;
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
    let output = RENDERER.run(&options.kustomize, |_| vec!["version".into()], &Files::new(), "", options)?;
    let text = output.trim();
    // Before 5.0: `{kustomize/v4.5.7  2022-08-02T16:35:54Z  }`.
    let words = text.split(|character: char| character.is_whitespace() || matches!(character, '{' | '}' | '/' | ':'));
    let is_version = |word: &&str| {
        let rest = word.strip_prefix('v').unwrap_or(word);
        rest.starts_with(|first: char| first.is_ascii_digit()) && rest.contains('.')
    };
    words.into_iter().find(is_version).map(str::to_owned).ok_or_else(|| failed("", "it does not tell its version", None))
}

fn build(files: &Files, directory: &str, options: &Options) -> Result<String, SourceError> {
    RENDERER.run(&options.kustomize, |root| vec!["build".into(), root.join(directory).into()], files, directory, options)
}
