//! `runbook start`: a runbook is made ready for a run, and stepped through.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::effects::request::Client;
use crate::effects::run_history::{RunHistory, held, view};
use crate::effects::system::System;
use crate::execution::event::{Event, Opened};
use crate::execution::plan::Plan;
use crate::execution::state::State;
use crate::history::model::GateDecision;
use crate::history::{History, HistoryError};
use crate::ids::{ExecutionId, RunId, Target};
use crate::journal::{Journal, Store};
use crate::redact::Redactor;
use crate::runbook::model::{Action, HistoryCall, Input};

use super::context::Here;
use super::documents::{self, Applied, Found};
use super::error::{CliError, Exit};
use super::executions;
use super::hand_over::{self, Footing};
use super::inputs::{Missing, inputs};
use super::stepping::{self, Bench, Desk, Programs, step_through};

#[derive(Debug, Args)]
pub(crate) struct Which {
    /// A shipped runbook by name, any other by path.
    pub(crate) runbook: String,
    /// The run that is responded to.
    #[arg(long, value_name = "RUN")]
    pub(crate) run_id: RunId,
    /// The target; refused where it is not that of the run.
    #[arg(long)]
    pub(crate) target: Option<Target>,
    /// An input of the runbook, as often as needed.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub(crate) inputs: Vec<String>,
    /// The file that maps steps to commands and requests of one's own platform.
    #[arg(long, value_name = "FILE", env = "RUNBOOK_PROFILE")]
    pub(crate) profile: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    which: Which,
    /// Answers instead of a person: a YAML file, step id to answer.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
}

/// A runbook made ready for a run: everything that can be refused before anything is recorded was not.
pub(crate) struct Ready {
    pub(crate) found: Found,
    pub(crate) profile: Applied,
    pub(crate) opened: Opened,
    pub(crate) history: History,
}

impl Ready {
    /// What masks its secrets: all of them must be there before anything is recorded.
    pub(crate) fn redactor(&self, home: &Path) -> Result<Redactor, CliError> {
        let outer = hand_over::outer(home, &self.opened)?;
        stepping::redactor(&self.found, &self.profile, &outer)
    }
}

pub(crate) async fn start(here: &mut Here, args: &StartArgs) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let found = documents::find_runbook(&args.which.runbook)?;
    let mut desk = Desk::find(args.answers.as_deref(), &found)?;
    let ready = ready(here, &args.which, history, found, |input| {
        desk.input(input).map_or(Missing::Needed, Missing::Given)
    })
    .await?;
    refuse_frozen(&ready).await?;
    let home = here.home.clone();
    let redactor = ready.redactor(&home)?;
    let journal = Store::open(&home)?.create(ready.opened.id)?;
    begin(here, &home, (journal, redactor), ready, &mut desk).await
}

/// Checks all that is needed, without changing anything.
///
/// `missing` is asked for an input that has neither a value nor a default.
pub(crate) async fn ready(
    here: &Here,
    which: &Which,
    history: History,
    mut found: Found,
    missing: impl FnMut(&Input) -> Missing,
) -> Result<Ready, CliError> {
    hand_over::others(&found)?;
    let reference = found.reference();
    let profile = documents::apply_profile(which.profile.as_deref(), &mut found.runbook)?;
    let run = history.run(&which.run_id).await.map_err(unknown_run)?;
    let target = run.target();
    if let Some(wanted) = which
        .target
        .as_ref()
        .filter(|wanted| !is_part(&target, wanted))
    {
        let message = format!(
            "check-run-and-workspace: run `{}` is of `{target}`, not of `{wanted}`",
            run.id
        );
        return Err(CliError::new(Exit::PreflightBlocks, message)
            .hint("`runbook run list` shows every run with its target"));
    }
    let inputs = inputs(&found.runbook, &which.inputs, missing)?;
    let folder = stepping::folder();
    let by_hand = stepping::by_hand(&found.runbook, &profile.endpoints, &folder, Programs::Run);
    let opened = Opened {
        id: ExecutionId::generate(),
        tool: tool(),
        host: here.host.clone(),
        operator: here.operator(),
        runbook: reference,
        profile: profile.reference(),
        run_id: run.id,
        target: which.target.clone().unwrap_or(target),
        inputs,
        by_hand,
        drill: None,
        handed_over: None,
    };
    Ok(Ready {
        found,
        profile,
        opened,
        history,
    })
}

/// A run that nobody recorded is nothing to respond to.
fn unknown_run(error: HistoryError) -> CliError {
    let unknown = matches!(error, HistoryError::NoRun(_));
    let mut error = CliError::from(error);
    if unknown {
        error.message = format!("needed-inputs: {}", error.message);
    }
    error
}

/// Whether `wanted` is the run's target, or names a service of an environment that the run covers whole.
fn is_part(target: &Target, wanted: &Target) -> bool {
    let same_place =
        target.workspace == wanted.workspace && target.environment == wanted.environment;
    same_place
        && (target.service == wanted.service
            || target.service.is_none()
            || wanted.service.is_none())
}

pub(crate) fn tool() -> String {
    concat!("runbook ", env!("CARGO_PKG_VERSION")).to_owned()
}

/// Refuses while somebody else, or another execution, holds the target.
pub(crate) async fn refuse_frozen(ready: &Ready) -> Result<(), CliError> {
    let verdict = ready
        .history
        .gate(&ready.opened.target, None, Timestamp::now())
        .await;
    let mut steps = ready.found.runbook.steps.iter();
    let freezing = steps.find(|s| s.action == Action::History(HistoryCall::TakeFreeze));
    let freezing = freezing.map_or("freeze", |step| step.id.as_str());
    let shown = |exit, what: Vec<String>| {
        let message = format!(
            "{freezing}: `{}` cannot be worked on: {}",
            ready.opened.target,
            what.join("; ")
        );
        Err(CliError::new(exit, message)
            .hint("ask the holder; `runbook status` shows open executions, `runbook freeze list` shows freezes"))
    };
    match verdict.decision {
        GateDecision::Clear => Ok(()),
        GateDecision::Frozen => shown(Exit::Frozen, verdict.freezes.iter().map(held).collect()),
        GateDecision::Unknown => shown(Exit::Unknown, verdict.unreadable),
    }
}

/// Opens the execution and steps through it.
pub(crate) async fn begin(
    here: &mut Here,
    home: &Path,
    (mut journal, redactor): (Journal, Redactor),
    ready: Ready,
    desk: &mut Desk,
) -> Result<Exit, CliError> {
    ready.found.keep(&journal, &ready.opened.runbook)?;
    documents::keep_profile(&journal, &ready.profile)?;
    let opened = Event::Opened(Box::new(ready.opened.clone()));
    let entries = journal.append(&ready.opened.operator.name, &opened)?;
    let state = executions::fold(&entries)?;
    let outer = hand_over::outer(home, &state.opened)?;
    let plan = Plan::new(ready.found.runbook, &state.by_hand).under(&outer);
    let footing = Footing {
        home: home.to_owned(),
        history: ready.history,
        profile: ready.profile,
    };
    let bench = Bench {
        hands: hands(here, &state, &footing, &redactor),
        plan,
        state,
        journal,
        redactor,
    };
    bench.announce(desk, &opened);
    step_through(here, bench, &footing, desk, Vec::new()).await
}

/// The hands of one execution.
pub(crate) fn hands(here: &Here, state: &State, footing: &Footing, redactor: &Redactor) -> System {
    let opened = &state.opened;
    let handed_over = opened.handed_over.as_ref();
    System {
        history: RunHistory {
            history: footing.history.clone(),
            execution: opened.id,
            freeze_of: handed_over.map_or(opened.id, |handed_over| handed_over.freeze_of),
            // Who acts now; whoever resumes is not yet in the state.
            operator: here.operator.clone(),
            host: here.host.clone(),
            run: opened.run_id.clone(),
            target: opened.target.clone(),
        },
        endpoints: footing.profile.endpoints.clone(),
        redactor: redactor.clone(),
        folder: stepping::folder(),
        client: Client::default(),
    }
}

/// What a read-only look needs of the run: its view.
pub(crate) async fn run_view(ready: &Ready) -> Result<Json, CliError> {
    Ok(view(
        &ready.history,
        &ready.opened.run_id,
        &ready.opened.target,
        Timestamp::now(),
    )
    .await?)
}
