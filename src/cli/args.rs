//! What was typed: clap only, nothing decided.

use clap::{Parser, Subcommand};

use crate::ids::Principal;

use super::{freeze, gate, run};

/// Steps an operator through an incident runbook.
#[derive(Debug, Parser)]
#[command(version, disable_help_subcommand = true)]
pub(super) struct Args {
    /// Act under this name instead of the name of the operating system's user.
    #[arg(
        long = "as",
        value_name = "NAME",
        env = "RUNBOOK_OPERATOR",
        global = true
    )]
    pub(super) operator: Option<Principal>,

    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Record and read runs, their logs and their comments.
    Run {
        #[command(subcommand)]
        verb: run::RunVerb,
    },
    /// Take, list and release freezes.
    Freeze {
        #[command(subcommand)]
        verb: freeze::FreezeVerb,
    },
    /// Say whether a target may be changed; for pipelines, never asks anything.
    Gate(gate::GateArgs),
}
