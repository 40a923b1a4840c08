//! Random lawful walks over every shipped runbook: whatever the world and the people do, the invariants hold.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use runbook::clock::Span;
use runbook::execution::accept::accept;
use runbook::execution::event::{Answer, Ending, Event, Holds, Learned, Origin, Work};
use runbook::execution::found::wanted;
use runbook::execution::gate::{Demand, FreezeReading, judge_guards};
use runbook::execution::next::{Next, Performance};
use runbook::execution::question::{Asked, Draft, DraftFound, Question, Way};
use runbook::execution::state::{Standing, State};
use runbook::ids::Slug;
use runbook::runbook::kind::Kind;
use runbook::runbook::model::{FactSpec, Step};
use runbook::runbook::shipped::RUNBOOKS;
use serde_json::{Value as Json, json};

use super::bench::{Bench, done, doubtful, evidence, failed, read};

/// Calls of `next` without a person between two rests; a step and its readings take a few dozen.
const WITHOUT_A_PERSON: usize = 300;
/// Questions after which the operator gives up.
const PATIENCE: usize = 60;

/// A small generator (SplitMix64), so that a walk is its seed.
struct Luck {
    seed: u64,
    /// How often things go well, of 100.
    good: u64,
}

impl Luck {
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.draw() % n as u64).expect("fits")
    }
    fn is_good(&mut self) -> bool {
        self.draw() % 100 < self.good
    }
    fn value(&mut self, spec: &FactSpec) -> Json {
        match lucky(spec.id.as_str()) {
            Some(value) if self.is_good() => value,
            _ if !spec.one_of.is_empty() => json!(spec.one_of[self.below(spec.one_of.len())]),
            _ => self.of_kind(&spec.kind),
        }
    }
    fn of_kind(&mut self, kind: &Kind) -> Json {
        let n = self.below(3);
        match kind {
            Kind::String | Kind::Json => json!(["a", "b", "c"][n]),
            Kind::Integer => json!(n),
            Kind::Number => json!([0.0, 0.5, 1.0][n]),
            Kind::Boolean => json!(n > 0),
            Kind::Duration => json!(["5m", "10m", "20m"][n]),
            Kind::Timestamp => json!(format!("2026-11-20T2{n}:00:00Z")),
            Kind::Principal => json!(["vera", "dana", "lee"][n]),
            Kind::Digest => json!(format!("sha256:{}", ["a", "b", "c"][n].repeat(64))),
            Kind::List(of) => Json::Array((0..n.min(1)).map(|_| self.of_kind(of)).collect()),
            Kind::Optional(of) if n > 0 => self.of_kind(of),
            Kind::Optional(_) => Json::Null,
        }
    }
}

/// Values with which the shipped runbooks come through.
fn lucky(fact: &str) -> Option<Json> {
    Some(match fact {
        "healthy_digests" => json!(["good"]),
        "owner_digest" => json!("good"),
        "edge_digests" => json!(["good"]),
        "edge_epochs" => json!([2]),
        "owner_epoch" => json!(2),
        "last_build" => Json::Null,
        "blockers" | "in_progress" | "degraded" => json!([]),
        "local_overrides" | "differences" => json!(0),
        "error_ratio" => json!(0.0),
        "data_damaged" | "drift" => json!(false),
        "impact_from" => json!("2026-11-20T20:00:00Z"),
        "impact_until" => json!("2026-11-20T21:00:00Z"),
        "boundary" => json!(0),
        "stopped_stage" => json!("migrate"),
        _ => return None,
    })
}

fn run() -> Json {
    json!({
        "id": "r-1", "workspace": "shop", "environment": "production", "state": "failed", "launched_by": "lee",
        "template_stack": null, "owners": ["lee"], "operators": [], "approved": true, "inside_window": true,
        "logs": {"before": 3, "after": 3}, "preflight": [], "unresolved_warnings": ["small-canary"],
        "rollback_candidate": {"artifact": "good"}, "rollback_tested": true, "deployed_artifacts": ["good", "bad"],
        "trusted": true,
        "stages": [
            {"index": 0, "name": "build", "state": "succeeded"},
            {"index": 1, "name": "migrate", "state": "failed"},
        ],
    })
}

struct Walk {
    bench: Bench,
    luck: Luck,
    /// Changes that must not be performed again before a person says so.
    spent: BTreeSet<Slug>,
    questions: usize,
    /// Changes performed.
    changes: usize,
}

impl Walk {
    fn new(file: &'static str, text: &str, seed: u64, good: u64) -> Self {
        let runbook = read(file, text);
        let mut luck = Luck { seed, good };
        let inputs: Vec<(String, Json)> = runbook
            .inputs
            .iter()
            .map(|input| {
                // Looks are far apart, so that a wait of two hours is a dozen of them.
                let default = input
                    .default
                    .clone()
                    .filter(|_| input.kind != Kind::Duration);
                let value = default.unwrap_or_else(|| luck.of_kind(&input.kind));
                (input.id.to_string(), value)
            })
            .collect();
        let inputs: Vec<(&str, Json)> = inputs
            .iter()
            .map(|(id, v)| (id.as_str(), v.clone()))
            .collect();
        let mut bench = Bench::of(runbook, &inputs);
        bench.world.run = run();
        Self {
            bench,
            luck,
            spent: BTreeSet::new(),
            questions: 0,
            changes: 0,
        }
    }

    /// Walks to the end, or to where the operator gives up.
    fn walk(&mut self) {
        let (mut calls, mut slept) = (0, false);
        loop {
            calls += 1;
            assert!(calls < WITHOUT_A_PERSON, "no rest at {:?}", self.position());
            match self.bench.next() {
                Next::Record(event) => {
                    self.bench
                        .record(event)
                        .expect("what the machine says is legal");
                    slept = false;
                }
                Next::Perform(p) => {
                    self.perform(&p);
                    slept = false;
                }
                Next::Ask(question) => {
                    self.ask(&question);
                    (calls, slept) = (0, false);
                }
                Next::Sleep(until) => {
                    assert!(
                        until > self.bench.now && !slept,
                        "slept twice without progress"
                    );
                    self.bench.now = until;
                    (calls, slept) = (0, true);
                }
                Next::HandOver(to) => {
                    // It ended while this one was left.
                    let ending = if self.luck.is_good() {
                        done()
                    } else {
                        failed()
                    };
                    self.bench.take_back(&to, ending);
                }
                Next::Finished => return,
            }
        }
    }

    fn position(&self) -> Option<&Slug> {
        self.bench
            .plan
            .position(&self.bench.state)
            .map(|(_, step)| &step.id)
    }

    fn perform(&mut self, p: &Performance) {
        let step = self.bench.plan.step(&p.work_of).expect("a step").clone();
        self.bench.world.freeze = match self.luck.below(40) {
            0 => Some(FreezeReading::Unreadable {
                why: "no route".into(),
            }),
            1 => Some(FreezeReading::Read {
                ours: None,
                others: Vec::new(),
                ended: None,
            }),
            _ => None,
        };
        if !self.bench.start(p) {
            assert!(p.change, "only a change is refused at the last moment");
            return;
        }
        if p.change {
            self.check_change(&step);
        }
        if p.work == Work::ByHand {
            return;
        }
        if self.luck.below(50) == 0 {
            return self.bench.resume();
        }
        for spec in &step.facts {
            let value = self.luck.value(spec);
            self.bench.world.facts.insert(spec.id.clone(), value);
        }
        let ending = if self.luck.is_good() {
            done()
        } else {
            match self.luck.below(3) {
                0 => failed(),
                1 => doubtful(),
                _ => Ending::NotPerformed {
                    why: "refused".into(),
                },
            }
        };
        self.bench.finish(p, &step, ending);
    }

    /// A change was just started: everything that must have held did, and nobody was bypassed.
    fn check_change(&mut self, step: &Step) {
        self.changes += 1;
        let Bench {
            plan, state, now, ..
        } = &self.bench;
        assert!(state.freeze.is_some() && state.preflight_at.is_some());
        assert!(
            self.bench.world.freeze.is_none(),
            "performed under a freeze that was lost"
        );
        let (_, refused) = judge_guards(plan, state, step, Demand::Before, *now);
        assert_eq!(refused, [], "{}", step.id);
        let when = step.when.as_ref().map(|when| {
            runbook::execution::gate::measure(
                when,
                &runbook::execution::scope::scope(plan, state, *now),
            )
            .0
        });
        assert!(when.is_none_or(|holds| holds == Holds::Yes));
        let again = !self.spent.insert(step.id.clone()) && step.attempts == 1;
        assert!(
            !again,
            "`{}` was performed again without anybody asking for it",
            step.id
        );
    }

    fn ask(&mut self, question: &Question) {
        self.questions += 1;
        match self.luck.below(40) {
            0 => {
                let text = "a remark".into();
                return self
                    .bench
                    .record(Event::NoteAdded { text })
                    .expect("a note is legal");
            }
            1 => {
                let reason = "lunch".into();
                self.bench
                    .record(Event::Paused { reason })
                    .expect("a pause is legal");
                return self.bench.resume();
            }
            _ => {}
        }
        let draft = (self.questions < PATIENCE)
            .then(|| self.draft(question))
            .flatten();
        let Some(draft) = draft else {
            let reason = "enough".into();
            return self
                .bench
                .record(Event::Aborted { reason })
                .expect("aborting is legal");
        };
        let Bench {
            plan, state, now, ..
        } = &self.bench;
        let event = accept(plan, state, question, draft.clone(), *now);
        let event = event.unwrap_or_else(|why| panic!("{question:?}\n{draft:?}\n{why}"));
        if let Event::Answered { step, answer } = &event {
            match answer {
                Answer::Retry { .. } => drop(self.spent.remove(step)),
                Answer::BackTo { reopened, .. } => self.spent.retain(|id| !reopened.contains(id)),
                _ => {}
            }
        }
        self.bench
            .record(event)
            .expect("what was accepted is legal");
        self.bench.now = self.bench.now.plus(Span::from_secs(20));
    }

    fn draft(&mut self, question: &Question) -> Option<Draft> {
        let reason = || "because".to_owned();
        Some(match &question.asked {
            Asked::ByHand { work_of } => {
                let performed =
                    self.bench.state.step(&question.step).performed && *work_of == question.step;
                if !performed && self.luck.below(12) == 0 {
                    return Some(Draft::NotDone { reason: reason() });
                }
                Draft::Facts(self.found(work_of))
            }
            Asked::Choose { offered, .. } => {
                let option = offered[self.luck.below(offered.len())].clone();
                Draft::Choose {
                    option,
                    reason: reason(),
                }
            }
            Asked::Confirm { expected, .. } => Draft::Confirm(expected.clone()),
            Asked::Approve { by, .. } if self.luck.below(8) == 0 => Draft::Reject {
                by: by.clone(),
                reason: reason(),
            },
            Asked::Approve { by, .. } => Draft::Approve { by: by.clone() },
            Asked::Acknowledge { .. } => Draft::Acknowledge { reason: reason() },
            Asked::Beside { .. } => Draft::Settled { reason: reason() },
            Asked::Failed { ways, .. } if ways.is_empty() => return None,
            Asked::Failed { ways, .. } => match &ways[self.luck.below(ways.len())] {
                Way::Retry => Draft::Retry { reason: reason() },
                Way::FreezeAgain => Draft::FreezeAgain { reason: reason() },
                Way::LookAgain => Draft::LookAgain,
                Way::DoneByHand => Draft::DoneByHand {
                    found: self.found(&question.step),
                    reason: reason(),
                },
                Way::Skip => Draft::Skip { reason: reason() },
                Way::BackTo(_) => Draft::BackTo { reason: reason() },
            },
            Asked::InDoubt { .. } if self.luck.below(2) == 0 => Draft::NotDone { reason: reason() },
            Asked::InDoubt { .. } => Draft::DoneByHand {
                found: self.found(&question.step),
                reason: reason(),
            },
        })
    }

    fn found(&mut self, of: &Slug) -> DraftFound {
        let step = self.bench.plan.step(of).expect("a step").clone();
        let (specs, items) = wanted(&self.bench.state, &step);
        let specs: Vec<FactSpec> = specs.into_iter().cloned().collect();
        let items: BTreeSet<_> = items
            .into_iter()
            .map(|item| Some(item.id.clone()))
            .collect();
        let facts: BTreeMap<_, _> = specs
            .iter()
            .map(|spec| (spec.id.clone(), self.luck.value(spec)))
            .collect();
        let mut evidence = evidence(&step, Origin::Attested);
        evidence.retain(|item| items.contains(&item.id));
        DraftFound { facts, evidence }
    }
}

/// The journal keeps the run beside the entries and puts it in when they are read; so does this.
fn put_in_what_is_named(
    read: &mut [(runbook::clock::Timestamp, Event)],
    from: &[(runbook::clock::Timestamp, Event)],
) {
    for ((_, read), (_, from)) in read.iter_mut().zip(from) {
        if let (Event::AttemptFinished(read), Event::AttemptFinished(from)) = (read, from)
            && let Some(Learned::Run { document }) = &mut read.learned
            && let Some(Learned::Run { document: whole }) = &from.learned
        {
            document.clone_from(whole);
        }
    }
}

fn fold(events: &[(runbook::clock::Timestamp, Event)]) -> State {
    let mut state = State::open(events[0].0, &events[0].1).expect("opens");
    for (at, event) in &events[1..] {
        state.apply(*at, event).expect("what was recorded is legal");
    }
    state
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn no_walk_breaks_the_rules(seed: u64, good in 60..=100_u64, which in 0..RUNBOOKS.len(), cut: prop::sample::Index) {
        let shipped = RUNBOOKS[which];
        let mut walk = Walk::new(shipped.file, shipped.text, seed, good);
        walk.walk();
        let Bench { state, events, .. } = &walk.bench;
        prop_assert!(state.is_ended(), "{:?}", state.standing);
        // State is the fold, however it is cut, and of what is read back as it was written.
        let written = serde_json::to_string(events).expect("events are plain data");
        let mut read: Vec<(runbook::clock::Timestamp, Event)> = serde_json::from_str(&written).expect("reads back");
        put_in_what_is_named(&mut read, events);
        prop_assert_eq!(&fold(&read), state);
        let cut = 1 + cut.index(events.len());
        let mut resumed = fold(&events[..cut]);
        for (at, event) in &events[cut..] {
            resumed.apply(*at, event).expect("legal");
        }
        prop_assert_eq!(&resumed, state);
    }
}

#[test]
fn walks_reach_changes_and_ends() {
    let (mut changes, mut closed) = (0, 0);
    for (n, shipped) in RUNBOOKS
        .iter()
        .cycle()
        .take(RUNBOOKS.len() * 12)
        .enumerate()
    {
        let mut walk = Walk::new(shipped.file, shipped.text, n as u64, 97);
        walk.walk();
        changes += walk.changes;
        closed += usize::from(matches!(walk.bench.state.standing, Standing::Closed { .. }));
    }
    assert!(
        changes > 0 && closed > 0,
        "the walks reach too little to mean anything: {changes} changes, {closed} closed"
    );
}
