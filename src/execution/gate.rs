//! The gate: freeze, preflight and guards seen as one. Facts in, verdict out; unknown is refused.
//!
//! A change is performed only with a [`Clearance`] in hand, and [`clear`] is the only function that makes one.

use crate::clock::{Span, Timestamp};
use crate::digest::Digest;
use crate::expr::{Expression, Scope, Truth};
use crate::ids::{Principal, Slug};
use crate::runbook::model::{Approve, CheckSet, Effect, Guard, Severity, Step};

use super::deny::{Verdict, judge_words, request_is_denied};
use super::event::{CheckResult, Clearance, Ground, GuardVerdict, Holds, SeverityName, Work};
use super::plan::Plan;
use super::scope::scope;
use super::state::State;
use super::step::StepState;
use super::work::subject;

/// How long a judged set of checks holds. Longer than it takes to act on it, shorter than a shift.
pub const CHECKS_HOLD: Span = Span::from_secs(30 * 60);

/// What the run history says about the target's freezes, read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreezeReading {
    /// It answered.
    Read {
        /// The active freeze that this execution holds, with its fence.
        ours: Option<(String, u64)>,
        /// Active freezes of others that cover the target, for people.
        others: Vec<String>,
        /// How the last freeze of this execution ended, where it did and the run history knows: by whom, when, why.
        ended: Option<String>,
    },
    /// It could not be read, which is treated as frozen by somebody else.
    Unreadable {
        /// Why.
        why: String,
    },
}

/// Judges a change immediately before it is performed.
///
/// # Errors
/// Every ground against it, all at once. Whatever is unknown is a ground.
pub fn clear(
    plan: &Plan,
    state: &State,
    step: &Step,
    work: &Work,
    reading: &FreezeReading,
    now: Timestamp,
) -> Result<Clearance, Vec<Ground>> {
    let mut grounds = preflight_grounds(plan, state, now);
    let (guards, refused) = judge_guards(plan, state, step, Demand::Before, now);
    grounds.extend(refused.into_iter().map(Ground::Guard));
    grounds.extend(denials(plan, work));
    grounds.extend(unconfirmed(state, step, work));
    grounds.extend(unapproved(plan, state, step, work, now));
    match freeze_held(state, reading) {
        Err(lost) => grounds.extend(lost),
        Ok((freeze, fence)) if grounds.is_empty() => {
            return Ok(Clearance {
                freeze,
                fence,
                read_at: now,
                guards,
            });
        }
        Ok(_) => {}
    }
    Err(grounds)
}

/// Judges an ad-hoc command immediately before it is run. What only looks needs no more than that nothing denies it.
///
/// # Errors
/// Every ground against it, all at once. Whatever is unknown is a ground.
pub fn clear_ad_hoc(
    plan: &Plan,
    state: &State,
    (work, effect): (&Work, Effect),
    reading: &FreezeReading,
    now: Timestamp,
) -> Result<Option<Clearance>, Vec<Ground>> {
    let mut grounds = denials(plan, work);
    if effect == Effect::Read {
        return if grounds.is_empty() {
            Ok(None)
        } else {
            Err(grounds)
        };
    }
    grounds.extend(standing_grounds(plan, state));
    let scope = scope(plan, state, now);
    let mut guards = Vec::new();
    for guard in plan.guards_everywhere() {
        let (holds, observed) = match (&guard.require, guard.read.first()) {
            (None, _) => continue,
            // There is no step on whose behalf it could be read again.
            (Some(_), Some(read)) => (Holds::Unknown, format!("`{read}` was not read again")),
            (Some(require), None) => measure(require, &scope),
        };
        let id = guard.id.clone();
        let verdict = GuardVerdict {
            id,
            holds,
            observed,
        };
        if holds == Holds::Yes {
            guards.push(verdict);
        } else {
            grounds.push(Ground::Guard(verdict));
        }
    }
    match freeze_held(state, reading) {
        Err(lost) => grounds.extend(lost),
        Ok((freeze, fence)) if grounds.is_empty() => {
            return Ok(Some(Clearance {
                freeze,
                fence,
                read_at: now,
                guards,
            }));
        }
        Ok(_) => {}
    }
    Err(grounds)
}

/// The grounds against a read, or against deciding: guards that name the step, and deny patterns.
#[must_use]
pub fn grounds_before(
    plan: &Plan,
    state: &State,
    step: &Step,
    work: Option<&Work>,
    now: Timestamp,
) -> Vec<Ground> {
    let (_, refused) = judge_guards(plan, state, step, Demand::Before, now);
    let denied = work.into_iter().flat_map(|work| denials(plan, work));
    refused
        .into_iter()
        .map(Ground::Guard)
        .chain(denied)
        .collect()
}

/// Which of a guard's two demands is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// `require`, before the step.
    Before,
    /// `require`, at a look of a waiting step.
    During,
    /// `ensure`.
    After,
}

/// Judges the guards on a step: all of them, and those that are not clear. A guard whose reading failed is unknown,
/// whatever was known before: an old value must not pass for a new one.
#[must_use]
pub fn judge_guards(
    plan: &Plan,
    state: &State,
    step: &Step,
    demand: Demand,
    now: Timestamp,
) -> (Vec<GuardVerdict>, Vec<GuardVerdict>) {
    let scope = scope(plan, state, now);
    let at = state.step(&step.id);
    let guards: Vec<(&Guard, Option<&Expression>)> = match demand {
        Demand::Before => plan
            .guards_before(step)
            .map(|g| (g, g.require.as_ref()))
            .collect(),
        Demand::During => plan
            .guards_during(step)
            .map(|g| (g, g.require.as_ref()))
            .collect(),
        Demand::After => plan
            .guards_after(step)
            .map(|g| (g, g.ensure.as_ref()))
            .collect(),
    };
    let mut all = Vec::new();
    for (guard, expression) in guards {
        if let Some(expression) = expression {
            let (holds, observed) = measure_read(step, &at, &guard.read, expression, &scope);
            all.push(GuardVerdict {
                id: guard.id.clone(),
                holds,
                observed,
            });
        }
    }
    let refused = all
        .iter()
        .filter(|v| v.holds != Holds::Yes)
        .cloned()
        .collect();
    (all, refused)
}

/// Whether an expression holds, with what was measured.
#[must_use]
pub fn measure(expression: &Expression, scope: &Scope) -> (Holds, String) {
    let mut observed = expression.observed(scope);
    let whole = expression.observed_within(usize::MAX, scope);
    if whole != observed {
        // What is cut for people must still differ where the whole does: acknowledgements are bound to it.
        observed = format!("{observed} (in full: {})", Digest::of(whole).short());
    }
    match expression.truth(scope) {
        Truth::True => (Holds::Yes, observed),
        Truth::False => (Holds::No, observed),
        Truth::Unknown(why) if observed.is_empty() => (Holds::Unknown, why.to_string()),
        Truth::Unknown(why) => (Holds::Unknown, format!("{why} ({observed})")),
    }
}

/// Whether an expression holds that is judged by what was just read on behalf of a step.
pub(super) fn measure_read(
    step: &Step,
    at: &StepState,
    read: &[Slug],
    expression: &Expression,
    scope: &Scope,
) -> (Holds, String) {
    match unread(step, at, read) {
        Some(why) => (Holds::Unknown, why),
        None => measure(expression, scope),
    }
}

/// Why what had to be read on behalf of a step cannot be relied on; none where it can.
pub(super) fn unread(step: &Step, at: &StepState, read: &[Slug]) -> Option<String> {
    read.iter().find_map(|id| match at.readings.get(id) {
        // What the step itself found out is as new as the step.
        _ if *id == step.id && at.performed => None,
        Some(reading) if reading.event > at.mark => reading
            .failed
            .as_ref()
            .map(|why| format!("`{id}` could not be read again: {why}")),
        Some(_) | None => Some(format!("`{id}` was not read again")),
    })
}

/// Judges every check of a set.
#[must_use]
pub fn judge_checks(plan: &Plan, state: &State, set: CheckSet, now: Timestamp) -> Vec<CheckResult> {
    let scope = scope(plan, state, now);
    let judged = plan.checks(set).iter().map(|check| {
        let (holds, observed) = measure(&check.expect, &scope);
        CheckResult {
            id: check.id.clone(),
            severity: check.severity.into(),
            holds,
            observed,
        }
    });
    judged.collect()
}

/// The checks that stand in the way: blocks that do not hold, and warnings that nobody acknowledged as they are now.
#[must_use]
pub fn standing_in_the_way(state: &State, results: &[CheckResult]) -> Vec<CheckResult> {
    let stands = |r: &&CheckResult| match (r.severity, r.holds) {
        (_, Holds::Yes) | (SeverityName::Info, _) => false,
        (SeverityName::Block, _) => true,
        (SeverityName::Warn, _) => !is_acknowledged(state, r),
    };
    results.iter().filter(stands).cloned().collect()
}

/// The digest that an acknowledgement is bound to: the result, and what was observed.
#[must_use]
pub fn observation(result: &CheckResult) -> Digest {
    Digest::of(format!("{:?} {}", result.holds, result.observed))
}

fn is_acknowledged(state: &State, result: &CheckResult) -> bool {
    state
        .acknowledged
        .get(&result.id)
        .is_some_and(|ack| ack.observed == observation(result))
}

/// Whether a set of checks must be judged again before what stands on it: a change on the preflight, the release on the
/// closing checks.
#[must_use]
pub fn is_stale(set: CheckSet, state: &State, now: Timestamp) -> bool {
    let judged = match set {
        CheckSet::Preflight => state.preflight_at,
        CheckSet::Closing => state.closing_at,
    };
    judged.is_none_or(|at| now.since(at) > CHECKS_HOLD || now < at)
}

fn preflight_grounds(plan: &Plan, state: &State, now: Timestamp) -> Vec<Ground> {
    if is_stale(CheckSet::Preflight, state, now) {
        return vec![Ground::PreflightStale];
    }
    standing_grounds(plan, state)
}

/// The preflight as it was judged last: what of it stands in the way, or that it never was.
fn standing_grounds(plan: &Plan, state: &State) -> Vec<Ground> {
    let results: Option<Vec<CheckResult>> = plan
        .checks(CheckSet::Preflight)
        .iter()
        .map(|c| state.checks.get(&c.id).cloned())
        .collect();
    match results {
        None => vec![Ground::PreflightStale],
        Some(results) => standing_in_the_way(state, &results)
            .into_iter()
            .map(Ground::Check)
            .collect(),
    }
}

/// The freeze that is ours, in the journal and in the run history alike, with no other one on the target.
fn freeze_held(state: &State, reading: &FreezeReading) -> Result<(String, u64), Vec<Ground>> {
    let (ours, others, ended) = match reading {
        FreezeReading::Unreadable { why } => {
            return Err(vec![Ground::FreezeUnknown { why: why.clone() }]);
        }
        FreezeReading::Read {
            ours,
            others,
            ended,
        } => (ours, others, ended),
    };
    let held = state.freeze.as_ref().map(|f| (f.id.clone(), f.fence));
    let mut grounds = Vec::new();
    if ours.is_none() || *ours != held {
        let found = match (ours, ended) {
            (Some((id, fence)), _) => format!("there is freeze {id} with fence {fence}"),
            (None, Some(ended)) => ended.clone(),
            (None, None) => "no active freeze of this execution".into(),
        };
        grounds.push(Ground::FreezeLost { found });
    }
    if !others.is_empty() {
        let by = others.clone();
        grounds.push(Ground::FrozenByOthers { by });
    }
    match held {
        Some(held) if grounds.is_empty() => Ok(held),
        Some(_) | None => Err(grounds),
    }
}

/// The guards that deny the work, or cannot tell whether they do.
#[must_use]
pub fn denials(plan: &Plan, work: &Work) -> Vec<Ground> {
    let guards = plan.runbook().guards.iter();
    guards.filter_map(|guard| denial(guard, work)).collect()
}

fn denial(guard: &Guard, work: &Work) -> Option<Ground> {
    let denied = |pattern: String, what: String| Ground::Denied {
        guard: guard.id.clone(),
        pattern,
        what,
    };
    match work {
        Work::Command { argv, .. } => match judge_words(argv, &guard.deny.commands) {
            Verdict::Clear => None,
            Verdict::Matches(pattern) => Some(denied(pattern.to_string(), argv.join(" "))),
            Verdict::CannotTell(why) => Some(Ground::CannotTell {
                guard: guard.id.clone(),
                what: argv.join(" "),
                why,
            }),
        },
        Work::Request { method, path, .. } => {
            let mut patterns = guard.deny.requests.iter();
            let pattern = patterns.find(|pattern| request_is_denied(method, path, pattern))?;
            Some(denied(pattern.to_string(), format!("{method} {path}")))
        }
        Work::ByHand | Work::History(_) | Work::HandOver { .. } => None,
    }
}

/// The ground against a change whose name was not typed, or not for what it is now.
pub(super) fn unconfirmed(state: &State, step: &Step, work: &Work) -> Option<Ground> {
    step.confirm.as_ref()?;
    let why = match state.step(&step.id).confirmed {
        None => "the name of the thing was not typed",
        Some(confirmed) if confirmed != subject(state, step, work) => {
            "what was confirmed is not what it is now"
        }
        Some(_) => return None,
    };
    Some(Ground::NotApproved { why: why.into() })
}

/// The ground against a change that is not approved, by whom it must be, as it is now.
pub(super) fn unapproved(
    plan: &Plan,
    state: &State,
    step: &Step,
    work: &Work,
    now: Timestamp,
) -> Option<Ground> {
    let approve = step.approve.as_ref()?;
    let why = match state.step(&step.id).approval {
        None => "nobody approved it".to_owned(),
        Some(approval) if approval.subject != subject(state, step, work) => {
            "what was approved is not what it is now".to_owned()
        }
        Some(approval) if approval.expires_at <= now => "the approval has expired".to_owned(),
        Some(approval) => may_approve(approve, &approval.by, &scope(plan, state, now)).err()?,
    };
    Some(Ground::NotApproved { why })
}

/// Whether the approval is this person's to give.
///
/// # Errors
/// Why it is not, for people. Not knowing is a reason.
pub(super) fn may_approve(approve: &Approve, who: &Principal, scope: &Scope) -> Result<(), String> {
    match approve.by.principal(scope) {
        Ok(by) if by == *who => {}
        Ok(by) => return Err(format!("the approval of `{by}` is needed, not of `{who}`")),
        Err(why) => return Err(format!("who has to approve is unknown: {why}")),
    }
    match approve.other_than.as_ref().map(|o| o.principal(scope)) {
        Some(Ok(barred)) if barred == *who => Err(format!(
            "`{who}` may not approve this: it takes somebody other than `{barred}`"
        )),
        Some(Err(why)) => Err(format!("who may not approve is unknown: {why}")),
        Some(Ok(_)) | None => Ok(()),
    }
}

impl From<Severity> for SeverityName {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Block => Self::Block,
            Severity::Warn => Self::Warn,
            Severity::Info => Self::Info,
        }
    }
}

/// Whether performing the step's own work needs a clearance.
#[must_use]
pub fn needs_clearance(step: &Step) -> bool {
    step.effect == Effect::Change
}

/// The steps that are read again before the guards that stand before (or after) a step are judged.
#[must_use]
pub fn guard_readings<'a>(guards: impl Iterator<Item = &'a Guard>) -> Vec<&'a Slug> {
    super::plan::distinct(guards.flat_map(|g| &g.read))
}
