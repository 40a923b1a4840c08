//! A folder held in memory: what is left of an execution and its world at one instant.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Directories (no bytes) and files, with their permissions; what did not change between two is held once.
#[derive(Clone, Default)]
pub(super) struct Folder(BTreeMap<PathBuf, Item>);

/// Permissions, and the bytes of a file.
type Item = (u32, Option<Arc<[u8]>>);

/// An empty directory in memory where there is one: what survives a power cut is not tested here.
pub(super) fn empty() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a directory")
}

impl Folder {
    /// Reads all that is there; `before` is an earlier reading of the same folder.
    pub(super) fn of(root: &Path, before: &Self) -> Self {
        let mut folder = Self::default();
        folder.read(root, Path::new(""), before);
        folder
    }

    fn read(&mut self, root: &Path, below: &Path, before: &Self) {
        for item in fs::read_dir(root.join(below)).expect("lists") {
            let item = item.expect("lists");
            let path = below.join(item.file_name());
            let about = item.metadata().expect("is there");
            let mode = about.permissions().mode() & 0o777;
            if about.is_dir() {
                self.0.insert(path.clone(), (mode, None));
                self.read(root, &path, before);
            } else if !path.to_string_lossy().ends_with("-shm") {
                // SQLite makes that one anew; it holds locks of a process that is no more.
                let bytes = fs::read(root.join(&path)).expect("reads");
                let same = before.0.get(&path).and_then(|(_, bytes)| bytes.clone());
                let same = same.filter(|same| **same == *bytes);
                self.0
                    .insert(path, (mode, Some(same.unwrap_or(bytes.into()))));
            }
        }
    }

    /// Writes it all to a new place.
    pub(super) fn restore(&self) -> tempfile::TempDir {
        let root = empty();
        for (path, (mode, bytes)) in &self.0 {
            let path = root.path().join(path);
            match bytes {
                None => fs::DirBuilder::new()
                    .mode(*mode)
                    .create(&path)
                    .expect("makes"),
                Some(bytes) => fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(*mode)
                    .open(&path)
                    .and_then(|mut file| file.write_all(bytes))
                    .expect("writes"),
            }
        }
        root
    }

    /// Whether anything but the journal differs.
    pub(super) fn moved_since(&self, before: &Self) -> bool {
        let others = |folder: &Self| {
            let mut others = folder.0.clone();
            others.retain(|path, _| !is_journal(path));
            others
        };
        others(self) != others(before)
    }

    /// The journal, wherever in the folder it is.
    pub(super) fn journal(&self) -> &[u8] {
        let journal = self.0.iter().find(|(path, _)| is_journal(path));
        let bytes = journal.and_then(|(_, (_, bytes))| bytes.as_deref());
        bytes.expect("a journal")
    }

    /// The same folder with other bytes in the journal.
    pub(super) fn with_journal(&self, bytes: &[u8]) -> Self {
        let mut folder = self.clone();
        let journal = folder.0.iter_mut().find(|(path, _)| is_journal(path));
        journal.expect("a journal").1.1 = Some(bytes.into());
        folder
    }
}

fn is_journal(path: &Path) -> bool {
    path.ends_with("data/journal.jsonl")
}

/// The bytes of a journal without its last line, and that line with its newline.
pub(super) fn last_line(journal: &[u8]) -> (&[u8], &[u8]) {
    let body = journal.strip_suffix(b"\n").expect("ends with a newline");
    let start = body
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    journal.split_at(start)
}
