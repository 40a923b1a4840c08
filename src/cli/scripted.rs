//! The console without a person: answers from a file, and nobody for the rest.

use crate::clock::Span;
use crate::effects::answers::Answers;
use crate::effects::console::{Console, Reply};
use crate::execution::event::Event;
use crate::execution::plan::Plan;
use crate::execution::question::Question;
use crate::execution::state::State;
use crate::report::question::needs;

use super::narrator::Narrator;

/// Answers that were written down beforehand; none at all where there is no file.
pub(crate) struct Scripted {
    answers: Answers,
    narrator: Narrator,
    not_accepted: Option<String>,
}

impl Scripted {
    pub(crate) fn new(answers: Answers) -> Self {
        Self {
            answers,
            narrator: Narrator::default(),
            not_accepted: None,
        }
    }
}

impl Console for Scripted {
    fn recorded(&mut self, plan: &Plan, state: &State, event: &Event) {
        self.not_accepted = None;
        self.narrator.recorded(plan, state, event);
    }

    fn live(&mut self, line: &str) {
        self.narrator.live(line);
    }

    fn elapsed(&mut self, span: Span) {
        self.narrator.elapsed(span);
    }

    fn ask(&mut self, plan: &Plan, state: &State, question: &Question) -> Reply {
        self.narrator.head(plan, state);
        self.answers.take(question).unwrap_or_else(|| {
            let before = self.not_accepted.take().map_or(String::new(), |why| {
                format!(" (the answer given was not accepted: {why})")
            });
            Reply::Nobody {
                needs: format!("{}{before}", needs(plan, question)),
            }
        })
    }

    fn not_accepted(&mut self, why: &str) {
        self.narrator.say(&format!(
            "  not accepted: {}",
            crate::report::text::harmless(why)
        ));
        self.not_accepted = Some(why.to_owned());
    }
}
