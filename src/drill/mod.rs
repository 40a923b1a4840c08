//! Rehearsal: a simulated control plane, and the scenarios that it plays.
//!
//! A drill walks a real runbook, with the real machine, gates and journal; only what answers the requests is simulated.
//! In the order in which to read it: [`scenario`] (what is rehearsed), [`world`] (what is true in the simulated
//! environment, and what it answers), [`plane`] (the same over HTTP, for this machine and this drill only).
//!
//! What is promised:
//!
//! - The world is plain data, and a pure function from a request to the next world and an answer. It has no clock and
//!   no chance: the same requests in the same order give the same answers.
//! - It reacts as a control plane does that compares and swaps: a change is accepted against the current epoch only, one
//!   idempotency key makes one operation, and an operation takes effect over the reads that follow it.
//! - It does not protect the operator. What a real plane would let somebody do, it does, and shows the consequences; the
//!   guards of the runbook are what is rehearsed.
//! - Every change that it was asked for is on its ledger, with whether it took effect.

mod compatibility;
mod disturbance;
mod operate;
pub mod plane;
mod request;
mod routes;
pub mod scenario;
pub mod world;

pub use plane::{ControlPlane, PlaneError};
pub use request::Answer;
pub use scenario::{Scenario, ScenarioError, scenario, scenarios};
pub use world::{Effect, Performed, World};

#[cfg(test)]
mod tests;
