//! What `doctor` has to say: data only. `cli/doctor.rs` shows it.

use serde::Serialize;

/// How bad it is. The order is that in which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// A release would stand still, go wrong or not begin.
    Error,
    /// A release would go slower, or differ from what its author expects.
    Warning,
    /// Could not be looked at. Never taken for good.
    Unknown,
    Ok,
}

/// Where a finding belongs. The order is that in which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Area {
    Environment,
    Repository,
    Applier,
    Cluster,
    Metrics,
}

impl std::fmt::Display for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::Repository => "Repository",
            Self::Applier => "Applier",
            Self::Cluster => "Cluster",
            Self::Metrics => "Metrics",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// A stable name (docs/reference/codes.md).
    pub code: &'static str,
    pub level: Level,
    pub area: Area,
    /// What was looked at, for example `Kustomization flux-system/shop`.
    pub subject: String,
    /// What was seen there.
    pub seen: String,
    /// What a release would meet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<Mend>,
}

/// The way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mend {
    /// What to do, one sentence.
    pub text: String,
    /// The setting or the command itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exactly: Option<String>,
}

impl Finding {
    pub fn error(code: &'static str, area: Area, subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(code, Level::Error, area, subject, seen)
    }

    pub fn warning(code: &'static str, area: Area, subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(code, Level::Warning, area, subject, seen)
    }

    pub fn unknown(code: &'static str, area: Area, subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(code, Level::Unknown, area, subject, seen)
    }

    pub fn fine(code: &'static str, area: Area, subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(code, Level::Ok, area, subject, seen)
    }

    fn new(code: &'static str, level: Level, area: Area, subject: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { code, level, area, subject: subject.into(), seen: seen.into(), consequence: None, mend: None }
    }

    /// What a release would meet.
    pub fn so(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = Some(consequence.into());
        self
    }

    /// What to do about it.
    pub fn mend(mut self, text: impl Into<String>) -> Self {
        self.mend = Some(Mend { text: text.into(), exactly: None });
        self
    }

    /// What to do about it, and the setting or command itself.
    pub fn mend_exactly(mut self, text: impl Into<String>, exactly: impl Into<String>) -> Self {
        self.mend = Some(Mend { text: text.into(), exactly: Some(exactly.into().trim_end().to_owned()) });
        self
    }
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub findings: Vec<Finding>,
}

impl Report {
    /// By area, the worst first; what was said twice of one thing is said once.
    pub fn new(findings: Vec<Finding>) -> Self {
        let mut kept: Vec<Finding> = Vec::new();
        for finding in findings {
            if !kept
                .iter()
                .any(|other| other.code == finding.code && other.subject == finding.subject && other.seen == finding.seen)
            {
                kept.push(finding);
            }
        }
        kept.sort_by_key(|finding| (finding.area, finding.level));
        Self { findings: kept }
    }

    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}
