//! A run that is larger than an entry of the journal may be.

use std::fs;

use crate::fixture::{BY_HAND, RUN, begun, data, events, put, resume_with, say, shop, start};
use crate::scene::Scene;

/// Needs the whole run, and does not read it again.
const COUNT: &str = "  - id: count
    phase: truth
    effect: read
    title: Look at every stage
    when: size(run.stages) == 900 && run.stages[899].error.endsWith('899')
    command: ['true']
";

/// An execution of a run with nine hundred stages, at rest before the count.
fn large() -> Scene {
    let scene = shop(&format!("{BY_HAND}{COUNT}"));
    let told = "the host did not answer ".repeat(8);
    let stages: String = (0..900)
        .map(|n| {
            format!("    - {{index: {n}, name: stage-{n}, state: failed, error: '{told}{n}'}}\n")
        })
        .collect();
    let run = RUN.replace(
        "workspace: {id",
        &format!("  stages:\n{stages}workspace: {{id"),
    );
    assert!(run.len() > 3 * 64 * 1024);
    put(&scene, "run.yaml", run);
    say(&scene, "run record run.yaml").exit(0);
    start(&scene).says("step `look` is by hand").exit(15);
    scene
}

#[test]
fn a_run_of_any_size_is_read_and_known_again_on_resume() {
    let scene = large();
    let journal = fs::read_to_string(data(&scene).join("journal.jsonl")).expect("a journal");
    assert!(journal.lines().all(|line| line.len() < 64 * 1024));
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says("Closed. outcome: over")
        .exit(0);
    assert!(begun(&scene, "count"), "the run was whole");
}

#[test]
fn a_run_that_is_not_as_it_was_read_ends_what_can_be_relied_on() {
    for (what, becomes) in [
        ("is not what it was", Some("{\"stages\": []}")),
        ("cannot be read", None),
    ] {
        let scene = large();
        let events = events(&scene);
        let read = events
            .iter()
            .find(|e| e["data"]["learned"]["what"] == "run");
        let kept = &read.expect("it was read")["data"]["evidence"][0]["artifact"]["path"];
        let kept = kept.as_str().expect("a path");
        let run = data(&scene).join(kept);
        match becomes {
            Some(text) => fs::write(&run, text).expect("written"),
            None => fs::remove_file(&run).expect("removed"),
        }
        let journal = fs::read(data(&scene).join("journal.jsonl")).expect("a journal");
        let named = format!("names `{kept}`, which");
        say(&scene, "status")
            .shows(&format!("{named} {what}"))
            .exit(0);
        put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
        say(&scene, "resume --answers answers.yaml")
            .says("is damaged: line 5, ")
            .says(&format!("{named} {what}"))
            .exit(17);
        let after = fs::read(data(&scene).join("journal.jsonl")).expect("a journal");
        assert_eq!(after, journal, "nothing is added to it");
    }
}
