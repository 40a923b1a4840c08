//! A crash at every entry, with the last line as it is, lost, or torn; and a second crash after going on.

use std::fs;

use runbook::digest::Digest;
use runbook::journal::Store;

use super::cases::{Case, Check};
use super::folder::{Folder, last_line};
use super::scene::{How, Reference, entries_in, fold};

/// What a crash did to the last line.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Line {
    /// It is there.
    Whole,
    /// It never became durable, but what it tells of has happened.
    Lost,
    /// Half of it is there.
    Torn,
}

fn after_crash(folder: &Folder, line: Line) -> Folder {
    let (before, last) = last_line(folder.journal());
    match line {
        Line::Whole => folder.clone(),
        Line::Lost => folder.with_journal(before),
        Line::Torn => folder.with_journal(&[before, &last[..last.len() / 2]].concat()),
    }
}

/// Crashes at every entry, and goes on to the end:
///
/// - with its line whole: at every entry;
/// - with its line lost: wherever anything but the journal had moved with it. Everywhere else what is left is, byte for
///   byte, what a crash at the entry before leaves;
/// - with its line torn: repaired at every entry, and the state held against that of the lost line; gone on from at
///   every fifth.
///
/// After every `stride`-th crash, every `stride`-th entry of what follows is cut once more, up to where it comes to a
/// situation that another walk went on from; where that begins moves on with each, so that crashes of all distances
/// occur. For one way through each runbook the stride is one: every entry after every entry.
async fn crash_everywhere(reference: &Reference, stride: usize) {
    let mut second_crashes = 0;
    for (k, at) in reference.instants.iter().enumerate() {
        let entries = entries_in(&reference.case, &at.folder);
        assert_eq!(entries.len(), k + 1);
        assert_eq!(fold(&entries).as_ref(), Some(&at.state), "entry {k}");
        let name = entries[k].event.name();
        let moved = k > 0 && at.folder.moved_since(&reference.instants[k - 1].folder);
        for line in [Line::Whole, Line::Lost, Line::Torn] {
            let what = format!("crash at entry {k}, {name}, its line {line:?}");
            let folder = after_crash(&at.folder, line);
            match line {
                Line::Lost if !moved => continue,
                Line::Torn if k > 0 => {
                    let lost = after_crash(&at.folder, Line::Lost);
                    torn_is_as_good_as_lost(&reference.case, &folder, &lost);
                    if k % 5 != 0 {
                        continue;
                    }
                }
                Line::Whole | Line::Lost | Line::Torn => {}
            }
            let keeps = line != Line::Torn && k % stride == 0;
            let how = if keeps { How::KEEPING } else { How::PLAIN };
            let Some(ended) = reference.resume(&folder, how, &what).await else {
                let began = k > 0 || line == Line::Whole;
                let closed = k + 1 == reference.instants.len() && line == Line::Whole;
                assert!(!began || closed, "{what}");
                continue;
            };
            let first = k / stride % stride;
            let seconds = ended.seen.instants.iter().enumerate().skip(first);
            for (j, second) in seconds.step_by(stride) {
                let line = if j % 2 == 0 { Line::Lost } else { Line::Whole };
                let what = format!("{what}; then {j} entries later, its line {line:?}");
                let folder = after_crash(&second.folder, line);
                reference.resume(&folder, How::PLAIN, &what).await;
                second_crashes += 1;
            }
        }
    }
    assert!(second_crashes > 10, "{second_crashes}");
}

/// What is torn off is kept, and then the execution stands where it stood before that line.
fn torn_is_as_good_as_lost(case: &Case, torn: &Folder, lost: &Folder) {
    let home = torn.restore();
    let store = Store::open(home.path()).expect("opens");
    let (_, entries, recovery) = store.drive(case.id()).expect("drives");
    let kept = recovery.torn.expect("something was torn off");
    let data = format!("executions/{}/data", case.id());
    let bytes = fs::read(home.path().join(data).join(&kept.path)).expect("reads");
    let whole = torn.journal().len() - bytes.len();
    assert_eq!(torn.journal()[whole..], bytes);
    assert_eq!(kept.sha256, Digest::of(&bytes));
    assert_eq!(entries, entries_in(case, lost));
}

#[tokio::test]
async fn a_crash_at_any_entry_of_the_drill_of_bad_deploy_changes_nothing_twice() {
    crash_everywhere(&Reference::of(Case::drill("bad-deploy")).await, 1).await;
}

#[tokio::test]
async fn a_crash_at_any_entry_of_the_drill_with_an_incompatible_database_changes_nothing_twice() {
    crash_everywhere(
        &Reference::of(Case::drill("bad-deploy-incompatible")).await,
        4,
    )
    .await;
}

#[tokio::test]
async fn a_crash_at_any_entry_of_the_drill_with_a_moved_epoch_changes_nothing_twice() {
    crash_everywhere(
        &Reference::of(Case::drill("bad-deploy-moved-epoch")).await,
        4,
    )
    .await;
}

#[tokio::test]
async fn a_crash_at_any_entry_of_a_partial_deployment_redeploys_nothing_twice() {
    let case = Case::partial("redeploy", Check::Shell);
    crash_everywhere(&Reference::of(case).await, 1).await;
}

#[tokio::test]
async fn a_crash_at_any_entry_of_a_partial_deployment_repairs_nothing_twice() {
    let case = Case::partial("repair", Check::Shell);
    crash_everywhere(&Reference::of(case).await, 4).await;
}

#[tokio::test]
async fn the_runbook_for_partial_deployments_runs_with_its_own_programs() {
    let reference = Reference::of(Case::partial("redeploy", Check::Python)).await;
    assert_eq!(reference.ledger, ["host redeploy"]);
    assert_eq!(reference.outcome.as_str(), "recovered");
}
