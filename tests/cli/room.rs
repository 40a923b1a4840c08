//! A disk that is full.

use std::fs;

use crate::fixture::{
    Running, begun, data, doing, endings, events, looking, put, ran, resume_with, say, start, work,
};
use crate::scene::Scene;

/// The program in a shell that lets no file grow beyond so many kilobytes, as a full disk would not.
fn with_little_room(scene: &Scene, kilobytes: u64, words: &str) -> Running {
    let inner = scene.command();
    let mut command = std::process::Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" {words}");
    command.arg("-c").arg(script).arg(inner.get_program());
    command.env_clear().current_dir(work(scene));
    for (name, value) in inner.get_envs() {
        command.env(name, value.expect("a value"));
    }
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    Running::begin(command)
}

const PRINTS: &str = "    command: [sh, -c, 'echo . >> tries; yes | head -c 3000000']\n    evidence: {much: {from: stdout}}\n";

#[test]
fn output_that_finds_no_room_leaves_a_change_in_doubt_and_a_read_failed() {
    let scene = doing(PRINTS);
    with_little_room(&scene, 1000, "start ./small.yaml --run-id r-1")
        .end()
        .says("in doubt it ended as `ok`, but its output could not be kept")
        .exit(16);
    resume_with(
        &scene,
        "do-it: {doubt: happened, reason: it ended as ok, evidence: {much: seen}}\n",
    )
    .exit(0);
    assert_eq!(
        fs::read_to_string(work(&scene).join("tries")).expect("tried"),
        ".\n"
    );

    let scene = looking(PRINTS);
    with_little_room(&scene, 1000, "start ./small.yaml --run-id r-1")
        .end()
        .says("its output could not be kept")
        .exit(15);
    resume_with(
        &scene,
        "do-it: {on_failure: retry, reason: there is room}\n",
    )
    .exit(0);
    let named = events(&scene)
        .into_iter()
        .rev()
        .find(|e| e["data"]["evidence"][0]["id"] == "much");
    let kept = named.expect("evidence")["data"]["evidence"][0]["artifact"].clone();
    let path = data(&scene).join(kept["path"].as_str().expect("a path"));
    assert_eq!(fs::metadata(path).expect("kept").len(), 3_000_000);
}

#[test]
fn a_journal_that_finds_no_room_stops_everything_and_resuming_goes_on() {
    let scene = doing("    command: [sh, -c, 'echo . >> tries']\n    confirm: run.environment\n");
    start(&scene).exit(15);
    for _ in 0..10 {
        ran(&scene, &["note", &"x".repeat(60_000)]).exit(0);
    }
    put(&scene, "answers.yaml", "do-it: {confirm: production}\n");
    let journal = data(&scene).join("journal.jsonl");
    let size = || fs::metadata(&journal).expect("a journal").len();
    // Wherever the room ends, the end is in order.
    let mut stopped = 0;
    for room in 1.. {
        let said = with_little_room(
            &scene,
            size() / 1024 + room,
            "resume --answers answers.yaml",
        )
        .end();
        if said.code == Some(0) {
            break;
        }
        stopped += 1;
        assert!(stopped < 60, "it never finds room");
        said.says("error: the journal cannot be written, so nothing more is performed caused by: nothing was recorded")
            .says("File too large")
            .says("hint: what was recorded is safe; if the disk is full, make room first")
            .exit(1);
        let status = say(&scene, "status --json").json();
        assert!(status[0]["flaw"].is_null(), "{status}");
        for step in ["do-it", "later"] {
            if begun(&scene, step) && endings(&scene, step).is_empty() {
                // Its outcome was not recorded: it is in doubt, and is not repeated.
                let answer = format!("{step}: {{doubt: happened, reason: tries shows it}}\n");
                put(&scene, "answers.yaml", answer);
            }
        }
    }
    assert!(stopped > 2);
    assert_eq!(
        fs::read_to_string(work(&scene).join("tries")).expect("tried"),
        ".\n"
    );
    assert_eq!(
        events(&scene).last().expect("closed")["type"],
        "execution.closed"
    );
}
