//! Who answers: a person who knows the way, does by hand what is asked, and looks at the world when in doubt.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use runbook::clock::Span;
use runbook::effects::answers::Answers;
use runbook::effects::console::{Console, Given, Reply};
use runbook::execution::event::Event;
use runbook::execution::plan::Plan;
use runbook::execution::question::{Asked, Draft, DraftFound, Question, Way};
use runbook::execution::state::State;
use runbook::ids::Slug;
use runbook::runbook::kind::Kind;
use runbook::runbook::model::Effect;

use super::cases::{do_by_hand, took_effect};
use super::folder::Folder;

/// Far more than any way through asks: whoever asks more goes round in circles.
const MOST_QUESTIONS: usize = 150;

/// What is left at one entry: the folder, and what the engine believes.
pub(super) struct Instant {
    pub(super) folder: Folder,
    pub(super) state: State,
}

/// What the desk saw; shared with the test, since the engine keeps the desk.
#[derive(Default)]
pub(super) struct Seen {
    /// Everything that was left at each entry, where that is wanted.
    pub(super) instants: Vec<Instant>,
    /// What was refused or failed, as people were asked about it.
    pub(super) failures: Vec<String>,
    /// Doubts that people were asked about.
    pub(super) doubts: usize,
}

/// What is wanted of the desk.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Keep {
    /// The folder at every entry.
    Everything,
    /// Nothing but what was seen.
    Nothing,
}

/// What is answered when something failed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum OnFailure {
    /// As the answers say, else look again, else try again.
    GoOn,
    /// Nothing: nobody is there.
    Leave,
}

pub(super) struct Desk {
    pub(super) home: PathBuf,
    pub(super) answers: String,
    pub(super) keep: Keep,
    pub(super) on_failure: OnFailure,
    pub(super) seen: Rc<RefCell<Seen>>,
    pub(super) asked: usize,
}

impl Console for Desk {
    fn recorded(&mut self, _: &Plan, state: &State, _: &Event) {
        if self.keep == Keep::Everything {
            let mut seen = self.seen.borrow_mut();
            let none = Folder::default();
            let before = seen.instants.last().map_or(&none, |at| &at.folder);
            let folder = Folder::of(&self.home, before);
            let state = state.clone();
            seen.instants.push(Instant { folder, state });
        }
    }

    fn live(&mut self, _: &str) {}

    fn elapsed(&mut self, _: Span) {}

    fn ask(&mut self, plan: &Plan, state: &State, question: &Question) -> Reply {
        self.asked += 1;
        assert!(
            self.asked < MOST_QUESTIONS,
            "goes round in circles: {question:?}"
        );
        match &question.asked {
            Asked::Failed { failure, ways } => {
                self.seen
                    .borrow_mut()
                    .failures
                    .push(format!("{}: {failure:?}", question.step));
                match self.on_failure {
                    OnFailure::Leave => Reply::Nobody {
                        needs: "somebody".into(),
                    },
                    OnFailure::GoOn => self.go_on(question, ways),
                }
            }
            Asked::InDoubt { .. } => {
                self.seen.borrow_mut().doubts += 1;
                self.settle(plan, &question.step)
            }
            Asked::ByHand { work_of } => {
                let step = plan.step(work_of).expect("a step");
                // What was read back is there already; only what was found is asked for.
                if step.effect == Effect::Change && !state.step(work_of).read_back {
                    do_by_hand(&self.home, work_of.as_str());
                }
                self.written(question).unwrap_or_else(|| nobody(question))
            }
            Asked::Choose { .. }
            | Asked::Confirm { .. }
            | Asked::Approve { .. }
            | Asked::Beside { .. }
            | Asked::Acknowledge { .. } => {
                self.written(question).unwrap_or_else(|| nobody(question))
            }
        }
    }

    fn not_accepted(&mut self, why: &str) {
        panic!("an answer was not accepted: {why}");
    }
}

impl Desk {
    /// The first answer that is written down for this question, however often it is asked.
    fn written(&self, question: &Question) -> Option<Reply> {
        let answers = Answers::parse(&self.answers, Path::new("."));
        answers.expect("answers").take(question)
    }

    fn go_on(&self, question: &Question, ways: &[Way]) -> Reply {
        if ways.iter().any(|way| matches!(way, Way::BackTo(_)))
            && let Some(reply) = self.written(question)
        {
            return reply;
        }
        // What was performed is not performed again as long as looking again is enough.
        let draft = if ways.contains(&Way::LookAgain) {
            Draft::LookAgain
        } else {
            let reason = "tried again".into();
            Draft::Retry { reason }
        };
        let given = Vec::new();
        Reply::Answer { draft, given }
    }

    /// Looks at the world, and says what is there.
    fn settle(&self, plan: &Plan, id: &Slug) -> Reply {
        let reason = "looked at it".to_owned();
        if !took_effect(&self.home, id.as_str()) {
            let draft = Draft::NotDone { reason };
            let given = Vec::new();
            return Reply::Answer { draft, given };
        }
        let by_hand = Question {
            step: id.clone(),
            asked: Asked::ByHand {
                work_of: id.clone(),
            },
        };
        let step = plan.step(id).expect("a step");
        let (found, given) = match self.written(&by_hand) {
            Some(Reply::Answer {
                draft: Draft::Facts(found),
                given,
            }) => (found, given),
            _ => {
                let facts = step.facts.iter().map(|fact| {
                    let value = match fact.kind {
                        Kind::Boolean => serde_json::Value::from(true),
                        _ => "as seen".into(),
                    };
                    (fact.id.clone(), value)
                });
                let found = DraftFound {
                    facts: facts.collect(),
                    evidence: Vec::new(),
                };
                let evidence = step.evidence.iter();
                let given = evidence.map(|e| (e.id.clone(), Given::Text("as seen".into())));
                (found, given.collect())
            }
        };
        let draft = Draft::DoneByHand { found, reason };
        Reply::Answer { draft, given }
    }
}

fn nobody(question: &Question) -> Reply {
    let needs = format!("no answer to {question:?}");
    Reply::Nobody { needs }
}
