//! `runbook` steps an operator through an incident: it freezes the target, reads the truth before anything is touched,
//! measures the do-nots instead of printing them, and leaves a record that proves afterwards what happened.
//!
//! # The flow
//!
//! A *runbook* is planned against a *run* of the run history into an *execution*; the execution asks for *effects*; the
//! engine performs them and writes the *journal*; evidence is read from the journal; the *history* shares it.
//!
//! ```text
//! file -> runbook -> plan -> machine -> effects -> journal -> evidence
//! ```
//!
//! | Module | What it is |
//! |---|---|
//! | [`ids`] [`clock`] [`digest`] [`redact`] [`expr`] | ground: names, times, digests, secrets, expressions; each knows nothing of the others |
//! | [`runbook`] | the document (pure): model, parser, diagnostics |
//! | [`execution`] | the machine (pure): plan, state, gate, next |
//! | [`journal`] | the memory: the append-only, hash-chained record of one execution |
//! | [`effects`] | the hands: commands, requests, prompts, the history |
//! | [`engine`] | the one loop: next, write the intent, perform, write the outcome |
//! | [`history`] | the run history: the wire model and the embedded store |
//! | [`report`] | the voice (pure): text for people |
//! | [`drill`] | rehearsal: the simulated control plane and its scenarios |
//! | [`cli`] | what was typed, what it means here, one file per verb |
//!
//! # Who may import whom
//!
//! `tests/tidy.rs` reads this table and every `use crate::` line. Everyone may import the ground.
//!
//! | Module | May import |
//! |---|---|
//! | runbook | nothing |
//! | execution | runbook, history::model |
//! | journal | execution::event |
//! | effects | execution, runbook::model, journal::Artifacts, journal::ArtifactWriter, history |
//! | history | nothing |
//! | engine | execution, runbook::model, journal, effects |
//! | report | runbook, execution, history, journal |
//! | drill | history, runbook |
//! | cli | everything |
//!
//! # Invariants
//!
//! 1. State is the fold of the journal, live and on resume alike.
//! 2. Nothing is performed that is not first durable as an intent; nothing is shown as done that is not durable as an
//!    outcome.
//! 3. No change is performed unless, read again immediately before it, the freeze is ours and its fence current,
//!    preflight is fresh, and every guard on it is clear. A command beside the steps needs the same but for the age of
//!    the preflight, and after it everything is measured anew.
//! 4. Unknown never passes, and nothing turns an error into a pass.
//! 5. Nothing secret reaches an event, an artifact or the terminal.
//! 6. A journal that was changed, cut or reordered is never accepted as whole.

pub mod clock;
pub mod digest;
pub mod expr;
pub mod ids;
pub mod redact;

pub mod runbook;

pub mod execution;

pub mod journal;

pub mod effects;

pub mod engine;

pub mod history;

pub mod report;

pub mod drill;

pub mod cli;
