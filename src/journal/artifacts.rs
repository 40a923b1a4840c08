//! The bytes that entries name: streamed into a private file, digested on the way, durable before anything names them.
//!
//! A file is written as `private/NNNNNN-<name>.part` under an exclusive lock and becomes `data/artifacts/NNNNNN-<name>`.
//! The numbers order the files of one process; the whole name is unique, because its part file was.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::{FileError, is_plain_name, lock, make_file, sync_dir};
use crate::digest::{Digest, Hasher};
use crate::execution::event::Artifact;

/// Why bytes could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The name cannot be a file name everywhere.
    #[error(
        "`{}` cannot name an artifact: use 1 to 200 of `A-Z a-z 0-9 . _ @ -`, not starting with `.`",
        .0.escape_debug()
    )]
    Name(String),
    /// A file could not be made or finished.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Where one execution keeps its artifacts. Cheap to clone, free to use from any thread while the journal is written.
#[derive(Debug, Clone)]
pub struct Artifacts {
    place: Arc<Place>,
}

#[derive(Debug)]
struct Place {
    finished: PathBuf,
    private: PathBuf,
    next: AtomicU64,
}

impl Artifacts {
    /// Of an execution with these directories; numbers go on after the highest one there is.
    pub(super) fn at(finished: PathBuf, private: PathBuf) -> Result<Self, FileError> {
        let mut highest = 0;
        for dir in [&finished, &private] {
            for name in names_in(dir)? {
                highest = highest.max(number_of(&name).unwrap_or(0));
            }
        }
        Ok(Self {
            place: Arc::new(Place {
                finished,
                private,
                next: AtomicU64::new(highest + 1),
            }),
        })
    }

    /// Begins an artifact: `name` is like `read-posture.stdout.txt`. Nothing is durable before it is committed.
    pub fn begin(&self, name: &str) -> Result<ArtifactWriter, ArtifactError> {
        if !is_plain_name(name) {
            return Err(ArtifactError::Name(name.to_owned()));
        }
        loop {
            let number = self.place.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{number:06}-{name}");
            let part = self.place.private.join(format!("{name}.part"));
            let file = match make_file(&part) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(FileError::of("create", &part))?,
            };
            lock(&file).map_err(FileError::of("lock", &part))?;
            // Whoever cleans up may have removed it before it was locked; another process may have used the name up.
            let gone = !fs::exists(&part).map_err(FileError::of("look for", &part))?;
            let target = self.place.finished.join(&name);
            let used = fs::exists(&target).map_err(FileError::of("look for", &target))?;
            if gone || used {
                drop(fs::remove_file(&part));
                continue;
            }
            return Ok(ArtifactWriter {
                place: Arc::clone(&self.place),
                name,
                part,
                file,
                hasher: Hasher::default(),
                size: 0,
                fate: Fate::Open,
            });
        }
    }

    /// Makes several artifacts durable: one sync for each file and one for all their names. On an error, none of those
    /// that are not returned may be named by an entry; what was written of them stays for the next recovery.
    pub fn commit_all(
        &self,
        writers: Vec<(ArtifactWriter, &str)>,
    ) -> Result<Vec<Artifact>, FileError> {
        let mut artifacts = Vec::with_capacity(writers.len());
        for (writer, media_type) in writers {
            artifacts.push(writer.finish(media_type)?);
        }
        if !artifacts.is_empty() {
            sync_dir(&self.place.finished)?;
        }
        Ok(artifacts)
    }

    /// The file of an artifact of this execution. Only the last part of the artifact's path is used, so it cannot lead
    /// elsewhere. The bytes there are what the digest says only after it is checked.
    #[must_use]
    pub fn path_of(&self, artifact: &Artifact) -> PathBuf {
        let name = Path::new(&artifact.path).file_name().unwrap_or_default();
        self.place.finished.join(name)
    }

    /// Commits the part files that a crash left, as `<name>.partial`, and finds all artifacts that `names_it` says no
    /// entry names. Part files that somebody is still writing are left alone.
    pub(super) fn recover(
        &self,
        names_it: impl Fn(&str) -> bool,
    ) -> Result<Vec<Artifact>, FileError> {
        let mut renamed = false;
        for name in names_in(&self.place.private)? {
            if let Some(name) = name.strip_suffix(".part") {
                renamed |= self.recover_part(name)?;
            }
        }
        if renamed {
            sync_dir(&self.place.finished)?;
        }
        let mut unnamed = Vec::new();
        for name in names_in(&self.place.finished)? {
            let path = format!("artifacts/{name}");
            if !names_it(&path) {
                let (sha256, size) = digest_of(&self.place.finished.join(&name))?;
                unnamed.push(Artifact {
                    path,
                    sha256,
                    size,
                    media_type: "application/octet-stream".to_owned(),
                });
            }
        }
        Ok(unnamed)
    }

    /// Commits one part file that nobody is writing; says whether there was anything in it.
    fn recover_part(&self, name: &str) -> Result<bool, FileError> {
        let part = self.place.private.join(format!("{name}.part"));
        let file = File::open(&part).map_err(FileError::of("open", &part))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(false),
            Err(fs::TryLockError::Error(error)) => {
                return Err(FileError::of("lock", &part)(error));
            }
        }
        let size = file
            .metadata()
            .map_err(FileError::of("read the size of", &part))?
            .len();
        if size == 0 {
            fs::remove_file(&part).map_err(FileError::of("remove", &part))?;
            return Ok(false);
        }
        file.sync_all().map_err(FileError::of("sync", &part))?;
        let target = self.place.finished.join(format!("{name}.partial"));
        fs::rename(&part, &target).map_err(FileError::of("rename", &part))?;
        Ok(true)
    }
}

/// An artifact that is being written. Dropped without a commit it leaves nothing behind.
pub struct ArtifactWriter {
    place: Arc<Place>,
    name: String,
    part: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    fate: Fate,
}

/// What becomes of the part file when the writer is dropped.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It goes.
    Open,
    /// It became an artifact, or could not and stays for recovery.
    Settled,
}

impl ArtifactWriter {
    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes this one artifact durable: two syncs. Several cost less with [`Artifacts::commit_all`].
    pub fn commit(self, media_type: &str) -> Result<Artifact, FileError> {
        let finished = self.place.finished.clone();
        let artifact = self.finish(media_type)?;
        sync_dir(&finished)?;
        Ok(artifact)
    }

    /// Drops what was written.
    pub fn discard(self) {}

    /// Syncs the bytes and gives the file its name, which is not durable yet.
    fn finish(mut self, media_type: &str) -> Result<Artifact, FileError> {
        self.fate = Fate::Settled;
        self.file
            .sync_all()
            .map_err(FileError::of("sync", &self.part))?;
        let target = self.place.finished.join(&self.name);
        fs::rename(&self.part, &target).map_err(FileError::of("rename", &self.part))?;
        Ok(Artifact {
            path: format!("artifacts/{}", self.name),
            sha256: std::mem::take(&mut self.hasher).finish(),
            size: self.size,
            media_type: media_type.to_owned(),
        })
    }
}

impl Write for ArtifactWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ArtifactWriter {
    fn drop(&mut self) {
        if self.fate == Fate::Open {
            // Recovery finds it if this fails.
            drop(fs::remove_file(&self.part));
        }
    }
}

/// The names in a directory, sorted; those that are not text were not made here.
fn names_in(dir: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    for item in fs::read_dir(dir).map_err(FileError::of("list", dir))? {
        let item = item.map_err(FileError::of("list", dir))?;
        names.extend(item.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The number that an artifact's name begins with.
fn number_of(name: &str) -> Option<u64> {
    name.split_once('-')?.0.parse().ok()
}

/// Digest and size of a file, read in pieces.
fn digest_of(path: &Path) -> Result<(Digest, u64), FileError> {
    let read = || -> io::Result<(Digest, u64)> {
        let mut file = File::open(path)?;
        let mut hasher = Hasher::default();
        let mut size = 0;
        let mut piece = vec![0; 64 * 1024];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok((hasher.finish(), size)),
                n => {
                    hasher.update(&piece[..n]);
                    size += n as u64;
                }
            }
        }
    };
    read().map_err(FileError::of("read", path))
}
