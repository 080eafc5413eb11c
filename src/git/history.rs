//! Commits and what they brought: ancestry in a history that may be cut off, and the objects that a remote lacks.

use super::Oid;
use git2::{ObjectType, Repository, Tree};
use std::collections::{HashSet, VecDeque};

/// The parents of a commit that are here: at the border of a shallow history there are none.
fn parents(repo: &Repository, id: Oid) -> Result<Vec<Oid>, git2::Error> {
    let odb = repo.odb()?;
    let commit = repo.find_commit(id)?;
    Ok(commit.parent_ids().filter(|parent| odb.exists(*parent)).collect())
}

/// Whether `ancestor` is `descendant` or is reached from it by parents.
pub(super) fn is_ancestor(repo: &Repository, ancestor: Oid, descendant: Oid) -> Result<bool, git2::Error> {
    if ancestor == descendant {
        return Ok(true);
    }
    if !repo.odb()?.exists(ancestor) {
        return Ok(false);
    }
    let mut seen = HashSet::from([descendant]);
    let mut queue = VecDeque::from([descendant]);
    while let Some(id) = queue.pop_front() {
        for parent in parents(repo, id)? {
            if parent == ancestor {
                return Ok(true);
            }
            if seen.insert(parent) {
                queue.push_back(parent);
            }
        }
    }
    Ok(false)
}

/// What we can tell a server that we have.
#[derive(Default)]
pub(super) struct Known {
    /// Commits, newest first.
    pub(super) haves: Vec<Oid>,
    /// Those commits that are here and of which some parent is not.
    pub(super) shallow: Vec<Oid>,
}

/// What was found on earlier ways down the history of one repository, which only grows.
#[derive(Default)]
pub(super) struct Walked {
    /// Commits from which every way down was followed to its end.
    below: HashSet<Oid>,
    borders: Vec<Oid>,
}

/// More commits than this are not offered to a server; one that we share is enough.
const OFFERED: usize = 64;

/// What is known from `heads` downwards. A commit that is here is here with its whole tree, so that a missing parent is the
/// only kind of border. Where `walked` has been, nobody goes again: a branch gets longer, what came since stays little.
pub(super) fn known(repo: &Repository, heads: &[Oid], walked: &mut Walked) -> Result<Known, git2::Error> {
    let odb = repo.odb()?;
    let mut haves = Vec::new();
    let mut borders = Vec::new();
    let mut seen = HashSet::new();
    let mut queue: VecDeque<Oid> = heads.iter().copied().filter(|head| odb.exists(*head) && seen.insert(*head)).collect();
    while let Some(id) = queue.pop_front() {
        let is_new = !walked.below.contains(&id);
        if haves.len() < OFFERED {
            haves.push(id);
        } else if !is_new {
            continue;
        }
        let mut cut = false;
        for parent in repo.find_commit(id)?.parent_ids() {
            if !odb.exists(parent) {
                cut = true;
            } else if seen.insert(parent) {
                queue.push_back(parent);
            }
        }
        if cut && is_new {
            borders.push(id);
        }
    }
    // Only now: a way that was broken off has not been to its end.
    walked.below.extend(seen);
    walked.borders.append(&mut borders);
    let mut shallow = Vec::new();
    for id in &walked.borders {
        if repo.find_commit(*id)?.parent_ids().any(|parent| !odb.exists(parent)) {
            shallow.push(*id);
        }
    }
    Ok(Known { haves, shallow })
}

/// The objects that `new` brings to somebody who has everything below `bases`: only changed paths are walked. In an order
/// in which each object comes after all that it refers to.
pub(super) fn brought(repo: &Repository, new: Oid, bases: &[Oid]) -> Result<Vec<Oid>, git2::Error> {
    let mut commits = Vec::new();
    let mut seen: HashSet<Oid> = bases.iter().copied().collect();
    let mut queue = VecDeque::new();
    if seen.insert(new) {
        queue.push_back(new);
    }
    while let Some(id) = queue.pop_front() {
        commits.push(id);
        queue.extend(parents(repo, id)?.into_iter().filter(|parent| seen.insert(*parent)));
    }
    let mut objects = Vec::new();
    let mut listed = HashSet::new();
    for id in commits.iter().rev() {
        let commit = repo.find_commit(*id)?;
        let before: Vec<Tree<'_>> =
            parents(repo, *id)?.into_iter().map(|parent| repo.find_commit(parent)?.tree()).collect::<Result<_, _>>()?;
        new_in_tree(repo, &commit.tree()?, &before, &mut listed, &mut objects)?;
        objects.push(*id);
    }
    Ok(objects)
}

fn new_in_tree(
    repo: &Repository,
    tree: &Tree<'_>,
    before: &[Tree<'_>],
    listed: &mut HashSet<Oid>,
    objects: &mut Vec<Oid>,
) -> Result<(), git2::Error> {
    if before.iter().any(|old| old.id() == tree.id()) || listed.contains(&tree.id()) {
        return Ok(());
    }
    for entry in tree {
        let old: Vec<_> = before.iter().filter_map(|tree| tree.get_name_bytes(entry.name_bytes())).collect();
        if old.iter().any(|old| old.id() == entry.id()) {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Tree) => {
                let old: Vec<Tree<'_>> = old
                    .iter()
                    .filter(|old| old.kind() == Some(ObjectType::Tree))
                    .map(|old| repo.find_tree(old.id()))
                    .collect::<Result<_, _>>()?;
                new_in_tree(repo, &repo.find_tree(entry.id())?, &old, listed, objects)?;
            }
            Some(ObjectType::Blob) if listed.insert(entry.id()) => objects.push(entry.id()),
            // A submodule's commit lives in another repository.
            _ => {}
        }
    }
    if listed.insert(tree.id()) {
        objects.push(tree.id());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of commits on `parent`, oldest first.
    fn line(repo: &Repository, length: usize, mut parent: Oid) -> Vec<Oid> {
        let odb = repo.odb().unwrap();
        let tree = odb.write(ObjectType::Tree, b"").unwrap();
        let commit = |parent: Oid| {
            let text = format!("tree {tree}\nparent {parent}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx\n");
            odb.write(ObjectType::Commit, text.as_bytes()).unwrap()
        };
        let next = |_| {
            parent = commit(parent);
            parent
        };
        (0..length).map(next).collect()
    }

    #[test]
    fn what_was_walked_gives_the_same_as_a_walk_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let repo = Repository::init_bare(folder.path()).unwrap();
        let nowhere = |digit: &str| Oid::from_str(&digit.repeat(40)).unwrap();
        let (first, second) = (line(&repo, 100, nowhere("1")), line(&repo, 3, nowhere("2")));
        let mut walked = Walked::default();
        // The tips after which somebody asks, the last one on another line.
        for heads in [vec![first[80]], vec![first[80]], vec![first[99], first[80]], vec![second[2], first[99]]] {
            let (again, anew) =
                (known(&repo, &heads, &mut walked).unwrap(), known(&repo, &heads, &mut Walked::default()).unwrap());
            assert_eq!(again.haves, anew.haves);
            assert_eq!(again.haves.len(), OFFERED);
            let sorted = |known: &Known| known.shallow.iter().copied().collect::<std::collections::BTreeSet<_>>();
            assert_eq!(sorted(&again), sorted(&anew));
        }
        assert_eq!(walked.below.len(), 103);
        assert_eq!(walked.borders, [first[0], second[0]]);
    }
}
