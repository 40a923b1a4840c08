//! `runbook drill`: the real runbook and the real machine against a simulated control plane.
//!
//! A drill has a state directory, a run history and endpoints of its own, made for it and for nothing else; it takes no
//! profile and runs no programs, so there is nothing configured that it could reach.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::clock::Timestamp;
use crate::drill::{ControlPlane, PlaneError, Scenario, scenario, scenarios};
use crate::effects::system::Endpoint;
use crate::execution::event::Opened;
use crate::execution::state::State;
use crate::history::History;
use crate::ids::{ExecutionId, Slug};
use crate::journal::{Journal, Recovery, Store};

use super::context::Here;
use super::documents::{self, Applied, Found};
use super::error::{CliError, Exit};
use super::executions::{Kept, drill_home};
use super::hand_over::Footing;
use super::start::{Ready, Resuming, begin, current_text, go_on, tool};
use super::stepping::{self, Desk, Programs, read_answers};

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// The scenario; without one, they are listed.
    scenario: Option<String>,
    /// Play the scenario's own answers.
    #[arg(long, requires = "scenario", conflicts_with = "answers")]
    auto: bool,
    /// Answers instead of a person: a YAML file, step id to answer.
    #[arg(long, value_name = "FILE", requires = "scenario")]
    answers: Option<std::path::PathBuf>,
    /// Print the list of scenarios as JSON.
    #[arg(long, conflicts_with = "scenario")]
    json: bool,
}

pub(crate) async fn drill(here: &mut Here, args: &DrillArgs) -> Result<Exit, CliError> {
    let Some(named) = &args.scenario else {
        return list(here, args.json);
    };
    let scenario = find(named)?;
    let id = ExecutionId::generate();
    let home = drill_home(&here.home, id);
    // The directory above is checked like any other: a drill's journal is a journal.
    Store::open(&here.home)?;
    Store::open(&home)?;
    let now = Timestamp::now();
    let history = History::open(&home.join("history.db")).await?;
    for earlier in scenario.earlier_at(now) {
        history.record(&earlier).await?;
    }
    let recording = scenario.recording_at(now);
    history.record(&recording).await?;
    let plane = plane(&scenario, &home)?;
    let profile = only_endpoint(&plane)?;
    let found = documents::find_runbook(scenario.runbook().as_str())?;
    let folder = stepping::folder();
    let opened = Opened {
        id,
        tool: tool(),
        host: here.host.clone(),
        operator: here.operator(),
        runbook: found.reference(),
        profile: None,
        run_id: recording.run.id.clone(),
        target: recording.run.target(),
        inputs: super::start::defaults(&found.runbook, scenario.inputs()),
        by_hand: stepping::by_hand(
            &found.runbook,
            &profile.endpoints,
            &folder,
            Programs::NotRun,
        ),
        drill: Some(scenario.id().to_string()),
        handed_over: None,
    };
    let mut desk = desk(args, &scenario, &found, now)?;
    here.out.talk(format_args!(
        "Drill `{}`: {}",
        scenario.id(),
        scenario.title()
    ));
    here.out
        .talk(crate::report::text::wrapped(2, scenario.briefing()));
    let journal = Store::open(&home)?.create(id)?;
    let exit = begin(
        here,
        &home,
        journal,
        Ready {
            found,
            profile,
            opened,
            history,
        },
        &mut desk,
    )
    .await?;
    if exit == Exit::Done {
        here.out.talk(crate::report::text::hanging(
            "What this drill teaches: ",
            2,
            scenario.teaches(),
        ));
    }
    Ok(exit)
}

fn list(here: &mut Here, as_json: bool) -> Result<Exit, CliError> {
    let all = scenarios();
    if as_json {
        let all: Vec<_> = all
            .iter()
            .map(|s| json!({"id": s.id(), "title": s.title(), "runbook": s.runbook(), "teaches": s.teaches()}))
            .collect();
        here.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let widest = all.iter().map(|s| s.id().as_str().len()).max().unwrap_or(0);
    for scenario in &all {
        here.out.data(format_args!(
            "{:widest$}  {}",
            scenario.id().as_str(),
            scenario.title()
        ))?;
    }
    Ok(Exit::Done)
}

fn find(named: &str) -> Result<Scenario, CliError> {
    scenario(named).ok_or_else(|| {
        let ids = scenarios()
            .iter()
            .map(|s| s.id().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        CliError::new(
            Exit::Usage,
            format!("there is no drill `{}`", super::context::shown(named)),
        )
        .hint(format!("there is {ids}"))
    })
}

fn desk(
    args: &DrillArgs,
    scenario: &Scenario,
    found: &Found,
    now: Timestamp,
) -> Result<Desk, CliError> {
    if !args.auto {
        return Desk::find(args.answers.as_deref(), found);
    }
    let answers = scenario.answers_at(now).to_string();
    let answers = read_answers(
        answers.as_bytes(),
        Path::new("."),
        scenario.id().as_str(),
        found,
    )?;
    Desk::scripted(answers)
}

fn plane(scenario: &Scenario, home: &Path) -> Result<ControlPlane, CliError> {
    let failed = |error: PlaneError| CliError::from_error(Exit::Failed, &error);
    ControlPlane::start(scenario.world(), home.join("world.json")).map_err(failed)
}

/// The simulated control plane is the only endpoint there is.
fn only_endpoint(plane: &ControlPlane) -> Result<Applied, CliError> {
    let name: Slug = "platform"
        .parse()
        .map_err(|_| CliError::new(Exit::Bug, "`platform` is not a name"))?;
    let at = Endpoint {
        url: plane.url(),
        token: Some(plane.token().to_owned()),
    };
    Ok(Applied {
        endpoints: BTreeMap::from([(name, at)]),
        source: None,
    })
}

/// Takes a drill up again, against what is left of its world.
pub(crate) async fn resume(
    here: &mut Here,
    answers: Option<&Path>,
    kept: Kept,
    journal: Journal,
    state: State,
    recovery: Recovery,
) -> Result<Exit, CliError> {
    let scenario = find(state.opened.drill.as_deref().unwrap_or_default())?;
    let (found, adopted) = current_text(&Store::open(&kept.home)?, &kept, &state, None)?;
    let plane = plane(&scenario, &kept.home)?;
    let profile = only_endpoint(&plane)?;
    let by_hand = stepping::by_hand(
        &found.runbook,
        &profile.endpoints,
        &stepping::folder(),
        Programs::NotRun,
    );
    let mut desk = Desk::find(answers, &found)?;
    let history = History::open_existing(&kept.home.join("history.db")).await?;
    here.out
        .talk(crate::report::text::wrapped(2, scenario.briefing()));
    go_on(
        here,
        Resuming {
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
        },
        &mut desk,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::answers::Answers;

    #[test]
    fn every_scenario_answers_steps_that_its_runbook_has() {
        for scenario in scenarios() {
            let found = documents::find_runbook(scenario.runbook().as_str())
                .map_err(|e| e.to_string())
                .expect("shipped");
            let answers = scenario.answers_at(Timestamp::now()).to_string();
            let answers = Answers::parse(&answers, Path::new(".")).expect("answers");
            for id in answers.steps() {
                assert!(found.runbook.step(id).is_some(), "{}: {id}", scenario.id());
            }
        }
    }
}
