//! What a scenario is played on: the simulated world, or another one that can do the same. A text is read once, here.

use super::desk::Desk;
use super::script::Block;
use super::time;

/// A world with a repository, an applier, a cluster, metrics, people, and Windlass. What the commands mean is said at the methods;
/// an error is a mistake in the text, or a world that does not answer any more.
pub trait Ground {
    /// The developers' files.
    fn desk(&mut self) -> &mut Desk;

    /// `commit MESSAGE`: these files change on the source branch.
    fn commit(&mut self, changes: &[(String, Option<String>)], message: &str) -> Result<(), String>;

    /// `run TIME`: so many milliseconds pass.
    fn run(&mut self, ms: u64) -> Result<(), String>;

    /// `until rest`, or `until hold CODE`: the time passes until nothing is due, or until Windlass waits for this reason.
    fn until(&mut self, code: Option<&str>) -> Result<(), String>;

    /// `status`: where the apps stand, and what the cluster shows.
    fn status(&mut self) -> Result<(), String>;

    /// `restart`: every process is killed, and started again.
    fn restart(&mut self) -> Result<(), String>;

    /// A word that a person says to Windlass: `approve`, `rollback now`, … Says whether `verb` is one.
    fn say(&mut self, verb: &str, rest: &str) -> Result<bool, String>;

    /// `foreign PATH …`: somebody writes a file of the live branch. `change` is given its present content.
    fn foreign(&mut self, path: &str, change: &dyn Fn(Option<String>) -> Result<String, String>) -> Result<(), String>;

    /// `revert HEAD~N`: somebody reverts a commit of the live branch.
    fn revert(&mut self, back: usize) -> Result<(), String>;

    /// `git down`, `git up`: whether the repository answers Windlass and the applier.
    fn git(&mut self, up: bool) -> Result<(), String>;

    /// `applier suspend`, `applier resume`.
    fn applier(&mut self, up: bool) -> Result<(), String>;

    /// `prometheus down`, `prometheus up`: whether it answers.
    fn prometheus(&mut self, up: bool) -> Result<(), String>;

    /// `cluster new`: an empty cluster takes the place of the present one; its applier reads the live branch as it is.
    fn new_cluster(&mut self) -> Result<(), String>;

    /// `errors IMAGE=RATE`: this part of the requests to a version fails from now on.
    fn errors(&mut self, revision: &str, rate: f64) -> Result<(), String>;

    /// Whatever else this world alone can do.
    ///
    /// # Errors
    /// It cannot.
    fn other(&mut self, verb: &str, rest: &str, _block: &Block) -> Result<(), String> {
        Err(format!("`{verb} {rest}` is no command here"))
    }

    /// What was printed since the last command.
    fn told(&mut self) -> Result<Vec<String>, String>;
}

/// Follows one command of a text, and gives what it printed.
///
/// # Errors
/// The text has a mistake, or the world does not answer.
pub fn follow(ground: &mut dyn Ground, block: &Block) -> Result<Vec<String>, String> {
    let (verb, rest) = block.command.split_once(' ').unwrap_or((&block.command, ""));
    let rest = rest.trim();
    if ground.desk().follow(verb, rest, block)? {
        return ground.told();
    }
    match (verb, rest) {
        ("commit", _) => {
            let changes = ground.desk().commit()?;
            ground.commit(&changes, if rest.is_empty() { "change" } else { rest })?;
        }
        ("run", _) => ground.run(time::read(rest)?)?,
        ("until", "rest") => ground.until(None)?,
        ("until", _) => match rest.split_once(' ') {
            Some(("hold", code)) => ground.until(Some(code))?,
            _ => return Err("`until rest` or `until hold CODE`".to_owned()),
        },
        ("status", _) => ground.status()?,
        ("restart", _) => ground.restart()?,
        ("git", "down" | "up") => ground.git(rest == "up")?,
        ("applier", "suspend" | "resume") => ground.applier(rest == "resume")?,
        ("prometheus", "down" | "up") => ground.prometheus(rest == "up")?,
        ("cluster", "new") => ground.new_cluster()?,
        ("revert", _) => ground.revert(back(rest)?)?,
        ("foreign", _) => foreign(ground, rest, block)?,
        ("errors", _) => {
            for word in rest.split_whitespace() {
                let (image, rate) = word.split_once('=').ok_or("`errors IMAGE=RATE`")?;
                let rate: f64 = rate.parse().map_err(|_| format!("`{rate}` is no part of 1"))?;
                let revision = ground.desk().revision(image)?;
                ground.errors(&revision, rate)?;
            }
        }
        _ => {
            if !ground.say(verb, rest)? {
                ground.other(verb, rest, block)?;
            }
        }
    }
    ground.told()
}

/// The number in `HEAD~N`; 0 for `HEAD`.
pub(super) fn back(text: &str) -> Result<usize, String> {
    let number = match text.strip_prefix("HEAD") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix('~').and_then(|number| number.parse().ok()),
        None => None,
    };
    number.ok_or_else(|| format!("`{text}` is neither HEAD nor HEAD~N"))
}

/// `foreign PATH old => new`, or `foreign PATH` with the content as input.
fn foreign(ground: &mut dyn Ground, rest: &str, block: &Block) -> Result<(), String> {
    let (path, change) = rest.split_once(' ').unwrap_or((rest, ""));
    let Some((old, new)) = change.split_once(" => ") else {
        let content: String = block.input.iter().map(|line| format!("{line}\n")).collect();
        return ground.foreign(path, &|_| Ok(content.clone()));
    };
    ground.foreign(path, &|text| {
        let text = text.ok_or_else(|| format!("{path} is not on the live branch"))?;
        if !text.contains(old) {
            return Err(format!("{path} does not hold `{old}`"));
        }
        Ok(text.replacen(old, new, 1))
    })
}
