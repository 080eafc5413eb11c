//! The command line: arguments, verbs, output. Everything a person meets at the door is here; what it means is elsewhere.

mod args;
mod checks;
mod demo;
mod doctor;
mod exit;
mod folder;
pub mod init;
mod log;
mod lua;
mod open;
mod plan;
mod run;
pub mod schema;
mod scopes;
mod status;
mod terminal;
pub mod validate;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Verb};
use exit::{Exit, Failure};
use terminal::Terminal;

/// The command, for help pages and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    // The one TLS provider of the whole program; a second call is refused and harmless.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage as u8 } else { Exit::Done as u8 });
        }
    };
    log_to_stderr(&cli);
    let mut terminal = Terminal::new(cli.global.output, cli.global.color);
    match dispatch(&mut terminal, cli) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            terminal.failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn log_to_stderr(cli: &Cli) {
    let level = match cli.global.verbose {
        0 => "warn",
        1 => "windlass=info,warn",
        2 => "windlass=debug,info",
        _ => "trace",
    };
    let colours = cli.global.color == args::Color::Always;
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .try_init();
}

fn dispatch(terminal: &mut Terminal, cli: Cli) -> Result<Exit, Failure> {
    let global = cli.global;
    match cli.verb {
        Verb::Demo(args) => demo::run(terminal, &args),
        Verb::Init(args) => checks::init(terminal, &args),
        Verb::Validate(args) => checks::validate(terminal, &args),
        Verb::Lua(args) => {
            let args::LuaVerb::Test(args) = args.verb;
            lua::test(terminal, &args)
        }
        Verb::Schema(args) => checks::schema(terminal, &args.document),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "windlass", &mut text);
            terminal.raw(&String::from_utf8_lossy(&text));
            Ok(Exit::Done)
        }
        Verb::Log(args) => {
            let world = open::world(&global)?;
            let mut reconciler = open::local_reconciler(&global, &world)?;
            reconciler.read_settings()?;
            log::show(terminal, &mut *reconciler.repo, &args)
        }
        Verb::Plan(args) => {
            let world = open::world(&global)?;
            let mut reconciler = open::local_reconciler(&global, &world)?;
            let source = match &args.source {
                None => None,
                Some(name) => Some(open::resolve(&mut reconciler, name)?),
            };
            let forecast = reconciler.forecast(args.app.app.as_deref(), source)?;
            plan::show(terminal, &forecast, args.diff)
        }
        Verb::Status(args) => {
            let world = open::world(&global)?;
            let mut reconciler = open::reconciler(&global, &world)?;
            reconciler.only = args.app.into_iter().collect();
            let pass = reconciler.status()?;
            let now = reconciler.around.now();
            status::show(terminal, &pass, now);
            Ok(if pass.apps.iter().any(|app| app.error.is_some()) { Exit::Findings } else { Exit::Done })
        }
        Verb::Doctor(args) => doctor::run(terminal, &global, &args),
        Verb::Run(args) => {
            let world = open::world(&global)?;
            let mut reconciler = open::reconciler(&global, &world)?;
            let stop = open::stop_flag()?;
            run::run(terminal, &mut reconciler, &args, &stop)
        }
        verb => words::say(terminal, &global, verb),
    }
}
