//! Takes in what a command prints or an endpoint answers: masks it, writes it to a sink, keeps the start of it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::redact::{Redactor, Stream};

/// One stream of bytes on its way into a sink.
///
/// A sink that fails is not written to again, and the rest is still taken in: a full disk must not stop a command halfway.
pub(super) struct Intake<'a> {
    stream: Stream,
    sink: &'a mut (dyn Write + Send),
    kept: Vec<u8>,
    keep: usize,
    masked_bytes: u64,
    failure: Option<io::Error>,
}

/// What was taken in.
#[derive(Debug, Default)]
pub struct Taken {
    /// The start of it, masked, up to the limit of the effect.
    pub start: Vec<u8>,
    /// There was more than `start` holds.
    pub longer: bool,
    /// How many bytes there were, after masking.
    pub bytes: u64,
    /// How many marks were written, by name of the secret.
    pub redactions: BTreeMap<String, u64>,
    /// The sink failed, and holds only what was written before. The rest is in no file.
    pub sink_failure: Option<io::Error>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(redactor: &Redactor, sink: &'a mut (dyn Write + Send), keep: usize) -> Self {
        Self {
            stream: redactor.stream(),
            sink,
            kept: Vec::new(),
            keep,
            masked_bytes: 0,
            failure: None,
        }
    }

    /// Takes the next piece; returns what of it, masked, was released.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<u8> {
        let masked = self.stream.push(piece);
        self.store(&masked);
        masked
    }

    /// Ends the stream; returns what was still held back.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let masked = self.stream.finish();
        self.store(&masked);
        if self.failure.is_none() {
            self.failure = self.sink.flush().err();
        }
        masked
    }

    pub(super) fn taken(self) -> Taken {
        Taken {
            longer: self.masked_bytes > self.kept.len() as u64,
            start: self.kept,
            bytes: self.masked_bytes,
            redactions: self.stream.counts().clone(),
            sink_failure: self.failure,
        }
    }

    fn store(&mut self, masked: &[u8]) {
        self.masked_bytes += masked.len() as u64;
        let room = self.keep - self.kept.len();
        self.kept
            .extend_from_slice(&masked[..masked.len().min(room)]);
        if self.failure.is_none() {
            self.failure = self.sink.write_all(masked).err();
        }
    }
}
