//! Tests of the store: what must hold when many ask at once, and when the file is not what it should be.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops where something is missing"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::clock::Timestamp;
use crate::history::model::{
    Freeze, GateDecision, Holder, LogLine, Release, RunState, Trust, TrustMark,
};
use crate::history::{Recording, RecordingError};
use crate::ids::ExecutionId;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + secs * 1_000_000)
}

struct Scene {
    history: History,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

async fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let history = History::open(&path).await.unwrap();
    Scene {
        history,
        path,
        _dir: dir,
    }
}

impl Scene {
    async fn tamper(&self, sql: &str) {
        for trigger in [
            "freeze_events_stay",
            "freeze_events_remain",
            "freezes_only_released",
            "freezes_remain",
        ] {
            let drop = format!("DROP TRIGGER IF EXISTS {trigger}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(drop))
                .execute(&self.history.pool)
                .await
                .unwrap();
        }
        let sql = format!("PRAGMA foreign_keys = OFF; {sql}; PRAGMA foreign_keys = ON");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&self.history.pool)
            .await
            .unwrap();
    }

    async fn decide(&self, target: &str) -> &'static str {
        let target = target.parse().unwrap();
        self.history
            .gate(&target, None, at(9))
            .await
            .decision
            .as_str()
    }
}

fn take(scope: &str, who: &str) -> Take {
    Take {
        scope: scope.parse().unwrap(),
        reason: "checkout fails".parse().unwrap(),
        holder: Holder {
            principal: who.parse().unwrap(),
            execution: None,
            host: "laptop".to_owned(),
        },
        run: None,
        lease: None,
        at: at(0),
    }
}

async fn taken(history: &History, scope: &str, who: &str) -> Freeze {
    match history.take(take(scope, who)).await.unwrap() {
        Taken::Now(freeze) => freeze,
        other => panic!("{other:?}"),
    }
}

fn release() -> Release {
    Release {
        by: "bob".parse().unwrap(),
        reason: "it works again".parse().unwrap(),
        at: at(5),
        execution: None,
    }
}

fn recording(extra: &str) -> Recording {
    let text = format!(
        "run: {{id: r-1, workspace: shop, environment: production, state: failed, launched_by: alice,
          launched_at: '2026-11-20T23:00:00Z', failed_at: '2026-11-20T23:05:00Z'}}\n{extra}"
    );
    let parsed: Result<Recording, RecordingError> =
        Recording::parse(text.as_bytes(), Path::new("r.yaml"));
    parsed.unwrap()
}

const LOGS: &str = "logs:
- {at: '2026-11-20T23:04:00Z', text: same}
- {at: '2026-11-20T23:04:00Z', text: same}
- {at: '2026-11-20T23:05:00Z', text: bang}
- {at: '2026-11-20T23:06:00Z', text: quiet, stream: stderr}
";

#[test]
fn of_a_hundred_takers_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let winners: Vec<Freeze> = std::thread::scope(|threads| {
        let attempt = |i: usize| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                // Making the file is part of the race.
                let history = History::open(&path).await.unwrap();
                let taken = history
                    .take(take("shop/production", &format!("p{i}")))
                    .await
                    .unwrap();
                history.close().await;
                match taken {
                    Taken::Now(freeze) => Some(freeze),
                    Taken::Held(freeze) => {
                        assert_eq!(freeze.reason.as_str(), "checkout fails");
                        None
                    }
                    Taken::Already(freeze) => panic!("{freeze:?}"),
                }
            })
        };
        let threads: Vec<_> = (0..100)
            .map(|i| threads.spawn(move || attempt(i)))
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(winners.len(), 1);
    assert_eq!(winners[0].fence, 1);
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(left, ["history.db"]);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn taking_again_is_a_no_op_for_the_same_claimant_only() {
    let Scene { history, .. } = &scene().await;
    let freeze = taken(history, "shop/production", "alice").await;
    let again = history
        .take(take("shop/production", "alice"))
        .await
        .unwrap();
    assert_eq!(again, Taken::Already(freeze.clone()));
    // An execution of the same person is somebody else.
    let mut execution = take("shop/production", "alice");
    execution.holder.execution = Some(ExecutionId::generate());
    assert_eq!(
        history.take(execution).await.unwrap(),
        Taken::Held(freeze.clone())
    );
    assert_eq!(history.freeze(&freeze.id).await.unwrap(), freeze);
}

#[tokio::test]
async fn a_stale_fence_releases_nothing_and_fences_only_rise() {
    let Scene { history, .. } = &scene().await;
    let scope = FreezeRef::Scope("shop/production".parse().unwrap());
    let first = taken(history, "shop/production", "alice").await;
    for wrong in [0, 2, u64::MAX] {
        let stale = history.release(&scope, wrong, &release()).await.unwrap();
        assert_eq!(stale, Released::Stale(first.clone()), "{wrong}");
    }
    let done = history
        .release(&scope, first.fence, &release())
        .await
        .unwrap();
    assert_eq!(done, Released::Now(first.id));
    let second = taken(history, "shop/production", "bob").await;
    assert_eq!((first.fence, second.fence), (1, 2));
    // Whoever still believes in the first freeze ends nothing.
    let late = history
        .release(&scope, first.fence, &release())
        .await
        .unwrap();
    assert_eq!(late, Released::Stale(second.clone()));
    let by_id = history
        .release(&FreezeRef::Id(first.id), first.fence, &release())
        .await
        .unwrap();
    assert!(matches!(by_id, Released::Already(freeze) if freeze.release == Some(release())));
    assert_eq!(
        history.freeze(&second.id).await.unwrap().state.as_str(),
        "active"
    );
}

#[tokio::test]
async fn releasing_one_of_two_overlapping_freezes_clears_nothing() {
    let scene = scene().await;
    let wide = taken(&scene.history, "shop/production", "alice").await;
    let narrow = taken(&scene.history, "shop/production/checkout", "bob").await;
    assert_eq!(scene.decide("shop/production/cart").await, "frozen");
    assert_eq!(scene.decide("shop/staging").await, "clear");
    let _ = scene
        .history
        .release(&FreezeRef::Id(wide.id), wide.fence, &release())
        .await
        .unwrap();
    assert_eq!(scene.decide("shop/production").await, "frozen");
    assert_eq!(scene.decide("shop/production/cart").await, "clear");
    let covering = scene
        .history
        .covering(&"shop/production".parse().unwrap())
        .await
        .unwrap();
    assert_eq!(covering, std::slice::from_ref(&narrow));
    let _ = scene
        .history
        .release(&FreezeRef::Id(narrow.id), narrow.fence, &release())
        .await
        .unwrap();
    assert_eq!(scene.decide("shop/production").await, "clear");
}

#[tokio::test]
async fn a_freeze_that_cannot_be_read_is_never_clear() {
    for damage in [
        "UPDATE freeze_events SET document = '{'",
        "UPDATE freeze_events SET document = '{}'",
        "UPDATE freeze_events SET document = json_set(document, '$.scope', 'bank/production')",
        "UPDATE freeze_events SET document = json_set(document, '$.state', 'melted')",
        "UPDATE freeze_events SET document = json_set(document, '$.version', 2)",
        "UPDATE freeze_events SET kind = 'token'",
        "DELETE FROM freeze_events",
        "DELETE FROM freezes",
        "UPDATE freezes SET state = 'melted'",
        "UPDATE freezes SET state = 'released'",
        "UPDATE freezes SET scope = 'bank/production'",
        "UPDATE freezes SET fence = 7",
        "INSERT INTO freeze_events (freeze, kind, document) SELECT id, 'expired', '{}' FROM freezes",
        "INSERT INTO freeze_events (freeze, kind, document) SELECT id, 'released', '{}' FROM freezes",
        "UPDATE freezes SET state = 'released';
         INSERT INTO freeze_events (freeze, kind, document) SELECT id, 'released', '{' FROM freezes",
        "UPDATE freezes SET state = 'released';
         INSERT INTO freeze_events (freeze, kind, document) SELECT id, 'released', '{}' FROM freezes",
        "DROP TABLE freezes",
        "ALTER TABLE freeze_events RENAME COLUMN document TO paper",
    ] {
        let scene = scene().await;
        let _ = taken(&scene.history, "shop/production", "alice").await;
        assert_eq!(scene.decide("shop/production").await, "frozen");
        scene.tamper(damage).await;
        for target in ["shop/production", "shop/staging", "bank/production"] {
            assert_ne!(scene.decide(target).await, "clear", "{damage}: {target}");
        }
        let target = "shop/production".parse().unwrap();
        assert!(scene.history.covering(&target).await.is_err(), "{damage}");
    }
}

#[tokio::test]
async fn an_unreadable_freeze_can_be_released_by_id_and_fence() {
    let scene = scene().await;
    let freeze = taken(&scene.history, "shop/production", "alice").await;
    scene
        .tamper("UPDATE freeze_events SET document = '{'")
        .await;
    let by_id = FreezeRef::Id(freeze.id);
    assert!(scene.history.release(&by_id, 2, &release()).await.is_err());
    assert_eq!(scene.decide("shop/staging").await, "unknown");
    let done = scene.history.release(&by_id, 1, &release()).await.unwrap();
    assert_eq!(done, Released::Now(freeze.id));
    assert_eq!(scene.decide("shop/staging").await, "clear");
    let all = scene.history.freezes(WhichFreezes::All).await.unwrap();
    assert_eq!(all.unreadable.len(), 1);
}

#[tokio::test]
async fn a_cut_file_is_never_clear() {
    let Scene {
        history,
        path,
        _dir,
    } = scene().await;
    let _ = taken(&history, "shop/production", "alice").await;
    history.close().await;
    let whole = fs::read(&path).unwrap();
    for keep in (0..whole.len())
        .step_by(2048)
        .chain([1, 15, 99, whole.len() - 1])
    {
        fs::write(&path, &whole[..keep]).unwrap();
        let decision = match History::open_existing(&path).await {
            Err(_) => GateDecision::Unknown,
            Ok(history) => {
                let verdict = history
                    .gate(&"shop/production".parse().unwrap(), None, at(1))
                    .await;
                history.close().await;
                verdict.decision
            }
        };
        assert_ne!(
            decision,
            GateDecision::Clear,
            "{keep} of {} bytes",
            whole.len()
        );
    }
}

#[tokio::test]
async fn what_is_not_our_history_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let refused = async |expected: &str| {
        let before = fs::read(&path).ok();
        for open in [
            History::open(&path).await,
            History::open_existing(&path).await,
        ] {
            let error = open.expect_err(expected);
            let message = format!("{error}: {:?}", std::error::Error::source(&error));
            assert!(message.contains(expected), "{message}");
            assert_ne!(error.kind(), HistoryErrorKind::NotFound);
        }
        assert_eq!(fs::read(&path).ok(), before);
    };
    assert!(matches!(
        History::open_existing(&path).await,
        Err(HistoryError::Missing(_))
    ));
    fs::write(dir.path().join("history.db-wal"), "old").unwrap();
    assert!(matches!(
        History::open(&path).await,
        Err(HistoryError::Unfit { .. })
    ));
    fs::remove_file(dir.path().join("history.db-wal")).unwrap();
    fs::write(&path, "").unwrap();
    refused("is empty").await;
    fs::write(&path, "garbage ".repeat(1000)).unwrap();
    refused("not a database").await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    refused("written by other users").await;
    fs::remove_file(&path).unwrap();
    for (version, expected) in [(2, "version 2"), (0, "version 0"), (-1, "version -1")] {
        let history = History::open(&path).await.unwrap();
        let sql = format!("PRAGMA user_version = {version}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&history.pool)
            .await
            .unwrap();
        history.close().await;
        refused(expected).await;
        fs::remove_file(&path).unwrap();
    }
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        History::open(&path).await,
        Err(HistoryError::Unfit { .. })
    ));
}

#[tokio::test]
async fn the_record_of_freezes_cannot_be_rewritten() {
    let scene = scene().await;
    let _ = taken(&scene.history, "shop/production", "alice").await;
    for sql in [
        "UPDATE freeze_events SET document = '{}'",
        "DELETE FROM freeze_events",
        "DELETE FROM freezes",
        "UPDATE freezes SET fence = 7",
    ] {
        assert!(
            sqlx::raw_sql(sql)
                .execute(&scene.history.pool)
                .await
                .is_err(),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_run_is_brought_up_to_date_and_never_moves() {
    let Scene { history, .. } = &scene().await;
    let first = recording(LOGS);
    let recorded = history.record(&first).await.unwrap();
    assert_eq!((recorded.new, recorded.new_lines), (true, 4));
    let mut second = first.clone();
    second.run.state = RunState::Stopped;
    let recorded = history.record(&second).await.unwrap();
    assert_eq!((recorded.new, recorded.new_lines), (false, 0));
    assert_eq!(history.run(&first.run.id).await.unwrap(), second.run);

    for moved in ["bank/production", "shop/staging"] {
        let mut other = first.clone();
        let target: Target = moved.parse().unwrap();
        (other.run.workspace, other.run.environment) = (target.workspace, target.environment);
        let error = history.record(&other).await.unwrap_err();
        assert_eq!(error.kind(), HistoryErrorKind::Conflict);
    }
    let nobody = history.run(&"r-2".parse().unwrap()).await.unwrap_err();
    assert_eq!(nobody.to_string(), "the run history knows no run `r-2`");
}

#[tokio::test]
async fn runs_are_listed_by_what_they_touch() {
    let Scene { history, .. } = &scene().await;
    for (id, service) in [
        ("whole", None),
        ("cart", Some("cart")),
        ("checkout", Some("checkout")),
    ] {
        let mut recording = recording("");
        recording.run.id = id.parse().unwrap();
        recording.run.service = service.map(|service| service.parse().unwrap());
        history.record(&recording).await.unwrap();
    }
    let on = async |target: &str, state: Option<RunState>| {
        let filter = RunFilter {
            workspace: None,
            target: Some(target.parse().unwrap()),
            state,
        };
        let runs = history.runs(&filter, 10).await.unwrap();
        runs.iter()
            .map(|run| run.id.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(on("shop/production", None).await, "cart checkout whole");
    assert_eq!(on("shop/production/cart", None).await, "cart whole");
    assert_eq!(on("shop/staging", None).await, "");
    assert_eq!(on("shop/production", Some(RunState::Running)).await, "");
}

#[tokio::test]
async fn logs_come_in_pages_and_are_counted_around_the_failure() {
    let Scene { history, .. } = &scene().await;
    let recording = recording(LOGS);
    let id = &recording.run.id;
    history.record(&recording).await.unwrap();
    let mut texts: Vec<String> = Vec::new();
    let mut query = LogQuery {
        from: None,
        to: None,
        after: None,
        limit: 1,
    };
    loop {
        let page = history.logs(id, &query).await.unwrap();
        texts.extend(page.lines.into_iter().map(|line| line.text));
        query.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(texts, ["same", "same", "bang", "quiet"]);
    let failed_at = recording.run.failed_at;
    let before = LogQuery {
        from: None,
        to: failed_at,
        after: None,
        limit: 10,
    };
    assert_eq!(history.logs(id, &before).await.unwrap().lines.len(), 2);
    let summary = history.log_summary(id).await.unwrap();
    assert_eq!(
        (summary.total, summary.before, summary.after),
        (4, Some(2), Some(1))
    );

    let mut unknown = recording.clone();
    unknown.run.failed_at = None;
    history.record(&unknown).await.unwrap();
    let summary = history.log_summary(id).await.unwrap();
    assert_eq!(
        (summary.total, summary.before, summary.after),
        (4, None, None)
    );

    let line = LogLine {
        at: at(0),
        stream: None,
        text: "more".to_owned(),
    };
    assert_eq!(
        history
            .add_logs(id, std::slice::from_ref(&line))
            .await
            .unwrap(),
        1
    );
    assert_eq!(history.add_logs(id, &[line]).await.unwrap(), 0);
    assert!(
        history
            .add_logs(&"r-2".parse().unwrap(), &[])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_comment_sent_twice_is_one_comment() {
    let Scene { history, .. } = &scene().await;
    let recording = recording("");
    let id = &recording.run.id;
    history.record(&recording).await.unwrap();
    let alice = "alice".parse().unwrap();
    let say = async |body: &str, key: Option<&str>, secs: i64| {
        history.comment(id, &alice, body, key, at(secs)).await
    };
    let first = say("rolled back", Some("k1"), 1).await.unwrap();
    assert_eq!(say("rolled back", Some("k1"), 2).await.unwrap(), first);
    let error = say("something else", Some("k1"), 3).await.unwrap_err();
    assert_eq!(error.kind(), HistoryErrorKind::Conflict);
    say("no key", None, 4).await.unwrap();
    say("no key", None, 5).await.unwrap();
    assert!(say(" \n", None, 6).await.is_err());
    let bodies: Vec<String> = history
        .comments(id)
        .await
        .unwrap()
        .into_iter()
        .map(|c| c.body)
        .collect();
    assert_eq!(bodies, ["rolled back", "no key", "no key"]);
    let elsewhere = "r-2".parse().unwrap();
    assert!(
        history
            .comment(&elsewhere, &alice, "x", None, at(7))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_latest_mark_of_every_overlapping_target_counts() {
    let Scene { history, .. } = &scene().await;
    let mark = |target: &str, state, secs| TrustMark {
        target: target.parse().unwrap(),
        state,
        reason: "partial deployment".parse().unwrap(),
        by: "alice".parse().unwrap(),
        at: at(secs),
        execution: None,
    };
    let wide = mark("shop/production", Trust::Untrusted, 1);
    let narrow = mark("shop/production/cart", Trust::Untrusted, 2);
    for mark in [&wide, &narrow, &mark("shop/staging", Trust::Untrusted, 3)] {
        history.set_trust(mark).await.unwrap();
    }
    let on = async |target: &str| history.trust(&target.parse().unwrap()).await.unwrap();
    assert_eq!(on("shop/production").await, [wide.clone(), narrow.clone()]);
    assert_eq!(on("shop/production/checkout").await, [wide]);
    let again = mark("shop/production", Trust::Trusted, 4);
    history.set_trust(&again).await.unwrap();
    assert_eq!(on("shop/production").await, [narrow, again]);
}

#[tokio::test]
async fn a_workspace_is_known_once_a_recording_named_it() {
    let Scene { history, .. } = &scene().await;
    let shop = "shop".parse().unwrap();
    history.record(&recording("")).await.unwrap();
    assert_eq!(
        history.workspace(&shop).await.unwrap_err().kind(),
        HistoryErrorKind::NotFound
    );
    history
        .record(&recording("workspace: {id: shop, owners: [olga]}\n"))
        .await
        .unwrap();
    assert_eq!(
        history.workspace(&shop).await.unwrap().owners[0].as_str(),
        "olga"
    );
}
