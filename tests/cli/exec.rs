//! Ad-hoc commands beside the steps: through the same do-nots, kept, and never forgotten.

use crate::fixture::{
    BY_HAND, artifact, begin, events, put, ran, say, small, until, with_runbook, work,
};
use crate::scene::Scene;

/// A runbook with do-nots that rests at a step by hand, and does not close over what was changed beside it.
fn guarded() -> String {
    let text = small(BY_HAND);
    let guards = "guards:
  - id: no-restart
    do_not: Restart by hand
    because: It hides the cause.
    instead: Roll back.
    before: [look]
    deny: {commands: [kubectl rollout restart ...]}
steps:
";
    let closing = "closing:
  - id: nothing-beside
    title: Nothing was changed beside the steps
    severity: block
    expect: size(execution.ad_hoc.filter(c, c.effect != 'read')) == 0
    instead: Put it into a step.
outcomes:
";
    text.replacen("steps:\n", guards, 1)
        .replacen("outcomes:\n", closing, 1)
}

/// At the step by hand, with the freeze taken and the preflight judged.
fn resting() -> Scene {
    let scene = with_runbook(&guarded());
    say(&scene, "start ./small.yaml --run-id r-1").exit(15);
    scene
}

fn beside(scene: &Scene) -> Vec<serde_json::Value> {
    let all = events(scene).into_iter();
    all.filter(|e| e["type"].as_str().is_some_and(|t| t.starts_with("ad_hoc.")))
        .collect()
}

#[test]
fn what_only_looks_is_run_and_kept() {
    let scene = resting();
    put(&scene, "seen.txt", "seventeen\n");
    say(&scene, "exec -- cat seen.txt")
        .says("ad hoc: $ cat seen.txt")
        .says("seventeen")
        .exit(0);
    assert_eq!(artifact(&scene, "ad-hoc.stdout.txt"), b"seventeen\n");
    let [started, finished] = &beside(&scene)[..] else {
        panic!("two entries");
    };
    assert!(started["data"]["clearance"].is_null());
    assert_eq!(finished["data"]["ending"]["code"], 0);
    say(&scene, "exec -- cat nothing.txt").exit(1);
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    say(&scene, "resume --answers answers.yaml").exit(0);
    say(&scene, "exec -- cat seen.txt")
        .says("no execution is open")
        .exit(1);
}

#[test]
fn what_may_change_something_is_cleared_like_any_change_and_is_not_forgotten() {
    let scene = resting();
    ran(
        &scene,
        &["exec", "--", "sh", "-c", "echo $RUNBOOK_FENCE > fence"],
    )
    .exit(0);
    let fence = std::fs::read_to_string(work(&scene).join("fence")).expect("it ran");
    assert_eq!(fence, "1\n");
    assert_eq!(beside(&scene)[0]["data"]["clearance"]["fence"], 1);
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    say(&scene, "resume --answers answers.yaml")
        .says("check nothing-beside")
        .exit(13);
}

#[test]
fn a_do_not_refuses_it_whatever_it_is_wrapped_in() {
    let scene = resting();
    for words in [
        &["kubectl", "rollout", "restart", "deploy/x"][..],
        &[
            "sudo", "-u", "root", "kubectl", "-n", "shop", "rollout", "restart", "deploy/x",
        ],
        &["bash", "-c", "echo a; kubectl rollout restart deploy/x"],
        &["sh", "-c", "$TOOL restart"],
    ] {
        let args = [&["exec", "--"][..], words].concat();
        ran(&scene, &args)
            .says("error: refused: ")
            .says("no-restart")
            .exit(14);
    }
    let refused = beside(&scene);
    assert_eq!(refused.len(), 4);
    assert!(refused.iter().all(|e| e["type"] == "ad_hoc.refused"));
}

#[test]
fn without_the_freeze_or_a_preflight_nothing_is_changed() {
    let scene = resting();
    say(
        &scene,
        "freeze release shop/production --fence 1 --reason enough",
    )
    .exit(0);
    ran(&scene, &["exec", "--", "touch", "changed"])
        .says("error: refused: ")
        .says("enough")
        .exit(10);
    assert!(!work(&scene).join("changed").exists());
    // What only looks may still be looked at.
    say(&scene, "exec -- uname").exit(0);

    // Before the preflight there is no freeze either.
    let early = small("").replace(
        "  - use: standard/freeze\n",
        "  - id: first\n    phase: truth\n    title: First\n    facts: {a: {type: string}}\n  - use: standard/freeze\n",
    );
    let scene = with_runbook(&early);
    say(&scene, "start ./small.yaml --run-id r-1").exit(15);
    ran(&scene, &["exec", "--", "touch", "changed"])
        .says("error: refused: ")
        .exit(13);
    assert!(!work(&scene).join("changed").exists());
}

#[test]
fn a_drill_runs_no_programs() {
    let scene = Scene::new();
    say(&scene, "drill bad-deploy").exit(15);
    let id = std::fs::read_dir(scene.home().join("drills")).expect("drills");
    let id = id
        .map(|entry| entry.expect("one").file_name())
        .next()
        .expect("one");
    let id = id.to_string_lossy().into_owned();
    ran(&scene, &["exec", "--execution", &id, "--", "cat", "x"])
        .says("a drill runs no programs")
        .exit(1);
}

#[test]
fn who_runs_it_signs_for_it() {
    let scene = resting();
    ran(&scene, &["--as", "bob", "exec", "--", "cat", "nothing.txt"]).exit(1);
    for entry in beside(&scene) {
        assert_eq!(entry["actor"], "bob", "{entry}");
    }
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    ran(
        &scene,
        &["--as", "bob", "resume", "--answers", "answers.yaml"],
    )
    .exit(0);
    let resumed = events(&scene);
    let resumed = resumed.iter().find(|e| e["type"] == "execution.resumed");
    assert_eq!(resumed.expect("resumed")["actor"], "bob");
}

#[test]
fn what_is_too_long_to_be_recorded_is_not_run() {
    let scene = resting();
    let long = format!("touch changed; : {}", "x".repeat(70_000));
    ran(&scene, &["exec", "--", "sh", "-c", &long])
        .says("error: nothing was run: ")
        .exit(1);
    assert!(!work(&scene).join("changed").exists());
}

#[test]
fn a_change_whose_end_nobody_recorded_is_in_doubt_until_somebody_says_what_came_of_it() {
    let scene = resting();
    put(&scene, "slow.sh", "echo one > changed\nsleep 50\n");
    let running = begin(&scene, "exec -- sh ./slow.sh");
    until("it runs", || work(&scene).join("changed").exists());
    running.signal(rustix::process::Signal::KILL);
    drop(running.end());
    let shown = scene.command().args(["status", "--json"]).output();
    let shown = String::from_utf8(shown.expect("runs").stdout).expect("text");
    assert!(shown.contains("\"in_doubt\": true"), "{shown}");
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    say(&scene, "resume --answers answers.yaml")
        .says("what came of $ sh ./slow.sh")
        .says("give `look` a `beside:`")
        .exit(16);
    let settled = "look: {beside: 'it wrote one line; I looked', facts: {seen: fine}}\n";
    put(&scene, "answers.yaml", settled);
    // It is settled, and still a change that this runbook does not close over.
    say(&scene, "resume --answers answers.yaml")
        .says("settled: it wrote one line; I looked")
        .says("check nothing-beside")
        .exit(13);
}
