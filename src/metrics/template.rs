//! Query templates: a small part of the minijinja language, in which no value can change the shape of a query.
//!
//! `{{ name }}` puts a variable in; `{% if … %}`, `{% elif … %}`, `{% else %}`, `{% endif %}` choose; `{# … #}` is dropped. Nothing else of
//! the language is let through: without loops, filters, functions and operators that build texts, a template cannot grow, and there is
//! nothing that it could reach.

use std::fmt::Write as _;

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};

use super::promql;

/// Longest template, bytes.
pub const MAX_TEMPLATE: usize = 8 * 1024;
/// Longest rendered query, bytes.
pub const MAX_QUERY: usize = 16 * 1024;
/// Instructions of the template machine; a template of full length needs far fewer.
const FUEL: u64 = 50_000;

/// What a query template may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variables<'a> {
    /// `{{ namespace }}` of the workload.
    pub namespace: &'a str,
    /// `{{ workload }}`: its name.
    pub workload: &'a str,
    /// `{{ stable.revision }}`: the value of the label that tells the stable pods apart.
    pub stable_revision: &'a str,
    /// `{{ candidate.revision }}`: likewise for the new version's pods.
    pub candidate_revision: &'a str,
    /// `{{ step }}`, counted from 1.
    pub step: u32,
    /// `{{ window }}`, seconds; written as a PromQL duration such as `300s`.
    pub window: u32,
}

/// The names that exist, as they are written in a template.
pub const NAMES: [&str; 6] = ["namespace", "workload", "stable.revision", "candidate.revision", "step", "window"];

/// Why a query template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the query template has {0} bytes; at most {MAX_TEMPLATE} are allowed")]
    TooLong(usize),
    #[error("the rendered query is longer than {MAX_QUERY} bytes")]
    QueryTooLong,
    #[error("line {line} of the query template: there is no variable `{name}`; there are {}", NAMES.join(", "))]
    Unknown { line: usize, name: String },
    #[error(
        "line {line} of the query template: `{text}` is not allowed; a template may hold {{{{ variable }}}}, {{% if %}}, {{% elif %}}, {{% else %}}, {{% endif %}} and comments"
    )]
    NotAllowed { line: usize, text: String },
    #[error("line {line} of the query template: `{open}` is never closed")]
    Unclosed { line: usize, open: &'static str },
    #[error("the query template holds a control character in line {line}")]
    Control { line: usize },
    #[error(
        "line {line} of the rendered query: `{{{{ {name} }}}}` stands outside quotes, where its text would be read as part of the query; write it inside a label value, as in app=\"{{{{ {name} }}}}\""
    )]
    Unquoted { line: usize, name: String },
    #[error(
        "line {line} of the rendered query: a backslash stands before `{{{{ {name} }}}}`; take it away, values are escaped already"
    )]
    Escaped { line: usize, name: String },
    #[error("line {line} of the query template: {cause}")]
    Syntax { line: usize, cause: String },
}

/// Whether a template is well-formed and names only variables that exist. Needs no values;
/// only the branches that an example takes are looked at for misplaced texts.
pub fn check(template: &str) -> Result<(), TemplateError> {
    let example = Variables {
        namespace: "a-namespace",
        workload: "a-workload",
        stable_revision: "stable",
        candidate_revision: "candidate",
        step: 1,
        window: 1,
    };
    render(template, &example).map(|_| ())
}

/// Puts the variables in. Texts are escaped for PromQL's string literals and may stand nowhere else; `step` and `window` may stand anywhere.
pub fn render(template: &str, variables: &Variables<'_>) -> Result<String, TemplateError> {
    allowed(template)?;
    let window = format!("{}s", variables.window);
    let mut machine = Environment::empty();
    machine.set_undefined_behavior(UndefinedBehavior::Strict);
    machine.set_auto_escape_callback(|_| AutoEscape::None);
    machine.set_fuel(Some(FUEL));
    let plain = window.clone();
    machine.set_formatter(move |out, _, value| {
        match (value.kind(), value.as_str()) {
            (ValueKind::String, Some(text)) if text != plain => out.write_str(&promql::marked(text))?,
            _ => write!(out, "{value}")?,
        }
        Ok(())
    });
    let values = context! {
        namespace => variables.namespace,
        workload => variables.workload,
        stable => context! { revision => variables.stable_revision },
        candidate => context! { revision => variables.candidate_revision },
        step => variables.step,
        window => Value::from(window),
    };
    let mut query = Limited(Vec::new());
    let rendered =
        machine.template_from_str(template).and_then(|template| template.render_captured_to(values, &mut query).map(|_| ()));
    if let Err(error) = rendered {
        if query.0.len() >= MARKED_LIMIT {
            return Err(TemplateError::QueryTooLong);
        }
        let cause = error.detail().map_or_else(|| error.kind().to_string(), ToOwned::to_owned);
        return Err(TemplateError::Syntax { line: error.line().unwrap_or(1), cause });
    }
    let text = String::from_utf8_lossy(&query.0);
    let query = promql::unmarked(&text).map_err(|misplaced| {
        let named = [
            ("namespace", variables.namespace),
            ("workload", variables.workload),
            ("stable.revision", variables.stable_revision),
            ("candidate.revision", variables.candidate_revision),
        ];
        let name = named.iter().find(|(_, value)| promql::escaped(value) == misplaced.value).map_or("…", |(name, _)| name);
        let (line, name) = (misplaced.line, name.to_owned());
        if misplaced.after_backslash { TemplateError::Escaped { line, name } } else { TemplateError::Unquoted { line, name } }
    })?;
    if query.len() > MAX_QUERY { Err(TemplateError::QueryTooLong) } else { Ok(query) }
}

/// Room for the marks around values, which do not count.
const MARKED_LIMIT: usize = 2 * MAX_QUERY;

/// Takes no more than a query may have.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MARKED_LIMIT {
            self.0.resize(MARKED_LIMIT, b' ');
            return Err(std::io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Looks at every tag before minijinja does: only what the head of this file names gets through.
fn allowed(template: &str) -> Result<(), TemplateError> {
    if template.len() > MAX_TEMPLATE {
        return Err(TemplateError::TooLong(template.len()));
    }
    let line_at = |rest: &str| 1 + template[..template.len() - rest.len()].matches('\n').count();
    if let Some(at) = template.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(TemplateError::Control { line: line_at(&template[at..]) });
    }
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        rest = &rest[at..];
        let line = line_at(rest);
        let kinds = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
        let Some((open, close)) = kinds.into_iter().find(|(open, _)| rest.starts_with(open)) else {
            rest = &rest[1..];
            continue;
        };
        let Some(end) = rest[2..].find(close) else {
            return Err(TemplateError::Unclosed { line, open });
        };
        let inner = &rest[2..2 + end];
        rest = &rest[2 + end + 2..];
        let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
        let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner).trim();
        match open {
            "{{" => variable(inner, line)?,
            "{%" => choice(inner, line)?,
            _ => {}
        }
    }
    Ok(())
}

fn variable(name: &str, line: usize) -> Result<(), TemplateError> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    let path = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
    Err(if path { TemplateError::Unknown { line, name: name.to_owned() } } else { not_allowed(name, line) })
}

/// The inside of `{% … %}`.
fn choice(inner: &str, line: usize) -> Result<(), TemplateError> {
    let (word, condition) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    match word {
        "else" | "endif" if condition.trim().is_empty() => Ok(()),
        "if" | "elif" => condition_allowed(condition, line),
        _ => Err(not_allowed(inner, line)),
    }
}

/// Variables, whole numbers, short plain texts, comparisons, `and`, `or`, `not` and parentheses.
fn condition_allowed(condition: &str, line: usize) -> Result<(), TemplateError> {
    let mut rest = condition.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = if matches!(first, '"' | '\'') {
            let text = rest[1..].find(first).map(|end| &rest[1..=end]);
            match text {
                Some(text) if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '/' | '-')) => {
                    text.len() + 2
                }
                _ => return Err(not_allowed(rest, line)),
            }
        } else if first.is_ascii_alphanumeric() || first == '_' {
            let word_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
            let word = &rest[..word_end];
            if !matches!(word, "and" | "or" | "not" | "true" | "false") && !word.bytes().all(|b| b.is_ascii_digit()) {
                variable(word, line)?;
            }
            word_end
        } else if matches!(first, '=' | '!' | '<' | '>' | '(' | ')') {
            1
        } else {
            return Err(not_allowed(rest, line));
        };
        rest = rest[taken..].trim_start();
    }
    Ok(())
}

fn not_allowed(text: &str, line: usize) -> TemplateError {
    let mut shown = String::new();
    for c in text.chars().take(60) {
        let _ = if c.is_control() { write!(shown, " ") } else { write!(shown, "{c}") };
    }
    TemplateError::NotAllowed { line, text: shown }
}
