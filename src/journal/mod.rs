//! The memory: the append-only, hash-chained record of one execution, and the bytes it names.
//!
//! ```text
//! <home>/executions/<id>/data/journal.jsonl     one entry a line, see `entry`
//!                        data/runbook/          the documents that were executed, byte for byte
//!                        data/artifacts/        output, answers, attachments; entries name them with their digest
//!                        private/               locks and files that are still being written; never exported
//! ```
//!
//! What is promised:
//!
//! 1. An entry that [`Journal::append`] returned is on the disk, and so is everything before it. It costs one
//!    `fdatasync`. An entry that could not be written was not written at all; where that is uncertain the journal refuses
//!    everything that follows. The record never lies, so an intent that cannot be written is an intent that is not
//!    performed.
//! 2. A changed bit, a deleted, inserted, repeated or reordered line, a line of another execution: each is found by
//!    reading. Lines cut off the end at a line's border are not: only what has left the machine, like a head hash in a
//!    comment, proves how long a journal was.
//! 3. What a crash left half-written at the end is *torn*; it is kept as an artifact and cut off when the execution is
//!    driven again. Everything else that does not verify is *damaged*, and is never repaired nor written to.
//! 4. An entry that a newer version wrote is verified, never passed over: nothing is appended after it.
//! 5. One process drives an execution (`private/driver.lock`, held as long as the [`Journal`]); others may add entries
//!    in between (`private/journal.lock`, held for one append). Both locks die with their process.
//!
//! 6. What an entry names instead of holding it (the run, which may be larger than a line) is put in when it is read, its
//!    digest verified. Where it is missing or changed, the entry is damaged.
//!
//! Reading takes no lock and changes nothing.

mod artifacts;
mod entry;
mod files;
mod named;
mod reader;
mod store;
mod writer;

pub use artifacts::{ArtifactError, ArtifactWriter, Artifacts};
pub use entry::{Entry, Fault, MAX_LINE};
pub use files::FileError;
pub use reader::{Reading, Tail, scan};
pub use store::{AsideError, Recovery, Store, StoreError};
pub use writer::{AppendError, Journal};
