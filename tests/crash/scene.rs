//! Walking a case: from its beginning, from what a crash left, or on from an entry as if nothing had happened.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use runbook::effects::console::Console;
use runbook::effects::run_history::RunHistory;
use runbook::effects::signals::Signals;
use runbook::effects::system::System;
use runbook::engine::{Engine, Rest, TakenUp};
use runbook::execution::event::{Answer, Ending, Event, Resumed, StepVerdict};
use runbook::execution::plan::Plan;
use runbook::execution::question::Asked;
use runbook::execution::state::{Standing, State};
use runbook::execution::step::StepState;
use runbook::history::History;
use runbook::ids::Slug;
use runbook::journal::{Entry, Journal, Store, Tail, scan};
use runbook::redact::Redactor;

use super::cases::{Case, Running, ledger, operator};
use super::desk::{Desk, Instant, Keep, OnFailure, Seen};
use super::folder::{Folder, empty};
use super::hands::{Fault, FaultyHands};

/// A walk through a case in this process.
pub(super) struct Walk<'a, C: Console = Desk> {
    pub(super) case: &'a Case,
    pub(super) home: tempfile::TempDir,
    pub(super) engine: Engine<C, FaultyHands>,
    pub(super) seen: Rc<RefCell<Seen>>,
    history: History,
    _world: Running,
}

/// How a walk is made.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) keep: Keep,
    pub(super) on_failure: OnFailure,
    pub(super) fault: Option<Fault>,
}

impl How {
    pub(super) const PLAIN: Self = Self {
        keep: Keep::Nothing,
        on_failure: OnFailure::GoOn,
        fault: None,
    };
    pub(super) const KEEPING: Self = Self {
        keep: Keep::Everything,
        ..Self::PLAIN
    };
    pub(super) const fn with(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::PLAIN
        }
    }
}

/// A case walked to its end, with all that was left at each entry, the first one included.
pub(super) struct Reference {
    pub(super) case: Case,
    pub(super) instants: Vec<Instant>,
    pub(super) outcome: Slug,
    pub(super) ledger: Vec<String>,
    /// Situations that led to the same end.
    known: RefCell<BTreeSet<String>>,
}

impl Reference {
    pub(super) async fn of(case: Case) -> Self {
        let known = RefCell::default();
        let walk = Walk::begin(&case, How::KEEPING).await;
        let ended = walk.walk_on(&known).await;
        assert_eq!(ended.seen.doubts, 0, "nothing is in doubt without a crash");
        let (outcome, ledger) = (ended.outcome.expect("ends"), ended.ledger);
        let instants = ended.seen.instants;
        assert!(instants.len() > 40, "{} entries", instants.len());
        Self {
            outcome,
            ledger,
            instants,
            known,
            case,
        }
    }

    /// Goes on from what is left, to the end, and holds it against this walk. See [`Walk::walk_on`].
    pub(super) async fn resume(&self, folder: &Folder, how: How, what: &str) -> Option<Ended> {
        // Shown when the test fails: the last one is where.
        println!("{what}");
        let walk = Walk::resume(&self.case, folder, how).await?;
        Some(self.finish(walk, what).await)
    }

    pub(super) async fn finish(&self, walk: Walk<'_>, what: &str) -> Ended {
        let mut ended = walk.walk_on(&self.known).await;
        if let Some(left) = ended.left.take() {
            println!("{what}; left, and taken up again");
            let again = Walk::resume(&self.case, &left, How::PLAIN).await;
            ended = again.expect("goes on").walk_on(&self.known).await;
            assert!(ended.left.is_none(), "{what}");
        }
        let failures = &ended.seen.failures;
        if ended.outcome.is_some() {
            assert_eq!(ended.ledger, self.ledger, "{what}: {failures:?}");
            let outcome = Some(&self.outcome);
            assert_eq!(ended.outcome.as_ref(), outcome, "{what}: {failures:?}");
        }
        ended
    }
}

/// What a walk came to.
pub(super) struct Ended {
    /// The outcome; none where the walk came to a situation that is known to lead to the end.
    pub(super) outcome: Option<Slug>,
    /// What is left where a warning came up that nobody takes upon themselves before it was measured anew.
    pub(super) left: Option<Folder>,
    /// What took effect so far.
    pub(super) ledger: Vec<String>,
    pub(super) seen: Seen,
}

/// Where a walk begins or goes on.
struct Place<'a> {
    case: &'a Case,
    home: tempfile::TempDir,
    history: History,
    journal: Journal,
    state: State,
}

impl<'a> Place<'a> {
    /// Where `runbook start` begins.
    async fn start(case: &'a Case) -> Self {
        let home = empty();
        case.prepare(home.path());
        let history = History::open(&home.path().join("history.db")).await;
        let history = history.expect("opens");
        for recording in &case.recordings {
            history.record(recording).await.expect("records");
        }
        let store = Store::open(home.path()).expect("opens");
        let mut journal = store.create(case.id()).expect("creates");
        for source in &case.runbook.sources {
            let path = format!("runbook/{}", source.file);
            journal.keep(&path, source.text.as_bytes()).expect("keeps");
        }
        let opened = Event::Opened(Box::new(case.opened.clone()));
        let entries = journal.append(&case.opened.operator.name, &opened);
        let state = fold(&entries.expect("appends")).expect("opens");
        Self {
            case,
            home,
            history,
            journal,
            state,
        }
    }
}

impl<'a, C: Console> Walk<'a, C> {
    /// Begins with somebody else at the console.
    pub(super) async fn wander(case: &'a Case, console: C) -> Self {
        Self::at(Place::start(case).await, console, Rc::default(), None).await
    }

    async fn at(
        place: Place<'a>,
        console: C,
        seen: Rc<RefCell<Seen>>,
        fault: Option<Fault>,
    ) -> Self {
        let Place {
            case,
            home,
            history,
            journal,
            state,
        } = place;
        let world = case.run_world(home.path()).await;
        let system = System {
            history: RunHistory {
                history: history.clone(),
                execution: case.id(),
                freeze_of: case.id(),
                operator: operator().name,
                host: "test-host".into(),
                run: case.opened.run_id.clone(),
                target: case.opened.target.clone(),
            },
            endpoints: world.endpoints(),
            redactor: Redactor::default(),
            folder: home.path().join("host"),
            client: case.client.clone(),
        };
        let hands = FaultyHands {
            system,
            fault,
            effects: 0,
            readings: 0,
        };
        let plan = Plan::new(case.runbook.clone(), &BTreeMap::new());
        Self {
            engine: Engine::new(
                TakenUp {
                    plan,
                    state,
                    journal,
                    redactor: Redactor::default(),
                    actor: operator().name,
                },
                console,
                hands,
                Signals::default(),
            ),
            case,
            home,
            seen,
            history,
            _world: world,
        }
    }
}

impl<'a> Walk<'a> {
    /// Begins as `runbook start` does.
    pub(super) async fn begin(case: &'a Case, how: How) -> Self {
        let place = Place::start(case).await;
        let state = place.state.clone();
        let walk = Self::with(place, how).await;
        if how.keep == Keep::Everything {
            let folder = Folder::of(walk.home.path(), &Folder::default());
            walk.seen
                .borrow_mut()
                .instants
                .push(Instant { folder, state });
        }
        walk
    }

    /// Goes on as `runbook resume` does; nothing where the execution has ended or never began.
    pub(super) async fn resume(case: &'a Case, folder: &Folder, how: How) -> Option<Self> {
        let home = folder.restore();
        let store = Store::open(home.path()).expect("opens");
        let (journal, entries, recovery) = store.drive(case.id()).expect("drives");
        let state = fold(&entries).filter(|state| !state.is_ended())?;
        let history = existing(&home).await;
        let place = Place {
            case,
            home,
            history,
            journal,
            state,
        };
        let mut walk = Self::with(place, how).await;
        let resumed = Event::Resumed(Resumed {
            operator: operator(),
            host: "test-host".into(),
            by_hand: BTreeMap::new(),
            adopted: None,
        });
        for event in recovery.event().into_iter().chain([resumed]) {
            walk.engine.record(event).expect("records");
        }
        Some(walk)
    }

    /// Goes on from an entry as if nothing had happened: what a whole walk would do next, without the walk.
    pub(super) async fn go_on(case: &'a Case, at: &Instant, how: How) -> Self {
        let home = at.folder.restore();
        let store = Store::open(home.path()).expect("opens");
        let (journal, entries, _) = store.drive(case.id()).expect("drives");
        let state = fold(&entries).expect("began");
        assert_eq!(state, at.state, "the fold is what was true");
        let history = existing(&home).await;
        let place = Place {
            case,
            home,
            history,
            journal,
            state,
        };
        Self::with(place, how).await
    }

    async fn with(place: Place<'a>, how: How) -> Self {
        let seen = Rc::<RefCell<Seen>>::default();
        let desk = Desk {
            home: place.home.path().to_owned(),
            answers: place.case.answers.clone(),
            keep: how.keep,
            on_failure: how.on_failure,
            seen: seen.clone(),
            asked: 0,
        };
        Self::at(place, desk, seen, how.fault).await
    }

    /// Steps until it ends, and checks what must hold of every execution that ended.
    ///
    /// A walk that comes to a new step in a situation from which another walk came to the end does not walk the rest
    /// once more: what it would do is the same. That makes crashing everywhere a matter of a minute.
    pub(super) async fn walk_on(mut self, known: &RefCell<BTreeSet<String>>) -> Ended {
        let mut passed = Vec::new();
        let mut from = self.position();
        let rest = loop {
            let at = self.position();
            if at != from
                && let Some(situation) = self.situation().await
            {
                if known.borrow().contains(&situation) {
                    break None;
                }
                passed.push(situation);
                from = at;
            }
            if let Some(rest) = self.engine.advance().await.expect("goes on") {
                break Some(rest);
            }
        };
        let entries = self.entries();
        every_change_is_settled(&entries);
        let mut left = None;
        let outcome = match rest {
            None => None,
            Some(Rest::NeedsPerson { question, .. })
                if matches!(question.asked, Asked::Acknowledge { .. }) =>
            {
                left = Some(Folder::of(self.home.path(), &Folder::default()));
                None
            }
            Some(rest) => Some(self.ended(&rest).await),
        };
        if left.is_none() {
            known.borrow_mut().extend(passed);
        }
        let ledger = ledger(self.home.path());
        let seen = self.leave().await;
        Ended {
            outcome,
            left,
            ledger,
            seen,
        }
    }

    async fn ended(&self, rest: &Rest) -> Slug {
        let failures = self.seen.borrow().failures.join("\n");
        assert_eq!(*rest, Rest::Ended, "{failures}");
        let Standing::Closed { outcome, .. } = &self.engine.state().standing else {
            panic!("{:?}: {failures}", self.engine.state().standing);
        };
        let frozen = self.history.covering(&self.case.opened.target).await;
        assert_eq!(frozen.expect("reads"), [], "the freeze is released");
        let comments = self.history.comments(&self.case.opened.run_id).await;
        assert_eq!(comments.expect("reads").len(), 1, "one comment");
        outcome.clone()
    }

    fn position(&self) -> Option<Slug> {
        let position = self.engine.plan().position(self.engine.state());
        position.map(|(_, step)| step.id.clone())
    }

    /// All that the rest of the walk depends on, where nothing was done yet in the step that is next: what is known
    /// (without when), what stands of every step, and the world.
    async fn situation(&self) -> Option<String> {
        let state = self.engine.state();
        let next = self.position()?;
        let at = state.step(&next);
        let untouched = StepState {
            mark: at.mark,
            attempts: at.attempts,
            changed: at.changed,
            ..StepState::default()
        };
        if at != untouched {
            return None;
        }
        let facts = state.facts.iter();
        let facts: Vec<_> = facts.map(|(id, f)| (id, &f.value, f.origin)).collect();
        let evidence: Vec<_> = state
            .evidence
            .iter()
            .map(|(id, e)| (id, e.origin))
            .collect();
        let steps = state.steps.iter().map(|(id, s)| {
            let stuck = (&s.failure, &s.doubt, &s.open);
            (id, &s.ended, stuck, s.performed, s.read_back, s.changed)
        });
        let steps: Vec<_> = steps.collect();
        let mut run = state.run.clone();
        if let Some(run) = run.as_mut().and_then(|run| run.as_object_mut()) {
            run.remove("read_at");
        }
        let judged = (state.preflight_at.is_some(), state.closing_at.is_some());
        let known = (facts, evidence, &state.decisions, &state.checks, run);
        let history = (
            self.history.covering(&self.case.opened.target).await,
            self.history.comments(&self.case.opened.run_id).await,
        );
        let (frozen, comments) = (history.0.expect("reads"), history.1.expect("reads").len());
        let world = std::fs::read_to_string(self.home.path().join("world.json"));
        let world = (world.ok(), ledger(self.home.path()));
        let held = (&state.freeze, state.comments, &state.acknowledged);
        Some(format!(
            "{next} {known:?} {steps:?} {judged:?} {held:?} {frozen:?} {comments} {world:?}"
        ))
    }

    /// All entries. What they fold to is what the engine believes.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let store = Store::open(self.home.path()).expect("opens");
        let reading = store.read(self.case.id()).expect("reads");
        assert_eq!(reading.tail, Tail::Whole);
        assert_eq!(fold(&reading.entries).as_ref(), Some(self.engine.state()));
        reading.entries
    }

    /// Lets go of everything.
    pub(super) async fn leave(self) -> Seen {
        let Self {
            engine,
            seen,
            history,
            ..
        } = self;
        drop(engine);
        history.close().await;
        seen.take()
    }
}

async fn existing(home: &tempfile::TempDir) -> History {
    let history = History::open_existing(&home.path().join("history.db")).await;
    history.expect("opens")
}

/// What is true after these entries; nothing where there are none.
pub(super) fn fold(entries: &[Entry]) -> Option<State> {
    let (first, rest) = entries.split_first()?;
    let mut state = State::open(first.time, &first.event).expect("begins");
    for entry in rest {
        state.apply(entry.time, &entry.event).expect("follows");
    }
    Some(state)
}

/// The entries of an execution whose journal is whole, with what they name.
pub(super) fn entries_in(case: &Case, folder: &Folder) -> Vec<Entry> {
    let home = folder.restore();
    let store = Store::open(home.path()).expect("opens");
    let reading = store.read(case.id()).expect("reads");
    assert_eq!(reading.tail, Tail::Whole);
    reading.entries
}

/// The entries of a journal that is whole, without what they name.
pub(super) fn entries_of(case: &Case, journal: &[u8]) -> Vec<Entry> {
    let reading = scan(journal, case.id());
    assert_eq!(reading.tail, Tail::Whole);
    reading.entries
}

/// The step of the entry, where it is the intent of a change.
pub(super) fn change_begun(entry: &Entry) -> Option<&Slug> {
    match &entry.event {
        Event::AttemptStarted(started) => started.clearance.as_ref().map(|_| &started.step),
        _ => None,
    }
}

/// Every intent of a change is followed by an outcome, or by an answer to whether it took effect, before anything else
/// is performed for its step and before the end.
fn every_change_is_settled(entries: &[Entry]) {
    let mut open: Option<Slug> = None;
    for entry in entries {
        match &entry.event {
            Event::AttemptStarted(started) if open.as_ref() == Some(&started.step) => {
                let own = started.work_of == started.step;
                assert!(
                    !own,
                    "`{}` was performed again while in doubt",
                    started.step
                );
            }
            Event::AttemptFinished(finished)
                if open.as_ref() == Some(&finished.work_of)
                    && !matches!(finished.ending, Ending::Doubtful { .. }) =>
            {
                open = None;
            }
            Event::StepJudged {
                step,
                verdict: StepVerdict::TookEffect { .. } | StepVerdict::NoEffect { .. },
                ..
            }
            | Event::Answered {
                step,
                answer: Answer::Facts(_) | Answer::DoneByHand { .. } | Answer::NotDone { .. },
            } if open.as_ref() == Some(step) => open = None,
            Event::Closed { .. } => assert_eq!(open, None, "closed while in doubt"),
            _ => {}
        }
        if let Some(step) = change_begun(entry) {
            assert_eq!(
                open, None,
                "`{step}` began while another change was in doubt"
            );
            open = Some(step.clone());
        }
    }
}
