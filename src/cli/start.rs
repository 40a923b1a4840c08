//! `runbook start` and `runbook resume`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value as Json;

use crate::clock::Timestamp;
use crate::effects::request::Client;
use crate::effects::run_history::{RunHistory, held, view};
use crate::effects::system::System;
use crate::execution::event::{Adopted, Event, Opened, Resumed};
use crate::execution::plan::Plan;
use crate::execution::state::State;
use crate::history::model::GateDecision;
use crate::history::{History, HistoryError};
use crate::ids::{ExecutionId, Field, RunId, Slug, Target};
use crate::journal::{Journal, Store};
use crate::redact::Redactor;
use crate::runbook::model::{Action, HistoryCall, Input, Runbook};

use super::context::Here;
use super::documents::{self, Applied, Found};
use super::error::{CliError, Exit};
use super::executions::{self, Kept};
use super::hand_over::{self, Footing};
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

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Which; the only open one where it is left out.
    execution: Option<ExecutionId>,
    /// Answers instead of a person: a YAML file, step id to answer.
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// Go on with the runbook as it is now, although it was edited, for this reason.
    #[arg(long, value_name = "REASON")]
    adopt: Option<String>,
    /// The file that maps steps to commands and requests of one's own platform.
    #[arg(long, value_name = "FILE", env = "RUNBOOK_PROFILE")]
    profile: Option<PathBuf>,
}

/// Most bytes of all inputs together: they stand on one line of the journal, with what else begins an execution.
const LARGEST_INPUTS: usize = crate::journal::MAX_LINE / 2;

/// A runbook made ready for a run: everything that can be refused before anything is recorded was not.
pub(crate) struct Ready {
    pub(crate) found: Found,
    pub(crate) profile: Applied,
    pub(crate) opened: Opened,
    pub(crate) history: History,
}

impl Ready {
    /// What masks its secrets: all of them must be there before anything is recorded.
    pub(crate) fn redactor(&self) -> Result<Redactor, CliError> {
        stepping::redactor(&self.found.runbook.secrets, &self.profile)
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
    let redactor = ready.redactor()?;
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
    let plan = Plan::new(ready.found.runbook, &state.by_hand);
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

pub(crate) async fn resume(here: &mut Here, args: &ResumeArgs) -> Result<Exit, CliError> {
    let kept = executions::find(here, args.execution)?;
    let store = Store::open(&kept.home)?;
    let (journal, entries, recovery) = store.drive(kept.id)?;
    let state = executions::fold(&entries)?;
    if state.is_ended() {
        return Err(
            CliError::new(Exit::Failed, format!("execution `{}` has ended", kept.id))
                .hint("an execution that has ended never changes; start a new one"),
        );
    }
    if state.opened.drill.is_some() {
        return super::drill::resume(
            here,
            args.answers.as_deref(),
            kept,
            journal,
            state,
            recovery,
        )
        .await;
    }
    let adopt = args
        .adopt
        .as_deref()
        .map(str::trim)
        .filter(|reason| !reason.is_empty());
    let (mut found, mut adopted) = current_text(&store, &kept, &state, adopt)?;
    let reference = adopted
        .as_ref()
        .map_or_else(|| state.runbook.clone(), |adopted| adopted.runbook.clone());
    let profile = current_profile(&store, &kept, &state, args.profile.as_deref(), &mut found)?;
    if profile.reference() != state.profile {
        let reason = adopt.ok_or_else(|| {
            CliError::new(Exit::Failed, "the profile is not the one that the execution went on with so far")
                .hint("leave `--profile` out to go on with that one, or adopt this one with `--adopt REASON`")
        })?;
        adopted = Some(Adopted {
            runbook: reference,
            profile: profile.reference(),
            reason: reason.to_owned(),
        });
    }
    documents::keep_profile(&journal, &profile)?;
    if let Some(adopted) = &adopted {
        found.keep(&journal, &adopted.runbook)?;
    }
    let folder = stepping::folder();
    let by_hand = stepping::by_hand(&found.runbook, &profile.endpoints, &folder, Programs::Run);
    let mut desk = Desk::find(args.answers.as_deref(), &found)?;
    let history = here.existing_history().await?;
    let by = state.opened.handed_over.as_ref().map(|h| h.by);
    let resuming = Resuming {
        found,
        adopted,
        by_hand,
        footing: Footing {
            home: kept.home,
            history,
            profile,
        },
        journal,
        state,
        recovery,
    };
    let exit = go_on(here, resuming, &mut desk).await?;
    if let Some(by) = by.filter(|_| matches!(exit, Exit::Done | Exit::Failed)) {
        here.out.talk(format_args!(
            "`runbook resume {by}` goes on with what handed over."
        ));
    }
    Ok(exit)
}

/// What going on needs.
pub(crate) struct Resuming {
    pub(crate) found: Found,
    pub(crate) adopted: Option<Adopted>,
    pub(crate) by_hand: BTreeMap<Slug, String>,
    pub(crate) footing: Footing,
    pub(crate) journal: Journal,
    pub(crate) state: State,
    pub(crate) recovery: crate::journal::Recovery,
}

pub(crate) async fn go_on(
    here: &mut Here,
    resuming: Resuming,
    desk: &mut Desk,
) -> Result<Exit, CliError> {
    let Resuming {
        found,
        adopted,
        by_hand,
        footing,
        journal,
        state,
        recovery,
    } = resuming;
    let mut first = Vec::from_iter(recovery.event());
    first.push(Event::Resumed(Resumed {
        operator: here.operator(),
        host: here.host.clone(),
        by_hand: by_hand.clone(),
        adopted,
    }));
    let redactor = stepping::redactor(&found.runbook.secrets, &footing.profile)?;
    let bench = Bench {
        hands: hands(here, &state, &footing, &redactor),
        plan: Plan::new(found.runbook, &by_hand),
        state,
        journal,
        redactor,
    };
    step_through(here, bench, &footing, desk, first).await
}

/// The profile to go on with: the one that is given, else the one that was kept.
pub(crate) fn current_profile(
    store: &Store,
    kept: &Kept,
    state: &State,
    given: Option<&std::path::Path>,
    found: &mut Found,
) -> Result<Applied, CliError> {
    match (given, &state.profile) {
        (Some(path), _) => documents::apply_profile(Some(path), &mut found.runbook),
        (None, Some(file)) => {
            let text = store.kept(kept.id, &file.path)?;
            documents::apply_profile_text(&file.path, &text, &mut found.runbook)
        }
        (None, None) => Ok(Applied::default()),
    }
}

/// The text to go on with: the one that was kept, unless it was edited since; then only with a reason.
pub(crate) fn current_text(
    store: &Store,
    kept: &Kept,
    state: &State,
    adopt: Option<&str>,
) -> Result<(Found, Option<Adopted>), CliError> {
    let reference = &state.runbook;
    let now = documents::find_runbook(reference.path.as_deref().unwrap_or(reference.id.as_str()));
    let same = |found: &Found| found.runbook.digest() == reference.digest;
    match (now, adopt) {
        (Ok(found), _) if same(&found) => Ok((found, None)),
        (Ok(found), Some(reason)) => {
            let adopted = Adopted {
                runbook: found.reference_after(reference),
                profile: state.profile.clone(),
                reason: reason.to_owned(),
            };
            Ok((found, Some(adopted)))
        }
        (Ok(found), _) => {
            let message = format!(
                "runbook `{}` was edited since the execution began ({} then, {} now)",
                reference.id,
                reference.digest.short(),
                found.runbook.digest().short()
            );
            let place = store.kept(
                kept.id,
                &reference
                    .files
                    .first()
                    .map_or(String::new(), |f| f.path.clone()),
            );
            let hint = match place {
                Ok(_) => "the text it began with is kept beside its journal",
                Err(_) => "restore the text it began with",
            };
            Err(CliError::new(Exit::Failed, message).hint(format!(
                "{hint}; put it back, or go on with `--adopt REASON`"
            )))
        }
        (Err(error), _) => Err(error.hint(
            "put the runbook back as it was, and resume in the directory that the execution began in",
        )),
    }
}

/// What becomes of an input that was neither given nor has a default.
pub(crate) enum Missing {
    /// Somebody gave it when asked.
    Given(Json),
    /// It is left out: what needs it is unknown.
    Left,
    /// It cannot be done without.
    Needed,
}

/// These inputs, with the defaults of the others.
pub(crate) fn defaults(runbook: &Runbook, given: &BTreeMap<Field, Json>) -> BTreeMap<Field, Json> {
    let defaults = runbook
        .inputs
        .iter()
        .filter_map(|i| Some((i.id.clone(), i.default.clone()?)));
    let mut all: BTreeMap<Field, Json> = defaults.collect();
    all.extend(given.clone());
    all
}

/// The inputs as given, defaults filled in.
fn inputs(
    runbook: &Runbook,
    given: &[String],
    mut missing: impl FnMut(&Input) -> Missing,
) -> Result<BTreeMap<Field, Json>, CliError> {
    let mut inputs = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for text in given {
        let (name, typed) = text.split_once('=').unwrap_or((text, ""));
        match runbook
            .inputs
            .iter()
            .find(|input| input.id.as_str() == name)
        {
            None => wrong.push(unknown_input(runbook, name)),
            Some(input) => match read_input(input, typed) {
                Ok(value) => drop(inputs.insert(input.id.clone(), value)),
                Err(why) => wrong.push(why),
            },
        }
    }
    for input in runbook.inputs.iter().filter(|_| wrong.is_empty()) {
        if inputs.contains_key(&input.id) {
            continue;
        }
        let value = match &input.default {
            Some(default) => Missing::Given(default.clone()),
            // Whoever left one question is not asked the next.
            None if !absent.is_empty() => Missing::Needed,
            None => missing(input),
        };
        match value {
            Missing::Given(value) => drop(inputs.insert(input.id.clone(), value)),
            Missing::Left => {}
            Missing::Needed => absent.push(input),
        }
    }
    wrong.extend(absent.iter().map(|input| {
        let prompt = input.prompt.as_deref().unwrap_or("no default");
        format!(
            "input `{}` is needed ({prompt}): {}",
            input.id,
            input.kind.wanted()
        )
    }));
    let size = inputs
        .values()
        .map(|value| value.to_string().len())
        .sum::<usize>();
    if size > LARGEST_INPUTS {
        wrong.push(format!(
            "the inputs have {size} bytes, and more than {LARGEST_INPUTS} do not fit into the journal"
        ));
    }
    if wrong.is_empty() {
        return Ok(inputs);
    }
    let error = CliError::new(
        Exit::Usage,
        format!("guided-flow: {}", wrong.join("\n       ")),
    );
    Err(error.hint(format!(
        "give each as `--input NAME=VALUE`; `runbook show {}` lists them",
        runbook.id
    )))
}

fn read_input(input: &Input, typed: &str) -> Result<Json, String> {
    let value = input
        .kind
        .read(typed)
        .map_err(|why| format!("input `{}`: `{typed}` {why}", input.id))?;
    let listed = input.one_of.is_empty()
        || value
            .as_str()
            .is_some_and(|v| input.one_of.iter().any(|one| one == v));
    if listed {
        Ok(value)
    } else {
        Err(format!(
            "input `{}`: `{typed}` is not one of {}",
            input.id,
            input.one_of.join(", ")
        ))
    }
}

fn unknown_input(runbook: &Runbook, name: &str) -> String {
    let near = runbook
        .inputs
        .iter()
        .map(|i| (strsim::jaro_winkler(i.id.as_str(), name), i.id.as_str()));
    let near = near
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let near = near.map_or(String::new(), |(_, id)| format!("; did you mean `{id}`?"));
    format!(
        "`{}` has no input `{}`{near}",
        runbook.id,
        super::context::shown(name)
    )
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
