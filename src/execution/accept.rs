//! Accepting an answer: what a person gave becomes an event, or they are told what is wrong with it.
//!
//! A console may help people to answer well; what is acceptable is decided here, again, whoever asked.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::expr::{Expression, Scope};
use crate::ids::{Principal, Slug};
use crate::runbook::model::{Choice, Choose, Step};

use super::event::{Answer, Chosen, Event, Found, Holds};
use super::found;
use super::gate::{self, Demand};
use super::plan::Plan;
use super::question::{Asked, Draft, DraftFound, Question, Way};
use super::scope::scope;
use super::state::State;
use super::work::subject;

/// What is wrong with an answer, for the person who gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAccepted(pub String);

/// Makes an event of an answer to a question that was just asked.
///
/// # Errors
/// [`NotAccepted`] with what to do instead; nothing is recorded then.
pub fn accept(
    plan: &Plan,
    state: &State,
    question: &Question,
    draft: Draft,
    now: Timestamp,
) -> Result<Event, NotAccepted> {
    let step = plan
        .step(&question.step)
        .ok_or_else(|| no("the runbook has no such step"))?;
    let answer = match (&question.asked, draft) {
        (Asked::ByHand { work_of }, Draft::Facts(found)) => {
            facts(plan, state, step, work_of, found, now)?
        }
        (Asked::ByHand { work_of }, Draft::NotDone { reason })
            if *work_of != step.id || !state.step(&step.id).performed =>
        {
            Answer::NotDone {
                work_of: (*work_of != step.id).then(|| work_of.clone()),
                reason: given(&reason)?,
            }
        }
        (Asked::Choose { owner, .. }, Draft::Choose { option, reason }) => {
            chosen(plan, state, step, owner, option, &reason, now)?
        }
        (Asked::Confirm { expected, work }, Draft::Confirm(typed)) => {
            confirmed(expected, &typed, subject(state, step, work))?
        }
        (Asked::Approve { subject, .. }, Draft::Approve { by: who }) => {
            let approve = step.approve.as_ref();
            let approve = approve.ok_or_else(|| no("the step needs no approval"))?;
            gate::may_approve(approve, &who, &scope(plan, state, now)).map_err(NotAccepted)?;
            Answer::Approved {
                by: who,
                subject: *subject,
                expires_at: now.plus(approve.expires),
            }
        }
        (Asked::Approve { .. }, Draft::Reject { by, reason }) => Answer::Rejected {
            by,
            reason: given(&reason)?,
        },
        (Asked::Acknowledge { check }, Draft::Acknowledge { reason }) => Answer::Acknowledged {
            check: check.id.clone(),
            observed: gate::observation(check),
            reason: given(&reason)?,
        },
        (Asked::Failed { ways, .. }, draft) => way_on(plan, state, step, ways, draft, now)?,
        (Asked::Beside { .. }, Draft::Settled { reason }) => Answer::Settled {
            reason: given(&reason)?,
        },
        (Asked::InDoubt { .. }, Draft::DoneByHand { found, reason }) => {
            done_by_hand(plan, state, step, found, &reason, now)?
        }
        (Asked::InDoubt { .. }, Draft::LookAgain) if step.verify.is_some() => Answer::LookAgain,
        (Asked::InDoubt { .. }, Draft::NotDone { reason }) => Answer::NotDone {
            work_of: None,
            reason: given(&reason)?,
        },
        _ => return Err(no("that does not answer this question")),
    };
    Ok(Event::Answered {
        step: step.id.clone(),
        answer,
    })
}

/// The options that may be chosen now, and those that may not, with what was measured. Unknown is not chosen.
#[must_use]
pub fn options(plan: &Plan, choose: &Choose, scope: &Scope) -> (Vec<Slug>, BTreeMap<Slug, String>) {
    let mut offered = Vec::new();
    let mut withheld = BTreeMap::new();
    for option in &choose.options {
        match closed(plan, option, scope) {
            None => offered.push(option.id.clone()),
            Some(why) => {
                withheld.insert(option.id.clone(), why);
            }
        }
    }
    (offered, withheld)
}

/// Why an option may not be chosen: the guards that refuse it, each by its name, else its own condition.
fn closed(plan: &Plan, option: &Choice, scope: &Scope) -> Option<String> {
    let guards = option.guards.iter().filter_map(|id| {
        let Some(require) = plan.guard(id).and_then(|guard| guard.require.as_ref()) else {
            return Some(format!("guard {id} cannot be judged"));
        };
        Some(format!("guard {id}: {}", unmet(require, scope)?))
    });
    let guards: Vec<String> = guards.collect();
    if guards.is_empty() {
        unmet(option.when.as_ref()?, scope)
    } else {
        Some(guards.join("; "))
    }
}

/// What was measured, where an expression does not hold.
fn unmet(expression: &Expression, scope: &Scope) -> Option<String> {
    let (holds, observed) = gate::measure(expression, scope);
    let state = match holds {
        Holds::Yes => return None,
        Holds::No => "does not hold:",
        Holds::Unknown => "unknown whether",
    };
    Some(format!("{state} {} ({observed})", expression.source()))
}

/// The steps that going back from `from` to `earlier` opens again, in order.
#[must_use]
pub fn reopened(plan: &Plan, earlier: &Slug, from: &Slug) -> Vec<Slug> {
    let ids = plan.runbook().steps.iter().map(|s| &s.id);
    let mut reopened: Vec<Slug> = ids
        .skip_while(|id| *id != earlier)
        .take_while(|id| *id != from)
        .cloned()
        .collect();
    reopened.push(from.clone());
    reopened
}

fn no(why: &str) -> NotAccepted {
    NotAccepted(why.into())
}

fn given(reason: &str) -> Result<String, NotAccepted> {
    let reason = reason.trim();
    if reason.is_empty() {
        Err(no("a reason is needed"))
    } else {
        Ok(reason.to_owned())
    }
}

fn facts(
    plan: &Plan,
    state: &State,
    step: &Step,
    work_of: &Slug,
    found: DraftFound,
    now: Timestamp,
) -> Result<Answer, NotAccepted> {
    let of = plan
        .step(work_of)
        .ok_or_else(|| no("the runbook has no such step"))?;
    let mut found = complete(plan, state, of, found, now)?;
    found.work_of = (*work_of != step.id).then(|| work_of.clone());
    Ok(Answer::Facts(found))
}

/// Every fact and every item of evidence that the step declares, and nothing else.
fn complete(
    plan: &Plan,
    state: &State,
    step: &Step,
    given: DraftFound,
    now: Timestamp,
) -> Result<Found, NotAccepted> {
    let (wanted, wanted_evidence) = found::wanted(state, step);
    let mut facts = BTreeMap::new();
    for spec in &wanted {
        let value = given.facts.get(&spec.id).ok_or_else(|| {
            NotAccepted(format!(
                "fact `{}` is needed: {}",
                spec.id,
                spec.kind.wanted()
            ))
        })?;
        let value = found::accept(spec, value)
            .map_err(|why| NotAccepted(format!("`{}` {why}", spec.id)))?;
        facts.insert(spec.id.clone(), value);
    }
    if let Some(id) = given.facts.keys().find(|id| !facts.contains_key(*id)) {
        let declared = step.facts.iter().any(|spec| spec.id == *id);
        return Err(NotAccepted(if declared {
            format!("fact `{id}` is known or follows from others, and is not typed")
        } else {
            format!("`{}` produces no fact `{id}`", step.id)
        }));
    }
    let wanted: BTreeSet<_> = wanted_evidence.iter().map(|spec| Some(&spec.id)).collect();
    let ids: BTreeSet<_> = given.evidence.iter().map(|item| item.id.as_ref()).collect();
    if let Some(id) = wanted.difference(&ids).flatten().next() {
        let why = format!("evidence `{id}` is needed: a file or text");
        return Err(NotAccepted(why));
    }
    // Evidence of another step, given here, would stand for what that step never left.
    if let Some(item) = given
        .evidence
        .iter()
        .find(|e| !wanted.contains(&e.id.as_ref()))
    {
        let name = item.id.as_ref().map_or("without a name", |id| id.as_str());
        let why = format!("`{}` asks for no evidence `{name}`", step.id);
        return Err(NotAccepted(why));
    }
    if ids.len() != given.evidence.len() {
        return Err(no("an item of evidence is given twice"));
    }
    let derived = if step.is_automated() {
        BTreeMap::new()
    } else {
        found::derived(plan, state, step, &facts, now).map_err(NotAccepted)?
    };
    Ok(Found {
        work_of: None,
        facts,
        derived,
        evidence: given.evidence,
    })
}

fn chosen(
    plan: &Plan,
    state: &State,
    step: &Step,
    owner: &Principal,
    option: Slug,
    reason: &str,
    now: Timestamp,
) -> Result<Answer, NotAccepted> {
    let crate::runbook::model::Action::Choose(choose) = &step.action else {
        return Err(no("the step decides nothing"));
    };
    let scope = scope(plan, state, now);
    let (offered, withheld) = options(plan, choose, &scope);
    if !offered.contains(&option) {
        return Err(NotAccepted(match withheld.get(&option) {
            Some(why) => format!("`{option}` cannot be chosen: {why}"),
            None => format!("there is no option `{option}`; there is {}", join(&offered)),
        }));
    }
    let (guards, refused) = gate::judge_guards(plan, state, step, Demand::Before, now);
    if let Some(guard) = refused.first() {
        return Err(NotAccepted(format!(
            "guard `{}` refuses: {}",
            guard.id, guard.observed
        )));
    }
    let reason = given(reason)?;
    Ok(Answer::Chosen(Chosen {
        option,
        owner: owner.clone(),
        reason,
        offered,
        withheld,
        guards,
    }))
}

fn join(ids: &[Slug]) -> String {
    ids.iter()
        .map(|id| format!("`{id}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn confirmed(expected: &str, typed: &str, subject: Digest) -> Result<Answer, NotAccepted> {
    let typed = typed.trim();
    if typed == expected {
        Ok(Answer::Confirmed {
            typed: typed.to_owned(),
            subject,
        })
    } else {
        Err(NotAccepted(format!(
            "right-target: `{typed}` is not `{expected}`; nothing was performed"
        )))
    }
}

fn done_by_hand(
    plan: &Plan,
    state: &State,
    step: &Step,
    found: DraftFound,
    reason: &str,
    now: Timestamp,
) -> Result<Answer, NotAccepted> {
    Ok(Answer::DoneByHand {
        found: complete(plan, state, step, found, now)?,
        reason: given(reason)?,
    })
}

fn way_on(
    plan: &Plan,
    state: &State,
    step: &Step,
    ways: &[Way],
    draft: Draft,
    now: Timestamp,
) -> Result<Answer, NotAccepted> {
    let open = |way: fn(&Way) -> bool| ways.iter().any(way);
    match draft {
        Draft::Retry { reason } if open(|w| *w == Way::Retry) => Ok(Answer::Retry {
            reason: given(&reason)?,
        }),
        Draft::FreezeAgain { reason } if open(|w| *w == Way::FreezeAgain) => {
            Ok(Answer::FreezeAgain {
                reason: given(&reason)?,
            })
        }
        Draft::LookAgain if open(|w| *w == Way::LookAgain) => Ok(Answer::LookAgain),
        Draft::DoneByHand { found, reason } if open(|w| *w == Way::DoneByHand) => {
            done_by_hand(plan, state, step, found, &reason, now)
        }
        Draft::Skip { reason } if open(|w| *w == Way::Skip) => Ok(Answer::Skipped {
            reason: given(&reason)?,
        }),
        Draft::BackTo { reason } => {
            let to = ways.iter().find_map(|way| {
                if let Way::BackTo(to) = way {
                    Some(to)
                } else {
                    None
                }
            });
            let to = to.ok_or_else(|| no("one cannot go back from here"))?;
            Ok(Answer::BackTo {
                reopened: reopened(plan, to, &step.id),
                reason: given(&reason)?,
            })
        }
        _ => Err(no("that way is not open here")),
    }
}
