//! A step that hands over to another runbook: one run, one freeze, two executions, and none ends before the other.

use serde_json::Value;

use crate::fixture::{executions, put, say, shop, work};
use crate::scene::Scene;

const HANDS_OVER: &str = "  - id: restore
    phase: act
    title: Hand over to the restore
    hand_over: {runbook: restore-it}
    facts: {how: {type: string, from: outcome}}
    expect: facts.how == 'restored'
    required: true
  - id: afterwards
    phase: record
    title: Say what is left to do
    facts: {left_to_do: {type: string}}
";

const OTHER: &str = "format: runbook/v1
id: restore-it
title: Restore it
summary: What the first one hands over to.
owner: platform
reviewed: 2026-11-20
inputs:
  text: {type: string}
freeze: {scope: environment, lease: 60m}
preflight:
  - use: standard/check-run-and-workspace
steps:
  - use: standard/freeze
  - use: standard/read-run
  - use: standard/preflight
  - id: bring-back
    phase: act
    title: Bring it back
    command: [sh, -c, 'echo brought >> ledger; echo $RUNBOOK_FENCE >> fence']
  - id: look
    phase: verify
    title: Look whether it is there
    facts: {back: {type: boolean}}
  - use: standard/close-checks
  - use: standard/close-run
outcomes:
  - {label: restored, when: facts.back}
  - {label: not-restored, when: 'true', success: false}
";

fn scene() -> Scene {
    let scene = shop(HANDS_OVER);
    put(&scene, "restore-it.yaml", OTHER);
    scene
}

/// Goes on with `words`, and these answers.
fn answering(scene: &Scene, words: &str, answers: &str) -> crate::fixture::Said {
    put(scene, "answers.yaml", answers);
    say(scene, &format!("{words} --answers answers.yaml"))
}

const START: &str = "start ./small.yaml --run-id r-1";
const BACK: &str = "look: {facts: {back: true}}\nafterwards: {facts: {left_to_do: nothing}}\n";

fn journal(scene: &Scene, id: &str) -> Vec<Value> {
    let path = scene
        .home()
        .join(format!("executions/{id}/data/journal.jsonl"));
    let text = std::fs::read_to_string(path).expect("a journal");
    let entries = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    entries.collect()
}

/// The one that was handed over to, by the one that did.
fn pair(scene: &Scene) -> (String, String) {
    let by = |id: &String| journal(scene, id)[0]["data"]["handed_over"]["by"].clone();
    let ids = executions(scene);
    let other = ids.iter().find(|id| by(id).is_string()).expect("another");
    let first = by(other).as_str().expect("an id").to_owned();
    assert!(ids.contains(&first));
    (first, other.clone())
}

fn ledger(scene: &Scene) -> String {
    std::fs::read_to_string(work(scene).join("ledger")).unwrap_or_default()
}

#[test]
fn both_are_stepped_through_under_one_freeze_and_the_first_knows_the_outcome() {
    let scene = scene();
    answering(&scene, START, BACK)
        .says("hand over to `restore-it`, execution ")
        .says("Closed. outcome: restored")
        .says("how = restored")
        .says("Closed. outcome: over")
        .exit(0);
    let (first, other) = pair(&scene);
    let opened = journal(&scene, &other)[0]["data"].clone();
    assert_eq!(opened["handed_over"]["step"], "restore");
    assert_eq!(opened["handed_over"]["freeze_of"], first.as_str());
    assert_eq!(opened["inputs"]["text"], "plain", "it was passed on");
    assert_eq!(opened["run_id"], "r-1");
    assert_eq!(ledger(&scene), "brought\n");
    // One freeze, taken once and released once, by the first.
    let freezes = scene
        .command()
        .args(["freeze", "list", "--all", "--json"])
        .output();
    let freezes = freezes.expect("runs").stdout;
    let freezes: Value = serde_json::from_slice(&freezes).expect("JSON");
    let freezes = freezes["freezes"].as_array().expect("freezes");
    assert_eq!(freezes.len(), 1, "{freezes:?}");
    assert_eq!(freezes[0]["holder"]["execution"], first.as_str());
    assert_eq!(freezes[0]["state"], "released");
    let fence = std::fs::read_to_string(work(&scene).join("fence")).expect("a fence");
    assert_eq!(fence.trim(), freezes[0]["fence"].to_string());
}

#[test]
fn while_the_other_is_open_the_first_waits_and_resuming_the_first_goes_on_with_both() {
    let scene = scene();
    say(&scene, START)
        .says("step `look` is by hand and needs back")
        .says("waits for its end")
        .exit(15);
    let (first, other) = pair(&scene);
    say(&scene, "gate --target shop/production").exit(10);
    // The first has nothing to go on with by itself.
    say(&scene, &format!("resume {first}"))
        .says("step `look`")
        .exit(15);
    assert_eq!(ledger(&scene), "brought\n", "nothing is done twice");
    assert_eq!(executions(&scene).len(), 2, "nothing is begun twice");
    // Where only one is named by nobody, it is the first.
    answering(&scene, "resume", BACK)
        .says(&format!("Back in execution {first}"))
        .exit(0);
    for id in [&first, &other] {
        let last = journal(&scene, id).pop().expect("entries");
        assert_eq!(last["type"], "execution.closed", "{id}");
    }
    assert_eq!(ledger(&scene), "brought\n");
    say(&scene, "gate --target shop/production").exit(0);
}

#[test]
fn the_other_can_be_ended_by_itself_and_releases_nothing() {
    let scene = scene();
    say(&scene, START).exit(15);
    let (first, other) = pair(&scene);
    answering(
        &scene,
        &format!("resume {other}"),
        "look: {facts: {back: true}}\n",
    )
    .says("Closed. outcome: restored")
    .says(&format!("`runbook resume {first}` goes on"))
    .exit(0);
    say(&scene, "gate --target shop/production").exit(10);
    answering(&scene, "resume", BACK)
        .says("how = restored")
        .exit(0);
    say(&scene, "gate --target shop/production").exit(0);
}

#[test]
fn what_the_other_came_to_is_judged_and_never_taken_for_granted() {
    let scene = scene();
    answering(&scene, START, "look: {facts: {back: false}}\n")
        .says("Closed. outcome: not-restored")
        .says("error: step `restore`")
        .says("not-restored")
        .exit(15);
    answering(
        &scene,
        "resume",
        "restore: {on_failure: skip, reason: enough}\n",
    )
    .says("that way is not open here")
    .exit(15);
    say(&scene, "gate --target shop/production").exit(10);
}

#[test]
fn after_an_abort_another_one_is_begun_only_where_somebody_says_so() {
    let scene = scene();
    say(&scene, START).exit(15);
    let (first, other) = pair(&scene);
    say(&scene, &format!("abort {other} --reason wrong")).exit(0);
    say(&scene, &format!("resume {first}"))
        .says("was aborted: wrong")
        .exit(15);
    assert_eq!(executions(&scene).len(), 2);
    let again = format!("restore: {{on_failure: retry, reason: now with the right one}}\n{BACK}");
    answering(&scene, &format!("resume {first}"), &again)
        .says("Closed. outcome: over")
        .exit(0);
    assert_eq!(executions(&scene).len(), 3);
    assert_eq!(ledger(&scene), "brought\nbrought\n", "somebody said so");
}

#[test]
fn what_cannot_be_handed_over_to_is_refused_before_anything_begins() {
    let scene = shop(HANDS_OVER);
    say(&scene, START)
        .says("there is no runbook `restore-it`")
        .exit(2);
    assert_eq!(executions(&scene).len(), 0);
    put(
        &scene,
        "restore-it.yaml",
        OTHER.replace("scope: environment", "scope: workspace"),
    );
    say(&scene, START)
        .says("`restore-it` needs more of the target frozen than `small` does")
        .exit(2);
    assert_eq!(executions(&scene).len(), 0);
    say(&scene, "gate --target shop/production").exit(0);
}

#[test]
fn a_freeze_that_is_lost_under_the_other_is_taken_again_there() {
    let scene = scene();
    put(
        &scene,
        "restore-it.yaml",
        OTHER.replace(
            "  - use: standard/close-checks\n",
            "  - id: tidy-up\n    phase: act\n    title: Tidy up\n    command: [sh, -c, 'echo tidied >> ledger']\n  - use: standard/close-checks\n",
        ),
    );
    say(&scene, START).exit(15);
    say(
        &scene,
        "freeze release shop/production --fence 1 --reason forgotten",
    )
    .exit(0);
    answering(&scene, "resume", "look: {facts: {back: true}}\n")
        .says("was released by alice")
        .says("freeze-again")
        .exit(10);
    let again = format!("tidy-up: {{on_failure: freeze-again, reason: alice was told}}\n{BACK}");
    let again = again.replace("look: {facts: {back: true}}\n", "");
    // The first finds the freeze that was taken again for it, under another fence.
    let left = format!("{again}close-run: {{on_failure: freeze-again, reason: the same one}}\n");
    answering(&scene, "resume", &left)
        .says("frozen again: shop/production (fence 2)")
        .says("Closed. outcome: over")
        .exit(0);
    assert_eq!(ledger(&scene), "brought\ntidied\n");
    say(&scene, "gate --target shop/production").exit(0);
}

#[test]
fn what_closed_as_no_success_passes_only_where_the_step_expects_it() {
    let careless = HANDS_OVER.replace("    expect: facts.how == 'restored'\n", "");
    let scene = shop(&careless);
    put(&scene, "restore-it.yaml", OTHER);
    answering(&scene, START, "look: {facts: {back: false}}\n")
        .says("it closed as `not-restored`, which is no success")
        .exit(15);
    say(&scene, "gate --target shop/production").exit(10);
}

#[test]
fn a_runbook_by_its_whole_path_finds_the_other_beside_it() {
    let scene = scene();
    let path = work(&scene).join("small.yaml");
    answering(
        &scene,
        &format!("start {} --run-id r-1", path.display()),
        BACK,
    )
    .says("Closed. outcome: over")
    .exit(0);
}

#[test]
fn what_is_passed_on_must_fit() {
    let scene = scene();
    put(
        &scene,
        "restore-it.yaml",
        OTHER.replace("text: {type: string}", "text: {type: integer, default: 1}"),
    );
    say(&scene, START)
        .says("what `small` passes on does not fit: input `text`")
        .exit(2);
    assert_eq!(executions(&scene).len(), 1);
    assert_eq!(ledger(&scene), "");
}

#[test]
fn handing_over_is_never_repeated_by_itself() {
    let scene = shop(&HANDS_OVER.replace(
        "    required: true\n  - id: afterwards",
        "    attempts: 3\n    required: true\n  - id: afterwards",
    ));
    put(&scene, "restore-it.yaml", OTHER);
    say(&scene, START)
        .says("step `restore` hands over, and is not repeated by itself")
        .exit(2);
}

/// A do-not with a pattern, for a runbook that has none.
fn denying(text: &str, pattern: &str) -> String {
    let guard = format!(
        "guards:\n  - id: no-restart\n    do_not: Restart by hand\n    because: It hides the cause.\n    instead: Wait.\n    before: [read-run]\n    deny: {{commands: [{pattern}]}}\nsteps:\n"
    );
    text.replacen("steps:\n", &guard, 1)
}

#[test]
fn what_either_denies_holds_in_both() {
    let scene = scene();
    let first = std::fs::read_to_string(work(&scene).join("small.yaml")).expect("a runbook");
    put(
        &scene,
        "small.yaml",
        denying(&first, "kubectl rollout restart ..."),
    );
    put(
        &scene,
        "restore-it.yaml",
        denying(OTHER, "kubectl delete ..."),
    );
    say(&scene, START).exit(15);
    let (first, other) = pair(&scene);
    for which in [
        "",
        &format!("--execution {first} "),
        &format!("--execution {other} "),
    ] {
        for command in ["kubectl delete pod x", "kubectl rollout restart deploy/x"] {
            say(&scene, &format!("exec {which}-- {command}"))
                .says("error: refused: ")
                .exit(14);
        }
    }
    let beside = |id: &str| {
        let all = journal(&scene, id).into_iter();
        all.filter(|e| e["type"] == "ad_hoc.refused").count()
    };
    assert_eq!((beside(&first), beside(&other)), (0, 6));
}

#[test]
fn no_secret_of_either_is_kept_by_the_other() {
    let secret = "Tr0ub4dor-and-3-secret";
    let with = |text: &str, name: &str| {
        text.replacen(
            "freeze: {",
            &format!("secrets:\n  {name}: Opens it\nfreeze: {{"),
            1,
        )
    };
    let scene = scene();
    let first = std::fs::read_to_string(work(&scene).join("small.yaml")).expect("a runbook");
    put(&scene, "small.yaml", with(&first, "FIRST_TOKEN"));
    put(&scene, "restore-it.yaml", with(OTHER, "OTHER_TOKEN"));
    let scene = scene
        .env("FIRST_TOKEN", secret)
        .env("OTHER_TOKEN", "another-0f-th0se-secrets");
    say(&scene, START).exit(15);
    let (first, other) = pair(&scene);
    say(&scene, "exec -- sh -c env").exit(0);
    for id in [&first, &other] {
        say(&scene, &format!("note --execution {id} {secret}")).exit(0);
    }
    say(&scene, &format!("abort {other} --reason {secret}"))
        .never(secret)
        .exit(0);
    for id in [&first, &other] {
        let folder = scene.home().join(format!("executions/{id}/data"));
        for entry in std::fs::read_dir(folder.join("artifacts"))
            .into_iter()
            .flatten()
        {
            let path = entry.expect("an entry").path();
            let bytes = std::fs::read(&path).unwrap_or_default();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(secret),
                "{path:?}"
            );
        }
        let text = std::fs::read_to_string(folder.join("journal.jsonl")).expect("a journal");
        assert!(
            !text.contains(secret) && !text.contains("another-0f"),
            "{id}"
        );
    }
}

#[test]
fn a_hand_over_that_leads_back_is_refused_before_anything_begins() {
    let scene = scene();
    let back = "  - id: back\n    phase: act\n    title: Back\n    hand_over: {runbook: restore-it}\n  - use: standard/close-checks\n";
    put(
        &scene,
        "restore-it.yaml",
        OTHER.replace("  - use: standard/close-checks\n", back),
    );
    say(&scene, START)
        .says("a hand-over leads back: `small` to `restore-it` to `restore-it`")
        .exit(2);
    assert_eq!(executions(&scene).len(), 0);
}

#[test]
fn the_first_is_not_aborted_under_the_other_and_an_abort_tells_what_was_begun() {
    let scene = scene();
    say(&scene, START).exit(15);
    let (first, other) = pair(&scene);
    say(&scene, &format!("abort {first} --reason enough"))
        .says(&format!(
            "execution `{other}`, which this one handed over to, is open"
        ))
        .exit(1);
    say(&scene, &format!("abort {other} --reason enough")).exit(0);
    say(&scene, &format!("abort {first} --reason enough"))
        .says("Handed over: restore")
        .never("Nothing was changed")
        .exit(0);
}
