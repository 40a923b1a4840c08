//! The hands: what an execution asks for is done here, and nothing is decided here.
//!
//! Every effect ends in a value that tells how it ended. None ends in an error: a program that cannot be started and an
//! endpoint that does not answer are ordinary ends of ordinary incidents. Whatever leaves an effect, to a file, to the
//! screen or as a value, has passed the redactor before.

pub mod answers;
pub mod command;
pub mod console;
pub mod hands;
pub mod live;
pub mod request;
pub mod run_history;
pub mod signals;
pub mod stop;
pub mod system;

mod intake;
