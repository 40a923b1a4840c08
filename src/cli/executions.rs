//! Finding executions and reading what is true of them.

use std::path::{Path, PathBuf};

use crate::execution::event::Event;
use crate::execution::state::State;
use crate::ids::ExecutionId;
use crate::journal::{AppendError, Entry, Reading, Store, StoreError, Tail};
use crate::runbook::model::Runbook;

use super::context::Here;
use super::error::{CliError, Exit};

/// Where an execution is kept.
#[derive(Clone)]
pub(crate) struct Kept {
    /// Its id.
    pub(crate) id: ExecutionId,
    /// The state directory that it is kept under; a drill has one of its own.
    pub(crate) home: PathBuf,
}

impl Kept {
    /// What its journal says, read without a lock.
    pub(crate) fn read(&self) -> Result<Reading, CliError> {
        Ok(Store::open(&self.home)?.read(self.id)?)
    }
}

/// Every execution: those of this state directory, then drills, each oldest first.
pub(crate) fn all(here: &Here) -> Result<Vec<Kept>, CliError> {
    let mut kept = Vec::new();
    // Looking must not make a state directory.
    if here.home.join("executions").exists() {
        let ids = Store::open(&here.home)?.ids()?;
        kept.extend(ids.into_iter().map(|id| Kept {
            id,
            home: here.home.clone(),
        }));
    }
    for id in drills(here)? {
        kept.push(Kept {
            id,
            home: drill_home(&here.home, id),
        });
    }
    Ok(kept)
}

/// The state directory of one drill: nothing of it touches what is real.
pub(crate) fn drill_home(home: &Path, id: ExecutionId) -> PathBuf {
    home.join("drills").join(id.to_string())
}

fn drills(here: &Here) -> Result<Vec<ExecutionId>, CliError> {
    let place = here.home.join("drills");
    let entries = match std::fs::read_dir(&place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("failed to list `{}`", place.display());
            return Err(CliError::new(Exit::Failed, message).caused_by(&error));
        }
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ids: Vec<ExecutionId> = names.filter_map(|name| name.parse().ok()).collect();
    ids.retain(|id| {
        drill_home(&here.home, *id)
            .join("executions")
            .join(id.to_string())
            .exists()
    });
    ids.sort();
    Ok(ids)
}

/// The execution that was named, or the only open one.
pub(crate) fn find(here: &Here, named: Option<ExecutionId>) -> Result<Kept, CliError> {
    let all = all(here)?;
    if let Some(id) = named {
        return all.into_iter().find(|kept| kept.id == id).ok_or_else(|| {
            CliError::new(Exit::Failed, format!("there is no execution `{id}`"))
                .hint("`runbook status --all` lists every one")
        });
    }
    let mut open: Vec<Kept> = all.into_iter().filter(is_open).collect();
    // One that was handed over to is gone on with by the one that did.
    let ids: Vec<ExecutionId> = open.iter().map(|kept| kept.id).collect();
    open.retain(|kept| handed_over_by(kept).is_none_or(|by| !ids.contains(&by)));
    // A drill that was left never stands in the way of what is real.
    if open.iter().any(|kept| kept.home == here.home) {
        open.retain(|kept| kept.home == here.home);
    }
    match &open[..] {
        [one] => Ok(one.clone()),
        [] => Err(CliError::new(Exit::Failed, "no execution is open")
            .hint("`runbook status --all` lists every one")),
        several => {
            let named = several.iter().map(|kept| format!("\n  {}", about(kept)));
            let message = format!("several executions are open:{}", named.collect::<String>());
            Err(CliError::new(Exit::Usage, message).hint("name one of them by its id"))
        }
    }
}

/// An execution in a few words, to tell it from others.
fn about(kept: &Kept) -> String {
    let opened = kept.read().ok().and_then(|reading| {
        let first = reading.entries.into_iter().next()?;
        match first.event {
            Event::Opened(opened) => Some(opened),
            _ => None,
        }
    });
    let Some(opened) = opened else {
        return kept.id.to_string();
    };
    let drill = opened
        .drill
        .map_or(String::new(), |drill| format!(", drill `{drill}`"));
    format!(
        "{}  {}, run {}{drill}",
        kept.id, opened.runbook.id, opened.run_id
    )
}

/// The execution that handed over to this one.
fn handed_over_by(kept: &Kept) -> Option<ExecutionId> {
    match &kept.read().ok()?.entries.first()?.event {
        Event::Opened(opened) => opened
            .handed_over
            .as_ref()
            .map(|handed_over| handed_over.by),
        _ => None,
    }
}

fn is_open(kept: &Kept) -> bool {
    // What cannot be read is not quietly left out: it counts as open, and using it says what is wrong.
    match kept.read().map(|reading| fold(&reading.entries)) {
        Ok(Ok(state)) => !state.is_ended(),
        Ok(Err(_)) | Err(_) => true,
    }
}

/// What is true after these entries.
pub(crate) fn fold(entries: &[Entry]) -> Result<State, CliError> {
    let contradicts = |error: crate::execution::state::Illegal| {
        CliError::new(
            Exit::NotVerified,
            "no-incomplete-log: the journal contradicts itself",
        )
        .caused_by(&error)
    };
    let Some((first, rest)) = entries.split_first() else {
        return Err(CliError::new(Exit::NotVerified, "the journal is empty")
            .hint("the execution ended before it began; start it again"));
    };
    let mut state = State::open(first.time, &first.event).map_err(contradicts)?;
    for entry in rest {
        state.apply(entry.time, &entry.event).map_err(contradicts)?;
    }
    Ok(state)
}

/// The runbook as it was kept beside the journal.
///
/// # Errors
/// Where it is not there, or is none any more.
pub(crate) fn kept_runbook(
    store: &Store,
    id: ExecutionId,
    state: &State,
) -> Result<Runbook, CliError> {
    let file = state.runbook.files.first();
    let path = file.map_or("", |file| file.path.as_str());
    let text = store.kept(id, path)?;
    super::documents::parse(path.trim_start_matches("runbook/"), path, &text)
}

/// The open execution that everything else waits for: of those that this one handed over to, the last.
pub(crate) fn innermost(here: &Here, kept: Kept) -> Result<Kept, CliError> {
    let open: Vec<Kept> = all(here)?.into_iter().filter(is_open).collect();
    let mut inner = kept;
    while let Some(next) = open.iter().find(|k| handed_over_by(k) == Some(inner.id)) {
        inner = next.clone();
    }
    Ok(inner)
}

/// What stands in the way of trusting a reading as whole, in words.
pub(crate) fn flaw(tail: &Tail) -> Option<String> {
    match tail {
        Tail::Whole => None,
        Tail::Torn { .. } => Some("its last line is incomplete; resuming repairs that".into()),
        Tail::Newer { line, what, .. } => Some(format!(
            "line {line} was written by a newer version ({what})"
        )),
        Tail::Damaged { line, offset, why } => {
            Some(format!("damaged: line {line}, at byte {offset}, {why}"))
        }
    }
}

/// Whether the execution has ended, so that nothing may be added.
pub(crate) fn has_ended(entries: &[Entry]) -> bool {
    entries
        .iter()
        .any(|e| matches!(e.event, Event::Aborted { .. } | Event::Closed { .. }))
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Damaged { .. } | StoreError::Newer { .. } => Exit::NotVerified,
            StoreError::Untrusted { .. }
            | StoreError::NotFound { .. }
            | StoreError::Exists(_)
            | StoreError::Driven { .. }
            | StoreError::Document(_)
            | StoreError::KeptOtherwise(_)
            | StoreError::File(_) => Exit::Failed,
        };
        let mut shown = Self::from_error(exit, &error);
        if exit == Exit::NotVerified {
            shown.message = format!("no-incomplete-log: {}", shown.message);
        }
        shown
    }
}

impl From<AppendError> for CliError {
    fn from(error: AppendError) -> Self {
        if let AppendError::TooBig { .. } = error {
            return Self::from_error(Exit::Usage, &error);
        }
        Self::from_error(Exit::Failed, &error).hint(
            "what was recorded is safe; make room on the disk if it is full, then `runbook resume`",
        )
    }
}
