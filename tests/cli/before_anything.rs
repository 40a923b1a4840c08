//! What must hold before anything is changed, whatever the runbook: on the right path, and on the wrong one.

use std::fs;

use serde_json::{Value as Json, json};

use crate::incident::{Incident, RUN, partial_run};

/// The run of the partial deployment, edited.
pub(crate) fn run_with(edit: impl FnOnce(&mut Json)) -> Incident {
    let incident = Incident::partial_deployment();
    let mut run = partial_run();
    edit(&mut run);
    incident.record(&run);
    incident
}

#[test]
fn needed_inputs_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .says("evidence run:")
        .says("evidence logs:")
        .exit(15);
    assert_eq!(incident.execution()["target"], "shop/production/checkout");
}

#[test]
fn needed_inputs_wrong() {
    let incident = Incident::bad_deploy();
    let args = ["start", "bad-deploy", "--input", "verifier=vera"];
    let args = [&args[..], &["--input", "decision_owner=dana"]].concat();
    let args = [&args[..], &["--input", "db_owner=olga"]].concat();
    incident
        .run(&[&args[..], &["--run-id", "r-1"]].concat())
        .refused(1, &["needed-inputs", "knows no run `r-1`"]);
    incident.run(&args).refused(2, &["--run-id"]);
    let nobody = incident.run(&["start", "bad-deploy", "--run-id", RUN]);
    nobody.refused(2, &["input `decision_owner` is needed", "input `verifier`"]);
    assert_eq!(incident.json(&["status", "--all", "--json"]), json!([]));
    incident.gate(0);
    // Without a run history there is nothing to start from at all.
    let empty = crate::scene::Scene::new();
    empty
        .run(["start", "bad-deploy", "--run-id", "r-1"])
        .stderr("error: there is no run history at [..]\nhint: [..]\n")
        .exit(20);
}

#[test]
fn preflight_and_logs_right() {
    let incident = Incident::bad_deploy();
    let done = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    let done = done.says("around_failure =").says("evidence logs:");
    let at = |words: &str| done.stderr.find(words).expect("it was said");
    assert!(at("[preflight-and-logs]") < at("around_failure ="));
    let _ = incident.run(&["abort", "--reason", "only looking"]).exit(0);
}

#[test]
fn preflight_and_logs_wrong() {
    for result in ["fail", "unknown"] {
        let incident = run_with(|run| run["run"]["preflight"][0]["result"] = result.into());
        incident
            .preflight(&[])
            .says("[preflight-and-logs]")
            .refused(13, &["preflight-and-logs"]);
        incident
            .preflight(&["--ack", "preflight-and-logs=never mind"])
            .refused(13, &["preflight-and-logs"]);
        let acknowledged = json!({"acknowledge": {"preflight-and-logs": "never mind"}});
        incident
            .start(&incident.answers().with("preflight", acknowledged))
            .refused(13, &["step `preflight`", "check preflight-and-logs"]);
        assert_eq!(incident.was_run(), "");
    }
}

#[test]
fn check_run_and_workspace_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start_with(
            &incident.answers().without("impact"),
            &["--target", "shop/production/checkout"],
        )
        .says("[check-run-and-workspace]")
        .exit(15);
}

#[test]
fn check_run_and_workspace_wrong() {
    let incident = Incident::bad_deploy();
    for target in ["bank/production", "shop/staging", "shop/production/mail"] {
        incident
            .start_with(&incident.answers(), &["--target", target])
            .refused(13, &["check-run-and-workspace", target]);
        incident
            .preflight(&["--target", target])
            .refused(13, &["check-run-and-workspace", target]);
    }
    assert_eq!(incident.json(&["status", "--all", "--json"]), json!([]));
}

#[test]
fn check_logs_before_after_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .preflight(&[])
        .says("[check-logs-before-after] run.logs.before = 1; run.logs.after = 1")
        .exit(0);
}

#[test]
fn check_logs_before_after_wrong() {
    let one_sided = |at: &str| {
        let edit = |text: String| {
            let (before, rest) = text.split_once("  logs:\n").expect("logs");
            let (_, after) = rest.split_once("earlier:").expect("earlier runs");
            format!("{before}  logs:\n    - {{at: {at}, text: alone}}\nearlier:{after}")
        };
        Incident::bad_deploy_edited(edit)
    };
    for at in ["now-41m", "now-30m"] {
        let incident = one_sided(at);
        incident
            .preflight(&[
                "--ack",
                "no-ignored-warnings=r",
                "--ack",
                "check-logs-before-after=r",
            ])
            .refused(13, &["check-logs-before-after"]);
        let acknowledged = json!({"acknowledge": {
            "check-logs-before-after": "r", "no-ignored-warnings": "r",
        }});
        incident
            .start(&incident.answers().with("preflight", acknowledged))
            .refused(13, &["step `preflight`", "check check-logs-before-after"]);
        incident.nothing_changed();
    }
    let never = run_with(|run| run["run"]["failed_at"] = Json::Null);
    never
        .preflight(&[])
        .refused(13, &["check-logs-before-after"]);
}

/// A warning blocks until it is acknowledged with a reason, wherever it is asked for.
#[track_caller]
fn warns(incident: &Incident, check: &str) {
    incident.preflight(&[]).refused(13, &[check]);
    let _ = incident.preflight(&["--ack", &format!("{check}=")]).exit(2);
    let _ = incident
        .preflight(&["--ack", &format!("{check}=known since Monday")])
        .says("acknowledged: known since Monday")
        .exit(0);
    incident
        .start(&incident.answers())
        .refused(15, &["step `preflight`", &format!("`{check}`")]);
    let silent = json!({"acknowledge": {check: " "}});
    incident
        .resume(&incident.answers().with("preflight", silent))
        .refused(15, &["step `preflight`", "a reason is needed"]);
    assert_eq!(incident.was_run(), "");
    incident.gate(10);
}

#[track_caller]
fn acknowledged(incident: &Incident, check: &str) {
    let known = json!({"acknowledge": {check: "known since Monday"}});
    let _ = incident
        .resume(&incident.answers().with("preflight", known))
        .says(&format!("acknowledged {check}: known since Monday"))
        .exit(0);
}

#[test]
fn check_ownership_and_window_right() {
    let incident = Incident::partial_deployment();
    let done = incident.preflight(&[]).exit(0);
    let _ = done.says("[check-ownership-and-window]");
}

#[test]
fn check_ownership_and_window_wrong() {
    let edits: [fn(&mut Json); 4] = [
        |run| run["run"]["launched_by"] = "mallory".into(),
        |run| run["run"]["approval"] = Json::Null,
        |run| run["run"]["window"] = Json::Null,
        |run| run["run"]["launched_at"] = "2026-11-21T02:00:00Z".into(),
    ];
    for edit in edits {
        warns(&run_with(edit), "check-ownership-and-window");
    }
    let stranger = run_with(edits[0]);
    let _ = stranger.start(&stranger.answers()).exit(15);
    acknowledged(&stranger, "check-ownership-and-window");
}

#[test]
fn check_rollback_path_right() {
    let incident = Incident::partial_deployment();
    let done = incident.preflight(&[]).exit(0);
    let _ = done.says("[check-rollback-path]");
}

#[test]
fn check_rollback_path_wrong() {
    warns(
        &run_with(|run| run["run"]["rollback_candidate"] = Json::Null),
        "check-rollback-path",
    );
    warns(
        &run_with(|run| run["run"]["rollback_candidate"]["tested_at"] = Json::Null),
        "check-rollback-path",
    );
}

#[test]
fn communication_plan_right() {
    let incident = Incident::partial_deployment();
    let done = incident.preflight(&[]).exit(0);
    let _ = done.says("[communication-plan] inputs.channel = \"#shop\"");
}

#[test]
fn communication_plan_wrong() {
    let incident = Incident::partial_deployment().input("channel", None);
    warns(&incident, "communication-plan");
    acknowledged(&incident, "communication-plan");
}

pub(crate) fn warned() -> Incident {
    run_with(|run| {
        run["run"]["preflight"] =
            json!([{"id": "capacity", "severity": "warning", "result": "warn"}]);
    })
}

#[test]
fn no_ignored_warnings_right() {
    let incident = warned();
    let _ = incident.start(&incident.answers()).exit(15);
    acknowledged(&incident, "no-ignored-warnings");
}

#[test]
fn no_ignored_warnings_wrong() {
    warns(&warned(), "no-ignored-warnings");
}

#[test]
fn guided_flow_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    let opened = &incident.journal()[0]["data"]["inputs"];
    assert_eq!(opened["stages_settle"], "30ms");
    assert_eq!(opened["max_repairs"], 5);
}

#[test]
fn guided_flow_wrong() {
    let incident = Incident::partial_deployment();
    for (name, value) in [
        ("stages_settle", "soon"),
        ("max_repairs", "many"),
        ("decision_owner", "not a name"),
    ] {
        let incident = Incident::partial_deployment().input(name, Some(value));
        incident
            .start(&incident.answers())
            .refused(2, &[&format!("guided-flow: input `{name}`"), value]);
        assert_eq!(incident.json(&["status", "--all", "--json"]), json!([]));
        incident.gate(0);
    }
    incident
        .start_with(&incident.answers(), &["--input", "max_repair=3"])
        .refused(2, &["no input `max_repair`; did you mean `max_repairs`?"]);
}

const SECRET: &str = "Tr0ub4dor-and-3-secret";

fn with_secret() -> Incident {
    let incident = Incident::partial_deployment().runbook_edited(&[(
        "freeze: {scope: environment",
        "secrets:\n  DEPLOY_KEY: Signs what is deployed\n\nfreeze: {scope: environment",
    )]);
    incident.put(
        "scripts/redeploy-host-stack.sh",
        "echo \"key $DEPLOY_KEY\"\necho \"again $DEPLOY_KEY\" >&2\n\
         echo '{\"services\": [], \"signed_with\": \"'$DEPLOY_KEY'\"}' > posture.json\n\
         : > drift.txt\n",
    );
    incident
}

#[test]
fn secrets_ready_right() {
    let incident = with_secret();
    let incident = incident.env("DEPLOY_KEY", SECRET);
    let _ = incident
        .start(&incident.answers())
        .never_says(SECRET)
        .says("Closed. outcome: recovered")
        .exit(0);
    for file in incident.files() {
        let bytes = fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET), "{}", file.display());
        assert!(!text.contains("Tr0ub4dor"), "{}", file.display());
    }
    let posture = fs::read_to_string(incident.scene.work().join("posture.json"));
    assert!(posture.expect("a posture").contains(SECRET), "it was given");
    // The token of an endpoint is one, too.
    let deploy = Incident::bad_deploy();
    let token = deploy.token();
    let _ = deploy.start(&deploy.answers()).never_says(token).exit(0);
    for file in deploy.files() {
        let bytes = fs::read(&file).expect("a file");
        assert!(
            !String::from_utf8_lossy(&bytes).contains(token),
            "{}",
            file.display()
        );
    }
}

#[test]
fn secrets_ready_wrong() {
    let incident = with_secret();
    incident.start(&incident.answers()).refused(
        13,
        &[
            "secrets-ready",
            "`DEPLOY_KEY` is not set",
            "Signs what is deployed",
        ],
    );
    assert_eq!(incident.json(&["status", "--all", "--json"]), json!([]));
    incident.gate(0);
    for value in ["", "a"] {
        let incident = with_secret();
        let incident = incident.env("DEPLOY_KEY", value);
        incident
            .start(&incident.answers())
            .refused(13, &["secrets-ready", "`DEPLOY_KEY`"]);
        incident.gate(0);
    }
    let deploy = Incident::bad_deploy();
    let deploy = deploy.env("PLATFORM_TOKEN", "");
    deploy
        .start(&deploy.answers())
        .refused(13, &["secrets-ready", "`PLATFORM_TOKEN`"]);
    deploy.nothing_changed();
}
