//! Exit codes and errors at the door.

use crate::git::GitError;
use crate::reconcile::Trouble;

/// What a verb ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    Done = 0,
    Findings = 1,
    Usage = 2,
    RolledBack = 3,
    Holding = 4,
    Unreachable = 5,
    Defect = 70,
}

/// An error as a person sees it: what happened, and ways out.
#[derive(Debug)]
pub(super) struct Failure {
    pub exit: Exit,
    pub text: String,
    pub hints: Vec<String>,
    /// A stable code, for JSON.
    pub code: &'static str,
}

impl Failure {
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, text: text.into(), hints: Vec::new(), code: "usage" }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The way out of a refusal whose text does not hold it. Codes: docs/reference/codes.md.
fn way_out(code: &str) -> Option<&'static str> {
    Some(match code {
        "approved-already" => "each person counts once; `windlass status` shows what is still waited for",
        "no-release" => "a release begins when the source changes; `windlass status` shows where the app stands",
        "not-paused" => "`windlass status` shows what it waits for",
        "paused-already" => "`windlass resume` goes on, `windlass rollback` goes back",
        "busy" => "`windlass status` shows where it is; `windlass rollback` ends it",
        "rolling-back" => "`windlass run` carries it out; `windlass rollback --now` does the rest in one commit",
        "there-already" => "`windlass approve` ends its pause; `windlass goto` takes another step",
        "nothing-rejected" => "a new candidate comes from a change of the source",
        "nothing-to-adopt" => "a change of the source is released by `windlass run`",
        _ => return None,
    })
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        if trouble.is_final() {
            let hints = trouble.hint().into_iter().collect();
            return Self { exit: Exit::Unreachable, text: trouble.to_string(), hints, code: "refused" };
        }
        let (exit, code) = match &trouble {
            Trouble::Refused { code, .. } => (Exit::Findings, *code),
            Trouble::Defect(_) => (Exit::Defect, "defect"),
            Trouble::Git(GitError::Mirror { .. }) => (Exit::Findings, "io"),
            Trouble::Git(GitError::Content { .. }) => (Exit::Findings, "invalid"),
            trouble if trouble.is_unreachable() => (Exit::Unreachable, "unreachable"),
            _ => (Exit::Findings, "invalid"),
        };
        let refused = match &trouble {
            // A text with more than the bare reason tells the way out itself.
            Trouble::Refused { code, text } if !text.contains(['`', ':']) => way_out(code).map(str::to_owned),
            _ => None,
        };
        let mut hints: Vec<String> = trouble.hint().into_iter().chain(refused).collect();
        if exit == Exit::Defect {
            hints.push("this is a defect of Windlass; please report it with the output of `-vv`".to_owned());
        }
        Self { exit, text: trouble.to_string(), hints, code }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { exit: Exit::Findings, text: error.to_string(), hints: Vec::new(), code: "io" }
    }
}
