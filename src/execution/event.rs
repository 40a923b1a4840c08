//! What happened: the payloads of journal entries.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

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

/// Bytes that were kept, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Where, below the execution's data.
    pub path: String,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Its media type.
    pub media_type: String,
}
