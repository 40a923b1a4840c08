//! What happened, as an operator reads it while it happens.

use crate::clock::Span;
use crate::execution::event::{
    Answer, AttemptFinished, CheckResult, Ending, Event, Evidence, Found, Ground, Holds, Learned,
    SeverityName, StepVerdict,
};
use crate::execution::plan::Plan;
use crate::execution::state::State;
use crate::ids::Slug;
use crate::runbook::model::{Action, Effect, Step};

use super::step::{one_line, words, work};
use super::text::{
    BAD, FAINT, GOOD, STRONG, WARN, WIDTH, cut, hanging, harmless, styled, value, wrapped,
};

/// What an event means to the operator; nothing where it means nothing to them.
#[must_use]
pub fn told(plan: &Plan, state: &State, event: &Event) -> Option<String> {
    Some(match event {
        Event::Opened(_) => opened(plan, state),
        Event::Resumed(_) => resumed(plan, state),
        Event::Paused { reason } => hanging("Paused: ", 8, reason),
        Event::Recovered { offset, .. } => {
            format!(
                "The last line of the journal was incomplete; it was cut off at byte {offset} and its bytes are kept."
            )
        }
        Event::NoteAdded { text } => hanging("  note: ", 8, text),
        Event::AttemptStarted(started) if started.step != started.work_of => return None,
        // Not wrapped: it is what one copies into a ticket.
        Event::AttemptStarted(started) => format!("  {}", work(&started.work)),
        Event::AttemptFinished(finished) if finished.step != finished.work_of => {
            read_again(plan, finished)?
        }
        Event::AttemptFinished(finished) => attempt_finished(finished),
        Event::Answered { answer, .. } => answered(answer)?,
        Event::NotApplicable { step, because } => {
            let text = format!("{step} does not apply: {}", one_line(because));
            styled(FAINT, &cut(&text, WIDTH))
        }
        Event::Refused { grounds, .. } => refused(plan, grounds),
        Event::ChecksJudged { results, .. } => checks(plan, results),
        Event::StepJudged {
            verdict, guards, ..
        } => judged(verdict, guards.len())?,
        Event::WaitLooked {
            step,
            holds,
            observed,
        } => looked(state, step, *holds, observed),
        Event::AdHocStarted { argv, .. } => format!("  ad hoc: {}", words(argv)),
        Event::AdHocRefused { argv, grounds } => {
            let against = refused(plan, grounds);
            format!("  ad hoc, refused: {}\n{against}", words(argv))
        }
        Event::AdHocFinished {
            ending,
            evidence,
            took,
        } => {
            let mut lines = vec![ended(ending, *took)];
            lines.extend(evidence.iter().map(kept));
            lines.join("\n")
        }
        Event::Aborted { reason } => aborted(state, reason),
        Event::Closed {
            outcome, success, ..
        } => {
            let style = if *success { GOOD } else { BAD };
            format!(
                "\n{} outcome: {}",
                styled(STRONG, "Closed."),
                styled(style, outcome.as_str())
            )
        }
    })
}

fn opened(plan: &Plan, state: &State) -> String {
    let opened = &state.opened;
    let mut lines = vec![
        format!(
            "{} for run {} on {}",
            styled(STRONG, &plan.runbook().title),
            opened.run_id,
            opened.target
        ),
        format!(
            "Execution {}, operator {}.",
            opened.id, opened.operator.name
        ),
    ];
    if let Some(scenario) = &opened.drill {
        lines.push(styled(
            WARN,
            &format!("DRILL `{scenario}`: a simulated control plane; nothing real is touched."),
        ));
    }
    lines.push(wrapped(2, &plan.runbook().summary));
    lines.join("\n")
}

fn resumed(plan: &Plan, state: &State) -> String {
    let at = plan
        .position(state)
        .map_or("all steps are over".into(), |(n, step)| {
            format!("at step {n} of {}: {}", plan.runbook().steps.len(), step.id)
        });
    let drill = state
        .opened
        .drill
        .as_ref()
        .map_or("", |_| " This is a DRILL.");
    let opened = &state.opened;
    format!(
        "{} execution {} for run {} on {}, {at}.{drill}\nWhat was measured or agreed before is measured and agreed again before the next change.",
        styled(STRONG, "Resumed"),
        opened.id,
        opened.run_id,
        opened.target
    )
}

fn attempt_finished(finished: &AttemptFinished) -> String {
    let mut lines = vec![ended(&finished.ending, finished.took)];
    match &finished.learned {
        Some(Learned::Frozen { scope, fence, .. }) => {
            lines.push(format!("  frozen: {scope} (fence {fence})"));
        }
        Some(Learned::Released) => lines.push("  released; the gate is clear of it".into()),
        Some(
            Learned::Run { .. }
            | Learned::Commented(_)
            | Learned::Told(_)
            | Learned::Marked
            | Learned::FreezeLost { .. },
        )
        | None => {}
    }
    lines.extend(finished.facts.iter().map(|(id, v)| fact(id.as_str(), v)));
    lines.extend(finished.evidence.iter().map(kept));
    lines.join("\n")
}

/// An item of evidence, by its name, size and digest.
fn kept(item: &Evidence) -> String {
    let named = item
        .id
        .as_ref()
        .map_or("output".into(), ToString::to_string);
    format!(
        "    evidence {named}: {} bytes, sha256 {}",
        item.artifact.size,
        item.artifact.sha256.short()
    )
}

/// How work ended, and in what time.
fn ended(ending: &Ending, took: Span) -> String {
    let took = took.rounded();
    match ending {
        Ending::Done {
            outcome,
            code: Some(code),
        } => format!("  {} ({code}) in {took}", done(outcome)),
        Ending::Done {
            outcome,
            code: None,
        } => format!("  {} in {took}", done(outcome)),
        Ending::Failed { why, .. } => hanging(&format!("  {} ", styled(BAD, "failed")), 9, why),
        Ending::NotPerformed { why } => {
            hanging(&format!("  {} ", styled(BAD, "not performed")), 9, why)
        }
        Ending::Doubtful { why } => hanging(&format!("  {} ", styled(BAD, "in doubt")), 9, why),
    }
}

/// The word for a success: `ok`, and the outcome where it says more.
fn done(outcome: &str) -> String {
    match outcome {
        "ok" => styled(GOOD, "ok"),
        more => format!("{} {}", styled(GOOD, "ok"), harmless(more)),
    }
}

/// A reading on behalf of the step under way: one line, since its facts were shown when it was first read; nothing while
/// waiting, where each look says what it saw.
fn read_again(plan: &Plan, finished: &AttemptFinished) -> Option<String> {
    if let Some(Learned::Frozen { scope, fence, .. }) = &finished.learned {
        return Some(format!(
            "  frozen again: {scope} (fence {fence}); what was measured before is measured again"
        ));
    }
    let waits = |step: &Step| matches!(step.action, Action::Wait(_));
    let how = match &finished.ending {
        Ending::Done { .. } if plan.step(&finished.step).is_some_and(waits) => return None,
        Ending::Done { .. } => styled(GOOD, "ok"),
        Ending::Failed { why, .. } | Ending::NotPerformed { why } | Ending::Doubtful { why } => {
            format!("{} {}", styled(BAD, "failed"), harmless(why))
        }
    };
    Some(format!("  read again: {} {how}", finished.work_of))
}

/// One look of a wait: since when it waits, whether it holds and since when, what was seen.
fn looked(state: &State, step: &Slug, holds: Holds, observed: &str) -> String {
    let seen = match holds {
        Holds::Yes => "holds",
        Holds::No => "not yet",
        Holds::Unknown => "cannot tell",
    };
    let since = state.step(step).wait.map_or(String::new(), |wait| {
        let held = wait
            .held_since
            .map(|held| format!(", held for {}", wait.looked.since(held).rounded()));
        format!(
            "{} in{}, ",
            wait.looked.since(wait.began).rounded(),
            held.unwrap_or_default()
        )
    });
    format!(
        "  {}",
        cut(&format!("{since}{seen}: {}", one_line(observed)), WIDTH - 2)
    )
}

/// A fact; a list of texts that does not fit a line stands one below the other.
fn fact(id: &str, json: &serde_json::Value) -> String {
    let whole = value(json, 400);
    match json.as_array() {
        Some(items) if whole.len() + id.len() > WIDTH - 7 => {
            let shown = items
                .iter()
                .take(LONGEST_LIST)
                .map(|item| format!("      {}", value(item, WIDTH - 6)));
            let mut lines: Vec<String> = std::iter::once(format!("    {id} ="))
                .chain(shown)
                .collect();
            if items.len() > LONGEST_LIST {
                lines.push(format!("      … {} more", items.len() - LONGEST_LIST));
            }
            lines.join("\n")
        }
        _ => hanging(&format!("    {id} = "), 6, &whole),
    }
}

/// Most items of a list that are shown; the record has all.
const LONGEST_LIST: usize = 20;

fn answered(answer: &Answer) -> Option<String> {
    let found = |found: &Found| {
        let typed = found.facts.iter().map(|(id, v)| fact(id.as_str(), v));
        let derived = found
            .derived
            .iter()
            .map(|(id, (v, _))| fact(id.as_str(), v));
        typed.chain(derived).collect::<Vec<_>>().join("\n")
    };
    let text = match answer {
        Answer::Facts(f) => found(f),
        Answer::Chosen(c) => hanging(
            &format!("  decided: {} ", styled(STRONG, c.option.as_str())),
            4,
            &format!("by {}: {}", c.owner, c.reason),
        ),
        Answer::Confirmed { typed, .. } => format!("  confirmed: {}", harmless(typed)),
        Answer::Approved { by, expires_at, .. } => {
            format!("  approved by {by} until {}", expires_at.time_of_day())
        }
        Answer::Rejected { by, reason } => hanging(&format!("  rejected by {by}: "), 4, reason),
        Answer::Acknowledged { check, reason, .. } => {
            hanging(&format!("  acknowledged {check}: "), 4, reason)
        }
        Answer::Retry { reason } => hanging("  again: ", 4, reason),
        Answer::FreezeAgain { reason } => hanging("  freezing again: ", 4, reason),
        Answer::LookAgain => "  looking again".into(),
        Answer::Settled { reason } => hanging("  settled: ", 4, reason),
        Answer::DoneByHand { reason, found: f } => {
            format!("{}\n{}", hanging("  done by hand: ", 4, reason), found(f))
        }
        Answer::NotDone { reason, .. } => hanging("  not done: ", 4, reason),
        Answer::Skipped { reason } => hanging("  skipped: ", 4, reason),
        Answer::BackTo { reopened, reason } => {
            let to = reopened.first().map_or(String::new(), ToString::to_string);
            hanging(&format!("  back to {to}: "), 4, reason)
        }
    };
    (!text.trim().is_empty()).then_some(text)
}

/// Every ground of a refusal, each with what to do instead.
#[must_use]
pub fn refused(plan: &Plan, grounds: &[Ground]) -> String {
    let mut lines = vec![format!("  {}", styled(BAD, "refused"))];
    lines.extend(grounds.iter().map(|g| hanging("    ", 6, &ground(plan, g))));
    lines.join("\n")
}

/// The way on from a lost freeze.
const FREEZE_AGAIN: &str = "find out what was changed meanwhile, then take the freeze again (`f` in the menu, `on_failure: \
                            freeze-again` in an answers file)";

/// One ground, in words.
#[must_use]
pub fn ground(plan: &Plan, ground: &Ground) -> String {
    match ground {
        Ground::FreezeLost { found } => {
            format!("the freeze is not ours any more: {found}. Instead: {FREEZE_AGAIN}")
        }
        Ground::FrozenByOthers { by } => format!(
            "frozen by others as well: {}. Instead: agree with them; whoever holds it releases it",
            by.join("; ")
        ),
        Ground::FreezeUnknown { why } => {
            format!("the freeze cannot be read, so it counts as lost: {why}")
        }
        Ground::Check(result) => {
            let checks = plan
                .runbook()
                .preflight
                .iter()
                .chain(&plan.runbook().closing);
            let check = checks.into_iter().find(|c| c.id == result.id);
            let title = check.map_or("", |c| c.title.as_str());
            let instead = check
                .and_then(|c| c.instead.as_deref())
                .map_or(String::new(), |i| format!(". Instead: {i}"));
            format!(
                "check {}: {title}; measured: {}{instead}",
                result.id,
                one_line(&result.observed)
            )
        }
        Ground::PreflightStale => "the preflight is too old; it is judged again first".into(),
        Ground::Guard(verdict) => {
            let guard = plan.runbook().guards.iter().find(|g| g.id == verdict.id);
            let words = guard.map_or(String::new(), |g| {
                format!("do not: {}. Instead: {}", g.do_not, g.instead)
            });
            format!(
                "guard {}: {words} Measured: {}",
                verdict.id,
                one_line(&verdict.observed)
            )
        }
        Ground::Denied {
            guard,
            pattern,
            what,
        } => format!("guard {guard} denies `{what}` (pattern `{pattern}`)"),
        Ground::CannotTell { guard, what, why } => format!(
            "guard {guard} cannot tell what `{}` launches, so it is not launched: {}. Instead: give the program and \
             its words as they are, or put them into a script and name its file",
            one_line(what),
            one_line(why)
        ),
        Ground::NotApproved { why } => why.clone(),
        Ground::Unknown { what, why } => format!("{what} is unknown: {why}"),
        Ground::NoOption { withheld } => {
            let all = withheld
                .iter()
                .map(|(id, why)| format!("{id}: {}", one_line(why)));
            format!(
                "no option can be chosen; {}",
                all.collect::<Vec<_>>().join("; ")
            )
        }
    }
}

fn checks(plan: &Plan, results: &[CheckResult]) -> String {
    results
        .iter()
        .map(|r| check(plan, r))
        .collect::<Vec<_>>()
        .join("\n")
}

/// One check with its result, what it says and what was measured.
#[must_use]
pub fn check(plan: &Plan, result: &CheckResult) -> String {
    let label = match (result.holds, result.severity) {
        (Holds::Yes, _) => styled(GOOD, "pass "),
        (_, SeverityName::Block) => styled(BAD, "block"),
        (_, SeverityName::Warn) => styled(WARN, "warn "),
        (_, SeverityName::Info) => "info ".into(),
    };
    let all = plan
        .runbook()
        .preflight
        .iter()
        .chain(&plan.runbook().closing);
    let title = all
        .into_iter()
        .find(|c| c.id == result.id)
        .map_or("", |c| c.title.as_str());
    let observed = one_line(&result.observed);
    let observed = match result.holds {
        // What held needs no second look; the record has all of it.
        Holds::Yes => format!("        {}", cut(&observed, WIDTH - 8)),
        Holds::No => hanging("        ", 8, &observed),
        Holds::Unknown => hanging("        ", 8, &format!("unknown: {observed}")),
    };
    let title = hanging(
        &format!("  {label} "),
        8,
        &format!("{title} [{}]", result.id),
    );
    format!("{title}\n{observed}")
}

fn judged(verdict: &StepVerdict, guards: usize) -> Option<String> {
    Some(match verdict {
        StepVerdict::Passed if guards == 0 => return None,
        StepVerdict::Passed => {
            format!("  {} what had to hold afterwards holds", styled(GOOD, "ok"))
        }
        StepVerdict::Failed { why } => {
            hanging(&format!("  {} ", styled(BAD, "failed")), 9, &one_line(why))
        }
        StepVerdict::Violated { guards } => {
            let ids = guards
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            hanging(
                &format!("  {} ", styled(BAD, "violated")),
                9,
                &format!("{ids}: it happened, or cannot be ruled out"),
            )
        }
        StepVerdict::TookEffect { observed } => {
            hanging("  read back: it took effect; ", 4, &one_line(observed))
        }
        StepVerdict::NoEffect { observed } => {
            hanging("  read back: it took no effect; ", 4, &one_line(observed))
        }
        StepVerdict::StillInDoubt { why } => {
            hanging("  read back: cannot tell; ", 4, &one_line(why))
        }
    })
}

fn aborted(state: &State, reason: &str) -> String {
    let mut lines = vec![hanging(
        &format!("\n{} ", styled(BAD, "Aborted:")),
        4,
        reason,
    )];
    let changed: Vec<&str> = state
        .steps
        .iter()
        .filter(|(_, s)| s.changed)
        .map(|(id, _)| id.as_str())
        .collect();
    let beside = state.ad_hoc.iter().filter(|c| c.effect == Effect::Change);
    let beside: Vec<String> = beside.map(|c| words(&c.argv)).collect();
    let others = state.steps.iter().filter(|(_, s)| s.handed_over);
    let others: Vec<&str> = others.map(|(id, _)| id.as_str()).collect();
    if !beside.is_empty() {
        lines.push(hanging("Run beside the steps: ", 4, &beside.join("; ")));
    }
    if !others.is_empty() {
        let text = format!("{}; see what that has changed", others.join(", "));
        lines.push(hanging("Handed over: ", 4, &text));
    }
    if changed.is_empty() && beside.is_empty() && others.is_empty() {
        lines.push("Nothing was changed.".into());
    } else if !changed.is_empty() {
        // A step by hand may have been begun and never done; only a look tells.
        let text = format!("{}; look whether and how far", changed.join(", "));
        lines.push(hanging("Begun, and not undone: ", 4, &text));
    }
    match &state.freeze {
        None => {}
        // A drill has a run history of its own, which nothing else asks.
        Some(_) if state.opened.drill.is_some() => {
            lines.push("The drill's freeze ends with it; nothing real was frozen.".into());
        }
        Some(freeze) => {
            let text = format!(
                "as far as this execution knows, {} stays frozen (fence {}). When that is right:",
                freeze.scope, freeze.fence
            );
            lines.push(hanging("Freeze: ", 8, &text));
            lines.push(format!(
                "  runbook freeze release {} --fence {} --reason '…'",
                freeze.id, freeze.fence
            ));
        }
    }
    lines.join("\n")
}
