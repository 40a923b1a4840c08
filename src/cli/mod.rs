//! The command line: what was typed, what it means here, one file per verb.
//!
//! stdout is data, stderr is talk. A verb returns the [`Exit`] that says what came of it; only what could not be done
//! is a [`CliError`].

mod args;
mod context;
pub mod error;

mod documents;
mod editor;
mod executions;
mod narrator;
mod scripted;
mod stepping;
mod terminal;

mod drill;
mod exec;
mod freeze;
mod gate;
mod hand_over;
mod inputs;
mod lint;
mod plan;
mod preflight;
mod resume;
mod run;
mod start;
mod status;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Verb};
use context::Here;
use error::{CliError, Exit};

/// Runs the program that was typed; what it returns is the exit code of the process.
#[must_use]
pub fn main() -> ExitCode {
    // A bug must not look like any verdict, least of all like `clear`.
    let done = std::panic::catch_unwind(|| {
        let args = Args::parse();
        attempt(&args).unwrap_or_else(|error| {
            anstream::eprint!("{error}");
            error.exit
        })
    });
    done.unwrap_or(Exit::Bug).into()
}

fn attempt(args: &Args) -> Result<Exit, CliError> {
    let mut here = Here::find(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        CliError::new(Exit::Failed, "failed to start the runtime").caused_by(&error)
    })?;
    runtime.block_on(async {
        match &args.verb {
            Verb::List(args) => plan::list(&mut here, args),
            Verb::Show(args) => plan::show(&mut here, args),
            Verb::Plan(args) => plan::plan(&mut here, args).await,
            Verb::Preflight(args) => preflight::preflight(&mut here, args).await,
            Verb::Start(args) => start::start(&mut here, args).await,
            Verb::Resume(args) => resume::resume(&mut here, args).await,
            Verb::Status(args) => status::status(&mut here, args),
            Verb::Exec(args) => exec::exec(&mut here, args).await,
            Verb::Note(args) => status::note(&mut here, args),
            Verb::Abort(args) => status::abort(&mut here, args),
            Verb::Drill(args) => drill::drill(&mut here, args).await,
            Verb::Lint(args) => lint::lint(&mut here, args),
            Verb::Run { verb } => run::run(&mut here, verb).await,
            Verb::Freeze { verb } => freeze::freeze(&mut here, verb).await,
            Verb::Gate(gate) => gate::gate(&mut here, gate).await,
        }
    })
}
