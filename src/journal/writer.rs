//! Writing: one entry, one write, one `fdatasync`, under a lock that other writers respect.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use super::artifacts::Artifacts;
use super::entry::{Decoded, Draft, Entry, Fault, MAX_LINE, decode, encode};
use super::files::{FileError, lock};
use super::named::{fill, fill_all};
use super::reader::{Head, Tail, scan_from};
use super::store::{AsideError, Layout, StoreError};
use crate::clock::Timestamp;
use crate::execution::event::Event;
use crate::ids::{ExecutionId, Principal};

/// Why an entry was not appended. Nothing may be acknowledged or performed that depends on it.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The event is too big; nothing was written.
    #[error(
        "an entry of {size} bytes does not fit into a journal line of {MAX_LINE}; keep the text as an artifact"
    )]
    TooBig {
        /// The length of the line.
        size: usize,
    },
    /// The event cannot be written so that it reads back; nothing was written.
    #[error("the event cannot be written as JSON: {0}")]
    Unwritable(String),
    /// A file operation failed; nothing was written, or it was taken back. The next append may succeed.
    #[error("nothing was recorded")]
    File(#[source] FileError),
    /// The end of the journal is not what it must be: it was changed by something else than an append.
    #[error("`{}` was changed: {what}; nothing was recorded", path.display())]
    Changed {
        /// The journal.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Somebody added an entry that this version does not understand.
    #[error(
        "a newer version added `{what}` at line {line} of `{}`; nothing was recorded after it: resume with that version",
        path.display()
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// The number of the line, from one.
        line: u64,
        /// Its type, or the version of its format.
        what: String,
    },
    /// An earlier append ended so that what is on the disk is uncertain. Only reading the journal anew can tell.
    #[error("`{}` is closed for writing: {why}; find the cause, then resume the execution", path.display())]
    Poisoned {
        /// The journal.
        path: PathBuf,
        /// What happened then.
        why: String,
    },
}

/// An execution's journal, open for writing. Made by [`Store::create`](super::Store::create) and
/// [`Store::drive`](super::Store::drive), it holds the execution's driver lock as long as it lives.
#[derive(Debug)]
pub struct Journal {
    layout: Layout,
    file: File,
    append_lock: File,
    /// Two processes cannot drive one execution; absent when only one entry is added to it.
    driver_lock: Option<File>,
    artifacts: Artifacts,
    head: Head,
    /// Entries of others that were read but not returned yet.
    news: Vec<Entry>,
    opened: Instant,
    poison: Option<String>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Closing the file is not enough: a program that is just being started has a copy of it until it runs.
        if let Some(lock) = &self.driver_lock {
            // Where that fails, closing it still ends the lock, a moment later.
            let _ = lock.unlock();
        }
    }
}

impl Journal {
    /// Of open files; `head` is what was read.
    pub(super) fn new(
        layout: Layout,
        (file, append_lock, driver_lock): (File, File, Option<File>),
        artifacts: Artifacts,
        head: Head,
    ) -> Self {
        Self {
            layout,
            file,
            append_lock,
            driver_lock,
            artifacts,
            head,
            news: Vec::new(),
            opened: Instant::now(),
            poison: None,
        }
    }

    /// The execution that this is the journal of.
    #[must_use]
    pub fn execution(&self) -> ExecutionId {
        self.head.execution
    }

    /// Where this execution's artifacts are kept.
    #[must_use]
    pub fn artifacts(&self) -> Artifacts {
        self.artifacts.clone()
    }

    /// Keeps a document byte for byte as `data/<relative>`, durably; `relative` is like `runbook/bad-deploy.yaml`.
    /// Keeping the same bytes again changes nothing; other bytes are refused.
    pub fn keep(&self, relative: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.layout.keep(relative, bytes)
    }

    /// Appends one entry and makes it durable. Returns, in order, the entries that others appended since the last call
    /// and then this one: exactly what a reader of the file would see, so what was decoded is what is folded.
    pub fn append(&mut self, actor: &Principal, event: &Event) -> Result<Vec<Entry>, AppendError> {
        self.locked(|journal| {
            journal.read_news()?;
            let entry = journal.write(actor, event)?;
            let mut entries = std::mem::take(&mut journal.news);
            entries.push(entry);
            Ok(entries)
        })
    }

    /// The entries that others appended since the last call.
    pub fn catch_up(&mut self) -> Result<Vec<Entry>, AppendError> {
        self.locked(|journal| {
            journal.read_news()?;
            Ok(std::mem::take(&mut journal.news))
        })
    }

    /// Reads all entries since the last call, lets the caller decide by them, and appends what it decided, with nobody in
    /// between.
    pub(super) fn append_decided<E>(
        &mut self,
        actor: &Principal,
        decide: impl FnOnce(&[Entry]) -> Result<Event, E>,
    ) -> Result<Entry, AsideError<E>> {
        self.locked(|journal| {
            journal.read_news()?;
            let event = decide(&journal.news).map_err(AsideError::Refused)?;
            Ok(journal.write(actor, &event)?)
        })
    }

    fn locked<T, E: From<AppendError>>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(why) = &self.poison {
            return Err(E::from(AppendError::Poisoned {
                path: self.layout.journal(),
                why: why.clone(),
            }));
        }
        let path = self.layout.append_lock();
        lock(&self.append_lock)
            .map_err(|error| AppendError::File(FileError::of("lock", &path)(error)))?;
        let result = act(self);
        if let Err(error) = self.append_lock.unlock() {
            // The entry is durable, so the result stands; but others would wait for this process to end.
            tracing::warn!("failed to unlock `{}`: {error}", path.display());
        }
        result
    }

    /// Reads and checks what others appended. Under the lock nobody is in the middle of a line.
    fn read_news(&mut self) -> Result<(), AppendError> {
        let path = self.layout.journal();
        let failed = |e| AppendError::File(FileError::of("read", &path)(e));
        let size = self.file.metadata().map_err(failed)?.len();
        if size == self.head.length {
            return Ok(());
        }
        let mut bytes = Vec::new();
        self.file
            .seek(SeekFrom::Start(self.head.length))
            .and_then(|_| self.file.read_to_end(&mut bytes))
            .map_err(failed)?;
        let changed = |what| Err(AppendError::Changed { path, what });
        if size < self.head.length {
            return changed(format!("it was cut to {size} bytes"));
        }
        let reading = scan_from(self.head, &bytes);
        let reading = fill_all(self.head, reading, &self.layout.artifacts());
        match reading.tail {
            Tail::Whole => {}
            Tail::Torn { offset, .. } => {
                return changed(format!("the line at byte {offset} is incomplete"));
            }
            Tail::Damaged { line, why, .. } => return changed(format!("line {line} {why}")),
            Tail::Newer { line, what, .. } => {
                return Err(AppendError::Newer {
                    path: self.layout.journal(),
                    line,
                    what,
                });
            }
        }
        for entry in &reading.entries {
            self.head = self.head.after(entry.hash, entry.line().len() + 1);
        }
        self.news.extend(reading.entries);
        Ok(())
    }

    /// Writes and syncs one line at the known end.
    fn write(&mut self, actor: &Principal, event: &Event) -> Result<Entry, AppendError> {
        let draft = Draft {
            execution: self.head.execution,
            seq: self.head.seq,
            time: Timestamp::now(),
            mono_ns: u64::try_from(self.opened.elapsed().as_nanos()).unwrap_or(u64::MAX),
            actor,
            event,
            prev: self.head.hash,
        };
        let mut line = encode(&draft).map_err(|e| AppendError::Unwritable(e.to_string()))?;
        line.push('\n');
        if line.len() > MAX_LINE {
            return Err(AppendError::TooBig { size: line.len() });
        }
        // What is returned is what was read back, so that state is the same live and on resume.
        let mut entry = match decode(&line.as_bytes()[..line.len() - 1]) {
            Ok(Decoded::Entry(entry)) => *entry,
            Ok(Decoded::NotUnderstood { kind, .. }) => {
                return Err(AppendError::Unwritable(format!(
                    "`{kind}` does not read back as what it was"
                )));
            }
            Ok(Decoded::OtherVersion(version)) => {
                return Err(AppendError::Unwritable(format!("format version {version}")));
            }
            Err(Fault::Json(why)) => return Err(AppendError::Unwritable(why)),
            Err(fault) => return Err(AppendError::Unwritable(format!("its line {fault}"))),
        };
        fill(&mut entry.event, &self.layout.artifacts())
            .map_err(|fault| AppendError::Unwritable(format!("its line {fault}")))?;
        self.write_line(line.as_bytes())?;
        self.head = self.head.after(entry.hash, line.len());
        Ok(entry)
    }

    fn write_line(&mut self, line: &[u8]) -> Result<(), AppendError> {
        let path = self.layout.journal();
        if let Err(error) = self.file.write_all(line) {
            if let Err(worse) = self.file.set_len(self.head.length) {
                let why = format!("a write failed ({error}) and could not be undone ({worse})");
                return Err(self.poisoned_by(why));
            }
            // Cutting also gave back the room that was reserved.
            reserve(&self.file);
            return Err(AppendError::File(FileError::of("append to", &path)(error)));
        }
        if let Err(error) = self.file.sync_data() {
            // Never tried again: after a failed sync the system may call lost pages clean, and a second one succeeds.
            return Err(self.poisoned_by(format!(
                "the system did not confirm that an entry is on the disk ({error})"
            )));
        }
        Ok(())
    }

    fn poisoned_by(&mut self, why: String) -> AppendError {
        self.poison = Some(why.clone());
        AppendError::Poisoned {
            path: self.layout.journal(),
            why,
        }
    }
}

/// Reserves room for a journal, so that a full disk stops other things first. The file's length stays.
pub(super) fn reserve(file: &File) {
    // Some two thousand entries. Where the file system cannot, nothing is lost but the reserve.
    const RESERVE: u64 = 1024 * 1024;
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, RESERVE)
    {
        tracing::debug!("no room reserved for the journal: {error}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, RESERVE);
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;
    use std::error::Error as _;
    use std::fs::OpenOptions;

    /// A journal whose writes go to a device instead of its file. Devices have length 0, like the new journal.
    fn journal_on(device: &str) -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("home")).expect("opens");
        let mut journal = store.create(ExecutionId::generate()).expect("creates");
        journal.file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(device)
            .expect(device);
        (dir, journal)
    }

    fn append(journal: &mut Journal) -> Result<Vec<Entry>, AppendError> {
        let text = "x".to_owned();
        journal.append(&"alice".parse().expect("name"), &Event::NoteAdded { text })
    }

    #[test]
    fn a_failed_sync_closes_the_journal_and_is_not_tried_again() {
        // Takes every write, and cannot sync.
        let (_dir, mut journal) = journal_on("/dev/null");
        let first = append(&mut journal).expect_err("not durable");
        assert!(
            matches!(&first, AppendError::Poisoned { why, .. } if why.contains("did not confirm")),
            "{first}"
        );
        // Even on a file that works.
        journal.file = tempfile::tempfile().expect("a file");
        let again = append(&mut journal).expect_err("closed");
        assert_eq!(again.to_string(), first.to_string());
        assert_eq!(journal.file.metadata().expect("size").len(), 0);
        assert!(journal.catch_up().is_err());
    }

    #[test]
    fn a_failed_write_that_cannot_be_undone_closes_the_journal() {
        // Takes no write, and cannot be cut.
        let (_dir, mut journal) = journal_on("/dev/full");
        let first = append(&mut journal).expect_err("full");
        assert!(
            matches!(&first, AppendError::Poisoned { why, .. } if why.contains("could not be undone")),
            "{first}"
        );
        assert!(matches!(
            append(&mut journal),
            Err(AppendError::Poisoned { .. })
        ));
    }

    #[test]
    fn what_others_added_is_not_lost_when_an_append_fails() {
        let (_dir, mut journal) = journal_on("/dev/null");
        let path = journal.layout.journal();
        journal.file = super::super::files::open_to_append(&path).expect("opens");
        let actor: Principal = "bob".parse().expect("name");
        let aside = |text: &str| Event::NoteAdded { text: text.into() };
        let mut other = Journal::new(
            journal.layout.clone(),
            (
                super::super::files::open_to_append(&path).expect("opens"),
                super::super::files::open_to_append(&journal.layout.append_lock()).expect("opens"),
                None,
            ),
            journal.artifacts(),
            Head::start(journal.execution()),
        );
        other.append(&actor, &aside("theirs")).expect("appends");
        let error = journal
            .append(&actor, &aside(&"x".repeat(MAX_LINE)))
            .expect_err("too big");
        assert!(matches!(error, AppendError::TooBig { .. }) && error.source().is_none());
        let entries = journal.append(&actor, &aside("ours")).expect("appends");
        let events: Vec<Event> = entries.into_iter().map(|entry| entry.event).collect();
        assert_eq!(events, [aside("theirs"), aside("ours")]);
    }
}
