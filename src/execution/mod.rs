//! The machine (pure): what an execution is, decided without IO, clock or randomness.
//!
//! In the order in which to read it: [`event`] (what happened), [`state`] (what that makes true), [`plan`] (the runbook
//! as it is stepped through here), [`gate`] (whether a change may be performed), [`next`] (what comes next), [`question`]
//! and [`accept`] (what people are asked and may answer; what they answered is in [`answer`]).

pub mod accept;
pub mod ad_hoc;
pub mod answer;
pub mod deny;
pub mod event;
pub mod found;
pub mod gate;
pub mod next;
pub mod plan;
pub mod question;
pub mod scope;
pub mod state;
pub mod step;
pub mod work;
