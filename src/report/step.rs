//! A step as an operator sees it: where am I, what is it for, what must not be done.

use crate::execution::event::{Holds, Work};
use crate::execution::gate::measure;
use crate::execution::plan::Plan;
use crate::execution::scope::scope;
use crate::execution::state::State;
use crate::runbook::model::{Action, Effect, Guard, Phase, Step};

use super::text::{FAINT, STRONG, WARN, hanging, harmless, styled, value, wrapped};

/// The words for a phase.
#[must_use]
pub fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Truth => "find truth",
        Phase::Classify => "classify risk",
        Phase::Act => "act",
        Phase::Verify => "verify",
        Phase::Record => "leave evidence",
    }
}

/// The head of a step: its place, its title, its instruction, and the do-nots that apply.
#[must_use]
pub fn head(plan: &Plan, state: &State, number: usize, step: &Step) -> String {
    let place = format!("Step {number} of {}", plan.runbook().steps.len());
    let drill = state
        .opened
        .drill
        .as_ref()
        .map_or(String::new(), |_| " · DRILL".to_owned());
    let effect = if step.effect == Effect::Change {
        " · changes the target"
    } else {
        ""
    };
    let mut lines = vec![
        String::new(),
        format!(
            "{} · {} · {}{effect}{drill}",
            styled(STRONG, &place),
            phase(step.phase),
            step.id
        ),
        styled(STRONG, &harmless(&step.title)),
    ];
    if let Some(instruction) = &step.instruction {
        lines.push(wrapped(2, instruction));
    }
    if let Some(missing) = state.by_hand.get(&step.id) {
        lines.push(hanging("  by hand: ", 11, missing));
    }
    let known = scope(plan, state, state.at);
    lines.extend(plan.do_nots(step).map(|guard| {
        let clear = guard
            .require
            .as_ref()
            .is_some_and(|require| measure(require, &known).0 == Holds::Yes);
        if clear { heeded(guard) } else { do_not(guard) }
    }));
    lines.join("\n")
}

/// A do-not that is heeded as far as is known now: a line, so that those which are not stand out. It is measured all the
/// same, when it counts.
fn heeded(guard: &Guard) -> String {
    let text = format!("{} [{}]: clear as known now", guard.do_not, guard.id);
    styled(FAINT, &hanging("  do not ", 9, &text))
}

/// A do-not, with why and what instead.
#[must_use]
pub fn do_not(guard: &Guard) -> String {
    [
        hanging(
            &format!("  {} ", styled(WARN, "DO NOT")),
            9,
            &format!("{} [{}]", guard.do_not, guard.id),
        ),
        hanging("  because ", 10, &guard.because),
        hanging("  instead ", 10, &guard.instead),
    ]
    .join("\n")
}

/// The words of a command, as one would type them.
pub(super) fn words(argv: &[String]) -> String {
    let words = argv.iter().map(|word| shown(word));
    format!("$ {}", words.collect::<Vec<_>>().join(" "))
}

/// What exactly is performed, on one line.
#[must_use]
pub fn work(work: &Work) -> String {
    match work {
        Work::ByHand => "by hand".into(),
        Work::Command { argv, .. } => words(argv),
        Work::Request {
            endpoint,
            method,
            path,
            body,
        } => {
            let body = body
                .as_ref()
                .map_or(String::new(), |b| format!(" {}", value(b, 400)));
            format!("{method} {endpoint}:{}{body}", harmless(path))
        }
        Work::HandOver { runbook, execution } => {
            format!("hand over to `{runbook}`, execution {execution}")
        }
        Work::History(call) => {
            use crate::execution::event::HistoryWork as H;
            match call {
                H::TakeFreeze { scope, .. } => format!("freeze {scope}"),
                H::RetakeFreeze { scope, .. } => format!("freeze {scope} again"),
                H::ReadRun => "read the run from the run history".into(),
                H::ReadLogs => "read the run's logs".into(),
                H::PostComment { .. } => "post a comment on the run".into(),
                H::PostViolation { .. } => "tell the run that a do-not happened".into(),
                H::MarkTarget { trusted: true, .. } => "mark the target as trusted".into(),
                H::MarkTarget { trusted: false, .. } => {
                    "mark the target as not to be trusted".into()
                }
                H::ReleaseFreeze { .. } => "release the freeze".into(),
            }
        }
    }
}

/// How a step is done, in a few words, for plans.
#[must_use]
pub fn how(step: &Step) -> String {
    match &step.action {
        Action::ByHand => "by hand".into(),
        Action::Command(command) => {
            let arguments = command.arguments.iter().map(crate::expr::Template::source);
            let words: Vec<&str> = std::iter::once(command.program.as_str())
                .chain(arguments)
                .collect();
            format!("$ {}", words.join(" "))
        }
        Action::Request(request) => {
            format!(
                "{} {}:{}",
                request.method.as_str(),
                request.endpoint,
                request.path.source()
            )
        }
        Action::Choose(choose) => format!("decision of {}", choose.owner.source()),
        Action::Wait(wait) => format!("waits until {}", one_line(wait.until.source())),
        Action::Repeat(steps) => {
            format!(
                "again: {}",
                steps
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        Action::History(_) => "run history".into(),
        Action::Checks(_) => "checks".into(),
        Action::HandOver(runbook) => format!("hands over to {runbook}"),
    }
}

/// The text with its line breaks and runs of spaces made single spaces.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A word of argv, quoted where it would otherwise be misread.
fn shown(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", harmless(word).replace('\'', "'\\''"))
    }
}

/// A quiet remark.
#[must_use]
pub fn aside(text: &str) -> String {
    styled(FAINT, &wrapped(2, text))
}
