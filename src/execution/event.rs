//! What happened: the payloads of journal entries.

use serde::{Deserialize, Serialize};

/// One thing that happened in an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", deny_unknown_fields)]
pub enum Event {
    /// Somebody remarked something; can occur at any time before the end.
    #[serde(rename = "note.added")]
    NoteAdded {
        /// The remark.
        text: String,
    },
}
