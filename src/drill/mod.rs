//! Rehearsal: a simulated control plane, and the scenarios that it plays.
//!
//! A drill walks a real runbook, with the real machine, gates and journal; only what answers the requests is simulated.
//! All of it is data, so that a drill of one's own needs no code. In the order in which to read it: [`mod@scenario`] (what is
//! rehearsed), [`plane`] (which request is answered how; the format is told there), [`simulation`] (a function from a
//! request to an answer and the next world), [`world`] (what is kept), [`server`] (the same over HTTP, for this machine
//! and this drill only).
//!
//! What is promised:
//!
//! - The world is plain data. There is no clock and no chance: the same requests in the same order give the same answers.
//! - One idempotency key makes one change. What a plane makes of a request beyond that, its document says.
//! - It does not protect the operator. What a real plane would let somebody do, it does, and shows the consequences; the
//!   guards of the runbook are what is rehearsed.
//! - Every change that it was asked for is on its ledger, with whether it took effect.

mod case;
mod disturbance;
mod document;
mod form;
mod line;
mod names;
mod patch;
pub mod plane;
mod request;
mod route;
pub mod scenario;
pub mod server;
mod shipped;
pub mod simulation;
pub mod world;

pub use document::DocumentError;
pub use plane::Plane;
pub use request::{Answer, Asked};
pub use scenario::{Scenario, ScenarioError, Texts, beside, scenario, scenarios};
pub use server::{ControlPlane, PlaneError};
pub use shipped::{Head, heads};
pub use simulation::{Reply, Simulation};
pub use world::{Effect, Performed, World};

#[cfg(test)]
mod drain;
#[cfg(test)]
mod tests;
