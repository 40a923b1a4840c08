//! The seam to people: what a console shows and asks. A terminal and an answers file are the two there are.

use crate::execution::plan::Plan;
use crate::execution::question::{Draft, Question};
use crate::execution::state::State;
use crate::ids::Field;

/// Where the operator sits, or what sits there instead.
pub trait Console {
    /// Something was recorded; `state` is what is true since.
    fn recorded(&mut self, plan: &Plan, state: &State, event: &crate::execution::event::Event);

    /// A program printed a line, already fit for a terminal and without secrets.
    fn live(&mut self, line: &str);

    /// Work is under way, for so long now.
    fn elapsed(&mut self, span: crate::clock::Span);

    /// Puts a question. Whatever happens to the person or the terminal, the reply is never made up: no answer is
    /// [`Reply::Nobody`], the end of input is [`Reply::Pause`].
    fn ask(&mut self, plan: &Plan, state: &State, question: &Question) -> Reply;

    /// The last answer was not acceptable, for this reason; nothing was recorded.
    fn not_accepted(&mut self, why: &str);
}

impl<C: Console + ?Sized> Console for &mut C {
    fn recorded(&mut self, plan: &Plan, state: &State, event: &crate::execution::event::Event) {
        (**self).recorded(plan, state, event);
    }

    fn live(&mut self, line: &str) {
        (**self).live(line);
    }

    fn elapsed(&mut self, span: crate::clock::Span) {
        (**self).elapsed(span);
    }

    fn ask(&mut self, plan: &Plan, state: &State, question: &Question) -> Reply {
        (**self).ask(plan, state, question)
    }

    fn not_accepted(&mut self, why: &str) {
        (**self).not_accepted(why);
    }
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// An answer, and the evidence that goes with it, still to be kept.
    Answer {
        /// The answer.
        draft: Draft,
        /// The evidence.
        given: Vec<(Field, Given)>,
    },
    /// A remark; the question stands.
    Note(String),
    /// A command to run beside the steps; the question stands.
    AdHoc(Vec<String>),
    /// The operator leaves for now, or input ended.
    Pause {
        /// Why.
        reason: String,
    },
    /// The execution ends here.
    Abort {
        /// Why.
        reason: String,
    },
    /// There is nobody who could answer.
    Nobody {
        /// What would be needed.
        needs: String,
    },
}

/// Evidence that a person gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Text as typed.
    Text(String),
    /// A regular file, copied when it is given.
    File(std::path::PathBuf),
}
