//! Every effect failed, and every reading of the freeze lost, one at a time.

use runbook::engine::Rest;
use runbook::execution::event::{Ending, Event, Ground, Holds, StepVerdict, Work};
use runbook::ids::Slug;
use runbook::journal::Entry;

use super::cases::{Case, Check, ledger};
use super::desk::OnFailure;
use super::folder::Folder;
use super::hands::{Ends, Fault, Finds};
use super::scene::{How, Reference, Walk, change_begun, entries_of};

const ALL_ENDS: [Ends; 4] = [
    Ends::Failed,
    Ends::NotPerformed,
    Ends::NeverArrived,
    Ends::AnswerLost,
];

/// The entries after which something is performed: of which step, for which step, and whether it is a change.
fn effects(reference: &Reference) -> Vec<(usize, Slug, Slug, bool)> {
    let begun = all_entries(reference).into_iter().enumerate();
    let begun = begun.filter_map(|(k, entry)| match entry.event {
        Event::AttemptStarted(started) if started.work != Work::ByHand => {
            let change = started.clearance.is_some();
            Some((k - 1, started.work_of, started.step, change))
        }
        _ => None,
    });
    begun.collect()
}

fn all_entries(reference: &Reference) -> Vec<Entry> {
    let last = reference.instants.last().expect("entries");
    entries_of(&reference.case, last.folder.journal())
}

/// Every effect ends in every way that is not success: at once nothing has passed, and the rest of the walk comes to the
/// same end. A change is gone on from in each of the four ways; a reading, of which there are many, in one of them.
async fn fail_every_effect(reference: &Reference) {
    for (n, (k, work_of, step, change)) in effects(reference).into_iter().enumerate() {
        for (i, ends) in ALL_ENDS.into_iter().enumerate() {
            let what = format!("effect {n}, of `{work_of}` for `{step}`, {ends:?}");
            println!("{what}");
            let how = How::with(Fault::Effect(0, ends));
            let mut walk = Walk::go_on(&reference.case, &reference.instants[k], how).await;
            walk.engine.advance().await.expect("goes on");
            nothing_passed(&walk, &work_of, &step, change, &what);
            let rest = walk.engine.advance().await.expect("goes on");
            assert_eq!(rest, None, "{what}");
            nothing_is_judged_to_pass(&walk.entries(), &step, &what);
            if change || i == n % ALL_ENDS.len() {
                reference.finish(walk, &what).await;
            } else {
                walk.leave().await;
            }
        }
    }
}

/// The failure is on record, and the step knows of it.
fn nothing_passed(walk: &Walk<'_>, work_of: &Slug, step: &Slug, change: bool, what: &str) {
    let entries = walk.entries();
    let last = &entries.last().expect("entries").event;
    let Event::AttemptFinished(finished) = last else {
        panic!("{what}: {last:?}");
    };
    assert!(!matches!(finished.ending, Ending::Done { .. }), "{what}");
    assert!(finished.facts.is_empty(), "{what}");
    let state = walk.engine.state();
    let at = state.step(step);
    if work_of == step {
        assert!(!at.performed && at.ended.is_none(), "{what}");
        let doubtful = matches!(finished.ending, Ending::Doubtful { .. });
        assert_eq!(at.doubt.is_some(), change && doubtful, "{what}");
        assert_eq!(at.failure.is_some(), at.doubt.is_none(), "{what}");
    } else {
        assert!(at.readings[work_of].failed.is_some(), "{what}");
    }
    let old = state.facts.values().find(|fact| fact.step == *work_of);
    assert_eq!(old, None, "{what}: an old value passes for a new one");
}

/// What was recorded right after a failure does not let the step pass.
fn nothing_is_judged_to_pass(entries: &[Entry], step: &Slug, what: &str) {
    let last = &entries.last().expect("entries").event;
    assert_eq!(last.step(), Some(step), "{what}: {last:?}");
    let passes = match last {
        Event::StepJudged { verdict, .. } => {
            matches!(
                verdict,
                StepVerdict::Passed | StepVerdict::TookEffect { .. } | StepVerdict::NoEffect { .. }
            )
        }
        Event::WaitLooked { holds, .. } => *holds == Holds::Yes,
        Event::ChecksJudged { results, .. } => results.iter().all(|r| r.holds == Holds::Yes),
        Event::NotApplicable { .. } | Event::Closed { .. } => true,
        // More is read, it is refused, or somebody says how to go on.
        _ => false,
    };
    assert!(!passes, "{what}: {last:?}");
}

/// At every reading of the freeze before a change, something else is found: refused, and nothing is performed. Once the
/// freeze reads as ours again, the walk comes to the same end.
async fn lose_every_reading_of_the_freeze(reference: &Reference) {
    for (k, step) in changes(reference) {
        for finds in [
            Finds::Unreadable,
            Finds::Nothing,
            Finds::OtherFence,
            Finds::OthersToo,
        ] {
            let what = format!("the freeze before `{step}`: {finds:?}");
            let how = How::with(Fault::Freeze(0, finds));
            let walk = refused(reference, k, &step, how, &what).await;
            reference.finish(walk, &what).await;
        }
    }
}

/// Somebody else ends our freeze right before the change: refused, nothing is performed, and asking again changes
/// nothing about that.
async fn take_every_freeze_away(reference: &Reference) {
    for (k, step) in changes(reference) {
        for finds in [Finds::Released, Finds::TakenOver] {
            let what = format!("the freeze before `{step}`: {finds:?}");
            let how = How {
                on_failure: OnFailure::Leave,
                ..How::with(Fault::Freeze(0, finds))
            };
            let mut walk = refused(reference, k, &step, how, &what).await;
            let before = ledger(walk.home.path());
            let rest = walk.engine.run().await.expect("runs");
            assert!(matches!(rest, Rest::NeedsPerson { .. }), "{what}: {rest:?}");
            let left = Folder::of(walk.home.path(), &Folder::default());
            assert_eq!(ledger(walk.home.path()), before, "{what}");
            walk.leave().await;
            tried_again_is_refused_again(reference, &left, &step, &before, &what).await;
        }
    }
}

/// Steps on until the step is judged again, or nobody knows how to.
async fn tried_again_is_refused_again(
    reference: &Reference,
    left: &Folder,
    step: &Slug,
    before: &[String],
    what: &str,
) {
    let walk = Walk::resume(&reference.case, left, How::PLAIN).await;
    let mut walk = walk.expect("goes on");
    let mut refusals = 0;
    for _ in 0..200 {
        walk.engine.advance().await.expect("goes on");
        assert_eq!(ledger(walk.home.path()), before, "{what}");
        let entries = walk.entries();
        let last = &entries.last().expect("entries").event;
        if let Event::Refused { step: at, grounds } = last
            && at == step
        {
            assert!(grounds.iter().all(is_about_the_freeze), "{what}");
            refusals += 1;
        }
        if refusals == 2 {
            break;
        }
    }
    assert_eq!(refusals, 2, "{what}");
    walk.leave().await;
}

/// The entries before the intents of changes.
fn changes(reference: &Reference) -> Vec<(usize, Slug)> {
    let entries = all_entries(reference);
    let begun = entries.iter().enumerate();
    begun
        .filter_map(|(k, entry)| change_begun(entry).map(|step| (k - 1, step.clone())))
        .collect()
}

async fn refused<'a>(
    reference: &'a Reference,
    k: usize,
    step: &Slug,
    how: How,
    what: &str,
) -> Walk<'a> {
    let mut walk = Walk::go_on(&reference.case, &reference.instants[k], how).await;
    let before = ledger(walk.home.path());
    walk.engine.advance().await.expect("goes on");
    let entries = walk.entries();
    let last = &entries.last().expect("entries").event;
    let Event::Refused { step: at, grounds } = last else {
        panic!("{what}: {last:?}");
    };
    assert_eq!(at, step, "{what}");
    assert!(grounds.iter().all(is_about_the_freeze), "{what}: {last:?}");
    assert_eq!(ledger(walk.home.path()), before, "{what}");
    walk
}

fn is_about_the_freeze(ground: &Ground) -> bool {
    matches!(
        ground,
        Ground::FreezeLost { .. } | Ground::FrozenByOthers { .. } | Ground::FreezeUnknown { .. }
    )
}

async fn whatever_fails_passes_for_nothing(case: Case) {
    let reference = Reference::of(case).await;
    fail_every_effect(&reference).await;
    lose_every_reading_of_the_freeze(&reference).await;
    take_every_freeze_away(&reference).await;
}

#[tokio::test]
async fn whatever_fails_in_the_drill_of_bad_deploy_passes_for_nothing() {
    whatever_fails_passes_for_nothing(Case::drill("bad-deploy")).await;
}

#[tokio::test]
async fn whatever_fails_in_the_drill_with_an_incompatible_database_passes_for_nothing() {
    whatever_fails_passes_for_nothing(Case::drill("bad-deploy-incompatible")).await;
}

#[tokio::test]
async fn whatever_fails_in_the_drill_with_a_moved_epoch_passes_for_nothing() {
    whatever_fails_passes_for_nothing(Case::drill("bad-deploy-moved-epoch")).await;
}

#[tokio::test]
async fn whatever_fails_where_the_host_stack_is_redeployed_passes_for_nothing() {
    whatever_fails_passes_for_nothing(Case::partial("redeploy", Check::Shell)).await;
}

#[tokio::test]
async fn whatever_fails_where_the_host_is_repaired_passes_for_nothing() {
    whatever_fails_passes_for_nothing(Case::partial("repair", Check::Shell)).await;
}
