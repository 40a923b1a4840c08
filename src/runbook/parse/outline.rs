//! What the parts of a document say about each other: who produces what, who needs it, and where that is written.
//!
//! Readers fill it while they read, mistakes or not, so that names can be judged even where other things are wrong.

use std::ops::Range;

use super::super::model::{Action, CheckSet, Effect, HistoryCall};
use super::fields::within;
use super::text::Spot;
use super::tree::Scalar;
use crate::expr::{Expression, NameCall, Reference, Template};
use crate::ids::{Field, Slug};

/// The top names below which ids stand.
pub(crate) const GROUPS: [&str; 3] = ["facts", "inputs", "decisions"];

/// A whole document.
pub(crate) struct Outline {
    /// The steps in order.
    pub(crate) steps: Vec<StepOutline>,
    /// The checks of both sets.
    pub(crate) checks: Vec<CheckOutline>,
    /// The guards.
    pub(crate) guards: Vec<GuardOutline>,
    /// The ids of the inputs.
    pub(crate) inputs: Vec<Field>,
    /// What the conditions of outcomes mention.
    pub(crate) outcomes: Vec<Mention>,
    /// The place of the key `steps`.
    pub(crate) steps_spot: Spot,
}

/// A step, as others see it.
pub(crate) struct StepOutline {
    /// Its id, where it has one.
    pub(crate) id: Option<Slug>,
    /// The place of its id.
    pub(crate) spot: Spot,
    /// How it is done, where that could be read.
    pub(crate) form: Option<Form>,
    /// What it does to the world.
    pub(crate) effect: Effect,
    /// Whether it always happens: neither `when` nor `required: false`.
    pub(crate) certain: bool,
    /// Its facts.
    pub(crate) facts: Vec<Product>,
    /// Its evidence.
    pub(crate) evidence: Vec<Product>,
    /// What it mentions.
    pub(crate) mentions: Vec<Mention>,
    /// Whether everything that others could refer to was read.
    pub(crate) complete: bool,
}

impl StepOutline {
    /// A step of which nothing is known yet: taken for a change.
    pub(crate) fn unread(spot: Spot) -> Self {
        Self {
            id: None,
            spot,
            form: None,
            effect: Effect::Change,
            certain: false,
            facts: Vec::new(),
            evidence: Vec::new(),
            mentions: Vec::new(),
            complete: false,
        }
    }
}

/// A check, as others see it.
pub(crate) struct CheckOutline {
    /// Its id, where it has one.
    pub(crate) id: Option<Slug>,
    /// The place of its id.
    pub(crate) spot: Spot,
    /// The set it belongs to.
    pub(crate) set: CheckSet,
    /// What it mentions.
    pub(crate) mentions: Vec<Mention>,
}

/// A guard, as others see it.
pub(crate) struct GuardOutline {
    /// Its id, where it has one.
    pub(crate) id: Option<Slug>,
    /// The place of its id.
    pub(crate) spot: Spot,
    /// Whether it demands something before a step.
    pub(crate) requires: bool,
    /// What it mentions.
    pub(crate) mentions: Vec<Mention>,
}

impl GuardOutline {
    /// Whether it names any step for this.
    pub(crate) fn names(&self, wanted: Need) -> bool {
        let named =
            |m: &Mention| matches!(&m.subject, Subject::Step { need, .. } if *need == wanted);
        self.mentions.iter().any(named)
    }
}

/// A fact or an item of evidence that a step produces.
pub(crate) struct Product {
    /// Its id.
    pub(crate) id: Field,
    /// Its type or media type, as text; `None` where that could not be read.
    pub(crate) is: Option<String>,
    /// The place of its id.
    pub(crate) spot: Spot,
}

/// How a step is done, as far as the rules about other steps go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A person does it.
    ByHand,
    /// A program is run.
    Command,
    /// A request is sent.
    Request,
    /// A person chooses.
    Choose,
    /// Something is awaited.
    Wait,
    /// Other steps are performed once more.
    Repeat,
    /// The run is read.
    ReadRun,
    /// The logs of the run are read.
    ReadLogs,
    /// The freeze is taken.
    TakeFreeze,
    /// The freeze is released.
    ReleaseFreeze,
    /// The history is told something.
    Tell,
    /// Checks are judged.
    Checks(CheckSet),
    /// Another runbook is stepped through.
    HandOver,
}

impl Form {
    /// The form of an action.
    pub(crate) fn of(action: &Action) -> Self {
        match action {
            Action::ByHand => Self::ByHand,
            Action::Command(_) => Self::Command,
            Action::Request(_) => Self::Request,
            Action::Choose(_) => Self::Choose,
            Action::Wait(_) => Self::Wait,
            Action::Repeat(_) => Self::Repeat,
            Action::History(HistoryCall::ReadRun) => Self::ReadRun,
            Action::History(HistoryCall::ReadLogs) => Self::ReadLogs,
            Action::History(HistoryCall::TakeFreeze) => Self::TakeFreeze,
            Action::History(HistoryCall::ReleaseFreeze) => Self::ReleaseFreeze,
            Action::History(
                HistoryCall::PostComment(_) | HistoryCall::MarkTrusted | HistoryCall::MarkUntrusted,
            ) => Self::Tell,
            Action::Checks(set) => Self::Checks(*set),
            Action::HandOver(_) => Self::HandOver,
        }
    }

    /// Whether performing such a step once more, as a part of another one, is only a look.
    pub(crate) fn can_be_read_again(self) -> bool {
        match self {
            Self::ByHand | Self::Command | Self::Request | Self::ReadRun | Self::ReadLogs => true,
            Self::Choose
            | Self::Wait
            | Self::Repeat
            | Self::TakeFreeze
            | Self::ReleaseFreeze
            | Self::Tell
            | Self::Checks(_)
            | Self::HandOver => false,
        }
    }

    /// Whether there is an answer or an output to extract facts from.
    pub(crate) fn has_output(self) -> bool {
        match self {
            Self::Command
            | Self::Request
            | Self::ReadRun
            | Self::ReadLogs
            | Self::TakeFreeze
            | Self::ReleaseFreeze
            | Self::Tell
            | Self::HandOver => true,
            Self::ByHand | Self::Choose | Self::Wait | Self::Repeat | Self::Checks(_) => false,
        }
    }

    /// Whether a person gives its facts and evidence.
    pub(crate) fn is_personal(self) -> bool {
        matches!(self, Self::ByHand | Self::Choose)
    }
}

/// Something that a part of the document says about another part.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    /// Where it is said.
    pub(crate) spot: Spot,
    /// What is said.
    pub(crate) subject: Subject,
}

/// What a mention is about.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// A step.
    Step {
        /// Its id.
        id: Slug,
        /// What it is needed for.
        need: Need,
    },
    /// A guard that stands before an option.
    Guard {
        /// Its id.
        id: Slug,
    },
    /// Values by name.
    Names {
        /// When they are read.
        moment: Moment,
        /// The names, each with its place where it can be told.
        names: Vec<(Name, Option<Spot>)>,
    },
}

/// What a step is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A guard stands before it.
    Guarded,
    /// A guard is measured at every look of it.
    Watched,
    /// A guard is judged after it.
    Followed,
    /// The failure menu goes back to it.
    Return,
    /// It is performed once more.
    Reread,
}

/// When an expression is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before its step is performed.
    Before,
    /// After its step was performed.
    After,
    /// While facts are taken from what its step gave.
    Extracting,
    /// When everything is over.
    End,
}

/// A name in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// A name at the top: `run`.
    Top(String),
    /// A name below `facts`, `inputs` or `decisions`.
    Below(String, String),
    /// A fact or an item of evidence, named in text: `fresh('posture', …)`.
    Witness(String),
}

impl Subject {
    /// The names in an expression that was read from a text.
    pub(crate) fn names(moment: Moment, expression: &Expression, scalar: &Scalar) -> Self {
        Self::Names {
            moment,
            names: placed(expression.references(), expression.name_calls(), scalar),
        }
    }

    /// The names in the expressions of a template that was read from a text.
    pub(crate) fn names_in(moment: Moment, template: &Template, scalar: &Scalar) -> Self {
        Self::Names {
            moment,
            names: placed(&template.references(), &template.name_calls(), scalar),
        }
    }
}

fn placed(
    references: &[Reference],
    calls: &[NameCall],
    scalar: &Scalar,
) -> Vec<(Name, Option<Spot>)> {
    let spot = |at: &Range<usize>| {
        scalar
            .verbatim_at
            .map(|start| within(start, &scalar.text, at.clone()))
    };
    let paths = references.iter().map(|reference| {
        let root = reference.root().to_owned();
        let name = match reference.key() {
            Some(id) if GROUPS.contains(&&*root) => Name::Below(root, id.to_owned()),
            _ => Name::Top(root),
        };
        (name, spot(&reference.at))
    });
    let calls = calls
        .iter()
        .map(|call| (Name::Witness(call.name.clone()), spot(&call.at)));
    paths.chain(calls).collect()
}
