//! A freeze that somebody else ended, or took over, while the execution that held it is open.

use serde_json::Value;

use crate::fixture::{BY_HAND, begun, events, ran, resume_with, say, shop, start, work};
use crate::scene::Scene;

const CHANGE: &str = "  - id: mend
    phase: act
    title: Mend it
    command: [sh, -c, 'echo $RUNBOOK_FENCE > mended']
";

const AGAIN: &str = "mend: {on_failure: freeze-again, reason: bob was told}\n";

/// An execution that rests before its change, and whose freeze bob released meanwhile.
fn lost() -> Scene {
    let scene = shop(&format!("{BY_HAND}{CHANGE}"));
    start(&scene).exit(15);
    bob_releases(&scene, 1);
    scene
}

fn bob_releases(scene: &Scene, fence: u64) {
    let fence = fence.to_string();
    let reason = "it looked forgotten";
    let args = ["--as", "bob", "freeze", "release", "shop/production"];
    let args = [&args[..], &["--fence", &fence, "--reason", reason]].concat();
    ran(scene, &args).exit(0);
}

fn bob_freezes(scene: &Scene, what: &str) {
    let args = ["--as", "bob", "freeze", "take", what, "--reason", "a move"];
    ran(scene, &args).exit(0);
}

/// Where in the journal the first event of a type stands that holds this.
fn place(events: &[Value], kind: &str, text: &str) -> usize {
    let found = events
        .iter()
        .position(|e| e["type"] == kind && e["data"].to_string().contains(text));
    found.unwrap_or_else(|| panic!("no {kind} with {text}"))
}

#[test]
fn nothing_is_changed_and_the_refusal_says_who_released_it_when_and_why() {
    let scene = lost();
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says("the freeze is not ours any more: shop/production was released by bob at 20")
        .says("(it looked forgotten)")
        .says("take the freeze again")
        .says("`on_failure: freeze-again`")
        .exit(10);
    assert!(!begun(&scene, "mend") && !work(&scene).join("mended").exists());
    // Trying again is of no use, and is refused for the same reason.
    resume_with(&scene, "mend: {on_failure: retry, reason: hope}\n")
        .says("was released by bob")
        .exit(10);
    assert!(!begun(&scene, "mend"));
    resume_with(&scene, "mend: {on_failure: freeze-again}\n")
        .says("a reason is needed")
        .exit(10);
}

#[test]
fn taken_again_it_is_a_new_freeze_and_the_preflight_is_judged_before_the_change() {
    let scene = lost();
    resume_with(&scene, "look: {facts: {seen: fine}}\n").exit(10);
    resume_with(&scene, AGAIN)
        .says("freezing again: bob was told")
        .says("frozen again: shop/production (fence 2)")
        .says("Closed. outcome: over")
        .exit(0);
    let fence = std::fs::read_to_string(work(&scene).join("mended")).expect("mended");
    assert_eq!(fence.trim(), "2");
    let events = events(&scene);
    let order = [
        place(&events, "answered", "freeze-again"),
        place(&events, "attempt.finished", "\"fence\":2"),
        events
            .iter()
            .rposition(|e| e["type"] == "checks.judged" && e["data"]["step"] == "mend")
            .expect("judged in the course of the change"),
        place(&events, "attempt.started", "RUNBOOK_FENCE"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(events[order[3]]["data"]["clearance"]["fence"], 2);
    say(&scene, "gate --target shop/production").exit(0);
}

#[test]
fn it_is_not_taken_again_over_the_freeze_of_somebody_else() {
    for theirs in ["shop/production", "shop", "shop/production/checkout"] {
        let scene = lost();
        bob_freezes(&scene, theirs);
        resume_with(&scene, "look: {facts: {seen: fine}}\n")
            .says("was released by bob")
            .says(&format!("{theirs} is frozen by bob since 20"))
            .says("(a move)")
            .exit(10);
        resume_with(&scene, AGAIN)
            .says(&format!(
                "already frozen: {theirs} is frozen by bob since 20"
            ))
            .exit(10);
        assert!(!begun(&scene, "mend"), "{theirs}");
        let active = say(&scene, "freeze list --json").json();
        assert_eq!(
            active["freezes"].as_array().map(Vec::len),
            Some(1),
            "{active}"
        );
        assert_eq!(active["freezes"][0]["holder"]["principal"], "bob");
    }
}

#[test]
fn a_freeze_of_somebody_else_beside_ours_does_not_cost_us_ours() {
    let scene = shop(&format!("{BY_HAND}{CHANGE}"));
    start(&scene).exit(15);
    bob_freezes(&scene, "shop");
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says("frozen by others as well: shop is frozen by bob since 20")
        .never("not ours any more")
        .exit(10);
    resume_with(&scene, AGAIN)
        .says("that way is not open here")
        .exit(10);
    let active = say(&scene, "freeze list --json").json();
    assert_eq!(
        active["freezes"].as_array().map(Vec::len),
        Some(2),
        "{active}"
    );
}

#[test]
fn a_freeze_lost_at_the_close_is_taken_again_before_it_is_released() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    bob_releases(&scene, 1);
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says("the freeze is not ours any more: shop/production was released by bob at 20")
        .never("Closed.")
        .exit(10);
    bob_freezes(&scene, "shop");
    let again = "close-run: {on_failure: freeze-again, reason: nothing was changed meanwhile}\n";
    resume_with(&scene, again)
        .says("already frozen: shop is frozen by bob")
        .never("Closed.")
        .exit(10);
    let args = ["--as", "bob", "freeze", "release", "shop", "--fence", "1"];
    ran(&scene, &[&args[..], &["--reason", "moved"]].concat()).exit(0);
    resume_with(&scene, again)
        .says("Closed. outcome: over")
        .exit(0);
    let events = events(&scene);
    let closing = events
        .iter()
        .rposition(|e| e["data"]["set"] == "closing")
        .expect("judged");
    let order = [
        place(&events, "attempt.finished", "\"fence\":3"),
        closing,
        place(&events, "attempt.finished", "\"released\""),
    ];
    assert!(
        order.is_sorted(),
        "the closing checks are judged under the new freeze: {order:?}"
    );
    say(&scene, "gate --target shop/production").exit(0);
}
