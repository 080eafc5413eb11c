//! The verbs that look at files only: `validate` and `schema`.

use super::args::{Output, ValidateArgs};
use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use super::{schema, validate};

pub(super) fn validate(terminal: &mut Terminal, args: &ValidateArgs) -> Result<Exit, Failure> {
    for path in &args.paths {
        if !path.exists() {
            return Err(Failure::usage(format!("{}: no such file or folder", path.display())));
        }
    }
    let outcome = validate::run(&args.paths, None);
    let text = match terminal.output {
        Output::Json => validate::render_json(&outcome),
        Output::Github => validate::render_github(&outcome),
        // The stream drops colours where they are off.
        Output::Human => validate::render_text(&outcome, true),
    };
    terminal.raw(&text);
    if !text.is_empty() && !text.ends_with('\n') {
        terminal.line("");
    }
    Ok(if outcome.passed() { Exit::Done } else { Exit::Findings })
}

pub(super) fn schema(terminal: &mut Terminal, document: &str) -> Result<Exit, Failure> {
    let text = schema::text(document).map_err(|error| Failure::usage(error.to_string()))?;
    terminal.raw(&text);
    Ok(Exit::Done)
}
