//! The developers' desk: the files of all apps as they write them, and what of it is on the source branch.

use std::collections::BTreeMap;

use super::app::{App, Setting};
use super::script::Block;

/// What developers change before they commit.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// Where the apps are to run.
    pub setting: Setting,
    pub apps: Vec<App>,
    current: usize,
    /// Files that are written as they are; `None` removes.
    raw: BTreeMap<String, Option<String>>,
    committed: BTreeMap<String, String>,
}

impl Desk {
    /// No app yet.
    pub fn new(setting: Setting) -> Self {
        Self { setting, ..Self::default() }
    }

    /// The app that commands are about.
    pub fn app(&mut self) -> Result<&mut App, String> {
        self.apps.get_mut(self.current).ok_or_else(|| "no app yet: `app` makes one".to_owned())
    }

    /// Follows a command, where it is one of the desk's.
    pub(super) fn follow(&mut self, verb: &str, rest: &str, block: &Block) -> Result<bool, String> {
        match verb {
            "app" => {
                self.apps.push(App::new(rest)?);
                self.current = self.apps.len() - 1;
            }
            "use" => {
                let place = self.apps.iter().position(|app| app.name == rest);
                self.current = place.ok_or_else(|| format!("no app `{rest}`"))?;
            }
            "set" => self.app()?.set(rest)?,
            "steps" => self.app()?.steps = rest.split_whitespace().map(str::to_owned).collect(),
            "metric" => self.app()?.metric(rest)?,
            "image" => {
                let app = self.app()?;
                app.set("never-ready=none crash=none")?;
                let (image, more) = rest.split_once(' ').unwrap_or((rest, ""));
                app.set(&format!("image={image} {more}"))?;
            }
            "file" => {
                let text: String = block.input.iter().map(|line| format!("{line}\n")).collect();
                self.raw.insert(rest.to_owned(), Some(text));
            }
            "delete" => drop(self.raw.insert(rest.to_owned(), None)),
            "restore" => drop(self.raw.remove(rest)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What has changed since the last commit: path and new content, `None` for what is gone. It counts as committed.
    ///
    /// # Errors
    /// Nothing has changed, or an option of an app is unknown.
    pub(super) fn commit(&mut self) -> Result<Vec<(String, Option<String>)>, String> {
        let mut files = BTreeMap::new();
        for app in &self.apps {
            let written = app.files(&self.setting)?;
            if self.apps.iter().filter(|other| other.path == app.path).count() == 1 {
                files.extend(written);
                continue;
            }
            // Several Rollouts in one directory: each file is called after its app.
            let folder = format!("{}/", app.path);
            for (path, content) in written {
                let name = path.strip_prefix(&folder).unwrap_or(&path);
                files.insert(format!("{folder}{}-{name}", app.name), content);
            }
        }
        for (path, content) in &self.raw {
            match content {
                Some(content) => drop(files.insert(path.clone(), content.clone())),
                None => drop(files.remove(path)),
            }
        }
        let mut changes = Vec::new();
        for (path, content) in &files {
            if self.committed.get(path) != Some(content) {
                changes.push((path.clone(), Some(content.clone())));
            }
        }
        changes.extend(self.committed.keys().filter(|path| !files.contains_key(*path)).map(|path| (path.clone(), None)));
        if changes.is_empty() {
            return Err("nothing to commit".to_owned());
        }
        self.committed = files;
        Ok(changes)
    }

    /// The revision of the current app's pods with this image.
    pub(super) fn revision(&mut self, image: &str) -> Result<String, String> {
        let mut app = self.app()?.clone();
        app.set(&format!("image={image}"))?;
        app.revision(&self.setting)
    }
}
