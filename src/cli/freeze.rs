//! `runbook freeze`: take, list and release freezes.

use clap::Subcommand;
use serde_json::json;

use crate::history::model::{Freeze, FreezeState, Holder, Reason, Release, Scope};
use crate::history::{FreezeRef, History, Released, Take, Taken, WhichFreezes};
use crate::ids::{ExecutionId, RunId};

use super::context::Here;
use super::error::{CliError, Exit};
use super::gate::in_words;

#[derive(Debug, Subcommand)]
pub(crate) enum FreezeVerb {
    /// Stop all changes to a target; fails with 10 when somebody else has done so.
    Take {
        /// What to freeze: a workspace, `workspace/environment` or `workspace/environment/service`.
        #[arg(value_name = "TARGET")]
        scope: Scope,
        /// Why; everybody who is stopped reads it.
        #[arg(long)]
        reason: Reason,
        /// The run it is about.
        #[arg(long)]
        run_id: Option<RunId>,
        /// Print the freeze as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the freezes that hold.
    List {
        /// Only those that overlap this.
        #[arg(value_name = "TARGET")]
        scope: Option<Scope>,
        /// Released ones, too.
        #[arg(long)]
        all: bool,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Allow changes again.
    Release {
        /// The frozen target, or the id of the freeze.
        #[arg(value_name = "TARGET|ID")]
        which: FreezeRef,
        /// The fence of the freeze, as `freeze take` and `freeze list` show it.
        #[arg(long)]
        fence: u64,
        /// Why it may end.
        #[arg(long)]
        reason: Reason,
    },
}

pub(crate) async fn freeze(here: &mut Here, verb: &FreezeVerb) -> Result<Exit, CliError> {
    match verb {
        FreezeVerb::Take {
            scope,
            reason,
            run_id,
            json,
        } => {
            let take = Take {
                scope: scope.clone(),
                reason: reason.clone(),
                holder: Holder {
                    principal: here.operator.clone(),
                    execution: None,
                    host: here.host.clone(),
                },
                run: run_id.clone(),
                lease: None,
                at: here.now(),
            };
            take_freeze(here, take, *json).await
        }
        FreezeVerb::List { scope, all, json } => {
            let which = if *all {
                WhichFreezes::All
            } else {
                WhichFreezes::Active
            };
            list(here, scope.as_ref(), which, *json).await
        }
        FreezeVerb::Release {
            which,
            fence,
            reason,
        } => {
            let release = Release {
                by: here.operator.clone(),
                reason: reason.clone(),
                at: here.now(),
                execution: None,
            };
            release_freeze(here, which, *fence, &release).await
        }
    }
}

async fn take_freeze(here: &mut Here, take: Take, json: bool) -> Result<Exit, CliError> {
    let history = here.history().await?;
    let taken = history.take(take).await?;
    history.close().await;
    let (outcome, freeze, exit) = match taken {
        Taken::Now(freeze) => ("taken", freeze, Exit::Done),
        Taken::Already(freeze) => ("already", freeze, Exit::Done),
        Taken::Held(freeze) => ("held", freeze, Exit::Frozen),
    };
    if json {
        here.out
            .json(&json!({"outcome": outcome, "freeze": freeze}))?;
        return Ok(exit);
    }
    match outcome {
        "taken" => here.out.data(format_args!(
            "frozen: `{}`, fence {}",
            freeze.scope, freeze.fence
        ))?,
        "already" => {
            here.out
                .talk("nothing changed: you hold this freeze already");
            here.out.data(in_words(&freeze))?;
        }
        _ => {
            let message = format!(
                "`{}` is already frozen by {}",
                freeze.scope, freeze.holder.principal
            );
            return Err(
                CliError::new(exit, format!("{message}\n{}", in_words(&freeze)))
                    .hint(format!("ask {}, or follow along", freeze.holder.principal)),
            );
        }
    }
    Ok(exit)
}

async fn list(
    here: &mut Here,
    scope: Option<&Scope>,
    which: WhichFreezes,
    json: bool,
) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let mut freezes = history.freezes(which).await?;
    history.close().await;
    if let Some(scope) = scope {
        freezes
            .readable
            .retain(|freeze| freeze.scope.overlaps(scope));
    }
    if json {
        here.out
            .json(&json!({"freezes": freezes.readable, "unreadable": freezes.unreadable}))?;
    } else {
        for freeze in &freezes.readable {
            here.out.data(in_words(freeze))?;
            if let (FreezeState::Released, Some(release)) = (freeze.state, &freeze.release) {
                let Release { by, reason, at, .. } = release;
                here.out
                    .data(format_args!("    released by {by} at {at}: {reason}"))?;
            }
        }
        if freezes.readable.is_empty() && freezes.unreadable.is_empty() {
            here.out.talk("no freezes");
        }
    }
    if freezes.unreadable.is_empty() {
        return Ok(Exit::Done);
    }
    let problems = freezes
        .unreadable
        .iter()
        .map(|problem| crate::report::text::harmless(problem));
    let mut error = CliError::new(
        Exit::Unknown,
        "not every freeze can be read; every gate stays closed",
    );
    error.causes = problems.collect();
    Err(error.hint("find out what it protects, then end it with `runbook freeze release ID --fence N --reason ...`"))
}

async fn release_freeze(
    here: &mut Here,
    which: &FreezeRef,
    fence: u64,
    release: &Release,
) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let held_for = held_for(&history, which).await;
    let released = history.release(which, fence, release).await?;
    history.close().await;
    match released {
        Released::Now(_) => {
            here.out.talk(format_args!("released: `{which}`"));
            if let Some(execution) = held_for {
                here.out.talk(format_args!(
                    "It was held for execution {execution}; if that is still open, its next change is refused."
                ));
            }
            Ok(Exit::Done)
        }
        Released::Already(_) => {
            here.out
                .talk("nothing changed: this freeze was released before");
            Ok(Exit::Done)
        }
        Released::Stale(freeze) => {
            let scope = &freeze.scope;
            let message = format!(
                "not released: fence {fence} is not that of the freeze on `{scope}`, which still holds\n{}",
                in_words(&freeze)
            );
            Err(CliError::new(Exit::Failed, message)
                .hint("make sure that it is the freeze you mean, then name its fence"))
        }
    }
}

/// The execution that an active freeze is held for.
async fn held_for(history: &History, which: &FreezeRef) -> Option<ExecutionId> {
    let active = history.freezes(WhichFreezes::Active).await.ok()?.readable;
    let named = |freeze: &Freeze| match which {
        FreezeRef::Id(id) => freeze.id == *id,
        FreezeRef::Scope(scope) => freeze.scope == *scope,
    };
    active.into_iter().find(named)?.holder.execution
}
