//! `demo`: the story on the screen.

use std::path::PathBuf;
use std::time::Duration;

use super::args::{DemoArgs, Pace};
use super::exit::{Exit, Failure};
use super::status::hold_line;
use super::terminal::{BOLD, CYAN, DIM, GREEN, Terminal, YELLOW, styled};
use crate::reconcile::Made;
use crate::sim::demo::{Demo, DemoWorld, Frame, Scene};

/// Real time between two looks, milliseconds.
const TICK: u64 = 50;
/// The demo's own time runs this much faster than real time.
const NORMAL: u64 = 5;
const FAST: u64 = 40;
/// Commits that the live view shows.
const NEWEST: usize = 6;
const BAR: usize = 30;

pub fn run(terminal: &mut Terminal, args: &DemoArgs) -> Result<Exit, Failure> {
    let folder = folder(args)?;
    let repository = folder.join("repo.git");
    let world = DemoWorld::start()?;
    let mut demo = Demo::new(&world, &repository)?;
    let speed = if args.pace == Pace::Fast { FAST } else { NORMAL };
    terminal.note(styled(
        DIM,
        format!(
            "a bare repository in {}, Prometheus on loopback, a simulated cluster; time runs {speed} times faster",
            repository.display()
        ),
    ));
    let mut commits: Vec<Made> = Vec::new();
    let mut view = View { drawn: 0, scene: None };
    loop {
        // Small steps, so that a look falls between any two things that happen.
        let mut frame = demo.tick(TICK * speed / 2)?;
        if frame.commits.is_empty() {
            frame = demo.tick(TICK * speed / 2)?;
        }
        commits.extend(frame.commits.iter().cloned());
        let ended = frame.scene == Scene::End;
        if !terminal.is_json() {
            view.show(terminal, &frame, &commits, ended);
        }
        if ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(TICK));
    }
    end(terminal, &repository.display().to_string(), &commits);
    Ok(Exit::Done)
}

fn folder(args: &DemoArgs) -> Result<PathBuf, Failure> {
    let Some(folder) = &args.dir else {
        return Ok(tempfile::Builder::new().prefix("windlass-demo-").tempdir()?.keep());
    };
    if folder.join("repo.git").exists() {
        return Err(Failure::usage(format!("{} exists already", folder.join("repo.git").display()))
            .hint("name another folder, or remove it"));
    }
    std::fs::create_dir_all(folder)?;
    Ok(folder.canonicalize()?)
}

/// The region of the screen that is drawn again and again.
struct View {
    drawn: usize,
    scene: Option<Scene>,
}

impl View {
    fn show(&mut self, terminal: &mut Terminal, frame: &Frame, commits: &[Made], ended: bool) {
        if !terminal.live {
            self.plain(terminal, frame);
            return;
        }
        let lines = lines(frame, commits);
        let mut text = String::new();
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        // A line that is too long is cut by the terminal: a wrapped one would shift what is drawn next.
        text.push_str("\x1b[?7l");
        for line in &lines {
            text.push_str(&format!("\x1b[2K{line}\n"));
        }
        text.push_str("\x1b[?7h");
        self.drawn = lines.len();
        if ended {
            text.push('\n');
        }
        terminal.raw(&text);
    }

    /// Without a terminal: one line for each thing that happened.
    fn plain(&mut self, terminal: &mut Terminal, frame: &Frame) {
        if self.scene != Some(frame.scene) && frame.scene != Scene::End {
            terminal.line(format!("== {}", frame.scene.tells()));
        }
        self.scene = Some(frame.scene);
        for made in &frame.commits {
            let pods = format!(
                "{} old + {} new pods, {} ready, {:.0}% of requests to the new version",
                frame.old_pods,
                frame.new_pods,
                frame.ready,
                frame.traffic * 100.0
            );
            terminal.line(format!("{} {}  {}", short(made), made.subject, styled(DIM, format!("({pods})"))));
        }
    }
}

fn short(made: &Made) -> String {
    let style = if made.subject.contains("roll") { YELLOW } else { GREEN };
    styled(style, made.commit.get(..10).unwrap_or(&made.commit))
}

fn bar(part: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a short bar"
    )]
    let filled = (part.clamp(0.0, 1.0) * BAR as f64).round() as usize;
    format!("{}{}", styled(CYAN, "█".repeat(filled)), styled(DIM, "·".repeat(BAR.saturating_sub(filled))))
}

fn lines(frame: &Frame, commits: &[Made]) -> Vec<String> {
    let (step, hold, metrics) = match &frame.report {
        None => (String::new(), String::new(), String::new()),
        Some(report) => (
            if report.step == 0 {
                report.phase.clone()
            } else {
                format!("{} step {}/{}", report.phase, report.step, report.steps)
            },
            report.hold.as_ref().map(|hold| hold_line(hold, frame.now)).unwrap_or_default(),
            match report.metrics.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => styled(DIM, "no look yet in this step"),
                some => some,
            },
        ),
    };
    let all = (frame.old_pods + frame.new_pods).max(1);
    let newest = commits.iter().rev().take(NEWEST).map(|made| format!("  {} {}", short(made), made.subject));
    let mut lines = vec![
        String::new(),
        format!("{}  {}", styled(BOLD, "prod/checkout"), frame.scene.tells()),
        format!("  state    {step}"),
        format!(
            "  pods     {} {} old, {} new, {} ready",
            bar(f64::from(frame.new_pods) / f64::from(all)),
            frame.old_pods,
            frame.new_pods,
            frame.ready
        ),
        format!("  traffic  {} {:.0}% to the new version", bar(frame.traffic), frame.traffic * 100.0),
        format!("  gate     {metrics}"),
        format!("  waiting  {hold}"),
        String::new(),
        styled(DIM, "newest commits on the live branch"),
    ];
    lines.extend(newest.chain(std::iter::repeat(String::new())).take(NEWEST));
    lines
}

fn end(terminal: &mut Terminal, repository: &str, commits: &[Made]) {
    if terminal.is_json() {
        terminal.json(&serde_json::json!({"repository": repository, "branch": "deploy", "commits": commits}));
        return;
    }
    terminal.line("");
    terminal.line(styled(BOLD, format!("git -C {repository} log --oneline deploy")));
    for made in commits.iter().rev() {
        terminal.line(format!("{} {}", short(made), made.subject));
    }
    terminal.line("");
    terminal.line("Version 2 runs everywhere; version 3 was stopped at its first step and is not tried again. To look further:");
    terminal.line(format!("  windlass log --repo {repository}"));
    terminal.line(format!("  git -C {repository} log -p deploy -- prod/checkout"));
    terminal.line(format!("  git -C {repository} log --format='%s%n%(trailers)' deploy"));
}
