//! Two trees beside each other: only directories with another id are read.

use std::collections::BTreeMap;

use super::layout::join;
use crate::git::{EntryKind, GitError, Oid, Repo};

/// Tells every path at which two trees differ, a directory before what is in it. `None`: too many.
pub(super) fn differ(
    repo: &dyn Repo,
    path: &str,
    old: Option<Oid>,
    new: Option<Oid>,
    budget: &mut usize,
    note: &mut dyn FnMut(&str, EntryKind),
) -> Result<Option<()>, GitError> {
    if old == new {
        return Ok(Some(()));
    }
    note(path, EntryKind::Directory);
    let list = |tree: Option<Oid>| tree.map_or_else(|| Ok(Vec::new()), |tree| repo.list(tree));
    let mut before: BTreeMap<String, (EntryKind, Oid)> = BTreeMap::new();
    let mut after = Vec::new();
    let old = list(old)?;
    // Most entries are the same: what stands at the same place in both lists needs no search.
    let new = list(new)?;
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let tail = tail.min(old.len() - same).min(new.len() - same);
    for entry in old.iter().skip(same).take(old.len() - same - tail) {
        before.insert(entry.name.clone(), (entry.kind, entry.id));
    }
    for entry in new.into_iter().skip(same).rev().skip(tail) {
        match before.get(&entry.name) {
            Some((kind, id)) if (*kind, *id) == (entry.kind, entry.id) => drop(before.remove(&entry.name)),
            _ => after.push(entry),
        }
    }
    let tree = |kind: EntryKind, id: Oid| (kind == EntryKind::Directory).then_some(id);
    for entry in after {
        let was = before.remove(&entry.name);
        *budget = match budget.checked_sub(1) {
            Some(left) => left,
            None => return Ok(None),
        };
        let inner = join(path, &entry.name);
        let (old, new) = (was.and_then(|(kind, id)| tree(kind, id)), tree(entry.kind, entry.id));
        if entry.kind != EntryKind::Directory || was.is_some_and(|(kind, _)| kind != EntryKind::Directory) {
            note(&inner, entry.kind);
        }
        if (old.is_some() || new.is_some()) && differ(repo, &inner, old, new, budget, note)?.is_none() {
            return Ok(None);
        }
    }
    for (name, (kind, id)) in before {
        *budget = match budget.checked_sub(1) {
            Some(left) => left,
            None => return Ok(None),
        };
        let inner = join(path, &name);
        match tree(kind, id) {
            None => note(&inner, kind),
            Some(old) => {
                if differ(repo, &inner, Some(old), None, budget, note)?.is_none() {
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some(()))
}
