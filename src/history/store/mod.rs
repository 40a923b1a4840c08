//! The embedded store: one SQLite file, shared by every process of its owner on this machine.
//!
//! Writes are transactions that take the write lock first (`BEGIN IMMEDIATE`) and are synced before they count.

mod file;
mod freezes;
mod runs;

pub use freezes::{FreezeRef, Freezes, Released, Take, Taken, WhichFreezes};
pub use runs::{LogCursor, LogPage, LogQuery, Recorded, RunFilter};

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::ids::{Place, RunId, Target};

use super::model::CommentId;

/// An open run history.
#[derive(Debug, Clone)]
pub struct History {
    pool: SqlitePool,
    path: PathBuf,
}

/// Why the history could not answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// No run of that id was recorded.
    #[error("the run history knows no run `{0}`")]
    NoRun(RunId),
    /// No workspace of that name was recorded.
    #[error("the run history knows no workspace `{0}`")]
    NoWorkspace(Place),
    /// There is no such freeze.
    #[error("there is no freeze `{0}`")]
    NoFreeze(String),
    /// Nothing holds on the scope.
    #[error("no freeze is active on `{0}`")]
    NotFrozen(String),
    /// The run was recorded for another workspace or environment; a run never moves.
    #[error("run `{run}` was recorded for `{recorded}` and cannot be recorded again for `{given}`")]
    OtherTarget {
        /// The run.
        run: RunId,
        /// Where it was recorded.
        recorded: Box<Target>,
        /// Where it was to be recorded.
        given: Box<Target>,
    },
    /// The idempotency key already belongs to a comment that says something else.
    #[error("the key `{key}` was already used on run `{run}` for another comment, `{comment}`")]
    KeyReused {
        /// The run.
        run: RunId,
        /// The key.
        key: String,
        /// The comment that has it.
        comment: CommentId,
    },
    /// A comment without a text.
    #[error("a comment needs a text")]
    EmptyComment,
    /// There is no history at that place.
    #[error("there is no run history at `{}`", .0.display())]
    Missing(PathBuf),
    /// The file is there and is not a run history that may be used.
    #[error("`{}` cannot be used as the run history: it {problem}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "the run history `{}` has version {found}, this program knows up to {known}: use a newer program",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The file could not be reached.
    #[error("failed to reach the run history `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite could not read or write it.
    #[error("failed to use the run history `{}`", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
    /// A record in it does not say what it should.
    #[error("the run history `{}` holds an unreadable record: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which record, and what is wrong with it.
        what: String,
    },
}

/// What a caller can do about a [`HistoryError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryErrorKind {
    /// The thing asked for is not there.
    NotFound,
    /// What was asked contradicts what is there.
    Conflict,
    /// Whether and what is there could not be found out.
    Unreadable,
    /// It can be found out by a newer program.
    Newer,
}

impl HistoryError {
    /// The error with all its causes, on one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            words.push_str(": ");
            words.push_str(&error.to_string());
            cause = error.source();
        }
        words
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn kind(&self) -> HistoryErrorKind {
        match self {
            Self::NoRun(_) | Self::NoWorkspace(_) | Self::NoFreeze(_) | Self::NotFrozen(_) => {
                HistoryErrorKind::NotFound
            }
            Self::OtherTarget { .. } | Self::KeyReused { .. } | Self::EmptyComment => {
                HistoryErrorKind::Conflict
            }
            Self::Missing(_)
            | Self::Unfit { .. }
            | Self::Io { .. }
            | Self::Database { .. }
            | Self::Corrupt { .. } => HistoryErrorKind::Unreadable,
            Self::Newer { .. } => HistoryErrorKind::Newer,
        }
    }
}

impl History {
    /// Opens the history at `path`; makes an empty one, mode 0600, when nothing is there. The directory must exist.
    ///
    /// A file that is there but empty, cut, foreign, writable by others or newer is refused.
    pub async fn open(path: &Path) -> Result<Self, HistoryError> {
        if !file::exists(path)? {
            file::create(path).await?;
        }
        Self::open_existing(path).await
    }

    /// Opens the history at `path`; nothing there is [`HistoryError::Missing`].
    ///
    /// For everything that must not take a missing history for an empty one, above all the gate.
    pub async fn open_existing(path: &Path) -> Result<Self, HistoryError> {
        let pool = file::connect(path).await?;
        Ok(Self {
            pool,
            path: path.to_owned(),
        })
    }

    /// Closes the file in order. Leaving it out loses nothing that was reported as done.
    pub async fn close(self) {
        self.pool.close().await;
    }

    /// Where the history is kept.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>, HistoryError> {
        let begun = self.pool.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(|source| self.database(source))
    }

    /// A transaction that sees one state of the history, however many statements it takes.
    async fn read(&self) -> Result<Transaction<'static, Sqlite>, HistoryError> {
        self.pool
            .begin()
            .await
            .map_err(|source| self.database(source))
    }

    async fn commit(&self, tx: Transaction<'static, Sqlite>) -> Result<(), HistoryError> {
        tx.commit().await.map_err(|source| self.database(source))
    }

    fn database(&self, source: sqlx::Error) -> HistoryError {
        let path = self.path.clone();
        HistoryError::Database { path, source }
    }

    fn corrupt(&self, what: String) -> HistoryError {
        let path = self.path.clone();
        HistoryError::Corrupt { path, what }
    }

    fn decode<T: DeserializeOwned>(&self, what: &str, document: &str) -> Result<T, HistoryError> {
        serde_json::from_str(document).map_err(|error| self.corrupt(format!("{what}: {error}")))
    }

    fn encode<T: Serialize>(&self, what: &str, value: &T) -> Result<String, HistoryError> {
        serde_json::to_string(value).map_err(|error| self.corrupt(format!("{what}: {error}")))
    }
}

/// Counts fit: nothing here reaches 2^63, and SQLite never counts below zero.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests;
