//! What an entry names instead of holding: the run as it was read, which may be larger than a line.
//!
//! It is the first evidence of the attempt that read it. Whoever reads or writes an entry puts it in, its digest verified,
//! so that state is the same live and on resume.

use std::path::Path;

use super::entry::Fault;
use super::reader::{Head, Reading, Tail};
use crate::digest::Digest;
use crate::execution::event::{Event, Learned};

/// Puts into the event what it names, from the folder of the artifacts.
pub(super) fn fill(event: &mut Event, artifacts: &Path) -> Result<(), Fault> {
    let Event::AttemptFinished(finished) = event else {
        return Ok(());
    };
    let Some(Learned::Run { document }) = &mut finished.learned else {
        return Ok(());
    };
    let named = finished.evidence.first().map(|item| &item.artifact);
    let named = named.ok_or(Fault::Shape("evidence"))?;
    let fault = |why: String| Fault::Named {
        path: named.path.clone(),
        why,
    };
    let name = Path::new(&named.path).file_name().unwrap_or_default();
    let bytes = std::fs::read(artifacts.join(name));
    let bytes = bytes.map_err(|why| fault(format!("cannot be read: {why}")))?;
    if Digest::of(&bytes) != named.sha256 {
        return Err(fault("is not what it was".into()));
    }
    *document =
        serde_json::from_slice(&bytes).map_err(|why| fault(format!("is not JSON: {why}")))?;
    Ok(())
}

/// Puts in what the entries that follow a known end name. An entry whose document is not there as it was ends them:
/// nothing may be decided from what follows.
pub(super) fn fill_all(start: Head, mut reading: Reading, artifacts: &Path) -> Reading {
    let mut head = start;
    for n in 0..reading.entries.len() {
        let entry = &mut reading.entries[n];
        if let Err(why) = fill(&mut entry.event, artifacts) {
            reading.entries.truncate(n);
            reading.tail = Tail::Damaged {
                line: head.seq + 1,
                offset: head.length,
                why,
            };
            return reading;
        }
        head = head.after(entry.hash, entry.line().len() + 1);
    }
    reading
}
