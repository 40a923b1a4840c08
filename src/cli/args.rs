//! What was typed: clap only, nothing decided.

use clap::{Parser, Subcommand};

use crate::ids::Principal;

use super::{drill, exec, freeze, gate, lint, plan, preflight, resume, run, start, status};

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
    /// List the shipped runbooks.
    List(plan::ListArgs),
    /// Show a runbook: its inputs, checks, do-nots and steps.
    Show(plan::ShowArgs),
    /// Show what stepping through a runbook would be for a run; performs nothing.
    Plan(plan::PlanArgs),
    /// Judge the preflight for a run; changes and asks nothing, for CI.
    Preflight(preflight::PreflightArgs),
    /// Step through a runbook for a run.
    Start(start::StartArgs),
    /// Go on with an execution that was left or interrupted.
    Resume(resume::ResumeArgs),
    /// Show the open executions.
    Status(status::StatusArgs),
    /// Run a command beside the steps: guarded, and kept as evidence.
    Exec(exec::ExecArgs),
    /// Remark something on an execution.
    Note(status::NoteArgs),
    /// End an execution without completing it; the freeze stays.
    Abort(status::AbortArgs),
    /// Rehearse a runbook against a simulated control plane.
    Drill(drill::DrillArgs),
    /// Find the mistakes in runbooks.
    Lint(lint::LintArgs),
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
