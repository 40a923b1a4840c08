//! Answering whatever comes to mind: no way of answering leads where none may lead.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde_json::{Value as Json, json};

use runbook::clock::Span;
use runbook::effects::console::{Console, Given, Reply};
use runbook::execution::event::Event;
use runbook::execution::plan::Plan;
use runbook::execution::question::{Asked, Draft, DraftFound, Question, Way};
use runbook::execution::state::State;
use runbook::ids::Slug;
use runbook::runbook::kind::Kind;
use runbook::runbook::model::Action;

use super::cases::{Case, OPERATOR, ledger};
use super::scene::Walk;

/// How many walks, each with luck of its own.
const WALKS: u64 = 60;
/// After so many answers whoever wanders gives up.
const MOST_ANSWERS: usize = 120;

/// After so many entries nobody waits any longer.
const MOST_ENTRIES: usize = 250;

/// What was answered on a walk, shared with the test.
#[derive(Default)]
struct Trail {
    /// Each decision and each way on, as `step: answer`.
    turns: Vec<String>,
}

/// Somebody who answers by chance, and often what may not be answered.
struct Wanderer {
    luck: u64,
    answered: usize,
    trail: Rc<RefCell<Trail>>,
}

impl Wanderer {
    /// A number below `bound`: the same for the same walk.
    fn roll(&mut self, bound: usize) -> usize {
        // A linear congruential generator with Knuth's constants; its high bits are good enough for this.
        self.luck = self
            .luck
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.luck >> 33).expect("31 bits") % bound
    }

    fn turn(&mut self, question: &Question, answer: &str) {
        let turn = format!("{}: {answer}", question.step);
        self.trail.borrow_mut().turns.push(turn);
    }

    fn choose(&mut self, plan: &Plan, question: &Question) -> Draft {
        let step = plan.step(&question.step).expect("a step");
        let Action::Choose(choose) = &step.action else {
            panic!("a decision");
        };
        let option = choose.options[self.roll(choose.options.len())].id.clone();
        self.turn(question, option.as_str());
        let reason = "why not".into();
        Draft::Choose { option, reason }
    }

    /// Facts and evidence of a step, true or not.
    fn found(
        &mut self,
        plan: &Plan,
        step: &Slug,
    ) -> (DraftFound, BTreeMap<runbook::ids::Field, Given>) {
        let step = plan.step(step).expect("a step");
        let mut facts = BTreeMap::new();
        // What follows from others is not typed, but where it is extracted it may be.
        let all = self.roll(2) == 0;
        for fact in step.facts.iter().filter(|fact| all || fact.from.is_none()) {
            facts.insert(fact.id.clone(), self.value(&fact.kind));
        }
        let given = step.evidence.iter();
        let given = given.map(|e| (e.id.clone(), Given::Text("as seen".into())));
        let evidence = Vec::new();
        (DraftFound { facts, evidence }, given.collect())
    }

    fn value(&mut self, kind: &Kind) -> Json {
        let good = format!("sha256:{}", "600d".repeat(16));
        match kind {
            Kind::Boolean => json!(self.roll(2) == 0),
            Kind::Integer | Kind::Number => json!(42 + self.roll(2)),
            Kind::Timestamp => json!("2026-11-20T10:00:00Z"),
            Kind::List(_) => [json!([]), json!([good])][self.roll(2)].clone(),
            _ => [json!(good), json!("op-1")][self.roll(2)].clone(),
        }
    }

    fn way_on(&mut self, plan: &Plan, question: &Question, ways: &[Way]) -> Reply {
        let reason = "why not".to_owned();
        let n = self.roll(ways.len());
        self.turn(question, &format!("{:?}", ways[n]));
        let mut given = BTreeMap::new();
        let draft = match &ways[n] {
            Way::Retry => Draft::Retry { reason },
            Way::FreezeAgain => Draft::FreezeAgain { reason },
            Way::LookAgain => Draft::LookAgain,
            Way::Skip => Draft::Skip { reason },
            Way::BackTo(_) => Draft::BackTo { reason },
            Way::DoneByHand => {
                let (found, items) = self.found(plan, &question.step);
                given = items;
                Draft::DoneByHand { found, reason }
            }
        };
        let given = given.into_iter().collect();
        Reply::Answer { draft, given }
    }
}

impl Console for Wanderer {
    fn recorded(&mut self, _: &Plan, _: &State, _: &Event) {}

    fn live(&mut self, _: &str) {}

    fn elapsed(&mut self, _: Span) {}

    fn ask(&mut self, plan: &Plan, _: &State, question: &Question) -> Reply {
        self.answered += 1;
        if self.answered > MOST_ANSWERS {
            let needs = "somebody who is less tired".into();
            return Reply::Nobody { needs };
        }
        let mut given = BTreeMap::new();
        let reason = "why not".to_owned();
        let draft = match &question.asked {
            Asked::ByHand { work_of } => {
                let (found, items) = self.found(plan, work_of);
                given = items;
                Draft::Facts(found)
            }
            Asked::Choose { .. } => self.choose(plan, question),
            Asked::Confirm { expected, .. } => Draft::Confirm(expected.clone()),
            Asked::Approve { by, .. } => Draft::Approve { by: by.clone() },
            Asked::Acknowledge { .. } => Draft::Acknowledge { reason },
            Asked::Beside { .. } => Draft::Settled { reason },
            Asked::Failed { ways, .. } => return self.way_on(plan, question, ways),
            Asked::InDoubt { .. } if self.roll(2) == 0 => Draft::NotDone { reason },
            Asked::InDoubt { .. } => {
                let (found, items) = self.found(plan, &question.step);
                given = items;
                Draft::DoneByHand { found, reason }
            }
        };
        let given = given.into_iter().collect();
        Reply::Answer { draft, given }
    }

    fn not_accepted(&mut self, _: &str) {}
}

/// Nobody who answers by chance, however often, brings the old artifact back over a database that it cannot read.
#[tokio::test]
async fn no_answers_at_all_roll_back_over_an_incompatible_database() {
    let case = Case::drill("bad-deploy-incompatible");
    let mut turns = BTreeSet::new();
    let mut walks = BTreeSet::new();
    for luck in 0..WALKS {
        let trail = Rc::<RefCell<Trail>>::default();
        let wanderer = Wanderer {
            luck,
            answered: 0,
            trail: trail.clone(),
        };
        let mut walk = Walk::wander(&case, wanderer).await;
        // What is waited for may never come.
        for _ in 0..MOST_ENTRIES {
            if walk.engine.advance().await.expect("goes on").is_some() {
                break;
            }
        }
        let took = ledger(walk.home.path());
        let ours = format!("{OPERATOR} POST /environments/production/operations");
        let back = took.iter().find(|line| line.starts_with(&ours));
        assert_eq!(back, None, "{:#?}", trail.borrow().turns);
        let trail = trail.take().turns;
        turns.extend(trail.iter().cloned());
        walks.insert(trail);
    }
    // It was tried, and in many ways.
    for tried in [
        "recovery-path: rollback",
        "recovery-path: forward-or-restore",
    ] {
        assert!(turns.contains(tried), "{turns:#?}");
    }
    println!(
        "{} different walks, {} different turns",
        walks.len(),
        turns.len()
    );
    assert!(walks.len() > 50, "{}", walks.len());
}
