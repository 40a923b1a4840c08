//! The state directory: which executions there are, and who may read, drive and add to each.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::artifacts::{ArtifactError, Artifacts};
use super::entry::{Entry, Fault};
use super::files::{FileError, is_plain_name, lock, make_dir, make_file, open_to_append, sync_dir};
use super::named::fill_all;
use super::reader::{Head, Reading, Tail, scan};
use super::writer::{AppendError, Journal, reserve};
use crate::execution::event::{Artifact, Event};
use crate::ids::{ExecutionId, Principal};

/// Why an execution cannot be read, made or driven.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else could change what is recorded there.
    #[error("`{}` {why}; {remedy}", path.display())]
    Untrusted {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// No such execution.
    #[error("there is no execution `{id}` in `{}`", place.display())]
    NotFound {
        /// The execution.
        id: ExecutionId,
        /// Where it was looked for.
        place: PathBuf,
    },
    /// There is one of that id already.
    #[error("execution `{0}` exists already")]
    Exists(ExecutionId),
    /// Another process drives it.
    #[error("execution `{id}` is driven elsewhere{}", pid.map(|pid| format!(", by process {pid}")).unwrap_or_default())]
    Driven {
        /// The execution.
        id: ExecutionId,
        /// The process, when it left its number.
        pid: Option<u32>,
    },
    /// The journal does not verify, so nothing is built upon it.
    #[error(
        "the journal of execution `{id}` is damaged: line {line}, at byte {offset}, {why}; it can still be read up to \
         there, but not continued: start a new execution"
    )]
    Damaged {
        /// The execution.
        id: ExecutionId,
        /// The first wrong line, from one.
        line: u64,
        /// Where it begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        why: Fault,
    },
    /// A newer version wrote to the journal.
    #[error(
        "line {line} of the journal of execution `{id}` was written by a newer version (`{what}`); continue it with \
         that version"
    )]
    Newer {
        /// The execution.
        id: ExecutionId,
        /// The line, from one.
        line: u64,
        /// Its type, or the version of its format.
        what: String,
    },
    /// Not a path of a document that an execution keeps.
    #[error("`{}` is not the path of a kept document: write `runbook/<name>`, of `A-Z a-z 0-9 . _ @ -`", .0.escape_debug())]
    Document(String),
    /// Other bytes were kept under that path.
    #[error("`{}` was kept already, with other content", .0.display())]
    KeptOtherwise(PathBuf),
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Why an entry was not added to an execution that may be driven elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum AsideError<E> {
    /// The caller decided against it.
    #[error("refused")]
    Refused(E),
    /// The execution could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// What a crash had left, and what was done about it. The caller records it before anything else; until an entry names
/// these files, every new driver is told of them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Where the whole entries end, in bytes; if the journal was torn, it was cut there.
    pub offset: u64,
    /// The torn bytes, if there were any. They can be of an entry that had been durable, so what was under way is in
    /// doubt.
    pub torn: Option<Artifact>,
    /// Files that no entry names: their step ended before it could say so. `….partial` ones are cut off anywhere.
    pub unfinished: Vec<Artifact>,
}

impl Recovery {
    /// Whether the execution had ended in order.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.torn.is_none() && self.unfinished.is_empty()
    }

    /// What the driver records before anything else; nothing where the execution had ended in order.
    #[must_use]
    pub fn event(self) -> Option<Event> {
        if self.is_nothing() {
            return None;
        }
        let kept = self.torn.into_iter().chain(self.unfinished).collect();
        Some(Event::Recovered {
            offset: self.offset,
            kept,
        })
    }
}

/// A state directory that belongs to nobody else.
#[derive(Debug, Clone)]
pub struct Store {
    executions: PathBuf,
}

impl Store {
    /// Opens the state directory, and makes it and its parents, for the owner alone, if it is not there. Refuses one
    /// that another user owns or could write to: that user could change what is recorded, or what is executed next.
    pub fn open(home: &Path) -> Result<Self, StoreError> {
        let executions = home.join("executions");
        if !fs::exists(&executions).map_err(FileError::of("look for", &executions))? {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(home)
                .map_err(FileError::of("create the directory", home))?;
            check_trust(home, rustix::process::geteuid().as_raw())?;
            match make_dir(&executions) {
                Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            sync_dir(home)?;
            if let Some(parent) = home.canonicalize().ok().as_deref().and_then(Path::parent) {
                // What is above may not be ours to open.
                drop(sync_dir(parent));
            }
        }
        for path in [home, &executions] {
            check_trust(path, rustix::process::geteuid().as_raw())?;
        }
        Ok(Self { executions })
    }

    /// Refuses what [`Store::open`] refuses, without making anything; what is not there is no danger.
    pub fn check(home: &Path) -> Result<(), StoreError> {
        if fs::exists(home).map_err(FileError::of("look for", home))? {
            check_trust(home, rustix::process::geteuid().as_raw())?;
        }
        Ok(())
    }

    /// Makes a new execution's directories and its empty journal, durably, and drives it.
    pub fn create(&self, id: ExecutionId) -> Result<Journal, StoreError> {
        // Made beside its place and moved there, so that an execution exists whole or not at all.
        let new = Layout::at(self.executions.join(format!(".new-{id}")));
        for dir in [
            new.dir.clone(),
            new.data(),
            new.artifacts(),
            new.documents(),
            new.private(),
        ] {
            make_dir(&dir)?;
        }
        let make = |path: PathBuf| make_file(&path).map_err(FileError::of("create", &path));
        let files = (make(new.journal())?, make(new.append_lock())?);
        reserve(&files.0);
        let driver_lock = make(new.driver_lock())?;
        take_driver_lock(&driver_lock, &new, id)?;
        sync_dir(&new.data())?;
        sync_dir(&new.dir)?;
        let layout = self.layout(id);
        match fs::rename(&new.dir, &layout.dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                drop(fs::remove_dir_all(&new.dir));
                return Err(StoreError::Exists(id));
            }
            moved => moved.map_err(FileError::of("rename", &new.dir))?,
        }
        sync_dir(&self.executions)?;
        let artifacts = layout.open_artifacts()?;
        let files = (files.0, files.1, Some(driver_lock));
        Ok(Journal::new(layout, files, artifacts, Head::start(id)))
    }

    /// All executions, oldest first.
    pub fn ids(&self) -> Result<Vec<ExecutionId>, StoreError> {
        let failed = |error| FileError::of("list", &self.executions)(error);
        let mut ids = Vec::new();
        for item in fs::read_dir(&self.executions).map_err(failed)? {
            let name = item.map_err(failed)?.file_name();
            let id = name.to_str().and_then(|name| {
                let id: ExecutionId = name.parse().ok()?;
                (id.to_string() == name).then_some(id)
            });
            ids.extend(id);
        }
        ids.sort();
        Ok(ids)
    }

    /// Reads an execution's journal, also while it is driven.
    pub fn read(&self, id: ExecutionId) -> Result<Reading, StoreError> {
        let layout = self.found(id)?;
        let reading = scan(&layout.journal_bytes()?, id);
        Ok(fill_all(Head::start(id), reading, &layout.artifacts()))
    }

    /// A document that [`Journal::keep`] kept.
    pub fn kept(&self, id: ExecutionId, relative: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.found(id)?.document(relative)?;
        Ok(fs::read(&path).map_err(FileError::of("read", &path))?)
    }

    /// Where an execution's artifacts are, also while it is driven.
    pub fn artifacts(&self, id: ExecutionId) -> Result<Artifacts, StoreError> {
        Ok(self.found(id)?.open_artifacts()?)
    }

    /// Takes an execution up again: its journal open for writing, all its entries, and what a crash had left. A torn end
    /// is kept as an artifact and cut off. A journal that is damaged, or that a newer version wrote to, is refused.
    pub fn drive(&self, id: ExecutionId) -> Result<(Journal, Vec<Entry>, Recovery), StoreError> {
        let layout = self.found(id)?;
        let driver_lock = open_to_append(&layout.driver_lock())?;
        take_driver_lock(&driver_lock, &layout, id)?;
        let append_lock = open_to_append(&layout.append_lock())?;
        lock(&append_lock).map_err(FileError::of("lock", &layout.append_lock()))?;
        let file = open_to_append(&layout.journal())?;
        let artifacts = layout.open_artifacts()?;

        let reading = scan(&layout.journal_bytes()?, id);
        let Reading { entries, tail } = fill_all(Head::start(id), reading, &layout.artifacts());
        let head = entries.iter().fold(Head::start(id), |head, entry| {
            head.after(entry.hash, entry.line().len() + 1)
        });
        let torn = match tail {
            Tail::Whole => None,
            Tail::Torn { offset, bytes } => Some(cut(&file, &layout, &artifacts, offset, &bytes)?),
            Tail::Newer { line, what, .. } => return Err(StoreError::Newer { id, line, what }),
            Tail::Damaged { line, offset, why } => {
                return Err(StoreError::Damaged {
                    id,
                    line,
                    offset,
                    why,
                });
            }
        };
        let mut named = paths_named(&entries);
        named.extend(torn.iter().map(|artifact| artifact.path.as_str()));
        let unfinished = artifacts.recover(|path| named.contains(path))?;
        append_lock
            .unlock()
            .map_err(FileError::of("unlock", &layout.append_lock()))?;
        let recovery = Recovery {
            offset: head.length,
            torn,
            unfinished,
        };
        let files = (file, append_lock, Some(driver_lock));
        let journal = Journal::new(layout, files, artifacts, head);
        Ok((journal, entries, recovery))
    }

    /// Adds one entry to an execution that may be driven elsewhere; its driver is given the entry with its own next one.
    /// `decide` sees all entries and says what to append, or refuses; nobody appends in between, so it must not call
    /// back into the execution.
    pub fn append_aside<E>(
        &self,
        id: ExecutionId,
        actor: &Principal,
        decide: impl FnOnce(&[Entry]) -> Result<Event, E>,
    ) -> Result<Entry, AsideError<E>> {
        self.open_aside(id)?.append_decided(actor, decide)
    }

    fn open_aside(&self, id: ExecutionId) -> Result<Journal, StoreError> {
        let layout = self.found(id)?;
        let append_lock = open_to_append(&layout.append_lock())?;
        let file = open_to_append(&layout.journal())?;
        let artifacts = layout.open_artifacts()?;
        let files = (file, append_lock, None);
        Ok(Journal::new(layout, files, artifacts, Head::start(id)))
    }

    fn layout(&self, id: ExecutionId) -> Layout {
        Layout::at(self.executions.join(id.to_string()))
    }

    fn found(&self, id: ExecutionId) -> Result<Layout, StoreError> {
        let layout = self.layout(id);
        if fs::exists(&layout.dir).map_err(FileError::of("look for", &layout.dir))? {
            Ok(layout)
        } else {
            Err(StoreError::NotFound {
                id,
                place: self.executions.clone(),
            })
        }
    }
}

/// Where the files of one execution are.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    dir: PathBuf,
}

impl Layout {
    fn at(dir: PathBuf) -> Self {
        Self { dir }
    }
    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
    pub(super) fn artifacts(&self) -> PathBuf {
        self.dir.join("data/artifacts")
    }
    fn documents(&self) -> PathBuf {
        self.dir.join("data/runbook")
    }
    fn private(&self) -> PathBuf {
        self.dir.join("private")
    }
    fn driver_lock(&self) -> PathBuf {
        self.dir.join("private/driver.lock")
    }
    pub(super) fn journal(&self) -> PathBuf {
        self.dir.join("data/journal.jsonl")
    }
    pub(super) fn append_lock(&self) -> PathBuf {
        self.dir.join("private/journal.lock")
    }

    fn open_artifacts(&self) -> Result<Artifacts, FileError> {
        Artifacts::at(self.artifacts(), self.private())
    }

    fn journal_bytes(&self) -> Result<Vec<u8>, FileError> {
        let path = self.journal();
        fs::read(&path).map_err(FileError::of("read", &path))
    }

    /// The file of a kept document.
    fn document(&self, relative: &str) -> Result<PathBuf, StoreError> {
        match relative.strip_prefix("runbook/") {
            Some(name) if is_plain_name(name) => Ok(self.documents().join(name)),
            _ => Err(StoreError::Document(relative.to_owned())),
        }
    }

    /// See [`Journal::keep`].
    pub(super) fn keep(&self, relative: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.document(relative)?;
        if fs::exists(&path).map_err(FileError::of("look for", &path))? {
            let before = fs::read(&path).map_err(FileError::of("read", &path))?;
            return if before == bytes {
                Ok(())
            } else {
                Err(StoreError::KeptOtherwise(path))
            };
        }
        // Written elsewhere first, so that it is never there in part. Only the driver keeps documents.
        let draft = self.private().join("document.draft");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(FileError::of("remove", &draft))?,
        }
        make_file(&draft)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .map_err(FileError::of("write", &draft))?;
        fs::rename(&draft, &path).map_err(FileError::of("rename", &draft))?;
        Ok(sync_dir(&self.documents())?)
    }
}

/// Takes the lock that says who drives, and leaves this process's number in it for those who ask.
fn take_driver_lock(file: &File, layout: &Layout, id: ExecutionId) -> Result<(), StoreError> {
    let path = layout.driver_lock();
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).unwrap_or_default();
            return Err(StoreError::Driven {
                id,
                pid: pid.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(FileError::of("lock", &path)(error).into()),
    }
    file.set_len(0)
        .and_then(|()| (&*file).write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(FileError::of("write", &path))?;
    Ok(())
}

/// Keeps torn bytes as an artifact, then cuts them off. A crash in between only leaves the artifact twice.
fn cut(
    file: &File,
    layout: &Layout,
    artifacts: &Artifacts,
    offset: u64,
    bytes: &[u8],
) -> Result<Artifact, StoreError> {
    let mut writer = artifacts
        .begin("journal.torn.bin")
        .map_err(|error| match error {
            ArtifactError::File(error) => StoreError::File(error),
            ArtifactError::Name(name) => StoreError::Document(name),
        })?;
    let path = layout.artifacts();
    writer.write_all(bytes).map_err(FileError::of(
        "write the torn end of the journal into",
        &path,
    ))?;
    let artifact = writer.commit("application/octet-stream")?;
    let path = layout.journal();
    file.set_len(offset)
        .and_then(|()| file.sync_all())
        .map_err(FileError::of("cut off the torn end of", &path))?;
    reserve(file);
    Ok(artifact)
}

/// All artifact paths that occur as strings in the entries, of whatever type.
fn paths_named(entries: &[Entry]) -> std::collections::BTreeSet<&str> {
    entries
        .iter()
        .flat_map(|entry| entry.line().split('"'))
        .filter(|text| text.starts_with("artifacts/"))
        .collect()
}

/// Refuses a directory that another user than `me` owns or can write to.
fn check_trust(path: &Path, me: u32) -> Result<(), StoreError> {
    let untrusted = |why: String, remedy: &str| StoreError::Untrusted {
        path: path.to_owned(),
        why,
        remedy: remedy.to_owned(),
    };
    let elsewhere = "run as that user, or name a state directory of your own";
    let link = fs::symlink_metadata(path).map_err(FileError::of("examine", path))?;
    if link.is_symlink() && link.uid() != me {
        let why = format!("is a link made by user {}, and you are {me}", link.uid());
        return Err(untrusted(why, elsewhere));
    }
    let dir = fs::metadata(path).map_err(FileError::of("examine", path))?;
    if !dir.is_dir() {
        return Err(untrusted("is not a directory".to_owned(), "move it away"));
    }
    if dir.uid() != me {
        let why = format!("belongs to user {}, and you are {me}", dir.uid());
        return Err(untrusted(why, elsewhere));
    }
    if dir.mode() & 0o022 != 0 {
        let why = format!("can be written by others (mode {:o})", dir.mode() & 0o777);
        return Err(untrusted(
            why,
            "check what is in it, then `chmod go-w` it, or name another state directory",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_belongs_to_somebody_else_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().join("home");
        make_dir(&home).expect("makes");
        let me = rustix::process::geteuid().as_raw();
        assert!(check_trust(&home, me).is_ok());
        // To anyone else, root included, it is a stranger's.
        for other in [0, me + 1].into_iter().filter(|other| *other != me) {
            let error = check_trust(&home, other).expect_err("a stranger's");
            let text = error.to_string();
            assert!(
                text.contains(&format!("belongs to user {me}, and you are {other}")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_link_made_by_somebody_else_is_refused_even_to_a_directory_of_ours() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, link) = (dir.path().join("home"), dir.path().join("link"));
        make_dir(&home).expect("makes");
        std::os::unix::fs::symlink(&home, &link).expect("links");
        let me = rustix::process::geteuid().as_raw();
        assert!(check_trust(&link, me).is_ok());
        let error = check_trust(&link, me + 1).expect_err("a stranger's link");
        assert!(error.to_string().contains("is a link made by user"));
    }
}
