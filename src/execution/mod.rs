//! The machine (pure): what an execution is, decided without IO, clock or randomness.

pub mod event;
