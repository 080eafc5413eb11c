//! File names for objects.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::object::ObjectKey;

/// The longest name, bytes: file systems take 255, and an extension follows.
const LONGEST: usize = 200;

/// `taken`: names that stand there for other objects.
pub(super) fn stems<'a>(keys: impl Iterator<Item = &'a ObjectKey>, taken: &BTreeSet<String>) -> BTreeMap<&'a ObjectKey, String> {
    let forms: [fn(&ObjectKey) -> String; 4] = [short, with_group, with_namespace, with_digest];
    let mut stems: BTreeMap<&ObjectKey, String> = keys.map(|key| (key, short(key))).collect();
    for form in forms.into_iter().skip(1) {
        lengthen(&mut stems, form, taken);
    }
    // A name may be chosen so that it equals another's digest form; then that object takes its own. Digests differ, so
    // this comes to an end.
    while lengthen(&mut stems, with_digest, taken) {}
    stems
}

/// Gives all objects that share a name the longer form. Says whether any name is another now.
fn lengthen(stems: &mut BTreeMap<&ObjectKey, String>, form: fn(&ObjectKey) -> String, taken: &BTreeSet<String>) -> bool {
    let mut count: HashMap<String, usize> = taken.iter().map(|name| (name.clone(), 1)).collect();
    for stem in stems.values() {
        *count.entry(stem.clone()).or_default() += 1;
    }
    let mut any = false;
    for (key, stem) in stems.iter_mut() {
        if count.get(stem).is_some_and(|times| *times > 1) {
            let longer = form(key);
            any |= *stem != longer;
            *stem = longer;
        }
    }
    any
}

fn group(key: &ObjectKey) -> &str {
    if key.group.is_empty() { "core" } else { &key.group }
}

fn short(key: &ObjectKey) -> String {
    fit(key, format!("{}-{}", key.kind, key.name))
}

fn with_group(key: &ObjectKey) -> String {
    fit(key, format!("{}-{}-{}", key.kind, group(key), key.name))
}

fn with_namespace(key: &ObjectKey) -> String {
    fit(key, format!("{}-{}-{}-{}", key.kind, group(key), key.namespace.as_deref().unwrap_or("none"), key.name))
}

fn with_digest(key: &ObjectKey) -> String {
    let mut digest = Sha256::new();
    for part in [&key.group, &key.kind, key.namespace.as_ref().unwrap_or(&String::new()), &key.name] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.update([u8::from(key.namespace.is_some())]);
    let hex = hex::encode(digest.finalize());
    let mut stem = clean(&format!("{}-{}", key.kind, key.name));
    stem.truncate(LONGEST - 65);
    format!("{stem}-{hex}")
}

fn fit(key: &ObjectKey, stem: String) -> String {
    let stem = clean(&stem);
    if stem.len() > LONGEST { with_digest(key) } else { stem }
}

/// Lower case; whatever is not a letter, a digit, `-`, `_` or a dot inside becomes `_`.
fn clean(stem: &str) -> String {
    let character = |(index, character): (usize, char)| match character.to_ascii_lowercase() {
        letter @ ('a'..='z' | '0'..='9' | '-' | '_') => letter,
        '.' if index > 0 => '.',
        _ => '_',
    };
    stem.chars().enumerate().map(character).collect()
}
