//! Stepping through an execution in this process: who answers, what performs, and how it ends.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use crate::clock::Span;
use crate::effects::answers::Answers;
use crate::effects::command::find_tool;
use crate::effects::console::{Console, Reply};
use crate::effects::signals::Signals;
use crate::effects::system::{Endpoint, System};
use crate::engine::{Engine, EngineError, Rest, TakenUp};
use crate::execution::event::{Event, Ground};
use crate::execution::plan::Plan;
use crate::execution::question::{Asked, Question};
use crate::execution::state::{Standing, State};
use crate::execution::step::Failure;
use crate::expr::Template;
use crate::ids::Slug;
use crate::journal::Journal;
use crate::redact::Redactor;
use crate::runbook::model::{Action, Command, HistoryCall, Input, Runbook, Secret};

use super::context::Here;
use super::documents::{Applied, Found};
use super::error::{CliError, Exit};
use super::hand_over::{self, Footing, HandingOver, Other};
use super::scripted::Scripted;
use super::terminal::Terminal;

/// Where an execution is stepped through: who answers, and what is heard there.
pub(crate) struct Desk {
    who: Who,
    pub(crate) signals: Signals,
}

/// Whoever answers: a person, or a file.
enum Who {
    /// A person.
    Terminal(Box<Terminal>),
    /// A file, or nobody.
    Scripted(Scripted),
}

impl Desk {
    /// The file, where one is given; else the person, where there is a terminal; else nobody.
    pub(crate) fn find(answers: Option<&Path>, found: &Found) -> Result<Self, CliError> {
        if let Some(path) = answers {
            let bytes = super::documents::read(path)?;
            let folder = path.parent().unwrap_or(Path::new("."));
            let answers = read_answers(&bytes, folder, &path.display().to_string(), found)?;
            return Self::scripted(answers);
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Self::scripted(Answers::default());
        }
        let signals = listen()?;
        let terminal = Terminal::new(signals.clone()).map_err(|error| {
            CliError::new(Exit::PersonNeeded, "the terminal cannot be used").caused_by(&error)
        })?;
        let who = Who::Terminal(Box::new(terminal));
        Ok(Self { who, signals })
    }

    /// These answers, and nobody for the rest.
    pub(crate) fn scripted(answers: Answers) -> Result<Self, CliError> {
        Ok(Self {
            who: Who::Scripted(Scripted::new(answers)),
            signals: listen()?,
        })
    }

    /// Asks for an input before the execution begins; nothing where there is nobody to ask.
    pub(crate) fn input(&mut self, input: &Input) -> Option<serde_json::Value> {
        match &mut self.who {
            Who::Terminal(terminal) => terminal.input(input),
            Who::Scripted(_) => None,
        }
    }

    fn console(&mut self) -> &mut dyn Console {
        match &mut self.who {
            Who::Terminal(terminal) => terminal.as_mut(),
            Who::Scripted(scripted) => scripted,
        }
    }
}

fn listen() -> Result<Signals, CliError> {
    Signals::listen().map_err(|error| {
        CliError::new(Exit::Failed, "failed to listen for Ctrl-C").caused_by(&error)
    })
}

/// Reads answers and holds them against the runbook, so that a misspelt step is found before anything begins.
pub(crate) fn read_answers(
    bytes: &[u8],
    folder: &Path,
    shown: &str,
    found: &Found,
) -> Result<Answers, CliError> {
    let wrong = |why: String| {
        CliError::new(
            Exit::Usage,
            format!("`{shown}` is not an answers file: {why}"),
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong("not UTF-8".into()))?;
    let answers = Answers::parse(text, folder).map_err(|why| wrong(why.to_string()))?;
    let runbook = &found.runbook;
    // What it may hand over to is answered from the same file.
    let others = hand_over::others(found)?;
    let known = |id: &Slug| {
        let mut runbooks = std::iter::once(runbook).chain(others.iter().map(|o| &o.runbook));
        runbooks.any(|runbook| runbook.step(id).is_some())
    };
    if let Some(id) = answers.steps().find(|id| !known(id)) {
        return Err(wrong(format!("`{}` has no step `{id}`", runbook.id)));
    }
    Ok(answers)
}

impl Console for Desk {
    fn recorded(&mut self, plan: &Plan, state: &State, event: &Event) {
        self.console().recorded(plan, state, event);
    }

    fn live(&mut self, line: &str) {
        self.console().live(line);
    }

    fn elapsed(&mut self, span: Span) {
        self.console().elapsed(span);
    }

    fn ask(&mut self, plan: &Plan, state: &State, question: &Question) -> Reply {
        self.console().ask(plan, state, question)
    }

    fn not_accepted(&mut self, why: &str) {
        self.console().not_accepted(why);
    }
}

/// The steps that a person does because a program or an address is missing, with what is missing.
pub(crate) fn by_hand(
    runbook: &Runbook,
    endpoints: &BTreeMap<Slug, Endpoint>,
    folder: &Path,
    programs: Programs,
) -> BTreeMap<Slug, String> {
    let mut by_hand = BTreeMap::new();
    for step in &runbook.steps {
        let missing = match &step.action {
            Action::Command(_) if programs == Programs::NotRun => {
                Some("programs are not run in a drill".to_owned())
            }
            Action::Command(command) if find_tool(&command.program, Some(folder)).is_none() => {
                Some(format!("the program `{}` is not here", command.program))
            }
            Action::Command(command) => absent_script(command, folder)
                .map(|script| format!("the script `{script}` is not here")),
            Action::Request(request) if !endpoints.contains_key(&request.endpoint) => {
                Some(format!(
                    "endpoint `{}` has no address; a profile gives it one",
                    request.endpoint
                ))
            }
            _ => None,
        };
        by_hand.extend(missing.map(|missing| (step.id.clone(), missing)));
    }
    by_hand
}

/// The first script among the arguments that is not there: an interpreter that finds no script does nothing useful.
fn absent_script<'a>(command: &'a Command, folder: &Path) -> Option<&'a str> {
    let literal = command.arguments.iter().filter(|a| a.is_literal());
    let mut scripts = literal
        .map(Template::source)
        .filter(|a| a.starts_with("./"));
    scripts.find(|script| !folder.join(script).exists())
}

/// Whether programs are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Programs {
    /// They are.
    Run,
    /// They are not: a drill touches nothing real.
    NotRun,
}

/// What masks the secrets. All that the runbook needs must be there, and such that they can be masked; those of runbooks
/// that it may hand over to, and of those that handed over to it, are masked where they are there.
pub(crate) fn redactor(
    found: &Found,
    profile: &Applied,
    outer: &[Runbook],
) -> Result<Redactor, CliError> {
    let mut secrets: Vec<(String, String)> = profile
        .tokens()
        .map(|(name, token)| (name, token.to_owned()))
        .collect();
    for secret in &found.runbook.secrets {
        let value = value(secret).ok_or_else(|| {
            let message = format!(
                "secrets-ready: `{}` is not set; it is needed: {}",
                secret.variable, secret.purpose
            );
            CliError::new(Exit::PreflightBlocks, message)
                .hint("set it in the environment; its value is never recorded")
        })?;
        secrets.push((secret.variable.clone(), value));
    }
    let others = hand_over::others(found)?;
    let others = others.iter().map(|other| &other.runbook).chain(outer);
    secrets.extend(there(others));
    let (redactor, refused) = Redactor::new(secrets);
    match refused.first() {
        None => Ok(redactor),
        Some(refused) => Err(CliError::new(
            Exit::PreflightBlocks,
            format!(
                "secrets-ready: the value of `{}` cannot be masked: {}",
                refused.name, refused.why
            ),
        )),
    }
}

/// The secrets of these runbooks that are there.
pub(crate) fn there<'a>(
    runbooks: impl Iterator<Item = &'a Runbook>,
) -> impl Iterator<Item = (String, String)> {
    let secrets = runbooks.flat_map(|runbook| &runbook.secrets);
    secrets.filter_map(|secret| Some((secret.variable.clone(), value(secret)?)))
}

fn value(secret: &Secret) -> Option<String> {
    let value = std::env::var(&secret.variable).ok();
    value.filter(|value| !value.is_empty())
}

/// Everything that stepping through needs.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) redactor: Redactor,
    pub(crate) hands: System,
}

impl Bench {
    /// Tells what was recorded before there was an engine to tell it.
    pub(crate) fn announce(&self, desk: &mut Desk, event: &Event) {
        desk.recorded(&self.plan, &self.state, event);
    }
}

/// Steps through until it ends or rests; `first` is recorded before anything else.
pub(crate) async fn step_through(
    here: &mut Here,
    bench: Bench,
    footing: &Footing,
    desk: &mut Desk,
    first: Vec<Event>,
) -> Result<Exit, CliError> {
    let id = bench.state.opened.id;
    let Bench {
        plan,
        state,
        journal,
        redactor,
        hands,
    } = bench;
    let signals = desk.signals.clone();
    let taken_up = TakenUp {
        plan,
        state,
        journal,
        redactor,
        actor: here.operator.clone(),
    };
    let mut engine = Engine::new(taken_up, desk, hands, signals);
    let broken = |error| broken(&error).hint(format!("`runbook resume {id}` goes on from there"));
    for event in first {
        engine.record(event).map_err(broken)?;
    }
    loop {
        match engine.run().await.map_err(broken)? {
            Rest::HandedOver(to) => {
                let (plan, by, desk) = engine.at_the_desk();
                let handing_over = HandingOver {
                    footing,
                    plan,
                    by,
                    to,
                };
                match handing_over.step_through(here, desk).await? {
                    Other::Ended(ended) => engine.take_back(ended).map_err(broken)?,
                    Other::Open(exit) => return Ok(exit),
                }
            }
            Rest::Ended => return Ok(ended(&engine.state().standing)),
            Rest::Paused => {
                here.out.talk(format_args!(
                    "Go on with `runbook resume {id}`. The freeze stays."
                ));
                return Ok(Exit::Interrupted);
            }
            Rest::NeedsPerson { question, needs } => {
                here.out.talk(format_args!(
                    "error: {}",
                    crate::report::text::harmless(&needs)
                ));
                here.out.talk(format_args!("hint: go on with `runbook resume {id}` in a terminal, or with `--answers FILE`; the freeze stays"));
                return Ok(needs_person(engine.plan(), &question));
            }
        }
    }
}

fn ended(standing: &Standing) -> Exit {
    match standing {
        Standing::Closed { success: true, .. } => Exit::Done,
        Standing::Closed { success: false, .. } | Standing::Aborted { .. } => Exit::Failed,
        Standing::Open | Standing::Paused { .. } => Exit::Interrupted,
    }
}

pub(crate) fn broken(error: &EngineError) -> CliError {
    let exit = match error {
        EngineError::Journal(_) => Exit::Failed,
        EngineError::Contradiction(_) | EngineError::Secret => Exit::Bug,
    };
    let shown = CliError::from_error(exit, error);
    match error {
        EngineError::Journal(_) => {
            shown.hint("what was recorded is safe; if the disk is full, make room first")
        }
        EngineError::Contradiction(_) | EngineError::Secret => shown,
    }
}

/// What it means that nobody answered: a refusal has its own number, so that a pipeline can tell them apart.
fn needs_person(plan: &Plan, question: &Question) -> Exit {
    let failure = match &question.asked {
        Asked::Failed { failure, .. } => failure,
        Asked::InDoubt { .. } | Asked::Beside { .. } => return Exit::InDoubt,
        Asked::ByHand { .. }
        | Asked::Choose { .. }
        | Asked::Confirm { .. }
        | Asked::Approve { .. }
        | Asked::Acknowledge { .. } => return Exit::PersonNeeded,
    };
    match failure {
        Failure::Violated { .. } => Exit::GuardRefuses,
        Failure::Refused { grounds } => grounds.first().map_or(Exit::PersonNeeded, refused),
        Failure::Attempt { .. } if takes_freeze(plan, &question.step) => Exit::Frozen,
        Failure::Attempt { .. } | Failure::Judged { .. } | Failure::Rejected { .. } => {
            Exit::PersonNeeded
        }
    }
}

pub(crate) fn refused(ground: &Ground) -> Exit {
    match ground {
        Ground::FreezeLost { .. } | Ground::FrozenByOthers { .. } => Exit::Frozen,
        Ground::FreezeUnknown { .. } => Exit::Unknown,
        Ground::Check(_) | Ground::PreflightStale => Exit::PreflightBlocks,
        Ground::Guard(_)
        | Ground::Denied { .. }
        | Ground::CannotTell { .. }
        | Ground::NoOption { .. } => Exit::GuardRefuses,
        Ground::NotApproved { .. } | Ground::Unknown { .. } => Exit::PersonNeeded,
    }
}

fn takes_freeze(plan: &Plan, step: &Slug) -> bool {
    plan.step(step)
        .is_some_and(|s| s.action == Action::History(HistoryCall::TakeFreeze))
}

/// Where programs of a runbook run: the directory that the tool was started in.
pub(crate) fn folder() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}
