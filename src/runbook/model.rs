//! The runbook as its author meant it, after parsing: documents that break the rules of the format cannot be built.

use std::collections::BTreeMap;

use crate::clock::Span;
use crate::digest::Digest;
use crate::expr::{Expression, Template};
use crate::ids::{Field, RunbookId, Slug};

use super::kind::Kind;
use super::pattern::{CommandPattern, RequestPattern};

/// A whole runbook, its `use:` lines resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Runbook {
    /// The name that `runbook start` takes.
    pub id: RunbookId,
    /// What it is for, in one line.
    pub title: String,
    /// When to reach for it, in a few sentences.
    pub summary: String,
    /// The team that keeps it true.
    pub owner: String,
    /// When somebody last read it against reality.
    pub reviewed: chrono::NaiveDate,
    /// How often somebody must.
    pub review_every: Option<Span>,
    /// What must be given before it starts.
    pub inputs: Vec<Input>,
    /// Environment variables that must be set before it starts; their values are never recorded.
    pub secrets: Vec<Secret>,
    /// What it freezes.
    pub freeze: Freeze,
    /// What must hold before anything is changed.
    pub preflight: Vec<Check>,
    /// The do-nots.
    pub guards: Vec<Guard>,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What must hold before the freeze is released.
    pub closing: Vec<Check>,
    /// How an execution that reached its end is called: the first whose condition holds. Derived, never typed.
    pub outcomes: Vec<Outcome>,
    /// The documents that it was read from, itself first.
    pub sources: Vec<Source>,
}

impl Runbook {
    /// One digest over all documents that the runbook was read from; any edit to any of them changes it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let lines: Vec<String> = self
            .sources
            .iter()
            .map(|s| format!("{}  {}\n", Digest::of(&s.text), s.file))
            .collect();
        Digest::of(lines.concat())
    }

    /// The step of this name.
    #[must_use]
    pub fn step(&self, id: &Slug) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, without folders.
    pub file: String,
    /// Its text, byte for byte.
    pub text: String,
}

/// A value that must be given at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Read in expressions as `inputs.<id>`.
    pub id: Field,
    /// What kind of value.
    pub kind: Kind,
    /// The values it may have; empty means any of its kind.
    pub one_of: Vec<String>,
    /// The question put to the operator.
    pub prompt: Option<String>,
    /// The value where none is given.
    pub default: Option<serde_json::Value>,
}

/// An environment variable that commands and endpoints need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The variable's name.
    pub variable: String,
    /// What it is needed for.
    pub purpose: String,
}

/// What a runbook freezes and for how long at most without a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// How much of the target.
    pub scope: FreezeScope,
    /// The lease; a freeze whose lease ran out still blocks.
    pub lease: Span,
}

/// How much of the target a freeze covers.
///
/// In order, from the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FreezeScope {
    /// All environments of the workspace.
    Workspace,
    /// The environment of the run, with all its services.
    Environment,
    /// The run's service only; the whole environment where the run names no service.
    Service,
}

/// Something that must hold, with what it costs when it does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name in refusals and in `--ack`.
    pub id: Slug,
    /// What holds when it passes.
    pub title: String,
    /// What its failure does.
    pub severity: Severity,
    /// Steps that are read again before it is judged.
    pub read: Vec<Slug>,
    /// What must be true. Unknown counts as a failure.
    pub expect: Expression,
    /// What to do when it does not hold.
    pub instead: Option<String>,
}

/// What a failed check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing goes on.
    Block,
    /// Goes on once a person acknowledged it, with a reason.
    Warn,
    /// Is shown.
    Info,
}

/// A do-not: measured by the machine, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// Its name in refusals; begins with `no-`.
    pub id: Slug,
    /// What not to do.
    pub do_not: String,
    /// Why not.
    pub because: String,
    /// What to do instead.
    pub instead: String,
    /// The steps that `require` stands before; empty means every change, unless it is watched during steps.
    pub before: Vec<Slug>,
    /// The waiting steps at each look of which `require` is measured; where it does not hold, the waiting stops.
    pub during: Vec<Slug>,
    /// The steps after which `ensure` is judged; empty means those of `before`.
    pub after: Vec<Slug>,
    /// Read steps that are performed again immediately before `require` and `ensure` are judged.
    pub read: Vec<Slug>,
    /// What must be true before such a step.
    pub require: Option<Expression>,
    /// What must be true after such a step.
    pub ensure: Option<Expression>,
    /// Commands and requests that are refused in the whole execution.
    pub deny: Deny,
}

/// What a guard refuses to launch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deny {
    /// Patterns over commands.
    pub commands: Vec<CommandPattern>,
    /// Patterns over requests.
    pub requests: Vec<RequestPattern>,
}

/// Where in the operator's path a step belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Find truth.
    Truth,
    /// Classify risk.
    Classify,
    /// Take the smallest correct action.
    Act,
    /// Verify.
    Verify,
    /// Leave evidence.
    Record,
}

/// What a step does to the world. What is not known to be a read is a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Only looks.
    Read,
    /// May alter the target.
    Change,
}

/// One unit of a runbook: an instruction first, automated second.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name.
    pub id: Slug,
    /// Where it belongs.
    pub phase: Phase,
    /// What it does, in one line.
    pub title: String,
    /// How a person does it; shown whether or not it is automated.
    pub instruction: Option<String>,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether it applies. Unknown is put to the operator as a failure, never taken as yes or no.
    pub when: Option<Expression>,
    /// How it is done.
    pub action: Action,
    /// What it must find out.
    pub facts: Vec<FactSpec>,
    /// What it must leave.
    pub evidence: Vec<EvidenceSpec>,
    /// The text the operator must type before a change; shown as the name of the thing.
    pub confirm: Option<Expression>,
    /// Whose approval it needs.
    pub approve: Option<Approve>,
    /// The longest one attempt may take; a wait's whole length.
    pub timeout: Span,
    /// How many times it is tried by itself; more than one only where a repetition is harmless.
    pub attempts: u32,
    /// What must hold once it is done, else it failed.
    pub expect: Option<Expression>,
    /// How to learn whether a change took effect, after it and after a crash.
    pub verify: Option<Verify>,
    /// The earlier step that the failure menu offers to go back to.
    pub on_failure: Option<Slug>,
    /// Whether the operator may skip it.
    pub necessity: Necessity,
}

/// Whether a step may be skipped, with a reason, after it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Necessity {
    /// It may not.
    Required,
    /// It may.
    Skippable,
}

/// How a step is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A person follows the instruction and types the facts.
    ByHand,
    /// A program is run.
    Command(Command),
    /// An HTTP request is sent.
    Request(Request),
    /// A person chooses among the options whose conditions hold.
    Choose(Choose),
    /// Read steps are performed until an expression holds.
    Wait(Wait),
    /// Read steps are performed once more.
    Repeat(Vec<Slug>),
    /// The run history is asked or told something.
    History(HistoryCall),
    /// A set of checks is judged, all of it, before anything is asked.
    Checks(CheckSet),
    /// Another runbook is stepped through for the same run, under the same freeze; this one goes on when that has ended.
    HandOver(RunbookId),
}

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// The program's name: literal.
    pub program: String,
    /// Its arguments; each template fills exactly one.
    pub arguments: Vec<Template>,
    /// Values for scripts, as environment variables.
    pub environment: BTreeMap<String, Template>,
    /// Exit codes that are outcomes, with the name that expressions read as `outcome`; every other code is a failure.
    pub exit_codes: BTreeMap<i32, String>,
}

/// An HTTP request to a named endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Which endpoint; its address comes from the profile.
    pub endpoint: Slug,
    /// The method: literal.
    pub method: Method,
    /// Path and query below the endpoint's address; substituted values are percent-encoded.
    pub path: Template,
    /// The JSON body.
    pub body: Option<Body>,
    /// Statuses that are outcomes, with the name that expressions read as `outcome`; every other status is a failure.
    pub statuses: BTreeMap<u16, String>,
}

/// The methods a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Reads the head.
    Head,
    /// Creates or operates.
    Post,
    /// Replaces.
    Put,
    /// Alters.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// As written in a request line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A JSON value with templates in its strings; a string that is one `${…}` keeps the type of its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Null, a boolean or a number.
    Literal(serde_json::Value),
    /// Text.
    Text(Template),
    /// A list.
    List(Vec<Body>),
    /// An object, in the order written.
    Object(Vec<(String, Body)>),
}

/// A decision by one named owner.
#[derive(Debug, Clone, PartialEq)]
pub struct Choose {
    /// Who owns the decision.
    pub owner: Expression,
    /// What may be chosen, in the order shown.
    pub options: Vec<Choice>,
}

/// One option of a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Its name; expressions read the chosen one as `decisions.<step>`.
    pub id: Slug,
    /// What it means.
    pub title: String,
    /// When it may be chosen; absent means always, unknown means not.
    pub when: Option<Expression>,
    /// The guards whose `require` must hold for it to be chosen, by what is known when the decision is made.
    pub guards: Vec<Slug>,
    /// When it is the right one, for people.
    pub choose_when: Option<String>,
}

/// Waiting until something holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// What must hold.
    pub until: Expression,
    /// Read steps performed before each look.
    pub read: Vec<Slug>,
    /// The pause between looks.
    pub every: Expression,
    /// How long it must hold without a break; absent means once.
    pub sustain: Option<Expression>,
    /// What ends the waiting as a failure at once.
    pub fail_when: Option<Expression>,
}

/// What a step asks of the run history.
#[derive(Debug, Clone, PartialEq)]
pub enum HistoryCall {
    /// Takes the freeze, and reads it back.
    TakeFreeze,
    /// Reads the run, its workspace and a summary of its logs.
    ReadRun,
    /// Reads the run's logs, from before and from after its failure.
    ReadLogs,
    /// Posts a comment on the run, once however often it is sent.
    PostComment(Template),
    /// Marks the target as trusted again.
    MarkTrusted,
    /// Marks the target as not to be trusted.
    MarkUntrusted,
    /// Releases the freeze, and proves by the gate that it is released.
    ReleaseFreeze,
}

/// Which checks a step judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckSet {
    /// Those under `preflight:`.
    Preflight,
    /// Those under `closing:`.
    Closing,
}

/// A fact that a step must produce.
#[derive(Debug, Clone, PartialEq)]
pub struct FactSpec {
    /// Read in expressions as `facts.<id>`.
    pub id: Field,
    /// What kind of value.
    pub kind: Kind,
    /// The values it may have; empty means any of its kind.
    pub one_of: Vec<String>,
    /// The unit, for people.
    pub unit: Option<String>,
    /// The question put to the operator when it is typed.
    pub prompt: Option<String>,
    /// How it is extracted; absent means a person types it.
    pub from: Option<Expression>,
}

/// An item of evidence that a step must leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceSpec {
    /// Its name, for `fresh('…', …)`.
    pub id: Field,
    /// Where it is taken from; absent means a person gives a file or text.
    pub from: Option<EvidenceSource>,
    /// Its media type.
    pub media_type: String,
}

/// Where evidence is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceSource {
    /// A response's body, or the document that the run history answered with.
    Body,
    /// A command's standard output.
    Stdout,
    /// A command's standard error.
    Stderr,
}

/// An approval that a step needs before it is performed.
#[derive(Debug, Clone, PartialEq)]
pub struct Approve {
    /// Whose.
    pub by: Expression,
    /// Who it must not be.
    pub other_than: Option<Expression>,
    /// How long it holds.
    pub expires: Span,
}

/// Reading back whether a change took effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Verify {
    /// Read steps performed again.
    pub read: Vec<Slug>,
    /// What they must show.
    pub expect: Expression,
}

/// A name for how an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The name.
    pub label: Slug,
    /// When it is the right one.
    pub when: Expression,
    /// Whether the execution then counts as a success.
    pub success: bool,
}

/// The longest an automated attempt takes where its step does not say.
pub const DEFAULT_TIMEOUT: Span = Span::from_secs(600);

impl Step {
    /// Whether a person has to do or decide something in this step whatever is automated.
    #[must_use]
    pub fn is_automated(&self) -> bool {
        !matches!(self.action, Action::ByHand | Action::Choose(_))
    }
}
