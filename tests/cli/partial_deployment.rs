//! `partial-deployment`: every line of the source material on the right path, and on the wrong one.

use std::fs;

use serde_json::{Value as Json, json};

use runbook::execution::deny::{Verdict, judge_words};

use crate::incident::{DEGRADED, HEALTHY, Incident, RUN, partial_run, shipped};

const REDEPLOYED: &str = "redeploy production r-1842 fence 1\n";

/// The run with one stage in another state.
fn run_with_stage(index: usize, state: &str) -> Json {
    let mut run = partial_run();
    run["run"]["stages"][index]["state"] = state.into();
    run
}

fn skip() -> Json {
    json!({"on_failure": "skip", "reason": "no time"})
}

#[test]
fn boundary_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .says("boundary = 0")
        .says("stopped_stage = rollout")
        .says("safe_in_place = true")
        .exit(15);
}

#[test]
fn boundary_wrong() {
    let incident = Incident::partial_deployment();
    let answer = |index: i64, stage: &str| {
        json!({
            "facts": {"boundary": index, "stopped_stage": stage, "safe_in_place": true},
            "evidence": {"boundary_proof": "stages of the run"},
        })
    };
    let again = |index, stage| {
        let mut again = answer(index, stage);
        again["on_failure"] = "retry".into();
        again["reason"] = "look once more".into();
        again
    };
    incident
        .start(&incident.answers().with("boundary", answer(0, "build")))
        .refused(15, &["step `boundary`", "run.stages"]);
    for (index, stage) in [(1, "rollout"), (0, "switch"), (2, "rollout")] {
        incident
            .resume(&incident.answers().with("boundary", again(index, stage)))
            .refused(15, &["step `boundary`", "run.stages"]);
    }
    incident
        .resume(&incident.answers().with("boundary", skip()))
        .refused(15, &["step `boundary`", "that way is not open here"]);
    assert_eq!(incident.was_run(), "");
    // A run that names no such stage is stopped by the preflight already.
    let finished = Incident::partial_deployment();
    finished.record(&run_with_stage(1, "succeeded"));
    finished
        .start(&finished.answers())
        .refused(13, &["boundary-identifiable"]);
}

#[test]
fn capture_posture_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .says("degraded = [\"worker\"]")
        .exit(15);
    let kept = incident
        .files()
        .into_iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    assert!(kept.into_iter().any(|text| text == DEGRADED));
}

#[test]
fn capture_posture_wrong() {
    let incident = Incident::partial_deployment();
    fs::remove_file(incident.scene.work().join("posture.json")).expect("it was there");
    incident
        .start(&incident.answers())
        .refused(15, &["step `capture-posture`", "500"]);
    incident
        .resume(&incident.answers().with("capture-posture", skip()))
        .refused(14, &["step `choose-recovery`", "guard no-recover-blind"]);
    assert_eq!(incident.was_run(), "");
}

#[test]
fn compare_truth_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .says("drift (1)")
        .says("differences = 1")
        .exit(15);
    let clean = Incident::partial_deployment();
    clean.put("drift.txt", "");
    let _ = clean
        .start(&clean.answers().without("impact"))
        .says("clean (0)")
        .says("drift = false")
        .exit(15);
}

#[test]
fn compare_truth_wrong() {
    let incident = Incident::partial_deployment();
    fs::remove_file(incident.scene.work().join("drift.txt")).expect("it was there");
    incident
        .start(&incident.answers())
        .never_says("drift = ")
        .refused(15, &["step `compare-truth`", "3"]);
    incident
        .resume(&incident.answers().with("compare-truth", skip()))
        .refused(14, &["step `choose-recovery`", "guard no-recover-blind"]);
    assert_eq!(incident.was_run(), "");
}

#[test]
fn choose_recovery_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("choose-recovery"))
        .says("needs a decision of dana (repair, rerun, redeploy, rollback)")
        .exit(15);
    let _ = incident
        .resume(&incident.answers().without("redeploy"))
        .says("decided: redeploy by dana: only the host's stack differs")
        .exit(15);
    assert_eq!(incident.was_run(), "");
}

#[test]
fn choose_recovery_wrong() {
    let facts = |cause: bool, rerun: bool, fits: bool| json!({"facts": {"cause_fixed": cause, "safe_to_rerun": rerun, "rollback_fits": fits}});
    for (answers, option, condition) in [
        (facts(false, true, true), "redeploy", "cause_fixed"),
        (facts(false, true, true), "rerun", "cause_fixed"),
        (facts(false, true, true), "repair", "cause_fixed"),
        (facts(true, false, true), "redeploy", "safe_to_rerun"),
        (facts(true, true, false), "rollback", "rollback_fits"),
    ] {
        let incident = Incident::partial_deployment();
        let choice = json!({"choose": option, "reason": "it usually helps"});
        let answers = incident
            .answers()
            .with("side-effects", answers)
            .with("choose-recovery", choice);
        let refusal = format!("`{option}` cannot be chosen: does not hold");
        incident
            .start(&answers)
            .refused(15, &["step `choose-recovery`", &refusal, condition]);
        assert_eq!(incident.was_run(), "");
    }
    let many = Incident::partial_deployment();
    many.put("drift.txt", &"drift: a resource\n".repeat(6));
    let choice = json!({"choose": "repair", "reason": "piece by piece"});
    many.start(&many.answers().with("choose-recovery", choice))
        .refused(15, &["`repair` cannot be chosen", "max_repairs"]);
    let nowhere = Incident::partial_deployment();
    let mut run = partial_run();
    run["run"]["rollback_candidate"] = Json::Null;
    nowhere.record(&run);
    let acknowledged = json!({"acknowledge": {"check-rollback-path": "there never was one"}});
    let choice = json!({"choose": "rollback", "reason": "back"});
    let answers = nowhere
        .answers()
        .with("preflight", acknowledged)
        .with("choose-recovery", choice);
    nowhere
        .start(&answers)
        .refused(15, &["`rollback` cannot be chosen", "rollback_candidate"]);
}

#[test]
fn redeploy_right() {
    let incident = Incident::partial_deployment();
    incident.gate(0);
    let _ = incident
        .start(&incident.answers())
        .says("approved by dana")
        .says("redeployed")
        .says("Closed. outcome: recovered")
        .exit(0);
    assert_eq!(incident.was_run(), REDEPLOYED);
    incident.gate(0);
}

#[test]
fn redeploy_wrong() {
    let incident = Incident::partial_deployment();
    let by = |who: &str| json!({"confirm": "production", "approve": who});
    incident
        .start(&incident.answers().with("redeploy", by("alice")))
        .refused(15, &["step `redeploy`", "approval of `dana`"]);
    incident
        .resume(
            &incident
                .answers()
                .with("redeploy", json!({"confirm": "production"})),
        )
        .refused(15, &["step `redeploy` needs the approval of dana"]);
    let staging = json!({"confirm": "staging", "approve": "dana"});
    incident
        .resume(&incident.answers().with("redeploy", staging))
        .refused(15, &["step `redeploy`", "`staging` is not `production`"]);
    let rejected = json!({"confirm": "production", "reject": {"by": "dana", "reason": "not now"}});
    incident
        .resume(&incident.answers().with("redeploy", rejected))
        .refused(15, &["step `redeploy`", "rejected by dana: not now"]);
    assert_eq!(incident.was_run(), "");
    // Who decides may not carry it out and approve it as well.
    let alone = Incident::partial_deployment().input("decision_owner", Some("alice"));
    alone
        .start(&alone.answers().with("redeploy", by("alice")))
        .refused(15, &["step `redeploy`", "`alice` may not approve this"]);
    assert_eq!(alone.was_run(), "");
}

#[test]
fn a_script_that_was_changed_after_the_decision_does_not_bring_recovery_by_itself() {
    let incident = Incident::partial_deployment();
    incident.put(
        "scripts/redeploy-host-stack.sh",
        "echo 'restarted, all is well'\n",
    );
    incident
        .start(&incident.answers())
        .says("restarted, all is well")
        .refused(15, &["step `redeploy`", "size(facts.degraded) == 0"]);
    incident.gate(10);
}

#[test]
fn reverify_right() {
    let incident = Incident::partial_deployment();
    let done = incident.start(&incident.answers()).exit(0);
    let at = done.stderr.find("· reverify").expect("it was reached");
    let after = &done.stderr[at..];
    assert!(after.contains("read again: capture-posture ok"));
    assert!(after.contains("read again: compare-truth ok"));
}

#[test]
fn reverify_wrong() {
    // The services came up, and what runs is still not what was intended.
    let half = "echo '{\"services\": []}' > posture.json\n";
    let incident = Incident::partial_deployment();
    incident.put("scripts/redeploy-host-stack.sh", half);
    incident
        .start(&incident.answers())
        .refused(15, &["step `reverify`", "facts.drift = true"]);
    incident
        .resume(&incident.answers().with("reverify", skip()))
        .refused(15, &["step `reverify`", "that way is not open here"]);
    incident.gate(10);
    let shown = incident.json(&["run", "show", RUN, "--json"]);
    assert_eq!(shown["trust"][0]["state"], "untrusted");
}

#[test]
fn no_continue_after_partial_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers())
        .says("what had to hold afterwards holds")
        .exit(0);
    for line in [
        "python3 ./scripts/verify_runtime_materialization.py --check",
        "bash ./scripts/verify-runtime-guardrails.sh",
        "bash ./scripts/redeploy-host-stack.sh",
        "terraform plan -detailed-exitcode",
        "docker compose ps --format json",
        "kubectl diff -f -",
    ] {
        assert!(!is_denied(line), "{line}");
    }
}

#[test]
fn no_continue_after_partial_wrong() {
    // A later stage went on although an earlier one had failed.
    for state in ["succeeded", "skipped"] {
        let incident = Incident::partial_deployment();
        incident.record(&run_with_stage(2, state));
        let done = incident.start(&incident.answers());
        if state == "skipped" {
            let _ = done.exit(0);
            continue;
        }
        done.refused(14, &["step `redeploy`", "guard no-continue-after-partial"]);
        assert_eq!(incident.was_run(), "");
    }
    // Somebody continues it while the way to recover is chosen.
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("choose-recovery"))
        .exit(15);
    incident.record(&run_with_stage(2, "running"));
    incident
        .resume(&incident.answers())
        .refused(14, &["step `redeploy`", "guard no-continue-after-partial"]);
    incident.gate(10);
    assert_eq!(incident.was_run(), "");
    // Somebody continues it while the redeployment runs: it is seen afterwards, and nothing makes it unseen.
    let during = Incident::partial_deployment();
    during.put("later.json", &run_with_stage(2, "running").to_string());
    let script = fs::read_to_string(during.scene.work().join("scripts/redeploy-host-stack.sh"));
    let program = env!("CARGO_BIN_EXE_runbook");
    let home = during.scene.home().display().to_string();
    let script = format!(
        "{}RUNBOOK_HOME='{home}' '{program}' run record later.json\n",
        script.expect("it is there")
    );
    during.put("scripts/redeploy-host-stack.sh", &script);
    during
        .start(&during.answers())
        .refused(14, &["step `redeploy`", "no-continue-after-partial"]);
    assert_eq!(during.was_run(), REDEPLOYED);
    during
        .resume(&during.answers().with("redeploy", skip()))
        .refused(14, &["no-continue-after-partial"]);
    during.gate(10);
}

#[test]
fn commands_that_continue_are_denied() {
    for line in [
        "ansible-playbook site.yml --start-at-task deploy",
        "ansible-playbook site.yml --start-at-task=deploy",
        "ansible-playbook site.yml --tags switch",
        "ansible-playbook site.yml -t switch",
        "ansible-playbook site.yml --tags=switch",
        "helm -n shop upgrade web ./chart --force",
        "helm upgrade --no-hooks web ./chart",
        "terraform apply -target=module.switch",
        "terraform apply -auto-approve -target module.switch",
        "terraform force-unlock -force 41",
        "docker compose up -d switch",
        "docker compose -f prod.yaml up -d switch",
        "docker-compose up -d switch",
        "docker compose down -v",
        "docker compose down --volumes",
        "kubectl -n shop apply -f switch.yaml",
        "kubectl apply --filename=switch.yaml",
        "kubectl apply -k overlays/switch",
    ] {
        assert!(is_denied(line), "{line}");
        let words: Vec<&str> = line.split(' ').collect();
        if !["kubectl", "terraform"].contains(&words[0]) {
            continue;
        }
        let mapped = format!(
            "    redeploy:\n      command: [./{}]\n      evidence: {{redeploy_transcript: stdout}}\n",
            words.join(", ")
        );
        let incident = Incident::partial_deployment().steps_done(&mapped);
        incident.put_program(words[0]);
        incident.start(&incident.answers()).refused(
            14,
            &["step `redeploy`", "guard no-continue-after-partial denies"],
        );
        assert_eq!(incident.was_run(), "");
    }
}

#[test]
fn no_recover_blind_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers())
        .never_says("guard no-recover-blind:")
        .exit(0);
}

#[test]
fn no_recover_blind_wrong() {
    let stale = Incident::partial_deployment().input("max_posture_age", Some("1ms"));
    stale
        .start(&stale.answers())
        .refused(14, &["step `choose-recovery`", "guard no-recover-blind"]);
    // Nothing that was skipped on the way comes to pass for a comparison.
    let answers = stale.answers().with("choose-recovery", skip());
    stale
        .resume(&answers)
        .refused(14, &["guard no-recover-blind"]);
    assert_eq!(stale.was_run(), "");
    // Every way to recover has the same guard before it, not only the decision.
    for (option, step) in [
        ("repair", "repair"),
        ("rerun", "rerun"),
        ("redeploy", "redeploy"),
        ("rollback", "roll-back"),
    ] {
        let incident = Incident::partial_deployment().runbook_edited(&[(
            "before: [choose-recovery, repair, rerun, redeploy, roll-back]",
            &format!("before: [{step}]"),
        )]);
        let incident = incident.input("max_posture_age", Some("1ms"));
        let choice = json!({"choose": option, "reason": "it usually helps"});
        let work = json!({"confirm": "production", "approve": "dana"});
        let answers = incident
            .answers()
            .with("choose-recovery", choice)
            .with(step, work);
        let step = format!("step `{step}`");
        incident
            .start(&answers)
            .refused(14, &[&step, "guard no-recover-blind"]);
        assert_eq!(incident.was_run(), "");
    }
}

#[test]
fn not_trusted_yet_right() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("downstream-path"))
        .exit(15);
    let trust = || incident.json(&["run", "show", RUN, "--json"])["trust"][0]["state"].clone();
    assert_eq!(trust(), "untrusted");
    let _ = incident
        .resume(&incident.answers())
        .says("Closed. outcome: recovered")
        .exit(0);
    assert_eq!(trust(), "trusted");
}

#[test]
fn not_trusted_yet_wrong() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("downstream-path"))
        .exit(15);
    // It came up, and fell over again.
    incident.put("posture.json", DEGRADED);
    incident
        .resume(&incident.answers())
        .refused(14, &["step `trust`", "guard no-trust-early"]);
    let leaving = incident
        .answers()
        .with("trust", skip())
        .without("prevent-repeat");
    let _ = incident.resume(&leaving).exit(15);
    incident
        .resume(&incident.answers())
        .refused(13, &["step `close-checks`", "validate-outcome"]);
    incident.put("posture.json", HEALTHY);
    let look = json!({"on_failure": "retry", "reason": "it is up again"});
    incident
        .resume(&incident.answers().with("close-checks", look.clone()))
        .refused(15, &["step `close-checks`", "`not-trusted-yet`"]);
    let knowingly = json!([
        look,
        {"acknowledge": {"not-trusted-yet": "carol looks at it on Monday"}},
    ]);
    let _ = incident
        .resume(&incident.answers().with("close-checks", knowingly))
        .says("Closed. outcome: not-trusted")
        .exit(1);
    let shown = incident.json(&["run", "show", RUN, "--json"]);
    assert_eq!(shown["trust"][0]["state"], "untrusted");
}

#[test]
fn the_mark_outlives_an_execution_that_is_aborted() {
    let incident = Incident::partial_deployment();
    let _ = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    let _ = incident
        .run(&["abort", "--reason", "the wrong run"])
        .says("shop/production stays frozen")
        .exit(0);
    incident.gate(10);
    let shown = incident.json(&["run", "show", RUN, "--json"]);
    assert_eq!(shown["trust"][0]["state"], "untrusted");
}

fn is_denied(line: &str) -> bool {
    let text = shipped("partial-deployment").as_bytes();
    let runbook =
        runbook::runbook::shipped::read("partial-deployment.yaml", text).expect("it is right");
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let patterns = runbook.guards.iter().flat_map(|guard| &guard.deny.commands);
    judge_words(&argv, patterns) != Verdict::Clear
}
