//! The command line: what was typed, what it means here, one file per verb.
//!
//! stdout is data, stderr is talk. A verb returns the [`Exit`] that says what came of it; only what could not be done
//! is a [`CliError`].

mod args;
mod context;
pub mod error;
mod freeze;
mod gate;
mod run;

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
            Verb::Run { verb } => run::run(&mut here, verb).await,
            Verb::Freeze { verb } => freeze::freeze(&mut here, verb).await,
            Verb::Gate(gate) => gate::gate(&mut here, gate).await,
        }
    })
}
