//! Runs, logs, comments, workspaces and trust marks, as stored.

use std::collections::HashMap;

use sqlx::{Sqlite, Transaction};

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::history::Recording;
use crate::history::model::{
    Comment, CommentId, LogLine, LogSummary, Run, RunState, Scope, TrustMark, Workspace,
};
use crate::ids::{Place, Principal, RunId, Target};

use super::{History, HistoryError, count};

/// What recording a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the run was not known before.
    pub new: bool,
    /// How many of the log lines were not known before.
    pub new_lines: u64,
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Runs of this workspace.
    pub workspace: Option<Place>,
    /// Runs that change this target or part of it, or of which it is a part.
    pub target: Option<Target>,
    /// Runs in this state.
    pub state: Option<RunState>,
}

/// Which log lines to read.
#[derive(Debug, Clone, Copy)]
pub struct LogQuery {
    /// Lines not before this.
    pub from: Option<Timestamp>,
    /// Lines strictly before this.
    pub to: Option<Timestamp>,
    /// Lines behind the end of an earlier page.
    pub after: Option<LogCursor>,
    /// How many lines at most.
    pub limit: u32,
}

/// The end of a page of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    at: i64,
    seq: i64,
}

/// Some log lines, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Where the next page begins; absent at the end.
    pub next: Option<LogCursor>,
}

impl History {
    /// Records a run: replaces what was known of it and of its workspace, and adds the log lines that are new.
    ///
    /// A run never moves to another workspace or environment.
    pub async fn record(&self, recording: &Recording) -> Result<Recorded, HistoryError> {
        let run = &recording.run;
        let mut tx = self.write().await?;
        let known = self.find_run(&mut tx, &run.id).await?;
        if let Some(known) = &known
            && (&known.workspace, &known.environment) != (&run.workspace, &run.environment)
        {
            return Err(HistoryError::OtherTarget {
                run: run.id.clone(),
                recorded: Box::new(known.target()),
                given: Box::new(run.target()),
            });
        }
        if let Some(workspace) = &recording.workspace {
            let upsert = "INSERT INTO workspaces (id, document) VALUES ($1, $2)
                ON CONFLICT (id) DO UPDATE SET document = excluded.document";
            sqlx::query(upsert)
                .bind(workspace.id.as_str())
                .bind(self.encode("a workspace", workspace)?)
                .execute(&mut *tx)
                .await
                .map_err(|source| self.database(source))?;
        }
        self.put_run(&mut tx, run).await?;
        let new_lines = self.put_logs(&mut tx, &run.id, &recording.logs).await?;
        self.commit(tx).await?;
        Ok(Recorded {
            new: known.is_none(),
            new_lines,
        })
    }

    /// The run of that id.
    pub async fn run(&self, id: &RunId) -> Result<Run, HistoryError> {
        let mut tx = self.read().await?;
        let run = self.find_run(&mut tx, id).await?;
        run.ok_or_else(|| HistoryError::NoRun(id.clone()))
    }

    /// The runs that match, latest launch first, `limit` at most.
    pub async fn runs(&self, filter: &RunFilter, limit: u32) -> Result<Vec<Run>, HistoryError> {
        let select = "SELECT id, document FROM runs
            WHERE ($1 IS NULL OR workspace = $1)
              AND ($2 IS NULL OR (workspace = $2 AND environment = $3))
              AND ($4 IS NULL OR service IS NULL OR service = $4)
              AND ($5 IS NULL OR state = $5)
            ORDER BY launched_at DESC, id LIMIT $6";
        let target = filter.target.as_ref();
        let rows: Vec<(String, String)> = sqlx::query_as(select)
            .bind(filter.workspace.as_ref().map(Place::as_str))
            .bind(target.map(|t| t.workspace.as_str()))
            .bind(target.map(|t| t.environment.as_str()))
            .bind(target.and_then(|t| t.service.as_ref()).map(Place::as_str))
            .bind(filter.state.map(RunState::as_str))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.database(source))?;
        rows.iter()
            .map(|(id, document)| self.decode(&format!("run `{id}`"), document))
            .collect()
    }

    /// The workspace of that name.
    pub async fn workspace(&self, id: &Place) -> Result<Workspace, HistoryError> {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT document FROM workspaces WHERE id = $1")
                .bind(id.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(|source| self.database(source))?;
        let (document,) = row.ok_or_else(|| HistoryError::NoWorkspace(id.clone()))?;
        self.decode(&format!("workspace `{id}`"), &document)
    }

    /// Adds log lines to a run; says how many were new. The same lines delivered again are not added again.
    pub async fn add_logs(&self, id: &RunId, lines: &[LogLine]) -> Result<u64, HistoryError> {
        let mut tx = self.write().await?;
        self.require_run(&mut tx, id).await?;
        let new = self.put_logs(&mut tx, id, lines).await?;
        self.commit(tx).await?;
        Ok(new)
    }

    /// A page of the run's log lines, in order of time; lines of one moment in the order they were delivered.
    pub async fn logs(&self, id: &RunId, query: &LogQuery) -> Result<LogPage, HistoryError> {
        let mut tx = self.read().await?;
        self.require_run(&mut tx, id).await?;
        let select = "SELECT seq, at, stream, text FROM logs
            WHERE run = $1 AND ($2 IS NULL OR at >= $2) AND ($3 IS NULL OR at < $3)
              AND ($4 IS NULL OR (at, seq) > ($4, $5))
            ORDER BY at, seq LIMIT $6";
        let rows: Vec<(i64, i64, Option<String>, String)> = sqlx::query_as(select)
            .bind(id.as_str())
            .bind(query.from.map(Timestamp::micros))
            .bind(query.to.map(Timestamp::micros))
            .bind(query.after.map(|cursor| cursor.at))
            .bind(query.after.map(|cursor| cursor.seq))
            .bind(i64::from(query.limit))
            .fetch_all(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        let full = rows.len() == query.limit as usize;
        let next = rows.last().filter(|_| full).map(|row| LogCursor {
            seq: row.0,
            at: row.1,
        });
        let line = |(_, at, stream, text)| LogLine {
            at: Timestamp::from_micros(at),
            stream,
            text,
        };
        let lines = rows.into_iter().map(line).collect();
        Ok(LogPage { lines, next })
    }

    /// How many log lines the run has, and on which side of its failure.
    pub async fn log_summary(&self, id: &RunId) -> Result<LogSummary, HistoryError> {
        let mut tx = self.read().await?;
        let run = self.find_run(&mut tx, id).await?;
        let run = run.ok_or_else(|| HistoryError::NoRun(id.clone()))?;
        let select =
            "SELECT count(*), count(*) FILTER (WHERE at < $2), count(*) FILTER (WHERE at > $2),
            min(at), max(at) FROM logs WHERE run = $1";
        let failed_at = run.failed_at.map(Timestamp::micros);
        let row: (i64, i64, i64, Option<i64>, Option<i64>) = sqlx::query_as(select)
            .bind(id.as_str())
            .bind(failed_at)
            .fetch_one(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        Ok(LogSummary {
            total: count(row.0),
            before: failed_at.map(|_| count(row.1)),
            after: failed_at.map(|_| count(row.2)),
            first_at: row.3.map(Timestamp::from_micros),
            last_at: row.4.map(Timestamp::from_micros),
        })
    }

    /// Adds a comment to a run. With a key that was used on the run before, that comment is given back instead, as it
    /// is; a key used for another text or by another author is [`HistoryError::KeyReused`].
    pub async fn comment(
        &self,
        run: &RunId,
        author: &Principal,
        body: &str,
        key: Option<&str>,
        at: Timestamp,
    ) -> Result<Comment, HistoryError> {
        if body.trim().is_empty() {
            return Err(HistoryError::EmptyComment);
        }
        let mut tx = self.write().await?;
        self.require_run(&mut tx, run).await?;
        let known: Option<(String,)> =
            sqlx::query_as("SELECT document FROM comments WHERE run = $1 AND key = $2")
                .bind(run.as_str())
                .bind(key)
                .fetch_optional(&mut *tx)
                .await
                .map_err(|source| self.database(source))?;
        if let Some((document,)) = known {
            let comment: Comment = self.decode(&format!("a comment on run `{run}`"), &document)?;
            if comment.body == body && comment.author == *author {
                return Ok(comment);
            }
            return Err(HistoryError::KeyReused {
                run: run.clone(),
                key: key.unwrap_or_default().to_owned(),
                comment: comment.id,
            });
        }
        let comment = Comment {
            id: CommentId::generate(),
            run: run.clone(),
            at,
            author: author.clone(),
            body: body.to_owned(),
            key: key.map(str::to_owned),
        };
        sqlx::query("INSERT INTO comments (id, run, key, document) VALUES ($1, $2, $3, $4)")
            .bind(comment.id.to_string())
            .bind(run.as_str())
            .bind(key)
            .bind(self.encode("a comment", &comment)?)
            .execute(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        self.commit(tx).await?;
        Ok(comment)
    }

    /// The comments on a run, in the order they were made.
    pub async fn comments(&self, run: &RunId) -> Result<Vec<Comment>, HistoryError> {
        let mut tx = self.read().await?;
        self.require_run(&mut tx, run).await?;
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT document FROM comments WHERE run = $1 ORDER BY seq")
                .bind(run.as_str())
                .fetch_all(&mut *tx)
                .await
                .map_err(|source| self.database(source))?;
        let what = format!("a comment on run `{run}`");
        rows.iter()
            .map(|(document,)| self.decode(&what, document))
            .collect()
    }

    /// Sets the trust mark of a target. Earlier marks stay on record.
    pub async fn set_trust(&self, mark: &TrustMark) -> Result<(), HistoryError> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO trust_marks (target, document) VALUES ($1, $2)")
            .bind(mark.target.to_string())
            .bind(self.encode("a trust mark", mark)?)
            .execute(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        self.commit(tx).await
    }

    /// The latest mark of every target that overlaps `target`: its own, its environment's, its services'.
    ///
    /// The target is in doubt when any of them is `untrusted`.
    pub async fn trust(&self, target: &Target) -> Result<Vec<TrustMark>, HistoryError> {
        let select = "SELECT target, document FROM trust_marks
            WHERE seq IN (SELECT max(seq) FROM trust_marks GROUP BY target) ORDER BY seq";
        let rows: Vec<(String, String)> = sqlx::query_as(select)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.database(source))?;
        let asked = Scope::from(target);
        let mut marks = Vec::new();
        for (column, document) in rows {
            let what = format!("the trust mark of `{column}`");
            let mark: TrustMark = self.decode(&what, &document)?;
            if mark.target.to_string() != column {
                return Err(self.corrupt(format!("{what}: it names another target")));
            }
            if Scope::from(&mark.target).overlaps(&asked) {
                marks.push(mark);
            }
        }
        Ok(marks)
    }

    async fn find_run(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        id: &RunId,
    ) -> Result<Option<Run>, HistoryError> {
        let row: Option<(String,)> = sqlx::query_as("SELECT document FROM runs WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(|source| self.database(source))?;
        row.map(|(document,)| self.decode(&format!("run `{id}`"), &document))
            .transpose()
    }

    async fn require_run(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        id: &RunId,
    ) -> Result<(), HistoryError> {
        let known: Option<i64> = sqlx::query_scalar("SELECT 1 FROM runs WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(|source| self.database(source))?;
        known
            .map(|_| ())
            .ok_or_else(|| HistoryError::NoRun(id.clone()))
    }

    async fn put_run(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        run: &Run,
    ) -> Result<(), HistoryError> {
        let upsert =
            "INSERT INTO runs (id, workspace, environment, service, state, launched_at, document)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (id) DO UPDATE SET service = excluded.service, state = excluded.state,
                launched_at = excluded.launched_at, document = excluded.document";
        sqlx::query(upsert)
            .bind(run.id.as_str())
            .bind(run.workspace.as_str())
            .bind(run.environment.as_str())
            .bind(run.service.as_ref().map(Place::as_str))
            .bind(run.state.as_str())
            .bind(run.launched_at.micros())
            .bind(self.encode("a run", run)?)
            .execute(&mut **tx)
            .await
            .map_err(|source| self.database(source))?;
        Ok(())
    }

    async fn put_logs(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        run: &RunId,
        lines: &[LogLine],
    ) -> Result<u64, HistoryError> {
        let insert =
            "INSERT INTO logs (run, at, stream, text, digest, nth) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT DO NOTHING";
        let mut equal: HashMap<(Timestamp, Digest), i64> = HashMap::new();
        let mut new = 0;
        for line in lines {
            let digest = Digest::of(self.encode("a log line", &(&line.stream, &line.text))?);
            let nth = equal.entry((line.at, digest)).or_default();
            let done = sqlx::query(insert)
                .bind(run.as_str())
                .bind(line.at.micros())
                .bind(line.stream.as_deref())
                .bind(line.text.as_str())
                .bind(digest.to_string())
                .bind(*nth)
                .execute(&mut **tx)
                .await
                .map_err(|source| self.database(source))?;
            *nth += 1;
            new += done.rows_affected();
        }
        Ok(new)
    }
}
