//! The verbs that look at files only: `validate`, `schema` and `init`.

use super::args::{InitArgs, Output, ValidateArgs};
use super::exit::{Exit, Failure};
use super::terminal::Terminal;
use super::{init, schema, validate};

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

/// Writes a Rollout file and `.windlass.yaml` that fit a folder.
pub fn init(terminal: &mut Terminal, args: &InitArgs) -> Result<Exit, Failure> {
    let folder = args.folder.canonicalize().map_err(|error| Failure::usage(format!("{}: {error}", args.folder.display())))?;
    let repository =
        git2::Repository::discover(&folder).ok().and_then(|repository| repository.workdir().map(std::path::Path::to_path_buf));
    let repository = repository.and_then(|path| path.canonicalize().ok()).ok_or_else(|| {
        Failure::usage(format!("{} is not in a Git work tree", args.folder.display())).hint("`git init` makes one")
    })?;
    let request = init::Request { folder, repository, workload: args.workload.clone() };
    let plan = init::plan(&request).map_err(|error| refused(terminal, &error))?;
    init::write(&plan).map_err(|error| refused(terminal, &error))?;
    let files: Vec<String> = plan.files.iter().map(|(path, _)| path.display().to_string()).collect();
    if terminal.is_json() {
        terminal.json(&serde_json::json!({"files": files, "notes": plan.notes}));
        return Ok(Exit::Done);
    }
    for file in &files {
        terminal.line(format!("wrote {file}"));
    }
    for note in &plan.notes {
        terminal.line(note);
    }
    Ok(Exit::Done)
}

fn refused(terminal: &mut Terminal, error: &init::InitError) -> Failure {
    if let init::InitError::Invalid { findings, .. } = error {
        let outcome = validate::Outcome { findings: findings.clone(), files_checked: 1, ..Default::default() };
        terminal.note(validate::render_text(&outcome, true).trim_end());
    }
    Failure { exit: Exit::Findings, text: error.to_string(), hints: Vec::new(), code: "init" }
}
