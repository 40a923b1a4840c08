//! `runbook preflight`: the checks that `start` makes, without changing or asking anything; for CI.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::json;

use crate::clock::Timestamp;
use crate::effects::hands::{Hands as _, Task};
use crate::effects::live;
use crate::effects::stop::stop;
use crate::execution::event::{
    Answer, AttemptFinished, AttemptStarted, CheckResult, Ending, Event, Holds, Learned,
    SeverityName,
};
use crate::execution::gate::{judge_checks, observation, standing_in_the_way};
use crate::execution::plan::Plan;
use crate::execution::state::State;
use crate::execution::work::render;
use crate::history::History;
use crate::ids::Slug;
use crate::journal::Store;
use crate::report;
use crate::runbook::model::{Action, CheckSet, HistoryCall, Step};

use super::context::Here;
use super::documents::{self, Found};
use super::error::{CliError, Exit};
use super::hand_over::Footing;
use super::inputs::Missing;
use super::start::{Ready, Which, hands, ready, refuse_frozen, run_view};
use super::stepping;

#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    #[command(flatten)]
    which: Which,
    /// Acknowledges a warning, with a reason; as often as needed.
    #[arg(long = "ack", value_name = "CHECK=REASON")]
    acks: Vec<String>,
    /// Print the results as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn preflight(here: &mut Here, args: &PreflightArgs) -> Result<Exit, CliError> {
    let found = documents::find_runbook(&args.which.runbook)?;
    let acks = acks(&found.runbook, &args.acks)?;
    let history = here.existing_history().await?;
    let closed = history.clone();
    let judged = judge(here, args, &acks, history, found).await;
    // What the history keeps beside its file while it is open goes with this.
    closed.close().await;
    judged
}

async fn judge(
    here: &mut Here,
    args: &PreflightArgs,
    acks: &BTreeMap<Slug, String>,
    history: History,
    found: Found,
) -> Result<Exit, CliError> {
    let ready = ready(here, &args.which, history, found, |_| Missing::Left).await?;
    refuse_frozen(&ready).await?;
    let plan = Plan::new(ready.found.runbook.clone(), &ready.opened.by_hand);
    let mut state = look(here, &plan, &ready).await?;
    let results = judge_checks(&plan, &state, CheckSet::Preflight, Timestamp::now());
    acknowledge(&plan, &mut state, &results, acks);
    let in_the_way = standing_in_the_way(&state, &results);
    let exit = if in_the_way.is_empty() {
        Exit::Done
    } else {
        Exit::PreflightBlocks
    };
    if args.json {
        here.out.json(&json!({
            "runbook": plan.runbook().id,
            "run": ready.opened.run_id,
            "target": ready.opened.target,
            "decision": if exit == Exit::Done { "clear" } else { "refused" },
            "checks": results.iter().map(|r| as_json(&plan, &state, r)).collect::<Vec<_>>(),
        }))?;
        return Ok(exit);
    }
    for result in &results {
        here.out.data(report::event::check(&plan, result))?;
        if let Some(acknowledged) = state.acknowledged.get(&result.id) {
            here.out.data(format_args!(
                "        acknowledged: {}",
                report::text::harmless(&acknowledged.reason)
            ))?;
        }
    }
    if !in_the_way.is_empty() {
        let ids = in_the_way
            .iter()
            .map(|r| r.id.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        here.out
            .talk(format_args!("error: preflight refuses: {ids}"));
        if in_the_way.iter().any(|r| r.severity == SeverityName::Warn) {
            here.out.talk("hint: resolve a warning, or acknowledge it with `--ack CHECK=REASON`; a block cannot be acknowledged");
        }
    }
    Ok(exit)
}

fn acks(
    runbook: &crate::runbook::model::Runbook,
    given: &[String],
) -> Result<BTreeMap<Slug, String>, CliError> {
    let usage = |message: String| CliError::new(Exit::Usage, message);
    let mut acks = BTreeMap::new();
    for text in given {
        let (id, reason) = text
            .split_once('=')
            .filter(|(_, reason)| !reason.trim().is_empty())
            .ok_or_else(|| {
                usage(format!(
                    "`--ack {text}` needs a reason: `--ack CHECK=REASON`"
                ))
            })?;
        let check = runbook.preflight.iter().find(|c| c.id.as_str() == id);
        let check = check
            .ok_or_else(|| usage(format!("`{}` has no preflight check `{id}`", runbook.id)))?;
        acks.insert(check.id.clone(), reason.trim().to_owned());
    }
    Ok(acks)
}

/// What is known once the run, and everything that the checks read, was read.
async fn look(here: &Here, plan: &Plan, ready: &Ready) -> Result<State, CliError> {
    let now = Timestamp::now();
    let opened = |error| CliError::from_error(Exit::Bug, &error);
    let mut state =
        State::open(now, &Event::Opened(Box::new(ready.opened.clone()))).map_err(opened)?;
    let run = run_view(ready).await?;
    let reads_run = |step: &&Step| step.action == Action::History(HistoryCall::ReadRun);
    if let Some(step) = plan.runbook().steps.iter().find(reads_run) {
        learn(
            plan,
            &mut state,
            step,
            Ending::Done {
                outcome: "read".into(),
                code: None,
            },
            Some(Learned::Run { document: run }),
            BTreeMap::new(),
        )?;
    }
    let read: Vec<&Step> = plan
        .check_readings(CheckSet::Preflight)
        .into_iter()
        .filter_map(|id| plan.step(id))
        .collect();
    let to_read = read
        .into_iter()
        .filter(|step| !reads_run(step) && step.is_automated());
    let to_read: Vec<&Step> = to_read.collect();
    if to_read.is_empty() {
        return Ok(state);
    }
    // What is read on the way needs a place for its output; it is thrown away again.
    let scratch = here.home.join(format!(".preflight-{}", ready.opened.id));
    let read = read_all(here, plan, ready, &mut state, &to_read, &scratch).await;
    let _ = std::fs::remove_dir_all(&scratch);
    read.map(|()| state)
}

async fn read_all(
    here: &Here,
    plan: &Plan,
    ready: &Ready,
    state: &mut State,
    steps: &[&Step],
    scratch: &std::path::Path,
) -> Result<(), CliError> {
    let journal = Store::open(scratch)?.create(ready.opened.id)?;
    let redactor = stepping::redactor(&ready.found, &ready.profile, &[])?;
    let footing = Footing {
        home: scratch.to_owned(),
        history: ready.history.clone(),
        profile: ready.profile.clone(),
    };
    let mut hands = hands(here, state, &footing, &redactor);
    for step in steps {
        let now = Timestamp::now();
        let Ok(work) = render(plan, state, step, now) else {
            continue;
        };
        let (live, _lines) = live::channel(1);
        let (_stopper, stop) = stop();
        let task = Task {
            step,
            work: &work,
            attempt: 1,
            timeout: step.timeout,
            fence: None,
            artifacts: journal.artifacts(),
            live,
            stop,
        };
        let performed = hands.perform(task).await;
        let facts = crate::execution::found::extract(plan, state, step, &performed.came_back, now);
        let (ending, facts) = match (performed.ending, facts) {
            (done @ Ending::Done { .. }, Ok(facts)) => (done, facts),
            (Ending::Done { code, .. }, Err(why)) => {
                (Ending::Failed { why, code }, BTreeMap::new())
            }
            (ending, _) => (ending, BTreeMap::new()),
        };
        learn(plan, state, step, ending, performed.learned, facts)?;
    }
    Ok(())
}

fn learn(
    plan: &Plan,
    state: &mut State,
    step: &Step,
    ending: Ending,
    learned: Option<Learned>,
    facts: BTreeMap<crate::ids::Field, serde_json::Value>,
) -> Result<(), CliError> {
    let now = Timestamp::now();
    let bug = |error| CliError::from_error(Exit::Bug, &error);
    let work = render(plan, state, step, now).unwrap_or(crate::execution::event::Work::ByHand);
    let (id, work_of) = (step.id.clone(), step.id.clone());
    let started = AttemptStarted {
        step: id.clone(),
        work_of,
        attempt: 1,
        work,
        clearance: None,
    };
    state
        .apply(now, &Event::AttemptStarted(Box::new(started)))
        .map_err(bug)?;
    let finished = AttemptFinished {
        step: id.clone(),
        work_of: id,
        attempt: 1,
        ending,
        facts,
        evidence: Vec::new(),
        learned,
        took: crate::clock::Span::from_millis(0),
    };
    state
        .apply(now, &Event::AttemptFinished(Box::new(finished)))
        .map_err(bug)
}

fn acknowledge(
    plan: &Plan,
    state: &mut State,
    results: &[CheckResult],
    acks: &BTreeMap<Slug, String>,
) {
    let Some(step) = plan
        .runbook()
        .steps
        .iter()
        .find(|s| s.action == Action::Checks(CheckSet::Preflight))
    else {
        return;
    };
    for result in results {
        // A block cannot be acknowledged: it is simply not looked for among the acknowledgements. What holds needs none.
        if let Some(reason) = acks
            .get(&result.id)
            .filter(|_| result.severity == SeverityName::Warn && result.holds != Holds::Yes)
        {
            let observed = observation(result);
            let answer = Answer::Acknowledged {
                check: result.id.clone(),
                observed,
                reason: reason.clone(),
            };
            let _ = state.apply(
                Timestamp::now(),
                &Event::Answered {
                    step: step.id.clone(),
                    answer,
                },
            );
        }
    }
}

fn as_json(plan: &Plan, state: &State, result: &CheckResult) -> serde_json::Value {
    let check = plan.runbook().preflight.iter().find(|c| c.id == result.id);
    json!({
        "id": result.id,
        "title": check.map(|c| c.title.as_str()),
        "severity": result.severity,
        "holds": result.holds,
        "observed": result.observed,
        "acknowledged": state.acknowledged.get(&result.id).map(|a| a.reason.as_str()),
        "instead": check.and_then(|c| c.instead.as_deref()),
    })
}
