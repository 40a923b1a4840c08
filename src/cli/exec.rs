//! `runbook exec`: a command beside the steps of an execution, through the same do-nots, kept as evidence.

use clap::Args;

use crate::effects::answers::Answers;
use crate::engine::{AdHocRest, Engine, TakenUp};
use crate::execution::event::Ending;
use crate::execution::plan::Plan;
use crate::history::History;
use crate::ids::ExecutionId;
use crate::journal::Store;
use crate::report::event::ground;

use super::context::Here;
use super::error::{CliError, Exit};
use super::executions;
use super::hand_over::{self, Footing};
use super::resume::{current_profile, current_text};
use super::start::hands;
use super::stepping::{self, Desk, broken, refused};

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// Of which execution; of the only open one where it is left out.
    #[arg(long, value_name = "EXECUTION")]
    execution: Option<ExecutionId>,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(crate) async fn exec(here: &mut Here, args: &ExecArgs) -> Result<Exit, CliError> {
    // What handed over waits: the command belongs to the one that is under way.
    let kept = executions::innermost(here, executions::find(here, args.execution)?)?;
    let store = Store::open(&kept.home)?;
    let (journal, entries, recovery) = store.drive(kept.id)?;
    let state = executions::fold(&entries)?;
    if state.is_ended() {
        let message = format!("execution `{}` has ended", kept.id);
        return Err(CliError::new(Exit::Failed, message)
            .hint("an execution that has ended never changes; start a new one"));
    }
    let (mut found, _) = current_text(&store, &kept, &state, None)?;
    let profile = current_profile(&store, &kept, &state, None, &mut found)?;
    let outer = hand_over::outer(&kept.home, &state.opened)?;
    let redactor = stepping::redactor(&found, &profile, &outer)?;
    // A drill has a run history of its own, and runs no programs.
    let history = match state.opened.drill {
        Some(_) => History::open_existing(&kept.home.join("history.db")).await?,
        None => here.existing_history().await?,
    };
    let footing = Footing {
        home: kept.home.clone(),
        history,
        profile,
    };
    let hands = hands(here, &state, &footing, &redactor);
    let plan = Plan::new(found.runbook, &state.by_hand).under(&outer);
    let desk = Desk::scripted(Answers::default())?;
    let signals = desk.signals.clone();
    let taken_up = TakenUp {
        plan,
        state,
        journal,
        redactor,
        actor: here.operator.clone(),
    };
    let mut engine = Engine::new(taken_up, desk, hands, signals);
    if let Some(event) = recovery.event() {
        engine.record(event).map_err(|error| broken(&error))?;
    }
    let rest = engine.ad_hoc(args.command.clone()).await;
    match rest.map_err(|error| broken(&error))? {
        AdHocRest::Ended(Ending::Done { code: Some(0), .. }) => Ok(Exit::Done),
        AdHocRest::Ended(Ending::Doubtful { .. }) => Ok(Exit::InDoubt),
        AdHocRest::Ended(_) => Ok(Exit::Failed),
        AdHocRest::NotBegun(why) => Err(CliError::new(
            Exit::Failed,
            format!("nothing was run: {why}"),
        )),
        AdHocRest::Refused(grounds) => {
            let exit = grounds.first().map_or(Exit::GuardRefuses, refused);
            let words = grounds.iter().map(|g| ground(engine.plan(), g));
            let words: Vec<String> = words.collect();
            Err(CliError::new(
                exit,
                format!("refused: {}", words.join("\n")),
            ))
        }
    }
}
