//! The last line torn at every byte, where it tells of a change.

use std::fs;
use std::path::Path;

use runbook::execution::event::{Event, Resumed};
use runbook::execution::state::State;
use runbook::ids::Slug;
use runbook::journal::Store;

use super::cases::{Case, Check, operator};
use super::folder::last_line;
use super::scene::{How, Reference, change_begun, entries_of, fold};

/// What a line tells of.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    /// That a change is about to be performed.
    Intent,
    /// How it ended.
    Outcome,
}

/// The entry that tells of the first change.
fn place(reference: &Reference, tells: Tells) -> (usize, Slug) {
    let all = reference.instants.last().expect("entries");
    let entries = entries_of(&reference.case, all.folder.journal());
    let found = entries.iter().enumerate().find_map(|(k, entry)| {
        let step = change_begun(entry)?.clone();
        Some((k + usize::from(tells == Tells::Outcome), step))
    });
    found.expect("a change")
}

/// What is true once the execution is driven again and taken up.
fn taken_up(store: &Store, case: &Case, data: &Path, torn: &[u8]) -> State {
    let (journal, entries, recovery) = store.drive(case.id()).expect("drives");
    let kept = recovery.torn.clone().expect("something was torn off");
    let path = data.join(&kept.path);
    assert_eq!(fs::read(&path).expect("was kept"), torn);
    drop(journal);
    fs::remove_file(path).expect("removes");
    let mut state = fold(&entries).expect("began");
    let resumed = Event::Resumed(Resumed {
        operator: operator(),
        host: "test-host".into(),
        by_hand: state.by_hand.clone(),
        adopted: None,
    });
    for event in recovery.event().into_iter().chain([resumed]) {
        state.apply(state.at, &event).expect("follows");
    }
    state
}

/// Tears the line at every byte.
async fn torn(reference: &Reference, tells: Tells) {
    let (k, step) = place(reference, tells);
    let at = &reference.instants[k];
    let (before, line) = last_line(at.folder.journal());
    let home = at.folder.restore();
    let store = Store::open(home.path()).expect("opens");
    let data = format!("executions/{}/data", reference.case.id());
    let data = home.path().join(data);
    let cut = |byte: usize| [before, &line[..byte]].concat();
    for byte in 1..line.len() {
        fs::write(data.join("journal.jsonl"), cut(byte)).expect("writes");
        let state = taken_up(&store, &reference.case, &data, &line[..byte]);
        let at = state.step(&step);
        // An intent of which only a part is durable was not acted upon. An outcome of which only a part is durable
        // leaves its intent, and with it a doubt.
        assert_eq!(at.doubt.is_some(), tells == Tells::Outcome, "byte {byte}");
        assert!(!at.performed && at.open.is_none(), "byte {byte}");
    }
    for byte in [1, line.len() / 2, line.len() - 1] {
        let folder = at.folder.with_journal(&cut(byte));
        let what = format!("entry {k} torn at byte {byte} of {}", line.len());
        let resumed = reference.resume(&folder, How::PLAIN, &what).await;
        resumed.expect("goes on");
    }
}

#[tokio::test]
async fn an_order_to_the_control_plane_whose_record_is_torn_at_any_byte_is_not_sent_twice() {
    let reference = Reference::of(Case::drill("bad-deploy")).await;
    torn(&reference, Tells::Intent).await;
    torn(&reference, Tells::Outcome).await;
}

#[tokio::test]
async fn a_script_whose_record_is_torn_at_any_byte_is_not_run_twice() {
    let case = Case::partial("redeploy", Check::Shell);
    let reference = Reference::of(case).await;
    torn(&reference, Tells::Intent).await;
    torn(&reference, Tells::Outcome).await;
}
