//! The run history: runs with their logs and comments, workspaces with their roles, trust marks, and freezes.
//!
//! It is kept in one SQLite file under the state directory, so that an incident can be handled on a laptop with no
//! server. What is promised:
//!
//! - A freeze is taken by exactly one claimant per scope, however many try at once, and is released only by whoever
//!   names its current fence. Nothing else ends it: no crash, no time, no error.
//! - [`History::gate`] says `clear` only when every freeze that is not released was read and none overlaps the
//!   target. What cannot be read is `unknown`; the record stays as it is.
//! - A file that is empty, cut, foreign or newer is refused; it is never taken for a new history.

pub mod freeze;
pub mod model;
mod recording;
mod store;

pub use recording::{
    LOGS_LIMIT, RECORDING_LIMIT, Recording, RecordingError, RecordingProblem, parse_logs,
};
pub use store::{
    FreezeRef, Freezes, History, HistoryError, HistoryErrorKind, LogCursor, LogPage, LogQuery,
    Recorded, Released, RunFilter, Take, Taken, WhichFreezes,
};
