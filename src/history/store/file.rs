//! The file itself: making it whole or not at all, and refusing what is not a run history.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use super::HistoryError;

/// The version of the schema that this program writes and reads.
const VERSION: i64 = 1;

/// Marks the file as ours (`PRAGMA application_id`): `rbkh` in ASCII.
const APPLICATION: i64 = 0x7262_6b68;

/// How long a writer waits for the others: many times what a queue of a hundred synced writes takes.
const PATIENCE: Duration = Duration::from_secs(20);

const SCHEMA: &str = include_str!("schema.sql");

/// Whether anything is there.
pub(super) fn exists(path: &Path) -> Result<bool, HistoryError> {
    path.try_exists().map_err(|source| io_error(path, source))
}

/// Makes an empty history under another name and links it into place: a file under the right name is always whole, so
/// an empty one there is damage. Where somebody else was faster, theirs is kept.
pub(super) async fn create(path: &Path) -> Result<(), HistoryError> {
    for rest in ["-wal", "-journal"] {
        let rest = beside(path, rest);
        if exists(&rest)? {
            if exists(path)? {
                return Ok(());
            }
            // SQLite would replay it into the new file.
            let path = path.to_owned();
            let problem = format!("is gone, but `{}` is still there", rest.display());
            return Err(HistoryError::Unfit { path, problem });
        }
    }
    let draft = beside(path, &format!(".new-{}", uuid::Uuid::now_v7()));
    let made = fill(&draft).await.and_then(|()| link(&draft, path));
    // Best effort: a draft that stays behind is never read.
    let _ = fs::remove_file(&draft);
    made
}

async fn fill(draft: &Path) -> Result<(), HistoryError> {
    let fail = |source| database_error(draft, source);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = options
        .open(draft)
        .map_err(|source| io_error(draft, source))?;
    let mut connection: SqliteConnection = options_for(draft)
        .journal_mode(SqliteJournalMode::Wal)
        .connect()
        .await
        .map_err(fail)?;
    let mut tx = connection.begin().await.map_err(fail)?;
    sqlx::raw_sql(SCHEMA)
        .execute(&mut *tx)
        .await
        .map_err(fail)?;
    let marks = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};");
    sqlx::raw_sql(sqlx::AssertSqlSafe(marks))
        .execute(&mut *tx)
        .await
        .map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    connection.close().await.map_err(fail)?;
    file.sync_all().map_err(|source| io_error(draft, source))
}

fn link(draft: &Path, path: &Path) -> Result<(), HistoryError> {
    match fs::hard_link(draft, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(io_error(path, source)),
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| io_error(directory, source))
}

/// Connects to a history that is there, after checking that it is one and may be trusted.
pub(super) async fn connect(path: &Path) -> Result<SqlitePool, HistoryError> {
    check_file(path)?;
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(PATIENCE)
        .connect_with(options_for(path))
        .await
        .map_err(|source| database_error(path, source))?;
    match check_version(&pool, path).await {
        Ok(()) => Ok(pool),
        Err(error) => {
            pool.close().await;
            Err(error)
        }
    }
}

/// Whoever else could write the file could lift a freeze.
fn check_file(path: &Path) -> Result<(), HistoryError> {
    let unfit = |problem: String| {
        let path = path.to_owned();
        Err(HistoryError::Unfit { path, problem })
    };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(HistoryError::Missing(path.to_owned()));
        }
        Err(source) => return Err(io_error(path, source)),
    };
    let us = rustix::process::geteuid().as_raw();
    if !meta.is_file() {
        return unfit("is not a file".to_owned());
    }
    if meta.uid() != us {
        return unfit(format!(
            "belongs to user {}, and you are user {us}",
            meta.uid()
        ));
    }
    if meta.mode() & 0o022 != 0 {
        return unfit("can be written by other users; take that away with `chmod 600`".to_owned());
    }
    if meta.len() == 0 {
        return unfit("is empty, which a run history never is".to_owned());
    }
    Ok(())
}

async fn check_version(pool: &SqlitePool, path: &Path) -> Result<(), HistoryError> {
    let fail = |source| database_error(path, source);
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(pool)
        .await
        .map_err(fail)?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(pool)
        .await
        .map_err(fail)?;
    let path = path.to_owned();
    if application != APPLICATION {
        let problem = "is a database of another program".to_owned();
        return Err(HistoryError::Unfit { path, problem });
    }
    match found {
        VERSION => Ok(()),
        newer if newer > VERSION => Err(HistoryError::Newer {
            path,
            found,
            known: VERSION,
        }),
        _ => {
            let problem = format!("has version {found}, which there never was");
            Err(HistoryError::Unfit { path, problem })
        }
    }
}

fn options_for(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(PATIENCE)
        .disable_statement_logging()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io_error(path: &Path, source: io::Error) -> HistoryError {
    let path = path.to_owned();
    HistoryError::Io { path, source }
}

fn database_error(path: &Path, source: sqlx::Error) -> HistoryError {
    let path = path.to_owned();
    HistoryError::Database { path, source }
}
