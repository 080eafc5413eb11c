//! What a step asks for, against what a provider has words for. Whoever writes an object may rely on it afterwards.

use crate::api::{HeaderModifier, HttpMatch, MatchKind, StringMatch};
use crate::render::RenderError;
use crate::render::traffic::ingress::COOKIE;
use crate::render::traffic::{Split, refused};

pub(super) const ALL: &[MatchKind] = &[MatchKind::Exact, MatchKind::PathPrefix, MatchKind::RegularExpression];
pub(super) const NAMED: &[MatchKind] = &[MatchKind::Exact, MatchKind::RegularExpression];

/// What a provider can say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) label: &'static str,
    /// `None`: it divides requests by weight alone.
    pub(super) matches: Option<Matches>,
    /// Header changes for a share of the requests.
    pub(super) with_share: Changes,
    /// Header changes for the requests of a match.
    pub(super) with_matches: Changes,
    pub(super) mirror: bool,
    /// What does more: ends the hints.
    pub(super) instead: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Matches {
    pub(super) path: &'static [MatchKind],
    pub(super) header: &'static [MatchKind],
    pub(super) query: &'static [MatchKind],
    /// Whether [`COOKIE`] can be said.
    pub(super) cookie: bool,
}

/// Which header changes can be said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes {
    pub(super) set: bool,
    pub(super) add: bool,
    pub(super) remove: bool,
}

impl Changes {
    pub(super) const NONE: Self = Self { set: false, add: false, remove: false };
    pub(super) const EVERY: Self = Self { set: true, add: true, remove: true };
}

impl Words {
    /// Weights and nothing else.
    pub(super) const fn weights(label: &'static str) -> Self {
        Self {
            label,
            matches: None,
            with_share: Changes::NONE,
            with_matches: Changes::NONE,
            mirror: false,
            instead: "use `traffic` alone, or a `gateway` routing (HTTPRoute) for this Service",
        }
    }

    /// Everything in the step that there are no words for.
    pub(super) fn check(&self, split: &Split) -> Result<(), Vec<RenderError>> {
        let mut found = Vec::new();
        let mut refuse = |what: &str, hint: &str| {
            let error = refused(self.label, what, hint);
            if !found.contains(&error) {
                found.push(error);
            }
        };
        match self.matches {
            None if !split.matches.is_empty() => refuse("`matches`", self.instead),
            None => {}
            Some(matches) => split.matches.iter().for_each(|one| self.one(one, matches, &mut refuse)),
        }
        if let Some(change) = split.modifier {
            if split.weight.is_some() {
                self.changes(change, self.with_share, " for a share of the requests", &mut refuse);
            }
            if !split.matches.is_empty() {
                self.changes(change, self.with_matches, "", &mut refuse);
            }
        }
        if split.mirror.is_some() && !self.mirror {
            refuse("`mirror`", self.instead);
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn one(&self, one: &HttpMatch, words: Matches, refuse: &mut impl FnMut(&str, &str)) {
        if one.path.is_none() && one.headers.is_empty() && one.query_params.is_empty() {
            refuse("a match without conditions", "use `traffic: 100%`");
        }
        if let Some(path) = &one.path
            && !words.path.contains(&path.kind)
        {
            let what = if words.path.is_empty() { "a match by path".to_owned() } else { format!("a path by `{:?}`", path.kind) };
            refuse(&what, self.instead);
        }
        for (what, list, kinds) in [("header", &one.headers, words.header), ("query parameter", &one.query_params, words.query)] {
            for (index, named) in list.iter().enumerate() {
                let header = what == "header";
                let again = list.iter().take(index).any(|earlier| same_name(header, &earlier.name, &named.name));
                if header && named.name.eq_ignore_ascii_case(COOKIE) {
                    if !words.cookie {
                        let hint = "match the header `cookie` with a `RegularExpression`, as `^(.*; *)?name=always(;.*)?$`";
                        refuse(&format!("a match by cookie as header `{COOKIE}`"), hint);
                    } else if named.kind != MatchKind::Exact {
                        refuse("a pattern for a cookie", "write the cookie's name as an `Exact` value");
                    }
                } else if kinds.is_empty() {
                    refuse(&format!("a match by {what}"), self.instead);
                } else if !kinds.contains(&named.kind) {
                    refuse(&format!("type `{:?}` for the {what} `{}`", named.kind, named.name), self.instead);
                }
                if again {
                    refuse(
                        &format!("two conditions on the {what} `{}` in one match", named.name),
                        "write one `RegularExpression` for both",
                    );
                }
            }
        }
    }

    fn changes(&self, change: &HeaderModifier, can: Changes, when: &str, refuse: &mut impl FnMut(&str, &str)) {
        if !can.set && !can.add && !can.remove {
            let hint = if when.is_empty() {
                self.instead
            } else {
                "give it to a step with `matches`, or use a `gateway` routing (HTTPRoute)"
            };
            refuse(&format!("`requestHeaderModifier`{when}"), hint);
            return;
        }
        let parts = [
            ("set", can.set, change.set.is_empty()),
            ("add", can.add, change.add.is_empty()),
            ("remove", can.remove, change.remove.is_empty()),
        ];
        for (part, can, empty) in parts {
            if !can && !empty {
                let hint = if part == "add" { "`set` the header instead" } else { self.instead };
                refuse(&format!("`requestHeaderModifier.{part}`{when}"), hint);
            }
        }
    }
}

/// A path for those whose prefixes are texts and not path elements: below `/new` is `/new` itself, and what begins with `/new/`.
pub(super) fn paths(path: &StringMatch) -> Vec<(MatchKind, String)> {
    let prefix = path.value.trim_end_matches('/');
    match path.kind {
        MatchKind::PathPrefix if prefix.is_empty() => vec![(MatchKind::PathPrefix, "/".to_owned())],
        MatchKind::PathPrefix => {
            vec![(MatchKind::Exact, prefix.to_owned()), (MatchKind::PathPrefix, format!("{prefix}/"))]
        }
        kind => vec![(kind, path.value.clone())],
    }
}

/// Header names are the same in any case; query parameters are not.
pub(super) fn same_name(header: bool, one: &str, other: &str) -> bool {
    if header { one.eq_ignore_ascii_case(other) } else { one == other }
}
