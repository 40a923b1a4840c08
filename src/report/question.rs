//! A question as an operator reads it.

use std::collections::BTreeSet;

use crate::execution::event::Origin;
use crate::execution::plan::Plan;
use crate::execution::question::{Asked, Question, Way};
use crate::execution::state::State;
use crate::execution::step::Failure;
use crate::ids::Slug;
use crate::runbook::model::{Action, Step};

use super::event::{check, ground};
use super::step::{one_line, words, work};
use super::text::{BAD, FAINT, STRONG, hanging, styled, value, wrapped};

/// What the question needs, in one line, for whoever has to provide it without a terminal.
#[must_use]
pub fn needs(plan: &Plan, question: &Question) -> String {
    let step = &question.step;
    match &question.asked {
        Asked::ByHand { work_of } => {
            let wanted = plan.step(work_of).map_or(Vec::new(), typed);
            let wanted = if wanted.is_empty() {
                "`done: true`".into()
            } else {
                wanted.join(", ")
            };
            format!("step `{work_of}` is by hand and needs {wanted}")
        }
        Asked::Choose { owner, offered, .. } => {
            let options: Vec<&str> = offered.iter().map(Slug::as_str).collect();
            format!(
                "step `{step}` needs a decision of {owner} ({}), with a reason",
                options.join(", ")
            )
        }
        Asked::Confirm { expected, .. } => {
            format!("step `{step}` needs `{expected}` typed as confirmation")
        }
        Asked::Approve { by, .. } => format!("step `{step}` needs the approval of {by}"),
        Asked::Acknowledge { check } => {
            format!(
                "step `{step}` needs warning `{}` acknowledged with a reason, or resolved",
                check.id
            )
        }
        Asked::Failed { failure, .. } => {
            format!(
                "step `{step}` cannot go on by itself: {}",
                one_line(&failed(plan, failure))
            )
        }
        Asked::Beside { argv } => format!(
            "what came of {} is not known; give `{step}` a `beside:` with what did, and how that is known",
            words(argv)
        ),
        Asked::InDoubt { doubt } => {
            let why = &doubt.why;
            format!("step `{step}` is in doubt: {why}; {}", settles(plan, step))
        }
    }
}

/// What a person gives who does the step by hand.
fn typed(step: &Step) -> Vec<&str> {
    let facts = step.facts.iter();
    let facts = facts.filter(|fact| fact.from.is_none() || step.is_automated());
    let evidence = step.evidence.iter().map(|item| item.id.as_str());
    facts.map(|fact| fact.id.as_str()).chain(evidence).collect()
}

/// The keys that settle a doubt in an answers file; that it is done by now does not say by which attempt.
fn settles(plan: &Plan, id: &Slug) -> String {
    let step = plan.step(id);
    let wanted = step.map_or(Vec::new(), typed).join(", ");
    let with = match wanted.as_str() {
        "" => String::new(),
        wanted => format!(" with {wanted}"),
    };
    let by_hand = step.is_some_and(|step| !step.is_automated());
    let not = if by_hand {
        "; `done: true` does not answer that"
    } else {
        ""
    };
    format!(
        "find out whether it took effect, and answer `{id}: {{doubt: happened, reason: …}}`{with}, or `{id}: {{doubt: \
         not-done, reason: …}}`{not}"
    )
}

/// Why a step cannot go on by itself.
#[must_use]
pub fn failed(plan: &Plan, failure: &Failure) -> String {
    match failure {
        Failure::Attempt { why } | Failure::Judged { why } => why.clone(),
        Failure::Refused { grounds } => grounds
            .iter()
            .map(|g| ground(plan, g))
            .collect::<Vec<_>>()
            .join("\n"),
        Failure::Violated { guards } => {
            let words = plan
                .runbook()
                .guards
                .iter()
                .filter(|g| guards.contains(&g.id));
            words
                .map(|g| format!("guard {}: {}", g.id, g.do_not))
                .collect::<Vec<_>>()
                .join("\n")
        }
        Failure::Rejected { by, reason } => format!("rejected by {by}: {reason}"),
    }
}

/// The question as put on a terminal, without the prompt itself.
#[must_use]
pub fn put(plan: &Plan, state: &State, question: &Question) -> String {
    match &question.asked {
        Asked::ByHand { work_of } if *work_of != question.step => {
            let title = plan.step(work_of).map_or("", |s| s.title.as_str());
            let instruction = plan
                .step(work_of)
                .and_then(|s| s.instruction.as_deref())
                .unwrap_or("");
            format!(
                "  Read again, by hand: {}\n{}",
                styled(STRONG, title),
                wrapped(4, instruction)
            )
        }
        Asked::ByHand { .. } => String::new(),
        Asked::Choose {
            owner,
            offered,
            withheld,
        } => {
            let options = plan
                .step(&question.step)
                .map(options_of)
                .unwrap_or_default();
            let mut lines = plan
                .step(&question.step)
                .map_or(Vec::new(), |step| known(plan, state, step));
            lines.push(format!("  Decision of {}:", styled(STRONG, owner.as_str())));
            for (id, title, choose_when) in options {
                match offered.iter().position(|o| *o == id) {
                    Some(n) => {
                        lines.push(hanging(
                            &format!("  {:>2} {}: ", n + 1, styled(STRONG, id.as_str())),
                            5,
                            &title,
                        ));
                        lines.extend(choose_when.map(|when| wrapped(5, &format!("when: {when}"))));
                    }
                    None => {
                        let why = withheld.get(&id).map_or(String::new(), |why| one_line(why));
                        lines.push(hanging(
                            &format!("   - {}: ", styled(FAINT, id.as_str())),
                            5,
                            &title,
                        ));
                        lines.push(wrapped(5, &format!("cannot be chosen: {why}")));
                    }
                }
            }
            lines.join("\n")
        }
        Asked::Confirm { work: w, .. } => format!("  About to be performed:\n    {}", work(w)),
        Asked::Approve {
            by,
            work: w,
            subject,
        } => format!(
            "  About to be performed:\n    {}\n  It needs the approval of {}. Code of exactly this: {}",
            work(w),
            styled(STRONG, by.as_str()),
            subject.short()
        ),
        Asked::Acknowledge { check: c } => {
            format!("  A warning stands in the way:\n{}", check(plan, c))
        }
        Asked::Failed { failure, .. } => {
            format!(
                "  {}\n{}",
                styled(BAD, "This step cannot go on by itself."),
                wrapped(4, &failed(plan, failure))
            )
        }
        Asked::Beside { argv } => {
            let text = format!(
                "How {} ended was not recorded, and it may have changed something. Find out before you answer.",
                words(argv)
            );
            format!(
                "  {}\n{}",
                styled(BAD, "In doubt, beside the steps."),
                wrapped(4, &text)
            )
        }
        Asked::InDoubt { doubt } => {
            let unsettled = doubt
                .unsettled
                .as_ref()
                .map_or(String::new(), |why| format!(" Reading back: {why}."));
            let text = format!(
                "{}.{unsettled} Find out whether it took effect before you answer.",
                doubt.why
            );
            format!("  {}\n{}", styled(BAD, "In doubt."), wrapped(4, &text))
        }
    }
}

/// What is known of everything that the options depend on, so that nobody scrolls back to decide.
fn known(plan: &Plan, state: &State, step: &Step) -> Vec<String> {
    let Action::Choose(choose) = &step.action else {
        return Vec::new();
    };
    let guards = choose.options.iter().flat_map(|option| &option.guards);
    let required = guards.filter_map(|id| plan.guard(id)?.require.as_ref());
    let whens = choose.options.iter().filter_map(|o| o.when.as_ref());
    let conditions = required.chain(whens);
    let paths: BTreeSet<&str> = conditions
        .flat_map(crate::expr::Expression::references)
        .map(|r| r.path.as_str())
        .collect();
    let known = paths.into_iter().filter_map(|path| {
        let (group, name) = path.split_once('.')?;
        match group {
            "facts" => {
                let fact = state.facts.iter().find(|(id, _)| id.as_str() == name)?.1;
                let origin = if fact.origin == Origin::Measured {
                    "measured"
                } else {
                    "attested"
                };
                Some(format!(
                    "{name} = {} ({origin} {})",
                    value(&fact.value, 60),
                    fact.at.time_of_day()
                ))
            }
            "decisions" => {
                let decided = state
                    .decisions
                    .iter()
                    .find(|(id, _)| id.in_expressions() == name)?
                    .1;
                Some(format!("{name} = {}", decided.option))
            }
            _ => None,
        }
    });
    let known: Vec<String> = known.map(|line| wrapped(4, &line)).collect();
    if known.is_empty() {
        known
    } else {
        [vec!["  Known:".to_owned()], known].concat()
    }
}

/// A way on, as a key and words.
#[must_use]
pub fn way(way: &Way) -> (char, String) {
    match way {
        Way::Retry => (
            'r',
            "retry: perform the step again, every gate measured again".into(),
        ),
        Way::FreezeAgain => (
            'f',
            "freeze again: take the freeze anew, and measure everything again".into(),
        ),
        Way::LookAgain => ('l', "look again: measure once more, perform nothing".into()),
        Way::DoneByHand => (
            'd',
            "done by hand: give its facts and evidence yourself".into(),
        ),
        Way::Skip => (
            's',
            "skip: leave the step out; what it was to find out stays unknown".into(),
        ),
        Way::BackTo(step) => ('b', format!("back to {step}: read again, decide again")),
    }
}

fn options_of(step: &Step) -> Vec<(Slug, String, Option<String>)> {
    match &step.action {
        Action::Choose(choose) => choose
            .options
            .iter()
            .map(|o| (o.id.clone(), o.title.clone(), o.choose_when.clone()))
            .collect(),
        _ => Vec::new(),
    }
}
