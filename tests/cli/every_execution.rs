//! What every execution does, whatever the runbook: on the right path, and on the wrong one.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::before_anything::{run_with, warned};
use crate::incident::{Incident, RUN, partial_run};

#[test]
fn freeze_right() {
    let incident = Incident::partial_deployment();
    incident.gate(0);
    let _ = incident
        .start(&incident.answers().without("impact"))
        .says("frozen: shop/production (fence 1)")
        .exit(15);
    incident.gate(10);
    let _ = incident.resume(&incident.answers()).exit(0);
    incident.gate(0);
}

#[test]
fn freeze_wrong() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    let first = incident.execution()["execution"].clone();
    let first = first.as_str().expect("an id");
    incident.start(&incident.answers()).refused(
        10,
        &[
            "freeze: `shop/production` cannot be worked on",
            "is frozen by alice since 20",
            "Recover from a partial deployment (r-1842)",
            first,
        ],
    );
    assert_eq!(incident.execution()["execution"], first);
    assert_eq!(incident.was_run(), "");
}

#[test]
fn scope_and_ownership_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers())
        .says("launched_by = carol")
        .says("template_stack = shop/host")
        .exit(0);
    let journal = incident.journal();
    assert!(journal.iter().all(|entry| entry["actor"] == "alice"));
}

#[test]
fn scope_and_ownership_wrong() {
    let incident = Incident::partial_deployment();
    let wrong = json!({"facts": {"scope_is_right": false, "affected": "another shop"}});
    incident
        .start(&incident.answers().with("scope-and-ownership", wrong))
        .refused(
            15,
            &["step `scope-and-ownership`", "facts.scope_is_right = false"],
        );
    let skip = json!({"on_failure": "skip", "reason": "close enough"});
    incident
        .resume(&incident.answers().with("scope-and-ownership", skip))
        .refused(
            15,
            &["step `scope-and-ownership`", "that way is not open here"],
        );
    incident.gate(10);
    assert_eq!(incident.was_run(), "");
}

#[test]
fn impact_right() {
    for impact in ["partial-function", "production-regression"] {
        let incident = Incident::bad_deploy();
        let choice = json!({"choose": impact, "reason": "the graph of orders"});
        let answers = incident.answers().with("impact", choice);
        let _ = incident
            .start(&answers.without("recovery-path"))
            .says(&format!("decided: {impact} by drill-dana"))
            .exit(15);
    }
}

#[test]
fn impact_wrong() {
    let unknown = json!({"choose": "unknown", "reason": "no graphs"});
    let deploy = Incident::bad_deploy();
    deploy
        .start(&deploy.answers().with("impact", unknown.clone()))
        .refused(
            14,
            &["step `recovery-path`", "guard no-path-without-impact"],
        );
    deploy.nothing_changed();
    let partial = Incident::partial_deployment();
    partial
        .start(&partial.answers().with("impact", unknown))
        .refused(
            14,
            &["step `choose-recovery`", "guard no-path-without-impact"],
        );
    assert_eq!(partial.was_run(), "");
    let nobody = Incident::partial_deployment();
    nobody
        .start(&nobody.answers().without("impact"))
        .refused(15, &["step `impact` needs a decision of dana"]);
}

#[test]
fn recovery_path_right() {
    let compatible = Incident::bad_deploy();
    compatible
        .start(&compatible.answers().without("recovery-path"))
        .refused(
            15,
            &["needs a decision of drill-dana (rollback), with a reason"],
        );
    let incompatible = Incident::incompatible();
    incompatible
        .start(&incompatible.answers().without("recovery-path"))
        .refused(15, &["(forward-or-restore), with a reason"]);
}

#[test]
fn recovery_path_wrong() {
    let incident = Incident::bad_deploy();
    let choose = |option: &str, reason: &str| json!({"choose": option, "reason": reason});
    let answers = incident.answers();
    incident
        .start(
            &answers
                .clone()
                .with("recovery-path", choose("rollback", "")),
        )
        .refused(15, &["step `recovery-path`", "a reason is needed"]);
    for (option, why) in [
        ("forward-or-restore", "cannot be chosen"),
        ("pray", "there is no option `pray`"),
    ] {
        incident
            .resume(&answers.clone().with("recovery-path", choose(option, "r")))
            .refused(15, &["step `recovery-path`", why]);
    }
    incident.nothing_changed();
}

#[test]
fn record_decision_right() {
    let incident = Incident::partial_deployment();
    let _ = incident.start(&incident.answers()).exit(0);
    let comments = incident.comments();
    assert_eq!(comments.len(), 1);
    let body = comments[0]["body"].as_str().expect("text");
    for words in [
        "operator alice",
        "mails are not sent",
        "redeploy, decided by dana: only the host's stack differs",
        "partial-function, decided by dana: only mails are late",
    ] {
        assert!(body.contains(words), "{words} is not in\n{body}");
    }
}

#[test]
fn record_decision_wrong() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("downstream-path"))
        .exit(15);
    let id = incident.execution()["execution"].clone();
    let key = format!("{}/record-decision", id.as_str().expect("an id"));
    // The history does not take the comment, since something else stands under its key.
    let args = ["run", "comment", RUN, "something else", "--key", &key];
    let _ = incident.run(&args).exit(0);
    let pressing = json!([
        {"on_failure": "retry", "reason": "once more"},
        {"on_failure": "retry", "reason": "and once more"},
        {"on_failure": "skip", "reason": "then without"},
    ]);
    incident
        .resume(&incident.answers().with("record-decision", pressing))
        .refused(15, &["step `record-decision`", "already used on run"]);
    assert_eq!(incident.comments().len(), 1);
    incident.gate(10);
    assert_eq!(incident.execution()["standing"], "paused");
}

#[test]
fn a_comment_that_was_posted_before_the_record_was_lost_is_not_posted_twice() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("prevent-repeat"))
        .exit(15);
    assert_eq!(incident.comments().len(), 1);
    // The process died after the history had the comment and before the journal had the outcome.
    let path = incident.journal_path();
    let text = fs::read_to_string(&path).expect("a journal");
    let posted = |line: &&str| line.contains("post_comment") || line.contains("post-comment");
    let line = text.lines().rfind(posted).expect("it was posted");
    let end = text.find(line).expect("it is there") + line.len() + 1;
    fs::write(&path, &text[..end]).expect("cut");
    let _ = incident.resume(&incident.answers()).exit(0);
    assert_eq!(incident.comments().len(), 1);
}

#[test]
fn prevent_repeat_right() {
    for follow_up in [
        "a limit on memory",
        "none, because the host is gone tomorrow",
    ] {
        let incident = Incident::partial_deployment();
        let facts = json!({"facts": {"follow_up": follow_up, "follow_up_owner": "carol"}});
        let _ = incident
            .start(&incident.answers().with("prevent-repeat", facts))
            .exit(0);
    }
}

#[test]
fn prevent_repeat_wrong() {
    let incident = Incident::partial_deployment();
    incident
        .start(&incident.answers().without("prevent-repeat"))
        .refused(15, &["step `prevent-repeat`", "follow_up, follow_up_owner"]);
    for (follow_up, owner) in [("", "carol"), ("more memory", "")] {
        let facts = json!({"facts": {"follow_up": follow_up, "follow_up_owner": owner}});
        incident
            .resume(&incident.answers().with("prevent-repeat", facts))
            .refused(15, &["step `prevent-repeat`"]);
        incident.gate(10);
        let _ = incident.run(&["status"]).exit(0);
    }
    for follow_up in ["none", "None.", " - ", "none, because", "n/a"] {
        let incident = Incident::partial_deployment();
        let facts = json!({"facts": {"follow_up": follow_up, "follow_up_owner": "carol"}});
        incident
            .start(&incident.answers().with("prevent-repeat", facts))
            .refused(15, &["step `prevent-repeat`", "follow_up"]);
        incident.gate(10);
    }
}

/// What the checks at the end miss: a step whose evidence was left out.
fn with_a_hole(edits: &[(&str, &str)]) -> Incident {
    let broken = "    read-quarantine:
      request: {endpoint: platform, get: /nowhere}
      facts: {quarantined: body.quarantined}
      evidence: {quarantine_state: body}
";
    let mut incident = Incident::bad_deploy();
    if !edits.is_empty() {
        incident = incident.runbook_edited(edits);
    }
    incident.steps_done(broken)
}

fn leaving_a_hole(incident: &Incident) -> crate::incident::Answers {
    let skip = json!({"on_failure": "skip", "reason": "it will be fine"});
    incident
        .answers()
        .with("quarantine", skip.clone())
        .with("read-quarantine", skip)
}

#[test]
fn check_context_recorded_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("[check-context-recorded] execution.missing = []; execution.comments = 1")
        .exit(0);
}

#[test]
fn check_context_recorded_wrong() {
    let incident = with_a_hole(&[]);
    incident.start(&leaving_a_hole(&incident)).refused(
        13,
        &[
            "step `close-checks`",
            "check check-context-recorded",
            "quarantine_state",
        ],
    );
    let acknowledged = json!({
        "acknowledge": {"check-context-recorded": "it will be fine"},
        "on_failure": "skip", "reason": "it will be fine",
    });
    incident
        .resume(&incident.answers().with("close-checks", acknowledged))
        .refused(13, &["check check-context-recorded"]);
    incident.gate(10);
}

#[test]
fn no_missing_audit_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("Close with evidence missing [no-missing-audit]")
        .exit(0);
    incident.gate(0);
}

#[test]
fn no_missing_audit_wrong() {
    let incident = with_a_hole(&[(
        "closing:\n  - use: standard/check-context-recorded\n",
        "closing:\n",
    )]);
    let answers = leaving_a_hole(&incident).with(
        "close-checks",
        json!({"acknowledge": {"bad-artifact-quarantined": "the plane was asked by hand"}}),
    );
    incident.start(&answers).refused(
        14,
        &[
            "step `close-run`",
            "guard no-missing-audit",
            "quarantine_state",
        ],
    );
    incident.gate(10);
}

const WITHOUT_IMPACT_GUARD: (&str, &str) = (
    "  - use: standard/no-path-without-impact\n    before: [choose-recovery]\n",
    "",
);

fn rerunning(incident: &Incident) -> crate::incident::Answers {
    let choice = json!({"choose": "rerun", "reason": "the cause is gone"});
    let rerun = json!({
        "confirm": "production", "facts": {"rerun_id": "r-1843"},
        "evidence": {"rerun_record": "r-1843 succeeded"},
    });
    incident
        .answers()
        .with("choose-recovery", choice)
        .with("rerun", rerun)
}

#[test]
fn no_next_run_early_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&rerunning(&incident))
        .says("rerun_id = r-1843")
        // Nothing came up by it in this scene, and that is measured rather than believed.
        .exit(15);
}

#[test]
fn no_next_run_early_wrong() {
    let unknown = json!({"choose": "unknown", "reason": "no graphs"});
    let incident = Incident::partial_deployment().runbook_edited(&[WITHOUT_IMPACT_GUARD]);
    incident
        .start(&rerunning(&incident).with("impact", unknown))
        .never_says("rerun_id")
        .refused(14, &["step `rerun`", "guard no-next-run-early"]);
}

#[test]
fn no_blind_retry_right() {
    let incident = warned();
    let known = json!({"acknowledge": {"no-ignored-warnings": "the cause is another one"}});
    let _ = incident
        .start(&rerunning(&incident).with("preflight", known))
        .says("rerun_id = r-1843")
        .exit(15);
}

#[test]
fn no_blind_retry_wrong() {
    let incident = warned().runbook_edited(&[
        (
            "  - use: standard/impact\n  - use: standard/root-cause\n",
            "  - use: standard/impact\n",
        ),
        (
            "  # Verify.\n",
            "  - use: standard/root-cause\n\n  # Verify.\n",
        ),
    ]);
    let known = json!({"acknowledge": {"no-ignored-warnings": "it always warns"}});
    incident
        .start(&rerunning(&incident).with("preflight", known))
        .never_says("rerun_id")
        .refused(
            14,
            &[
                "step `rerun`",
                "guard no-blind-retry",
                "guard no-next-run-early",
            ],
        );
}

#[test]
fn no_unclear_owner_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers())
        .says("decided: redeploy by dana")
        .exit(0);
}

#[test]
fn no_unclear_owner_wrong() {
    let partial = Incident::partial_deployment().input("verifier", Some("alice"));
    partial
        .start(&partial.answers())
        .refused(14, &["step `choose-recovery`", "guard no-unclear-owner"]);
    assert_eq!(partial.was_run(), "");
    let deploy = Incident::bad_deploy().input("verifier", Some("alice"));
    deploy
        .start(&deploy.answers())
        .refused(14, &["step `recovery-path`", "guard no-unclear-owner"]);
    deploy.nothing_changed();
    let nobody = Incident::bad_deploy().input("decision_owner", Some(""));
    nobody
        .start(&nobody.answers())
        .refused(2, &["input `decision_owner`"]);
}

#[test]
fn monitor_right() {
    let running = |run: &mut Json| {
        run["run"]["state"] = "running".into();
        run["run"]["stages"][1]["state"] = "running".into();
    };
    let incident = run_with(running);
    let mut child = incident
        .starting(&incident.answers().without("impact"), &[])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("not yet") {
        line.clear();
        let read = said.read_line(&mut line).expect("text");
        assert_ne!(read, 0, "it ended before it looked");
    }
    incident.record(&partial_run());
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(15), "{rest}");
    assert!(rest.contains("holds: run.state = \"failed\""), "{rest}");
    let looks = incident.journal();
    let looks = looks.iter().filter(|e| e["type"] == "wait.looked");
    assert!(looks.count() > 1);
}

#[test]
fn monitor_wrong() {
    let running = |run: &mut Json| run["run"]["stages"][1]["state"] = "running".into();
    let incident = run_with(running)
        .runbook_edited(&[("timeout: 30m\n    required", "timeout: 200ms\n    required")]);
    incident
        .start(&incident.answers())
        .refused(15, &["step `monitor`", "waited"]);
    let skip = json!({"on_failure": "skip", "reason": "it hangs"});
    incident
        .resume(&incident.answers().with("monitor", skip))
        .refused(15, &["step `monitor`", "that way is not open here"]);
    assert_eq!(incident.was_run(), "");
}

#[test]
fn validate_outcome_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("[validate-outcome] facts.error_ratio = 0.002; inputs.error_threshold = 0.01")
        .exit(0);
}

#[test]
fn validate_outcome_wrong() {
    // It looked recovered, and it is not any more when it is measured for the last time.
    let incident = Incident::bad_deploy_edited(|text| {
        text + "disturbances:\n  - title: the code that serves damages data\n    before: POST /environments/production/quarantine\n    actor: somebody\n    merge: {data_damaged: true}\n"
    });
    let acknowledged = json!({"acknowledge": {"validate-outcome": "it was fine a minute ago"}});
    incident
        .start(&incident.answers().with("close-checks", acknowledged))
        .refused(
            13,
            &["step `close-checks`", "check validate-outcome", "0.06"],
        );
    incident.gate(10);
    let partial = Incident::partial_deployment();
    let _ = partial
        .start(&partial.answers().without("prevent-repeat"))
        .exit(15);
    partial.put("drift.txt", "drift: service/web\n");
    partial
        .resume(&partial.answers())
        .refused(13, &["step `close-checks`", "check validate-outcome"]);
    partial.gate(10);
}

#[test]
fn close_run_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers())
        .says("released; the gate is clear of it")
        .exit(0);
    incident.gate(0);
    assert_eq!(incident.execution()["standing"], "closed");
    let freezes = incident.json(&["freeze", "list", "--all", "--json"]);
    assert_eq!(freezes["freezes"][0]["state"], "released");
    let _ = incident.resume(&incident.answers()).exit(1);
}

#[test]
fn close_run_wrong() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("prevent-repeat"))
        .exit(15);
    // The run history does not take the release.
    let sql = |statement: &str| {
        let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
        let done = Command::new("python3")
            .args(["-c", script])
            .arg(incident.scene.home().join("history.db"))
            .arg(statement)
            .status();
        assert!(done.expect("python3 runs").success());
    };
    sql(
        "CREATE TRIGGER refuse BEFORE UPDATE ON freezes BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
    );
    incident
        .resume(&incident.answers())
        .refused(15, &["step `close-run`", "disk is full"]);
    let skip = json!({"on_failure": "skip", "reason": "somebody will release it"});
    incident
        .resume(&incident.answers().with("close-run", skip))
        .refused(15, &["step `close-run`", "that way is not open here"]);
    assert_eq!(incident.execution()["standing"], "paused");
    incident.gate(10);
    sql("DROP TRIGGER refuse");
    let again = json!({"on_failure": "retry", "reason": "there is room again"});
    let _ = incident
        .resume(&incident.answers().with("close-run", again))
        .exit(0);
    incident.gate(0);
}

#[test]
fn an_execution_whose_freeze_somebody_else_ended_does_not_close_as_if_nothing_were() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("prevent-repeat"))
        .exit(15);
    let args = ["freeze", "release", "shop/production", "--fence", "1"];
    let args = [&args[..], &["--reason", "it looked forgotten"]].concat();
    let _ = incident.run_as("bob", &args).exit(0);
    let lost = "the freeze is not ours any more: shop/production was released by bob at 20";
    incident
        .resume(&incident.answers())
        .refused(10, &["step `close-run`", lost, "it looked forgotten"]);
    let again = json!({"on_failure": "freeze-again", "reason": "bob changed nothing"});
    let _ = incident
        .resume(&incident.answers().with("close-run", again))
        .says("frozen again: shop/production (fence 2)")
        .exit(0);
    incident.gate(0);
}

#[test]
fn right_target_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("confirmed: production")
        .exit(0);
}

#[test]
fn right_target_wrong() {
    let incident = Incident::bad_deploy();
    for (n, typed) in ["staging", "yes", "", "Production", "shop/production"]
        .into_iter()
        .enumerate()
    {
        let answers = incident
            .answers()
            .with("rollback-route-owner", json!({"confirm": typed}));
        let done = if n == 0 {
            incident.start(&answers)
        } else {
            incident.resume(&answers)
        };
        let refusal = format!("right-target: `{typed}` is not `production`; nothing was performed");
        done.refused(15, &["step `rollback-route-owner`", &refusal]);
    }
    incident
        .resume(&incident.answers().without("rollback-route-owner"))
        .refused(15, &["needs `production` typed as confirmation"]);
    incident.nothing_changed();
}

#[test]
fn no_incomplete_log_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    // A line that was not written to its end is cut off, kept and done again.
    let path = incident.journal_path();
    let text = fs::read_to_string(&path).expect("a journal");
    fs::write(&path, &text[..text.len() - 20]).expect("cut");
    let _ = incident
        .resume(&incident.answers())
        .says("incomplete; it was cut off")
        .exit(0);
    assert_eq!(incident.was_run(), "redeploy production r-1842 fence 1\n");
}

#[test]
fn no_incomplete_log_wrong() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("redeploy"))
        .exit(15);
    let path = incident.journal_path();
    let text = fs::read_to_string(&path).expect("a journal");
    let lines: Vec<&str> = text.lines().collect();
    let mut left_out = lines.clone();
    left_out.remove(lines.len() - 4);
    let mut swapped = lines.clone();
    swapped.swap(lines.len() - 4, lines.len() - 3);
    for damaged in [
        left_out.join("\n") + "\n",
        swapped.join("\n") + "\n",
        text.replace(
            "only the host's stack differs",
            "only the host's stack DIFFERS",
        ),
    ] {
        assert_ne!(damaged, text);
        fs::write(&path, &damaged).expect("damaged");
        let done = incident.resume(&incident.answers());
        done.refused(17, &["no-incomplete-log: "]);
        assert_eq!(fs::read_to_string(&path).expect("a journal"), damaged);
        assert_eq!(incident.was_run(), "");
        incident.gate(10);
    }
    fs::write(&path, &text).expect("restored");
    let _ = incident.resume(&incident.answers()).exit(0);
}
