//! Telling the operator what happens, as it is recorded. It speaks on standard error; standard output is for data.

use std::io::Write as _;

use crate::clock::Span;
use crate::execution::event::Event;
use crate::execution::plan::Plan;
use crate::execution::state::State;
use crate::ids::Slug;
use crate::report::event::told;
use crate::report::step::head;
use crate::report::text::{FAINT, harmless, styled};

/// After how long work says for the first time that it is still under way, and how often after that.
const STILL_EVERY: Span = Span::from_secs(10);

/// Tells what happens.
#[derive(Default)]
pub(crate) struct Narrator {
    /// The step whose head was shown last.
    shown: Option<Slug>,
    /// When it was last said that work is under way.
    still: Option<Span>,
}

impl Narrator {
    /// Says a line.
    pub(crate) fn say(&mut self, text: &str) {
        // A terminal that is gone must not end an execution; the next prompt finds out.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Tells an event, below the head of the step that it belongs to. A step that does not apply has no head.
    pub(crate) fn recorded(&mut self, plan: &Plan, state: &State, event: &Event) {
        self.still = None;
        match event {
            Event::Resumed(_) => self.shown = None,
            Event::NotApplicable { .. } => {}
            _ => self.show(plan, state, event.step()),
        }
        if let Some(text) = told(plan, state, event) {
            self.say(&text);
        }
    }

    /// Shows the head of the step under way, once.
    pub(crate) fn head(&mut self, plan: &Plan, state: &State) {
        self.show(plan, state, plan.position(state).map(|(_, step)| &step.id));
    }

    fn show(&mut self, plan: &Plan, state: &State, id: Option<&Slug>) {
        let mut steps = plan.runbook().steps.iter().enumerate();
        let Some((n, step)) = steps.find(|(_, step)| Some(&step.id) == id) else {
            return;
        };
        if self.shown.as_ref() != id {
            self.shown = Some(step.id.clone());
            self.say(&head(plan, state, n + 1, step));
        }
    }

    /// Shows a line that a program printed.
    pub(crate) fn live(&mut self, line: &str) {
        self.say(&styled(FAINT, &format!("    | {}", harmless(line))));
    }

    /// Says now and then that work is still under way.
    pub(crate) fn elapsed(&mut self, span: Span) {
        let last = self.still.unwrap_or(Span::from_secs(0));
        if span.millis() >= last.millis() + STILL_EVERY.millis() {
            self.still = Some(span);
            self.say(&styled(
                FAINT,
                &format!("    still under way, {} (Ctrl-C stops it)", span.rounded()),
            ));
        }
    }
}
