//! `runbook drill`: the real runbook and the real machine against a simulated control plane.
//!
//! A drill has a state directory, a run history and endpoints of its own, made for it and for nothing else; it takes no
//! profile and runs no programs, so there is nothing configured that it could reach.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::clock::Timestamp;
use crate::drill::{
    ControlPlane, PlaneError, Scenario, ScenarioError, Texts, beside, heads, scenario,
};
use crate::effects::system::Endpoint;
use crate::execution::event::Opened;
use crate::execution::state::State;
use crate::history::History;
use crate::ids::ExecutionId;
use crate::journal::{Journal, Recovery, Store};
use crate::runbook::model::Action;
use crate::runbook::shipped::{RUNBOOKS, is_path};

use crate::report::text::harmless;

use super::context::Here;
use super::documents::{self, Applied, Found};
use super::error::{CliError, Exit};
use super::executions::{Kept, drill_home};
use super::hand_over::{self, Footing};
use super::resume::{Resuming, current_text, go_on};
use super::start::{Ready, begin, tool};
use super::stepping::{self, Desk, Programs, read_answers};

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// The scenario: one that comes with the tool, or the path of one of your own; without one, they are listed.
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
    let (scenario, found) = find(named)?;
    let id = ExecutionId::generate();
    let home = drill_home(&here.home, id);
    let now = Timestamp::now();
    let mut desk = desk(args, &scenario, &found, now)?;
    // The directory above is checked like any other: a drill's journal is a journal.
    Store::open(&here.home)?;
    Store::open(&home)?;
    keep(scenario.texts(), &home)?;
    let history = History::open(&home.join("history.db")).await?;
    for earlier in scenario.earlier_at(now) {
        history.record(&earlier).await?;
    }
    let recording = scenario.recording_at(now);
    history.record(&recording).await?;
    let plane = plane(&scenario, &home)?;
    let profile = only_plane(&plane, &found)?;
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
        inputs: super::inputs::defaults(&found.runbook, scenario.inputs()),
        by_hand: stepping::by_hand(
            &found.runbook,
            &profile.endpoints,
            &folder,
            Programs::NotRun,
        ),
        drill: Some(scenario.id().to_string()),
        handed_over: None,
    };
    here.out.talk(format_args!(
        "Drill `{}`: {}",
        scenario.id(),
        harmless(scenario.title())
    ));
    here.out.talk(briefing(&scenario));
    let ready = Ready {
        found,
        profile,
        opened,
        history,
    };
    let redactor = ready.redactor(&home)?;
    let journal = Store::open(&home)?.create(id)?;
    let exit = begin(here, &home, (journal, redactor), ready, &mut desk).await?;
    if exit == Exit::Done {
        here.out.talk(crate::report::text::hanging(
            "What this drill teaches: ",
            2,
            &harmless(scenario.teaches()),
        ));
    }
    Ok(exit)
}

fn list(here: &mut Here, as_json: bool) -> Result<Exit, CliError> {
    let all = heads();
    if as_json {
        let all: Vec<_> = all
            .iter()
            .map(|h| json!({"id": h.id, "title": h.title, "runbook": h.runbook, "teaches": h.teaches}))
            .collect();
        here.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let widest = all.iter().map(|h| h.id.as_str().len()).max().unwrap_or(0);
    let mut group = None;
    for head in &all {
        if group != Some(&head.runbook) {
            group = Some(&head.runbook);
            let mut shipped = RUNBOOKS.iter();
            let shipped = shipped.find(|runbook| runbook.name() == head.runbook);
            let title = shipped.map_or(String::new(), |runbook| runbook.title());
            here.out.data(format_args!("{}: {title}", head.runbook))?;
        }
        here.out.data(format_args!(
            "  {:widest$}  {}",
            head.id.as_str(),
            head.title
        ))?;
    }
    Ok(Exit::Done)
}

/// The scenario that was named, and the runbook that it rehearses.
fn find(named: &str) -> Result<(Scenario, Found), CliError> {
    if is_path(named) {
        return read_own(Path::new(named));
    }
    match scenario(named) {
        Some(scenario) => {
            let found = documents::find_runbook(scenario.runbook())?;
            Ok((scenario, found))
        }
        None => {
            let ids: Vec<String> = heads().iter().map(|h| h.id.to_string()).collect();
            Err(CliError::new(
                Exit::Usage,
                format!("there is no drill `{}`", harmless(named)),
            )
            .hint(format!(
                "there is {}; any other is given by its path",
                ids.join(", ")
            )))
        }
    }
}

/// A scenario of the user's own: its plane and its runbook are looked for beside it, and so are its answers.
fn read_own(path: &Path) -> Result<(Scenario, Found), CliError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let answers = path.with_extension("answers.yaml");
    let answers = answers.exists().then(|| read_text(&answers)).transpose()?;
    let scenario = Scenario::parse(&read_text(path)?, answers.as_deref(), folder)
        .map_err(|error| misread(&error, path))?;
    let found = if is_path(scenario.runbook()) {
        documents::find_runbook(&beside(folder, scenario.runbook()).to_string_lossy())?
    } else {
        documents::find_runbook(scenario.runbook())?
    };
    Ok((scenario, found))
}

fn misread(error: &ScenarioError, path: &Path) -> CliError {
    let message = format!("`{}` is no drill", path.display());
    CliError::new(Exit::Usage, message).caused_by(error)
}

fn read_text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(documents::read(path)?).map_err(|error| {
        let message = format!("failed to read `{}`", path.display());
        CliError::new(Exit::Usage, message).caused_by(&error)
    })
}

/// The documents that a drill goes on with when it is resumed, whatever became of the files.
const KEPT: [&str; 2] = ["scenario.yaml", "plane.yaml"];

fn keep(texts: &Texts, home: &Path) -> Result<(), CliError> {
    for (name, text) in KEPT.into_iter().zip([&texts.scenario, &texts.plane]) {
        let path = home.join(name);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            let message = format!("cannot keep the drill in `{}`", path.display());
            CliError::new(Exit::Failed, message).caused_by(&error)
        })?;
    }
    Ok(())
}

fn kept_scenario(home: &Path) -> Result<Scenario, CliError> {
    let [scenario, plane] = KEPT.map(|name| read_text(&home.join(name)));
    let texts = Texts {
        scenario: scenario?,
        plane: plane?,
        answers: None,
    };
    Scenario::of(texts).map_err(|error| misread(&error, &home.join(KEPT[0])))
}

fn briefing(scenario: &Scenario) -> String {
    crate::report::text::wrapped(2, &harmless(scenario.briefing()))
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
    let Some(answers) = scenario.answers_at(now) else {
        let message = format!("drill `{}` has no answers of its own", scenario.id());
        return Err(CliError::new(Exit::Usage, message).hint(
            "put them beside it, as `NAME.answers.yaml`, or give some with `--answers FILE`",
        ));
    };
    let answers = read_answers(
        answers.to_string().as_bytes(),
        Path::new("."),
        scenario.id().as_str(),
        found,
    )?;
    Desk::scripted(answers)
}

fn plane(scenario: &Scenario, home: &Path) -> Result<ControlPlane, CliError> {
    let failed = |error: PlaneError| CliError::from_error(Exit::Failed, &error);
    let simulation = scenario.simulation_at(Timestamp::now());
    ControlPlane::start(simulation, home.join("world.json")).map_err(failed)
}

/// The simulated control plane is all that there is, under every name that the runbook has for an endpoint.
fn only_plane(plane: &ControlPlane, found: &Found) -> Result<Applied, CliError> {
    let at = Endpoint {
        url: plane.url(),
        token: Some(plane.token().to_owned()),
    };
    let others = hand_over::others(found)?;
    let runbooks = std::iter::once(&found.runbook).chain(others.iter().map(|o| &o.runbook));
    let steps = runbooks.flat_map(|runbook| &runbook.steps);
    let names = steps.filter_map(|step| match &step.action {
        Action::Request(request) => Some(request.endpoint.clone()),
        _ => None,
    });
    Ok(Applied {
        endpoints: names.map(|name| (name, at.clone())).collect(),
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
    let scenario = kept_scenario(&kept.home)?;
    let (found, adopted) = current_text(&Store::open(&kept.home)?, &kept, &state, None)?;
    let plane = plane(&scenario, &kept.home)?;
    let profile = only_plane(&plane, &found)?;
    let by_hand = stepping::by_hand(
        &found.runbook,
        &profile.endpoints,
        &stepping::folder(),
        Programs::NotRun,
    );
    let mut desk = Desk::find(answers, &found)?;
    let history = History::open_existing(&kept.home.join("history.db")).await?;
    here.out.talk(briefing(&scenario));
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
    use crate::drill::scenarios;

    #[test]
    fn every_scenario_answers_steps_that_its_runbook_has() {
        for scenario in scenarios() {
            let found = documents::find_runbook(scenario.runbook())
                .map_err(|e| e.to_string())
                .expect("shipped");
            let answers = scenario.answers_at(Timestamp::now());
            let answers = answers.expect("a shipped scenario has answers").to_string();
            let shown = scenario.id().as_str();
            let read = read_answers(answers.as_bytes(), Path::new("."), shown, &found);
            assert_eq!(read.map(drop).map_err(|error| error.to_string()), Ok(()));
        }
    }
}
