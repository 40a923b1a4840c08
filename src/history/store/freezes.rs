//! Freezes, as stored: taking, releasing, and reading them so that nothing unreadable looks like nothing there.

use std::fmt;
use std::str::FromStr;

use sqlx::{Sqlite, Transaction};

use crate::clock::{Span, Timestamp};
use crate::history::freeze::{claim, judge};
use crate::history::model::{
    Freeze, FreezeId, FreezeState, GateVerdict, Holder, Lease, NotAScope, Reason, Release, Scope,
};
use crate::ids::{ExecutionId, RunId, Target};

use super::{History, HistoryError, count};

/// A wish for a freeze.
#[derive(Debug, Clone)]
pub struct Take {
    /// What it shall cover.
    pub scope: Scope,
    /// Why.
    pub reason: Reason,
    /// Who asks.
    pub holder: Holder,
    /// The run it is about.
    pub run: Option<RunId>,
    /// How long the holder means to need.
    pub lease: Option<Span>,
    /// Now.
    pub at: Timestamp,
}

/// What came of a wish for a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// It is ours, from now on.
    Now(Freeze),
    /// The same claimant already holds it; nothing was changed.
    Already(Freeze),
    /// Somebody else holds it; nothing was changed.
    Held(Freeze),
}

/// What came of a wish to release a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Released {
    /// It is released, from now on.
    Now(FreezeId),
    /// It had been released before; nothing was changed.
    Already(Freeze),
    /// The fence is not that of the freeze, which still holds; nothing was changed.
    Stale(Freeze),
}

/// Names a freeze: by its id, or as the one that is active on exactly this scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreezeRef {
    /// The freeze of this id.
    Id(FreezeId),
    /// The freeze that is active on this scope.
    Scope(Scope),
}
impl FromStr for FreezeRef {
    type Err = NotAScope;
    fn from_str(text: &str) -> Result<Self, NotAScope> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => text.parse().map(Self::Scope),
        }
    }
}
impl fmt::Display for FreezeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Scope(scope) => scope.fmt(f),
        }
    }
}

/// Which freezes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichFreezes {
    /// Those that are not released.
    Active,
    /// Those that are released, too.
    All,
}

/// The freezes that could be read, oldest first, and a sentence for each that could not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Freezes {
    /// What could be read.
    pub readable: Vec<Freeze>,
    /// What could not; not empty means that the list may be incomplete.
    pub unreadable: Vec<String>,
}

/// One row of `freezes` with the events that explain it.
#[derive(Debug)]
struct Row {
    id: String,
    scope: String,
    claim: String,
    fence: i64,
    state: String,
    taken: Option<String>,
    released: Option<String>,
}

type Columns = (
    String,
    String,
    String,
    i64,
    String,
    Option<String>,
    Option<String>,
);

impl From<Columns> for Row {
    fn from((id, scope, claim, fence, state, taken, released): Columns) -> Self {
        Self {
            id,
            scope,
            claim,
            fence,
            state,
            taken,
            released,
        }
    }
}

impl Row {
    /// The freeze, where the columns and the events agree on it; otherwise what is wrong, in words.
    fn read(&self) -> Result<Freeze, String> {
        let broken = |problem: String| {
            let Self {
                id, scope, fence, ..
            } = self;
            let (id, scope) = (id.escape_debug(), scope.escape_debug());
            format!("freeze `{id}` on `{scope}`, fence {fence}: {problem}")
        };
        let taken = self.taken.as_ref();
        let taken = taken.ok_or_else(|| broken("there is no record of its taking".to_owned()))?;
        let mut freeze: Freeze =
            serde_json::from_str(taken).map_err(|error| broken(error.to_string()))?;
        freeze.release = match &self.released {
            None => None,
            Some(text) => {
                Some(serde_json::from_str(text).map_err(|error| broken(error.to_string()))?)
            }
        };
        freeze.state = self
            .state
            .parse()
            .map_err(|error| broken(format!("{error}")))?;
        let agrees = freeze.id.to_string() == self.id
            && freeze.scope.to_string() == self.scope
            && i64::try_from(freeze.fence).is_ok_and(|fence| fence == self.fence)
            && (freeze.state == FreezeState::Released) == freeze.release.is_some();
        if agrees {
            Ok(freeze)
        } else {
            Err(broken("its record contradicts itself".to_owned()))
        }
    }
}

const SELECT: &str =
    "SELECT f.id, f.scope, f.claim, f.fence, f.state, t.document, r.document FROM freezes f
    LEFT JOIN freeze_events t ON t.freeze = f.id AND t.kind = 'taken'
    LEFT JOIN freeze_events r ON r.freeze = f.id AND r.kind = 'released'";

impl History {
    /// Takes a freeze: of all who ask for the same scope at once, one gets it. Scopes that merely overlap do not
    /// stand in each other's way here; whoever must be alone asks [`History::covering`] afterwards.
    pub async fn take(&self, take: Take) -> Result<Taken, HistoryError> {
        let mut tx = self.write().await?;
        if let Some(row) = self.active_on(&mut tx, &take.scope).await? {
            let freeze = row.read().map_err(|what| self.corrupt(what))?;
            let same = row.claim == claim(&take.holder, &take.scope).to_string();
            return Ok(if same {
                Taken::Already(freeze)
            } else {
                Taken::Held(freeze)
            });
        }
        let next = "SELECT coalesce(max(fence), 0) + 1 FROM freezes WHERE scope = $1";
        let fence: i64 = sqlx::query_scalar(next)
            .bind(take.scope.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        let claim = claim(&take.holder, &take.scope);
        let freeze = Freeze {
            id: FreezeId::generate(),
            scope: take.scope,
            reason: take.reason,
            holder: take.holder,
            run: take.run,
            created_at: take.at,
            fence: count(fence),
            lease: take.lease.map(|ttl| Lease {
                ttl,
                expires_at: take.at.plus(ttl),
            }),
            state: FreezeState::Active,
            release: None,
        };
        sqlx::query(
            "INSERT INTO freezes (id, scope, claim, fence, state) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(freeze.id.to_string())
        .bind(freeze.scope.to_string())
        .bind(claim.to_string())
        .bind(fence)
        .bind(freeze.state.as_str())
        .execute(&mut *tx)
        .await
        .map_err(|source| self.database(source))?;
        let document = self.encode("a freeze", &freeze)?;
        self.append(&mut tx, &freeze.id.to_string(), "taken", document)
            .await?;
        self.commit(tx).await?;
        Ok(Taken::Now(freeze))
    }

    /// Releases a freeze if `fence` is its fence. Also works on a freeze whose record cannot be read, so that a
    /// person who knows what it was about can end it.
    pub async fn release(
        &self,
        which: &FreezeRef,
        fence: u64,
        release: &Release,
    ) -> Result<Released, HistoryError> {
        let mut tx = self.write().await?;
        let row = match which {
            FreezeRef::Id(id) => self.row(&mut tx, id).await?,
            FreezeRef::Scope(scope) => {
                let row = self.active_on(&mut tx, scope).await?;
                row.ok_or_else(|| HistoryError::NotFrozen(scope.to_string()))?
            }
        };
        let read = || row.read().map_err(|what| self.corrupt(what));
        if row.state == FreezeState::Released.as_str() {
            return Ok(Released::Already(read()?));
        }
        let changed = sqlx::query(
            "UPDATE freezes SET state = 'released' WHERE id = $1 AND fence = $2 AND state <> 'released'",
        )
        .bind(&row.id)
        // A fence beyond the column's range is nobody's.
        .bind(i64::try_from(fence).unwrap_or(-1))
        .execute(&mut *tx)
        .await
        .map_err(|source| self.database(source))?;
        if changed.rows_affected() != 1 {
            return Ok(Released::Stale(read()?));
        }
        let id = row
            .id
            .parse()
            .map_err(|_| self.corrupt(format!("freeze `{}`", row.id)))?;
        let document = self.encode("a release", release)?;
        self.append(&mut tx, &row.id, "released", document).await?;
        self.commit(tx).await?;
        Ok(Released::Now(id))
    }

    /// The freeze of that id, as it stands now: for whoever holds it and is about to act under it.
    pub async fn freeze(&self, id: &FreezeId) -> Result<Freeze, HistoryError> {
        let mut tx = self.read().await?;
        let row = self.row(&mut tx, id).await?;
        row.read().map_err(|what| self.corrupt(what))
    }

    /// The active freezes that overlap `target`. One unreadable record anywhere is an error: it might be one of them.
    pub async fn covering(&self, target: &Target) -> Result<Vec<Freeze>, HistoryError> {
        let freezes = self.freezes(WhichFreezes::Active).await?;
        if !freezes.unreadable.is_empty() {
            return Err(self.corrupt(freezes.unreadable.join("; ")));
        }
        let asked = Scope::from(target);
        let covering = freezes
            .readable
            .into_iter()
            .filter(|f| f.scope.overlaps(&asked));
        Ok(covering.collect())
    }

    /// Says whether `target` may be changed, by the execution `own` or by anybody else. Never fails: what cannot be
    /// found out is a verdict, too.
    pub async fn gate(
        &self,
        target: &Target,
        own: Option<ExecutionId>,
        at: Timestamp,
    ) -> GateVerdict {
        match self.freezes(WhichFreezes::Active).await {
            Ok(freezes) => judge(target, own, freezes.readable, freezes.unreadable, at),
            Err(error) => judge(target, own, Vec::new(), vec![error.in_words()], at),
        }
    }

    /// Reads the freezes, and looks for every sign that one is missing among those that can be read.
    pub async fn freezes(&self, which: WhichFreezes) -> Result<Freezes, HistoryError> {
        // A released freeze without a readable record of its release counts as not released.
        let filter = match which {
            WhichFreezes::Active => {
                " WHERE f.state <> 'released' OR CASE WHEN json_valid(r.document)
                    THEN json_extract(r.document, '$.reason') END IS NULL ORDER BY f.rowid"
            }
            WhichFreezes::All => " ORDER BY f.rowid",
        };
        let mut tx = self.read().await?;
        let rows: Vec<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{SELECT}{filter}")))
            .fetch_all(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        let stray = "SELECT freeze, kind FROM freeze_events
            WHERE kind NOT IN ('taken', 'released') OR freeze NOT IN (SELECT id FROM freezes)";
        let stray: Vec<(String, String)> = sqlx::query_as(stray)
            .fetch_all(&mut *tx)
            .await
            .map_err(|source| self.database(source))?;
        let mut freezes = Freezes {
            readable: Vec::new(),
            unreadable: Vec::new(),
        };
        for row in rows.into_iter().map(Row::from) {
            match row.read() {
                Ok(freeze) => freezes.readable.push(freeze),
                Err(what) => freezes.unreadable.push(what),
            }
        }
        for (freeze, kind) in stray {
            let (freeze, kind) = (freeze.escape_debug(), kind.escape_debug());
            let what = format!("freeze `{freeze}`: the event `{kind}` cannot be placed");
            freezes.unreadable.push(what);
        }
        Ok(freezes)
    }

    async fn active_on(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        scope: &Scope,
    ) -> Result<Option<Row>, HistoryError> {
        let select = format!("{SELECT} WHERE f.scope = $1 AND f.state <> 'released'");
        let row: Option<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(scope.to_string())
            .fetch_optional(&mut **tx)
            .await
            .map_err(|source| self.database(source))?;
        Ok(row.map(Row::from))
    }

    async fn row(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        id: &FreezeId,
    ) -> Result<Row, HistoryError> {
        let select = format!("{SELECT} WHERE f.id = $1");
        let row: Option<Columns> = sqlx::query_as(sqlx::AssertSqlSafe(select))
            .bind(id.to_string())
            .fetch_optional(&mut **tx)
            .await
            .map_err(|source| self.database(source))?;
        row.map(Row::from)
            .ok_or_else(|| HistoryError::NoFreeze(id.to_string()))
    }

    async fn append(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        freeze: &str,
        kind: &str,
        document: String,
    ) -> Result<(), HistoryError> {
        sqlx::query("INSERT INTO freeze_events (freeze, kind, document) VALUES ($1, $2, $3)")
            .bind(freeze)
            .bind(kind)
            .bind(document)
            .execute(&mut **tx)
            .await
            .map_err(|source| self.database(source))?;
        Ok(())
    }
}
