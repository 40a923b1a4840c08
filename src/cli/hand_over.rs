//! Handing over: another runbook is stepped through for the same run and under the same freeze, in an execution of its
//! own. The one that handed over goes on when that has ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::engine::OtherEnd;
use crate::execution::event::{HandedOver, Opened};
use crate::execution::next::HandOver;
use crate::execution::plan::Plan;
use crate::execution::state::{Standing, State};
use crate::history::History;
use crate::ids::{Field, RunbookId};
use crate::journal::{Journal, Recovery, Store};
use crate::runbook::model::{Action, Runbook};

use super::context::Here;
use super::documents::{self, Applied, Found};
use super::error::{CliError, Exit};
use super::executions::{self, Kept};
use super::inputs::judged;
use super::resume::{self, Resuming};
use super::start::{self, Ready};
use super::stepping::{self, Desk, Programs};

/// What an execution stands on, and one that it hands over to as well.
pub(crate) struct Footing {
    /// The state directory.
    pub(crate) home: PathBuf,
    /// The run history.
    pub(crate) history: History,
    /// The endpoints, and the profile that they are from.
    pub(crate) profile: Applied,
}

/// A step that hands over.
pub(crate) struct HandingOver<'a> {
    pub(crate) footing: &'a Footing,
    /// The runbook that hands over.
    pub(crate) plan: &'a Plan,
    /// What is true of the execution that hands over.
    pub(crate) by: &'a State,
    /// What it hands over to.
    pub(crate) to: HandOver,
}

/// What became of the other execution.
pub(crate) enum Other {
    /// It ended.
    Ended(OtherEnd),
    /// It is open; it was left with this.
    Open(Exit),
}

impl HandingOver<'_> {
    /// Steps through the other execution from where it stands: from its beginning, or from where it was left.
    pub(crate) async fn step_through(
        &self,
        here: &mut Here,
        desk: &mut Desk,
    ) -> Result<Other, CliError> {
        let store = Store::open(&self.footing.home)?;
        let (id, by) = (self.to.execution, self.by.opened.id);
        let exit = if store.ids()?.contains(&id) {
            self.take_up(here, desk, &store).await?
        } else {
            self.begin(here, desk, || Ok(store.create(id)?)).await?
        };
        let entries = store.read(id)?.entries;
        Ok(match executions::fold(&entries)?.standing {
            Standing::Closed { outcome, success } => {
                here.out.talk(format_args!("\nBack in execution {by}."));
                Other::Ended(OtherEnd::Closed { outcome, success })
            }
            Standing::Aborted { reason } => Other::Ended(OtherEnd::Aborted {
                why: format!(
                    "execution {id} of `{}` was aborted: {reason}",
                    self.to.runbook
                ),
            }),
            Standing::Open | Standing::Paused { .. } => {
                here.out.talk(format_args!(
                    "Execution {by} waits for its end; `runbook resume {by}` goes on with both."
                ));
                Other::Open(exit)
            }
        })
    }

    /// Goes on with what is there already; where it has ended, there is nothing to do.
    async fn take_up(
        &self,
        here: &mut Here,
        desk: &mut Desk,
        store: &Store,
    ) -> Result<Exit, CliError> {
        let (journal, entries, recovery) = store.drive(self.to.execution)?;
        if entries.is_empty() {
            // A crash came before its first entry.
            return self.begin(here, desk, || Ok(journal)).await;
        }
        let state = executions::fold(&entries)?;
        let by = state.opened.handed_over.as_ref();
        if by.is_none_or(|h| h.by != self.by.opened.id || h.step != self.to.step) {
            let message = format!(
                "execution `{}` was not handed over to by this one",
                self.to.execution
            );
            return Err(CliError::new(Exit::NotVerified, message));
        }
        if state.is_ended() {
            return Ok(Exit::Done);
        }
        self.go_on(here, desk, store, (journal, state, recovery))
            .await
    }

    async fn begin(
        &self,
        here: &mut Here,
        desk: &mut Desk,
        journal: impl FnOnce() -> Result<Journal, CliError>,
    ) -> Result<Exit, CliError> {
        let by = &self.by.opened;
        let mut found = find(&self.to.runbook, self.by.runbook.path.as_deref())?;
        let reference = found.reference();
        let profile = self.profile(&mut found.runbook)?;
        let inputs = self.inputs(&found.runbook, desk)?;
        let folder = stepping::folder();
        let by_hand =
            stepping::by_hand(&found.runbook, &profile.endpoints, &folder, self.programs());
        let handed_over = by.handed_over.as_ref();
        let opened = Opened {
            id: self.to.execution,
            tool: start::tool(),
            host: here.host.clone(),
            operator: here.operator(),
            runbook: reference,
            profile: profile.reference(),
            run_id: by.run_id.clone(),
            target: by.target.clone(),
            inputs,
            by_hand,
            drill: by.drill.clone(),
            handed_over: Some(HandedOver {
                by: by.id,
                step: self.to.step.clone(),
                freeze_of: handed_over.map_or(by.id, |handed_over| handed_over.freeze_of),
            }),
        };
        let ready = Ready {
            found,
            profile,
            opened,
            history: self.footing.history.clone(),
        };
        let redactor = ready.redactor(&self.footing.home)?;
        let journal = (journal()?, redactor);
        // An execution steps through another, which may step through a third.
        Box::pin(start::begin(here, &self.footing.home, journal, ready, desk)).await
    }

    async fn go_on(
        &self,
        here: &mut Here,
        desk: &mut Desk,
        store: &Store,
        (journal, state, recovery): (Journal, State, Recovery),
    ) -> Result<Exit, CliError> {
        let kept = Kept {
            id: self.to.execution,
            home: self.footing.home.clone(),
        };
        let (mut found, adopted) = resume::current_text(store, &kept, &state, None)?;
        let profile = match state.opened.drill {
            Some(_) => self.profile(&mut found.runbook)?,
            None => resume::current_profile(store, &kept, &state, None, &mut found)?,
        };
        let folder = stepping::folder();
        let by_hand =
            stepping::by_hand(&found.runbook, &profile.endpoints, &folder, self.programs());
        let footing = Footing {
            home: kept.home,
            history: self.footing.history.clone(),
            profile,
        };
        let resuming = Resuming {
            found,
            adopted,
            by_hand,
            footing,
            journal,
            state,
            recovery,
        };
        Box::pin(resume::go_on(here, resuming, desk)).await
    }

    /// What the profile of the execution that hands over means for the other runbook.
    fn profile(&self, runbook: &mut Runbook) -> Result<Applied, CliError> {
        match &self.footing.profile.source {
            Some(source) => {
                documents::apply_profile_text(&source.file, source.text.as_bytes(), runbook)
            }
            None => Ok(Applied {
                endpoints: self.footing.profile.endpoints.clone(),
                source: None,
            }),
        }
    }

    fn programs(&self) -> Programs {
        match self.by.opened.drill {
            Some(_) => Programs::NotRun,
            None => Programs::Run,
        }
    }

    /// Inputs of the same name are passed on; then defaults; then somebody is asked.
    fn inputs(
        &self,
        runbook: &Runbook,
        desk: &mut Desk,
    ) -> Result<BTreeMap<Field, Json>, CliError> {
        let mut inputs = BTreeMap::new();
        let mut absent = Vec::new();
        for input in &runbook.inputs {
            let passed_on = self.by.opened.inputs.get(&input.id);
            let passed_on = passed_on.map(|value| judged(input, value)).transpose();
            let passed_on = passed_on.map_err(|why| {
                let id = &self.plan.runbook().id;
                CliError::new(
                    Exit::Usage,
                    format!("what `{id}` passes on does not fit: {why}"),
                )
                .hint("two inputs of one name must be of one kind")
            })?;
            match passed_on
                .or_else(|| input.default.clone())
                .or_else(|| desk.input(input))
            {
                Some(value) => drop(inputs.insert(input.id.clone(), value)),
                None => absent.push(format!("`{}`", input.id)),
            }
        }
        if absent.is_empty() {
            return Ok(inputs);
        }
        let message = format!(
            "`{}` needs {} of `{}` from a person",
            self.plan.runbook().id,
            absent.join(", "),
            runbook.id
        );
        Err(CliError::new(Exit::PersonNeeded, message).hint(format!(
            "`runbook resume {}` in a terminal asks for them",
            self.by.opened.id
        )))
    }
}

/// The runbooks that one may hand over to, directly or by way of others.
///
/// # Errors
/// Where one of them cannot be read, needs a wider freeze than is held by then, or leads back: better now than when it
/// burns.
pub(crate) fn others(found: &Found) -> Result<Vec<Found>, CliError> {
    let mut others = Vec::new();
    add_others(found, &mut vec![found.runbook.id.clone()], &mut others)?;
    Ok(others)
}

/// Adds what `by` hands over to; `chain` is how one comes to it, itself included.
fn add_others(
    by: &Found,
    chain: &mut Vec<RunbookId>,
    others: &mut Vec<Found>,
) -> Result<(), CliError> {
    for (id, path) in handed_over_to(by) {
        if chain.contains(&id) {
            let way: Vec<String> = chain
                .iter()
                .chain([&id])
                .map(|id| format!("`{id}`"))
                .collect();
            let message = format!("a hand-over leads back: {}", way.join(" to "));
            return Err(CliError::new(Exit::Usage, message).hint(
                "what was handed over ends before the first goes on; go back within one runbook",
            ));
        }
        let other = find(&id, path.as_deref())?;
        if other.runbook.freeze.scope < by.runbook.freeze.scope {
            let message = format!(
                "`{id}` needs more of the target frozen than `{}` does, which hands over to it",
                by.runbook.id
            );
            return Err(CliError::new(Exit::Usage, message)
                .hint("the freeze of the first covers both: widen it there"));
        }
        chain.push(id);
        add_others(&other, chain, others)?;
        chain.pop();
        others.push(other);
    }
    Ok(())
}

/// The runbooks, as they were kept, of the executions that handed over to this one, the nearest first.
///
/// # Errors
/// Where one of them cannot be read: then it is not known what it denies.
pub(crate) fn outer(home: &Path, opened: &Opened) -> Result<Vec<Runbook>, CliError> {
    let store = Store::open(home)?;
    let mut outer = Vec::new();
    let mut by = opened.handed_over.as_ref().map(|h| h.by);
    while let Some(id) = by {
        let state = executions::fold(&store.read(id)?.entries)?;
        outer.push(executions::kept_runbook(&store, id, &state)?);
        by = state.opened.handed_over.map(|h| h.by);
    }
    Ok(outer)
}

/// What a runbook hands over to, each with the path that it is looked for beside.
fn handed_over_to(found: &Found) -> Vec<(RunbookId, Option<String>)> {
    let steps = found.runbook.steps.iter();
    let to = steps.filter_map(|step| match &step.action {
        Action::HandOver(id) => Some((id.clone(), found.path.clone())),
        _ => None,
    });
    to.collect()
}

/// The runbook of this name: beside the one that names it, where that is a file; else a shipped one.
fn find(id: &RunbookId, by: Option<&str>) -> Result<Found, CliError> {
    let beside = by.and_then(|path| Path::new(path).parent());
    let beside = beside.map(|folder| folder.join(format!("{id}.yaml")));
    match beside.filter(|path| path.exists()) {
        Some(path) => documents::find_runbook(&path.to_string_lossy()),
        None => documents::find_runbook(id.as_str()),
    }
}
