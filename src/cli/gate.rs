//! `runbook gate`: says whether a target may be changed.

use crate::history::freeze::judge;
use crate::history::model::{Freeze, GateDecision, GateVerdict};
use crate::ids::Target;

use super::context::Here;
use super::error::{CliError, Exit};

/// Exits with 0 when the target may be changed, 10 when it is frozen, 20 when that could not be found out.
#[derive(Debug, clap::Args)]
pub(crate) struct GateArgs {
    /// What is to be changed: `workspace/environment` or `workspace/environment/service`.
    #[arg(long)]
    target: Target,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn gate(here: &mut Here, args: &GateArgs) -> Result<Exit, CliError> {
    let at = here.now();
    let verdict = match here.existing_history().await {
        Ok(history) => {
            let verdict = history.gate(&args.target, None, at).await;
            history.close().await;
            verdict
        }
        Err(error) => {
            let words = [&[error.message][..], &error.causes].concat().join(": ");
            error
                .hints
                .iter()
                .for_each(|hint| here.out.talk(format_args!("hint: {hint}")));
            judge(&args.target, None, Vec::new(), vec![words], at)
        }
    };
    if args.json {
        here.out.json(&verdict)?;
    } else {
        say(here, &verdict)?;
    }
    Ok(match verdict.decision {
        GateDecision::Clear => Exit::Done,
        GateDecision::Frozen => Exit::Frozen,
        GateDecision::Unknown => Exit::Unknown,
    })
}

fn say(here: &mut Here, verdict: &GateVerdict) -> Result<(), CliError> {
    let target = &verdict.target;
    match verdict.decision {
        GateDecision::Clear => here
            .out
            .data(format_args!("clear: no freeze is on `{target}`"))?,
        GateDecision::Frozen => here.out.data(format_args!("frozen: `{target}`"))?,
        GateDecision::Unknown => here.out.data(format_args!(
            "unknown: whether `{target}` is frozen could not be found out; treat it as frozen"
        ))?,
    }
    for freeze in &verdict.freezes {
        here.out.data(in_words(freeze))?;
    }
    for problem in &verdict.unreadable {
        here.out.data(format_args!(
            "  unreadable: {}",
            crate::report::text::harmless(problem)
        ))?;
    }
    Ok(())
}

/// Who holds the freeze, since when, for what, and why: two lines.
pub(crate) fn in_words(freeze: &Freeze) -> String {
    let holder = &freeze.holder;
    let execution = match &holder.execution {
        Some(execution) => format!(", execution {execution}"),
        None => ", outside an execution".to_owned(),
    };
    let run = freeze
        .run
        .as_ref()
        .map(|run| format!(", run {run}"))
        .unwrap_or_default();
    format!(
        "  `{}` is frozen by {} on {} since {}{execution}{run}, fence {}\n    reason: {}",
        freeze.scope,
        holder.principal,
        crate::report::text::harmless(&holder.host),
        freeze.created_at,
        freeze.fence,
        freeze.reason,
    )
}
