//! The verbs that are a person's word: each is one commit on the live branch.

use super::args::{Global, Verb, WordArgs};
use super::exit::{Exit, Failure};
use super::open;
use super::terminal::{GREEN, Terminal, styled};
use crate::engine::Command;
use crate::manifest::ObjectSet;

pub(super) fn say(terminal: &mut Terminal, global: &Global, verb: Verb) -> Result<Exit, Failure> {
    let world = open::world(global)?;
    let mut reconciler = open::reconciler(global, &world)?;
    let (word, command): (WordArgs, Option<Command>) = match verb {
        Verb::Approve(word) => (word, Some(Command::Approve)),
        Verb::Pause(args) => (args.word, Some(Command::Pause { why: args.reason })),
        Verb::Resume(args) if args.rewritten => {
            let by = open::person(global, args.word.by.by.as_deref())?;
            let made = reconciler.accept_history(args.word.app.app.as_deref(), &by)?;
            return Ok(done(terminal, &made));
        }
        Verb::Resume(args) => (args.word, Some(Command::Resume)),
        Verb::Rollback(args) => (args.word, Some(Command::Rollback { now: args.now })),
        Verb::Retry(word) => (word, Some(Command::Retry)),
        Verb::Goto(args) => (args.word, Some(Command::Goto(args.step))),
        Verb::Promote(word) => (word, Some(Command::Promote)),
        Verb::Adopt(word) => (word, Some(Command::Adopt(ObjectSet::default()))),
        Verb::Eject(word) => (word, None),
        _ => {
            return Err(Failure {
                exit: Exit::Defect,
                text: "this verb is no word".to_owned(),
                hints: Vec::new(),
                code: "defect",
            });
        }
    };
    let by = open::person(global, word.by.by.as_deref())?;
    let name = word.app.app.as_deref();
    let made = match command {
        Some(command) => reconciler.say(name, &command, &by)?,
        None => reconciler.eject(name, &by)?,
    };
    Ok(done(terminal, &made))
}

fn done(terminal: &mut Terminal, made: &crate::reconcile::Made) -> Exit {
    if terminal.is_json() {
        terminal.json(made);
    } else {
        let short = made.commit.get(..10).unwrap_or(&made.commit);
        terminal.line(format!("{} {}", styled(GREEN, short), made.subject));
    }
    Exit::Done
}
