//! The machine by itself: events in any order make no transition that is not listed, and folding can be cut anywhere.

use proptest::prelude::*;

use runbook::clock::Timestamp;
use runbook::execution::event::{Answer, Event, Resumed};
use runbook::execution::next::next;
use runbook::execution::plan::Plan;
use runbook::execution::state::{Standing, State};

use super::cases::{Case, Check, operator};
use super::scene::{Reference, entries_of};

/// Events that can be thrown at a state: those of a whole walk, and those that did not occur in it.
struct Pool {
    plan: Plan,
    walk: Vec<Event>,
    more: Vec<Event>,
}

impl Pool {
    async fn of(case: Case) -> Self {
        let reference = Reference::of(case).await;
        let last = reference.instants.last().expect("entries");
        let entries = entries_of(&reference.case, last.folder.journal());
        let plan = Plan::new(reference.case.runbook.clone(), &Default::default());
        let reason = || "because".to_owned();
        let mut more = vec![
            Event::Paused { reason: reason() },
            Event::Resumed(Resumed {
                operator: operator(),
                host: "test-host".into(),
                by_hand: Default::default(),
                adopted: None,
            }),
            Event::NoteAdded { text: reason() },
            Event::Recovered {
                offset: 0,
                kept: Vec::new(),
            },
            Event::Aborted { reason: reason() },
        ];
        for step in &plan.runbook().steps {
            let answers = [
                Answer::Retry { reason: reason() },
                Answer::LookAgain,
                Answer::NotDone {
                    work_of: None,
                    reason: reason(),
                },
                Answer::Skipped { reason: reason() },
                Answer::BackTo {
                    reason: reason(),
                    reopened: vec![step.id.clone()],
                },
            ];
            more.extend(answers.map(|answer| Event::Answered {
                step: step.id.clone(),
                answer,
            }));
            more.push(Event::NotApplicable {
                step: step.id.clone(),
                because: reason(),
            });
            more.push(Event::Refused {
                step: step.id.clone(),
                grounds: Vec::new(),
            });
        }
        let walk = entries.into_iter().map(|entry| entry.event).collect();
        Self { plan, walk, more }
    }

    fn event(&self, number: usize) -> &Event {
        let number = number % (self.walk.len() + self.more.len());
        self.walk
            .get(number)
            .unwrap_or_else(|| &self.more[number - self.walk.len()])
    }
}

fn at(number: usize) -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000 + i64::try_from(number).expect("few"))
}

/// The table of `State`: what may follow where the execution stands.
fn is_listed(standing: &Standing, event: &Event) -> bool {
    match standing {
        Standing::Open => !matches!(event, Event::Opened(_)),
        Standing::Paused { .. } => matches!(
            event,
            Event::Resumed(_)
                | Event::NoteAdded { .. }
                | Event::Recovered { .. }
                | Event::Aborted { .. }
        ),
        Standing::Aborted { .. } | Standing::Closed { .. } => false,
    }
}

/// What an event may not do, whatever it is, once it was taken.
fn holds_after(before: &State, event: &Event, after: &State) {
    assert!(is_listed(&before.standing, event), "{event:?}");
    assert_eq!(after.events, before.events + 1);
    assert_eq!(after.opened, before.opened);
    for (id, was) in &before.steps {
        let is = after.step(id);
        let back = matches!(event, Event::Answered { answer: Answer::BackTo { reopened, .. }, .. } if reopened.contains(id));
        assert!(
            is.attempts >= was.attempts,
            "`{id}` forgot attempts: {event:?}"
        );
        assert!(
            !was.changed || is.changed,
            "`{id}` forgot a change: {event:?}"
        );
        assert!(
            was.ended.is_none() || is.ended == was.ended || back,
            "`{id}` had ended: {event:?}"
        );
        if was.doubt.is_some() && is.doubt.is_none() {
            let settles = matches!(
                event,
                Event::StepJudged { .. }
                    | Event::Answered {
                        answer: Answer::DoneByHand { .. } | Answer::NotDone { .. },
                        ..
                    }
            );
            assert!(settles, "`{id}` is not in doubt any more: {event:?}");
        }
        if let Event::AttemptStarted(started) = event
            && started.step == *id
            && started.work_of == *id
        {
            assert!(
                was.doubt.is_none() && was.open.is_none() && !was.performed,
                "`{id}` performed twice"
            );
        }
    }
    if let Event::Closed { .. } = event {
        let unsettled = |(_, s): &(_, &runbook::execution::step::StepState)| {
            s.doubt.is_some() || s.open.is_some()
        };
        assert_eq!(before.steps.iter().find(unsettled), None);
    }
}

/// Throws events at the state that the first `prefix` events of the walk lead to.
fn throw(pool: &Pool, prefix: usize, numbers: &[usize]) {
    let prefix = 1 + prefix % pool.walk.len();
    let mut state = State::open(at(0), &pool.walk[0]).expect("begins");
    let mut taken = vec![(at(0), pool.walk[0].clone())];
    let walk = pool.walk[1..prefix].iter();
    for (n, event) in walk
        .chain(numbers.iter().map(|n| pool.event(*n)))
        .enumerate()
    {
        let before = state.clone();
        match state.apply(at(n + 1), event) {
            Ok(()) => {
                holds_after(&before, event, &state);
                taken.push((at(n + 1), event.clone()));
            }
            Err(_) => assert_eq!(
                state, before,
                "refused, and changed all the same: {event:?}"
            ),
        }
        if n + 1 >= prefix {
            // Whatever was done to it, the machine has an answer.
            let _ = next(&pool.plan, &state, at(n + 1));
        }
    }
    // A fold can be interrupted anywhere: the rest does not depend on what was there in between.
    let mut again = State::open(taken[0].0, &taken[0].1).expect("begins");
    for (time, event) in &taken[1..] {
        again
            .apply(*time, event)
            .expect("what was taken is taken again");
    }
    assert_eq!(again, state);
}

fn throw_at(pool: &Pool) {
    let config = ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let numbers = prop::collection::vec(any::<usize>(), 1..24);
    proptest!(config, |(prefix in any::<usize>(), numbers in numbers)| throw(pool, prefix, &numbers));
    // What really came next is the hardest to tell from what may come: let every event follow every prefix's end.
    for prefix in 0..pool.walk.len() {
        let near = prefix.saturating_sub(3)..(prefix + 4).min(pool.walk.len());
        throw(pool, prefix, &near.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn no_order_of_events_makes_a_transition_that_is_not_listed_in_a_drill() {
    throw_at(&Pool::of(Case::drill("bad-deploy")).await);
}

#[tokio::test]
async fn no_order_of_events_makes_a_transition_that_is_not_listed_in_a_partial_deployment() {
    throw_at(&Pool::of(Case::partial("redeploy", Check::Shell)).await);
}
