//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Turns a release into a short series of Git commits that Argo CD or Flux applies, one gated step at a time.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, propagate_version = true, after_help = EXIT_CODES, max_term_width = 110)]
pub(super) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, or nothing to do; 1 findings, or a check failed; 2 wrong usage; 3 the release was rolled back or
rejected; 4 still holding at the time limit; 5 cannot reach the repository, cluster or metrics; 70 a defect of Windlass.";

#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    // An address may hold credentials: help never shows what the environment says.
    /// The repository: an https, ssh or file URL, or a folder [default: the repository around the current folder]
    #[arg(
        long,
        global = true,
        value_name = "URL-OR-FOLDER",
        env = "WINDLASS_REPO",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub repo: Option<String>,
    /// The live branch [default: `liveBranch` of .windlass.yaml, else `deploy`]
    #[arg(long, global = true, value_name = "NAME", env = "WINDLASS_BRANCH", help_heading = "Global options")]
    pub branch: Option<String>,
    /// The repository with the live branch, where that is not the source's: `live.url` of .windlass.yaml is followed only if it is named here
    #[arg(
        long,
        global = true,
        value_name = "URL-OR-FOLDER",
        env = "WINDLASS_LIVE_REPO",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub live_repo: Option<String>,
    /// The branch with the sources [default: the one that the repository's HEAD names]
    #[arg(long, global = true, value_name = "NAME", env = "WINDLASS_SOURCE_BRANCH", help_heading = "Global options")]
    pub source_branch: Option<String>,
    /// The operator's settings: metric sources, cluster [default: windlass.yaml in the current folder, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "WINDLASS_CONFIG", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// How the answer is written
    #[arg(long, short, global = true, value_enum, default_value_t, help_heading = "Global options")]
    pub output: Output,
    /// When colours are used; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t, help_heading = "Global options")]
    pub color: Color,
    /// More of the log on stderr (-v: decisions, -vv: everything)
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Folder that keeps the mirrors of repositories between two calls [default: none are kept]
    #[arg(long, global = true, value_name = "FOLDER", env = "WINDLASS_CACHE", help_heading = "Global options")]
    pub cache: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    #[default]
    Human,
    Json,
    /// Workflow commands of GitHub Actions, where the verb has findings
    Github,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show Windlass at work: a real Git repository, a simulated cluster, a good release and a bad one
    #[command(after_help = "Examples:\n  windlass demo\n  windlass demo --dir ./demo --pace fast")]
    Demo(DemoArgs),
    /// Write a Rollout file and .windlass.yaml that fit a folder of manifests
    #[command(after_help = "Examples:\n  windlass init deploy/checkout\n  windlass init deploy --workload checkout")]
    Init(InitArgs),
    /// Check Rollout files and the manifests beside them
    #[command(after_help = "Examples:\n  windlass validate\n  windlass validate deploy/ --output github")]
    Validate(ValidateArgs),
    /// Show every future commit of a release: pods, traffic, gates, and on request the differences
    #[command(
        after_help = "Examples:\n  windlass plan\n  windlass plan checkout --source my-branch --diff\n\nNeeds no cluster, and no network on a clone."
    )]
    Plan(PlanArgs),
    /// Look for what would go wrong: repository, credentials, applier's settings, cluster, metrics
    #[command(
        after_help = "Examples:\n  windlass doctor\n  windlass doctor checkout --output json\n  windlass doctor --strict\n\nReads only: nothing is changed in the repository, the cluster or the forge."
    )]
    Doctor(DoctorArgs),
    /// Do what is due: once, on and on, or until the release has ended
    #[command(
        after_help = "Examples:\n  windlass run\n  windlass run --watch\n  windlass run checkout --until-done --timeout 30m"
    )]
    Run(RunArgs),
    /// Show where each app stands and what it waits for
    #[command(after_help = "Examples:\n  windlass status\n  windlass status checkout --output json")]
    Status(AppArg),
    /// Tell the story of the live branch from its commits
    #[command(after_help = "Examples:\n  windlass log\n  windlass log checkout HEAD~10..HEAD\n\nWorks on a clone, offline.")]
    Log(LogArgs),
    /// Approve exactly what the present step shows
    #[command(after_help = "Example:\n  windlass approve checkout")]
    Approve(WordArgs),
    /// Hold every move except a rollback
    #[command(after_help = "Example:\n  windlass pause checkout --reason 'looking at latency'")]
    Pause(PauseArgs),
    /// Go on after a pause
    #[command(after_help = "Example:\n  windlass resume checkout")]
    Resume(ResumeArgs),
    /// Back to the stable version: traffic first, then pods, then what is left
    #[command(after_help = "Examples:\n  windlass rollback checkout\n  windlass rollback checkout --now")]
    Rollback(RollbackArgs),
    /// Try a rejected candidate, or a paused step, again
    #[command(after_help = "Example:\n  windlass retry checkout")]
    Retry(WordArgs),
    /// Go to a step of the present release; pods never become fewer
    #[command(after_help = "Examples:\n  windlass goto 2\n  windlass goto 3 checkout")]
    Goto(GotoArgs),
    /// Finish the release now, past the remaining gates
    #[command(after_help = "Example:\n  windlass promote checkout")]
    Promote(WordArgs),
    /// Take a change that somebody made to the live path by hand
    #[command(after_help = "Example:\n  windlass adopt checkout")]
    Adopt(WordArgs),
    /// Stop managing an app: the live path becomes the plain source, Windlass' files go
    #[command(after_help = "Example:\n  windlass eject checkout")]
    Eject(WordArgs),
    /// Try Lua scripts for routes
    #[command(after_help = "Examples:\n  windlass lua test\n  windlass lua test examples/lua --output json")]
    Lua(LuaArgs),
    /// Print the JSON Schema of a document
    #[command(after_help = "Example:\n  windlass schema rollout > rollout.schema.json")]
    Schema(SchemaArgs),
    /// Print shell completions
    #[command(after_help = "Example:\n  windlass completions bash > /etc/bash_completion.d/windlass")]
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub(super) struct LuaArgs {
    #[command(subcommand)]
    pub verb: LuaVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum LuaVerb {
    /// Run scripts on test data in Kruise's format, and compare what they give
    #[command(
        after_help = "Examples:\n  windlass lua test\n  windlass lua test examples/lua --output json\n\nTest data are the YAML files in folders `testdata`: `rollout` or `trafficRouting`, `original`, and `expected`, an object\nfor each step. The script of <group>/<Kind>/testdata is <group>/<Kind>/trafficRouting.lua; that of\ntrafficrouting_ingress/testdata is the one that the Rollout's `classType` names. Every step starts from `original`."
    )]
    Test(LuaTestArgs),
}

#[derive(Debug, Args)]
pub(super) struct LuaTestArgs {
    /// A folder that holds scripts and test data, or files of test data
    #[arg(default_value = ".windlass/lua", value_name = "DIR")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct AppArg {
    /// The app: its live path or its Rollout's name. With one app it need not be named
    pub app: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where the demo's repository is left [default: a new temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// How quickly time passes
    #[arg(long, value_enum, default_value_t)]
    pub pace: Pace,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Pace {
    /// To look at: under a minute
    #[default]
    Normal,
    /// A few seconds
    Fast,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder of manifests
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The Deployment to roll out, where there are several
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Files or folders
    #[arg(default_value = ".")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub app: AppArg,
    /// The branch, tag or commit to plan for [default: the source branch]
    #[arg(long, value_name = "REF")]
    pub source: Option<String>,
    /// Show what each commit changes
    #[arg(long)]
    pub diff: bool,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub app: AppArg,
    /// Exit code 1 for warnings, and for what is not known, too
    #[arg(long)]
    pub strict: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Only this app
    #[command(flatten)]
    pub app: AppArg,
    /// Go on until stopped
    #[arg(long, conflicts_with = "until_done")]
    pub watch: bool,
    /// Go on until the app is at rest
    #[arg(long)]
    pub until_done: bool,
    /// Longest time for --until-done, for example 30m; then exit code 4
    #[arg(long, value_name = "DURATION", requires = "until_done", default_value = "1h", value_parser = duration)]
    pub timeout: u64,
    /// Seconds between looks at the repository where nothing else is due
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub interval: u64,
}

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// The app, and a range of commits `A..B`; in any order, both may be left out
    #[arg(num_args = 0..=2, value_name = "APP|A..B")]
    pub what: Vec<String>,
    /// At most this many commits
    #[arg(long, short = 'n', default_value_t = 50)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct WordArgs {
    #[command(flatten)]
    pub app: AppArg,
    #[command(flatten)]
    pub by: By,
}

#[derive(Debug, Args)]
pub(super) struct By {
    /// Who says so [default: `user.name` of Git's configuration]
    #[arg(long = "as", value_name = "LOGIN", env = "WINDLASS_ACTOR")]
    pub by: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    pub word: WordArgs,
    /// Why, for the log
    #[arg(long)]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    pub word: WordArgs,
    /// Accept that the live branch was rewritten, and go on from what it holds now
    #[arg(long)]
    pub rewritten: bool,
}

#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    pub word: WordArgs,
    /// In one commit whose live tree is the last stable one, without waiting
    #[arg(long)]
    pub now: bool,
}

#[derive(Debug, Args)]
pub(super) struct GotoArgs {
    /// The step, counted from 1
    pub step: u32,
    #[command(flatten)]
    pub word: WordArgs,
}

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// rollout, traffic-routing, repository, config or kruise-rollout
    #[arg(default_value = "rollout")]
    pub document: String,
}

/// Seconds from `90`, `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Result<u64, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds);
    }
    let mut total = 0u64;
    let mut digits = String::new();
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(format!("`{text}` is no duration: write for example 30s, 5m or 1h30m")),
        };
        let count: u64 = digits.parse().map_err(|_| format!("`{text}` is no duration: a number is missing"))?;
        digits.clear();
        total = total.saturating_add(count.saturating_mul(unit));
    }
    if digits.is_empty() && total > 0 {
        Ok(total)
    } else {
        Err(format!("`{text}` is no duration: write for example 30s, 5m or 1h30m"))
    }
}
