//! `runbook resume`: an execution is taken up again, on the text and the profile that it was left with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::execution::event::{Adopted, Event, Resumed};
use crate::execution::plan::Plan;
use crate::execution::state::State;
use crate::ids::{ExecutionId, Slug};
use crate::journal::{Journal, Recovery, Store};

use super::context::Here;
use super::documents::{self, Applied, Found};
use super::error::{CliError, Exit};
use super::executions::{self, Kept};
use super::hand_over::{self, Footing};
use super::start::hands;
use super::stepping::{self, Bench, Desk, Programs, step_through};

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
    pub(crate) recovery: Recovery,
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
    let outer = hand_over::outer(&footing.home, &state.opened)?;
    let redactor = stepping::redactor(&found, &footing.profile, &outer)?;
    let bench = Bench {
        hands: hands(here, &state, &footing, &redactor),
        plan: Plan::new(found.runbook, &by_hand).under(&outer),
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
    given: Option<&Path>,
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
