//! What a step asks of the run history: take the freeze, read the run, post a comment, release the freeze.
//!
//! All of it may be repeated without harm (a claim, a key, a fence stand for the same thing twice), so none of it is
//! ever in doubt.

use serde_json::{Value as Json, json};

use crate::clock::Timestamp;
use crate::execution::event::{Ending, HistoryWork, Learned};
use crate::execution::found::CameBack;
use crate::execution::gate::FreezeReading;
use crate::history::model::{
    CheckResult, Comment, Freeze, FreezeId, FreezeState, GateDecision, Holder, LogLine, Reason,
    Release, Run, RunState, Scope, Trust, TrustMark,
};
use crate::history::{
    FreezeRef, History, HistoryError, LogQuery, Released, RunFilter, Take, Taken, WhichFreezes,
};
use crate::ids::{ExecutionId, Principal, RunId, Target};

/// Most log lines that are kept as evidence from either side of the failure.
const MOST_LINES: u32 = 5_000;
/// How many lines from either side of the failure are shown at once.
const AROUND: usize = 6;
/// How many earlier runs are looked through for artifacts that were deployed.
const EARLIER_RUNS: u32 = 200;

/// The run history, as one execution asks it.
#[derive(Clone)]
pub struct RunHistory {
    /// Where it is kept.
    pub history: History,
    /// Who asks.
    pub execution: ExecutionId,
    /// Whose freeze it works under: its own, or that of the execution that handed over to it.
    pub freeze_of: ExecutionId,
    /// The person behind it.
    pub operator: Principal,
    /// The machine it asks from.
    pub host: String,
    /// The run that is responded to.
    pub run: RunId,
    /// What is frozen and changed.
    pub target: Target,
}

/// What came of asking.
pub struct Answered {
    /// How it ended.
    pub ending: Ending,
    /// What it means to the machine.
    pub learned: Option<Learned>,
    /// The document to keep and to extract from.
    pub document: Option<Json>,
}

impl RunHistory {
    /// The freezes on the target, now.
    pub async fn read_freeze(&self, now: Timestamp) -> FreezeReading {
        let verdict = self
            .history
            .gate(&self.target, Some(self.freeze_of), now)
            .await;
        if verdict.decision == GateDecision::Unknown {
            return FreezeReading::Unreadable {
                why: verdict.unreadable.join("; "),
            };
        }
        let freezes = match self.history.freezes(WhichFreezes::All).await {
            Ok(freezes) => freezes.readable,
            Err(why) => {
                return FreezeReading::Unreadable {
                    why: why.in_words(),
                };
            }
        };
        let mut own = freezes
            .iter()
            .filter(|f| f.holder.execution == Some(self.freeze_of));
        let asked = Scope::from(&self.target);
        let active = own
            .clone()
            .find(|f| f.state == FreezeState::Active && f.scope.overlaps(&asked));
        FreezeReading::Read {
            ours: active.map(|f| (f.id.to_string(), f.fence)),
            others: verdict.freezes.iter().map(held).collect(),
            ended: own.next_back().and_then(ended),
        }
    }

    /// Asks or tells the run history something. Never fails: an error is an ending.
    pub async fn perform(&self, work: &HistoryWork, now: Timestamp) -> Answered {
        let answered = match work {
            HistoryWork::TakeFreeze {
                scope,
                reason,
                lease,
            } => match self.shares_a_freeze() {
                false => self.take(scope, reason, *lease, now).await,
                true => self.share(scope, now).await,
            },
            HistoryWork::RetakeFreeze {
                scope,
                reason,
                lease,
            } => self.take(scope, reason, *lease, now).await,
            HistoryWork::ReadRun => self.view(now).await.map(|view| {
                let document = view.clone();
                known("read", Some(Learned::Run { document }), view)
            }),
            HistoryWork::ReadLogs => self.logs().await.map(|logs| known("read", None, logs)),
            HistoryWork::PostComment { body, key } => {
                self.comment(body, key, Learned::Commented, now).await
            }
            HistoryWork::PostViolation { body, key } => {
                self.comment(body, key, Learned::Told, now).await
            }
            HistoryWork::MarkTarget { trusted, reason } => self.mark(*trusted, reason, now).await,
            HistoryWork::ReleaseFreeze { fence, .. } if self.shares_a_freeze() => {
                Ok(self.leave(*fence, now).await)
            }
            HistoryWork::ReleaseFreeze { fence, reason } => self.release(*fence, reason, now).await,
        };
        answered.unwrap_or_else(|why| refused(why.in_words()))
    }

    /// Whether another execution holds the freeze, and releases it when all is over.
    fn shares_a_freeze(&self) -> bool {
        self.freeze_of != self.execution
    }

    /// Leaves the freeze to the execution that handed over, as long as it is there.
    async fn leave(&self, fence: u64, now: Timestamp) -> Answered {
        match self.read_freeze(now).await {
            FreezeReading::Unreadable { why } => refused(why),
            FreezeReading::Read {
                ours: Some((_, current)),
                ..
            } if current == fence => {
                let kept = serde_json::json!({"kept_by": self.freeze_of, "fence": fence});
                known("kept", None, kept)
            }
            FreezeReading::Read { ended, .. } => {
                let other = || "the freeze is not the one that this execution worked under".into();
                lost(&ended.unwrap_or_else(other))
            }
        }
    }

    /// Works under the freeze of the execution that handed over, which must cover all that is asked for.
    async fn share(&self, scope: &str, now: Timestamp) -> Result<Answered, HistoryError> {
        let Ok(asked) = scope.parse::<Scope>() else {
            return Ok(refused(format!("`{scope}` cannot be frozen")));
        };
        let (id, fence) = match self.read_freeze(now).await {
            FreezeReading::Unreadable { why } => return Ok(refused(why)),
            FreezeReading::Read { others, .. } if !others.is_empty() => {
                return Ok(refused(others.join("; ")));
            }
            FreezeReading::Read {
                ours: None, ended, ..
            } => {
                let none = || "the execution that handed over holds none".into();
                return Ok(lost(&ended.unwrap_or_else(none)));
            }
            FreezeReading::Read {
                ours: Some(ours), ..
            } => ours,
        };
        let freezes = self.history.freezes(WhichFreezes::All).await?.readable;
        let held = freezes.into_iter().find(|f| f.id.to_string() == id);
        let held = held.filter(|f| f.scope.includes(&asked));
        let Some(freeze) = held else {
            return Ok(refused(format!(
                "the freeze of the execution that handed over does not cover `{scope}`"
            )));
        };
        let document = serde_json::to_value(&freeze).unwrap_or_default();
        let learned = Learned::Frozen {
            id,
            fence,
            scope: freeze.scope.to_string(),
        };
        Ok(known("shared", Some(learned), document))
    }

    async fn take(
        &self,
        scope: &str,
        reason: &str,
        lease: crate::clock::Span,
        at: Timestamp,
    ) -> Result<Answered, HistoryError> {
        let (Ok(scope), Ok(reason)) = (scope.parse::<Scope>(), reason.parse::<Reason>()) else {
            return Ok(refused(format!(
                "`{scope}` cannot be frozen with the reason `{reason}`"
            )));
        };
        let take = Take {
            scope,
            reason,
            holder: Holder {
                principal: self.operator.clone(),
                execution: Some(self.freeze_of),
                host: self.host.clone(),
            },
            run: Some(self.run.clone()),
            lease: Some(lease),
            at,
        };
        let taken = self.history.take(take).await?;
        // Freezes of other scopes may cover the target as well; then nothing may be changed under ours.
        let others = self
            .history
            .gate(&self.target, Some(self.freeze_of), at)
            .await;
        let others = others.freezes.iter().map(held).chain(others.unreadable);
        let others: Vec<String> = others.collect();
        let (outcome, freeze) = match taken {
            Taken::Held(freeze) => {
                return Ok(refused(format!("already frozen: {}", held(&freeze))));
            }
            // What was ours before stays so, whatever others did meanwhile.
            Taken::Already(_) if !others.is_empty() => {
                return Ok(refused(format!("already frozen: {}", others.join("; "))));
            }
            Taken::Now(freeze) if !others.is_empty() => {
                let back = self.release_of(freeze.reason, at);
                let _ = self
                    .history
                    .release(&FreezeRef::Id(freeze.id), freeze.fence, &back)
                    .await?;
                return Ok(refused(format!("already frozen: {}", others.join("; "))));
            }
            Taken::Now(freeze) => ("frozen", freeze),
            Taken::Already(freeze) => ("held already", freeze),
        };
        let learned = Learned::Frozen {
            id: freeze.id.to_string(),
            fence: freeze.fence,
            scope: freeze.scope.to_string(),
        };
        let document = serde_json::to_value(&freeze).unwrap_or_default();
        Ok(known(outcome, Some(learned), document))
    }

    async fn release(
        &self,
        fence: u64,
        reason: &str,
        at: Timestamp,
    ) -> Result<Answered, HistoryError> {
        let Ok(reason) = reason.parse::<Reason>() else {
            return Ok(refused(format!("`{reason}` is not a reason")));
        };
        let ours = self.history.freezes(WhichFreezes::All).await?.readable;
        let ours = ours
            .into_iter()
            .find(|f| f.holder.execution == Some(self.execution) && f.fence == fence);
        let Some(freeze) = ours else {
            let found = format!("the run history has none of this execution with fence {fence}");
            return Ok(lost(&found));
        };
        let release = self.release_of(reason, at);
        let released = self
            .history
            .release(&FreezeRef::Id(freeze.id), fence, &release)
            .await?;
        match released {
            Released::Stale(now) => {
                return Ok(refused(format!(
                    "the fence is {} now; nothing was released",
                    now.fence
                )));
            }
            Released::Already(freeze) => {
                let by = freeze.release.as_ref().and_then(|r| r.execution);
                if by != Some(self.execution) {
                    let found = ended(&freeze).unwrap_or_else(|| "it was released".into());
                    return Ok(lost(&found));
                }
            }
            Released::Now(_) => {}
        }
        let id: FreezeId = freeze.id;
        let still = self
            .history
            .covering(&self.target)
            .await?
            .into_iter()
            .any(|f| f.id == id);
        if still {
            return Ok(refused("the gate still shows the freeze".into()));
        }
        let verdict = self.history.gate(&self.target, None, at).await;
        let document = serde_json::to_value(&verdict).unwrap_or_default();
        Ok(known("released", Some(Learned::Released), document))
    }

    /// The release of a freeze by this execution, so that it knows it again after a crash.
    fn release_of(&self, reason: Reason, at: Timestamp) -> Release {
        Release {
            by: self.operator.clone(),
            reason,
            at,
            execution: Some(self.execution),
        }
    }

    async fn comment(
        &self,
        body: &str,
        key: &str,
        learned: impl FnOnce(String) -> Learned,
        at: Timestamp,
    ) -> Result<Answered, HistoryError> {
        let posted = self
            .history
            .comment(&self.run, &self.operator, body, Some(key), at)
            .await;
        let (outcome, comment) = match posted {
            Ok(comment) => ("posted".to_owned(), comment),
            Err(why) => match self.posted(&why, body).await? {
                // Before a crash took the record of it, by whoever was there then.
                Some(comment) => {
                    let before = format!("posted before, by {} at {}", comment.author, comment.at);
                    (before, comment)
                }
                None => return Err(why),
            },
        };
        let document = serde_json::to_value(&comment).unwrap_or_default();
        let learned = learned(comment.id.to_string());
        Ok(known(&outcome, Some(learned), document))
    }

    /// The comment that has the key already, where it says exactly this.
    async fn posted(
        &self,
        refused: &HistoryError,
        body: &str,
    ) -> Result<Option<Comment>, HistoryError> {
        let HistoryError::KeyReused { comment: id, .. } = refused else {
            return Ok(None);
        };
        let comments = self.history.comments(&self.run).await?;
        let same = |comment: &Comment| comment.id == *id && comment.body == body;
        Ok(comments.into_iter().find(same))
    }

    async fn mark(
        &self,
        trusted: bool,
        reason: &str,
        at: Timestamp,
    ) -> Result<Answered, HistoryError> {
        let Ok(reason) = reason.parse::<Reason>() else {
            return Ok(refused(format!("`{reason}` is not a reason")));
        };
        let state = if trusted {
            Trust::Trusted
        } else {
            Trust::Untrusted
        };
        let by = self.operator.clone();
        let mark = TrustMark {
            target: self.target.clone(),
            state,
            reason,
            by,
            at,
            execution: Some(self.execution),
        };
        self.history.set_trust(&mark).await?;
        Ok(known(
            state.as_str(),
            Some(Learned::Marked),
            serde_json::to_value(&mark).unwrap_or_default(),
        ))
    }

    /// The run as expressions read it: the document of the run history, with what follows from it.
    ///
    /// # Errors
    /// Where the run history does not know the run, or cannot be read.
    pub async fn view(&self, now: Timestamp) -> Result<Json, HistoryError> {
        view(&self.history, &self.run, &self.target, now).await
    }

    async fn logs(&self) -> Result<Json, HistoryError> {
        let run = self.history.run(&self.run).await?;
        let query = |from, to| LogQuery {
            from,
            to,
            after: None,
            limit: MOST_LINES,
        };
        let before = self
            .history
            .logs(&self.run, &query(None, run.failed_at))
            .await?;
        let after = match run.failed_at {
            Some(failed_at) => {
                self.history
                    .logs(&self.run, &query(Some(failed_at), None))
                    .await?
                    .lines
            }
            None => Vec::new(),
        };
        let summary = self.history.log_summary(&self.run).await?;
        let before = before.lines;
        let around = around(&before, &after);
        let lines: Vec<_> = before.into_iter().chain(after).collect();
        Ok(
            json!({"run": self.run, "summary": summary, "around": around, "lines": lines, "preflight": run.preflight}),
        )
    }
}

/// The last lines before the failure and the first after it, as text: what one looks at first.
fn around(before: &[LogLine], after: &[LogLine]) -> Vec<String> {
    let last = before.iter().rev().take(AROUND).rev();
    let text = |line: &LogLine| {
        let stream = line
            .stream
            .as_ref()
            .map_or(String::new(), |s| format!("{s}: "));
        format!("{} {stream}{}", line.at.time_of_day(), line.text)
    };
    last.chain(after.iter().take(AROUND)).map(text).collect()
}

/// The run as expressions read it, for any target.
///
/// # Errors
/// As [`RunHistory::view`].
pub async fn view(
    history: &History,
    id: &RunId,
    target: &Target,
    now: Timestamp,
) -> Result<Json, HistoryError> {
    let run = history.run(id).await?;
    let workspace = match history.workspace(&run.workspace).await {
        Ok(workspace) => Some(workspace),
        Err(HistoryError::NoWorkspace(_)) => None,
        Err(why) => return Err(why),
    };
    let logs = history.log_summary(id).await?;
    let earlier = RunFilter {
        workspace: None,
        target: Some(run.target()),
        state: Some(RunState::Succeeded),
    };
    let deployed: Vec<String> = history
        .runs(&earlier, EARLIER_RUNS)
        .await?
        .into_iter()
        .filter_map(|r| r.artifact)
        .collect();
    let untrusted = history
        .trust(target)
        .await?
        .iter()
        .any(|mark| mark.state == Trust::Untrusted);
    let mut view = serde_json::to_value(&run).unwrap_or_default();
    if let Json::Object(view) = &mut view {
        let more = json!({
            "owners": workspace.as_ref().map(|w| &w.owners),
            "operators": workspace.as_ref().map(|w| &w.operators),
            "approved": run.approval.is_some(),
            "inside_window": inside_window(&run),
            "unresolved_warnings": unresolved(&run),
            "rollback_tested": run.rollback_candidate.as_ref().is_some_and(|c| c.tested_at.is_some()),
            "deployed_artifacts": deployed,
            "logs": logs,
            "trusted": !untrusted,
            "read_at": now,
        });
        if let Json::Object(more) = more {
            // What is not known is left out, so that an expression over it is unknown.
            view.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }
    Ok(view)
}

fn inside_window(run: &Run) -> bool {
    run.window
        .as_ref()
        .is_some_and(|w| w.start <= run.launched_at && run.launched_at <= w.end)
}

fn unresolved(run: &Run) -> Vec<&str> {
    let open = |result: CheckResult| matches!(result, CheckResult::Warn | CheckResult::Unknown);
    run.preflight
        .iter()
        .filter(|p| open(p.result))
        .map(|p| p.id.as_str())
        .collect()
}

/// How a freeze ended, in one line: by whom, when, why; nothing where it holds.
fn ended(freeze: &Freeze) -> Option<String> {
    let Release { by, reason, at, .. } = freeze.release.as_ref()?;
    let scope = &freeze.scope;
    Some(format!("{scope} was released by {by} at {at} ({reason})"))
}

/// A freeze in one line: what, by whom, why, since when, and for which execution.
#[must_use]
pub fn held(freeze: &Freeze) -> String {
    let execution = freeze
        .holder
        .execution
        .map_or(String::new(), |id| format!(", execution {id}"));
    format!(
        "{} is frozen by {} since {} ({}){execution}",
        freeze.scope, freeze.holder.principal, freeze.created_at, freeze.reason
    )
}

fn known(outcome: &str, learned: Option<Learned>, document: Json) -> Answered {
    Answered {
        ending: Ending::Done {
            outcome: outcome.into(),
            code: None,
        },
        learned,
        document: Some(document),
    }
}

fn refused(why: String) -> Answered {
    Answered {
        ending: Ending::NotPerformed { why },
        learned: None,
        document: None,
    }
}

/// The freeze is not this execution's any more, and nothing was done about it.
fn lost(found: &str) -> Answered {
    Answered {
        learned: Some(Learned::FreezeLost {
            found: found.to_owned(),
        }),
        ..refused(format!("the freeze is not ours any more: {found}"))
    }
}

impl Answered {
    /// What facts are extracted from.
    #[must_use]
    pub fn came_back(&self) -> CameBack {
        let outcome = match &self.ending {
            Ending::Done { outcome, .. } => outcome.clone(),
            Ending::Failed { .. } | Ending::NotPerformed { .. } | Ending::Doubtful { .. } => {
                String::new()
            }
        };
        CameBack {
            outcome,
            body: self.document.clone(),
            ..CameBack::default()
        }
    }
}
