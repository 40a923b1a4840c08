//! `runbook status`, `runbook note` and `runbook abort`: looking at executions and speaking to them from outside.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::execution::ad_hoc::AdHoc;
use crate::execution::event::Event;
use crate::execution::plan::Plan;
use crate::execution::state::{Standing, State};
use crate::ids::ExecutionId;
use crate::journal::{AsideError, Store};
use crate::redact::Redactor;
use crate::report::text::{BAD, harmless, styled};

use super::context::Here;
use super::error::{CliError, Exit};
use super::executions::{Kept, all, find, flaw, fold, has_ended, innermost, kept_runbook};
use super::hand_over;
use super::stepping::there;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this one.
    execution: Option<ExecutionId>,
    /// Every one: ended ones and drills, too.
    #[arg(long)]
    all: bool,
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NoteArgs {
    /// The remark.
    text: String,
    /// Which execution; the only open one where it is left out.
    #[arg(long)]
    execution: Option<ExecutionId>,
}

#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// Which; the only open one where it is left out.
    execution: Option<ExecutionId>,
    /// Why.
    #[arg(long)]
    reason: String,
}

/// What can be said about an execution.
struct Line {
    kept: Kept,
    state: Option<State>,
    flaw: Option<String>,
}

pub(crate) fn status(here: &mut Here, args: &StatusArgs) -> Result<Exit, CliError> {
    let mut lines: Vec<Line> = match args.execution {
        Some(id) => vec![line(find(here, Some(id))?)],
        None => all(here)?.into_iter().map(line).collect(),
    };
    let mut drills = 0;
    if !args.all && args.execution.is_none() {
        let is_drill = |l: &&Line| {
            let state = l.state.as_ref();
            l.flaw.is_none() && state.is_some_and(|s| !s.is_ended() && s.opened.drill.is_some())
        };
        drills = lines.iter().filter(is_drill).count();
        lines.retain(|l| {
            // Damage is told whatever it is of: what comes after it is not known.
            l.flaw.is_some()
                || l.state
                    .as_ref()
                    .is_none_or(|s| !s.is_ended() && s.opened.drill.is_none())
        });
    }
    if args.json {
        let lines: Vec<Json> = lines.iter().map(as_json).collect();
        here.out.json(&lines)?;
        return Ok(Exit::Done);
    }
    if lines.is_empty() {
        here.out.talk("No execution is open.");
    }
    for line in &lines {
        here.out.data(as_text(line))?;
    }
    if drills > 0 {
        let drills = crate::report::text::plural(drills, "drill");
        here.out.talk(format_args!(
            "{drills} left open; `runbook status --all` lists every one."
        ));
    }
    Ok(Exit::Done)
}

fn line(kept: Kept) -> Line {
    match kept.read() {
        Err(error) => Line {
            kept,
            state: None,
            flaw: Some(error.message),
        },
        Ok(reading) => match fold(&reading.entries) {
            Ok(state) => Line {
                kept,
                flaw: flaw(&reading.tail),
                state: Some(state),
            },
            Err(error) => Line {
                kept,
                state: None,
                flaw: flaw(&reading.tail).or(Some(error.message)),
            },
        },
    }
}

/// The runbook as it was kept beside the journal, to tell where an execution stands.
fn plan(kept: &Kept, state: &State) -> Option<Plan> {
    let store = Store::open(&kept.home).ok()?;
    let runbook = kept_runbook(&store, kept.id, state).ok()?;
    Some(Plan::new(runbook, &state.by_hand))
}

/// The text without the secrets of the execution's runbook, and of those that handed over to it, that are there.
fn masked(kept: &Kept, text: &str) -> Result<String, CliError> {
    let store = Store::open(&kept.home)?;
    let state = fold(&store.read(kept.id)?.entries)?;
    let mut runbooks = hand_over::outer(&kept.home, &state.opened)?;
    runbooks.push(kept_runbook(&store, kept.id, &state)?);
    let (redactor, _) = Redactor::new(there(runbooks.iter()).collect::<Vec<_>>());
    Ok(redactor.text(text))
}

fn as_text(line: &Line) -> String {
    let Some(state) = &line.state else {
        let flaw = line.flaw.as_deref().unwrap_or("unreadable");
        return format!("{}  {}", line.kept.id, styled(BAD, &harmless(flaw)));
    };
    let opened = &state.opened;
    let drill = if opened.drill.is_some() {
        "  DRILL"
    } else {
        ""
    };
    let mut text = format!(
        "{}  {}  run {}  {}  {}  by {} since {}{drill}",
        line.kept.id,
        opened.runbook.id,
        opened.run_id,
        opened.target,
        standing(&state.standing),
        state.operator.name,
        state.began
    );
    if !state.is_ended() {
        let at = plan(&line.kept, state).and_then(|plan| {
            let (n, step) = plan.position(state)?;
            let doubt = if state.step(&step.id).doubt.is_some() {
                ", in doubt"
            } else {
                ""
            };
            Some(format!(
                "\n  step {n} of {}: {}{doubt}",
                plan.runbook().steps.len(),
                step.title
            ))
        });
        text.push_str(&at.unwrap_or_default());
    }
    if let Some(flaw) = &line.flaw {
        text.push_str(&format!("\n  {}", styled(BAD, &harmless(flaw))));
    }
    text
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Open => "open".into(),
        Standing::Paused { reason } => format!("paused ({})", harmless(reason)),
        Standing::Aborted { .. } => "aborted".into(),
        Standing::Closed { outcome, .. } => format!("closed: {outcome}"),
    }
}

fn as_json(line: &Line) -> Json {
    let Some(state) = &line.state else {
        return json!({"execution": line.kept.id, "flaw": line.flaw});
    };
    let plan = plan(&line.kept, state);
    let position = plan.as_ref().and_then(|plan| plan.position(state));
    let (word, detail) = match &state.standing {
        Standing::Open => ("open", None),
        Standing::Paused { reason } => ("paused", Some(reason.clone())),
        Standing::Aborted { reason } => ("aborted", Some(reason.clone())),
        Standing::Closed { outcome, .. } => ("closed", Some(outcome.to_string())),
    };
    json!({
        "execution": line.kept.id,
        "runbook": state.opened.runbook.id,
        "run": state.opened.run_id,
        "target": state.opened.target,
        "drill": state.opened.drill,
        "operator": state.operator.name,
        "began": state.began,
        "last_event": state.at,
        "events": state.events,
        "standing": word,
        "detail": detail,
        "step": position.map(|(_, step)| &step.id),
        "number": position.map(|(n, _)| n),
        "steps": plan.as_ref().map(|p| p.runbook().steps.len()),
        "in_doubt": position.is_some_and(|(_, step)| state.step(&step.id).doubt.is_some())
            || state.ad_hoc.iter().any(AdHoc::is_in_doubt),
        "freeze": state.freeze.as_ref().map(|f| json!({"id": f.id, "fence": f.fence, "scope": f.scope})),
        "flaw": line.flaw,
    })
}

pub(crate) fn note(here: &mut Here, args: &NoteArgs) -> Result<Exit, CliError> {
    let kept = find(here, args.execution)?;
    let text = args.text.trim();
    if text.is_empty() {
        return Err(CliError::new(Exit::Usage, "the remark is empty"));
    }
    let text = &masked(&kept, text)?;
    let store = Store::open(&kept.home)?;
    let added = store.append_aside(kept.id, &here.operator, |entries| {
        if has_ended(entries) {
            Err(())
        } else {
            Ok(Event::NoteAdded {
                text: text.to_owned(),
            })
        }
    });
    match added {
        Ok(_) => Ok(Exit::Done),
        Err(AsideError::Refused(())) => Err(ended(kept.id)),
        Err(AsideError::Store(error)) => Err(error.into()),
        Err(AsideError::Append(error)) => Err(error.into()),
    }
}

pub(crate) fn abort(here: &mut Here, args: &AbortArgs) -> Result<Exit, CliError> {
    let kept = find(here, args.execution)?;
    let reason = args.reason.trim();
    if reason.is_empty() {
        return Err(CliError::new(Exit::Usage, "a reason is needed"));
    }
    let inner = innermost(here, kept.clone())?;
    if inner.id != kept.id {
        let message = format!(
            "execution `{}`, which this one handed over to, is open",
            inner.id
        );
        return Err(CliError::new(Exit::Failed, message)
            .hint("end that one first: it works under the freeze of this one"));
    }
    let reason = &masked(&kept, reason)?;
    let (mut journal, entries, recovery) = Store::open(&kept.home)?.drive(kept.id)?;
    let mut state = fold(&entries)?;
    if state.is_ended() {
        return Err(ended(kept.id));
    }
    let aborted = Event::Aborted {
        reason: reason.to_owned(),
    };
    // After the abort nothing can be recorded any more, so what a crash left is named before it.
    for event in recovery.event().iter().chain([&aborted]) {
        for entry in journal.append(&here.operator, event)? {
            let bug = |error| CliError::from_error(Exit::Bug, &error);
            state.apply(entry.time, &entry.event).map_err(bug)?;
        }
    }
    if let Some(plan) = plan(&kept, &state) {
        let told = crate::report::event::told(&plan, &state, &aborted);
        here.out.talk(told.unwrap_or_default());
    }
    Ok(Exit::Done)
}

fn ended(id: ExecutionId) -> CliError {
    CliError::new(Exit::Failed, format!("execution `{id}` has ended"))
        .hint("what has ended never changes")
}
