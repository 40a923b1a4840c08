//! Executions that are stopped, killed, or driven by two at once.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;

use crate::fixture::{
    BY_HAND, Running, begin, begun, endings, events, executions, ran, resume_with, say, shop,
    start, until, work,
};
use crate::scene::Scene;

/// A command that says that it is there and then waits until somebody writes into `gate`.
const WAITS: &str = "  - id: wait-there
    phase: truth
    effect: read
    title: Wait until it is let go
    command: [sh, -c, 'mkfifo gate; : > there; timeout --foreground 50 cat gate']
";

fn let_go(scene: &Scene) {
    fs::write(work(scene).join("gate"), "go\n").expect("somebody reads");
}

fn is_there(scene: &Scene) -> bool {
    work(scene).join("there").exists()
}

/// The whole group was stopped, not only its leader.
fn nobody_reads(scene: &Scene) {
    let gate = rustix::fs::open(
        work(scene).join("gate"),
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK,
        rustix::fs::Mode::empty(),
    );
    assert_eq!(gate.err(), Some(rustix::io::Errno::NXIO));
}

/// Starts the program with no signal ignored, whatever the tests themselves were started by: `nohup` ignores one.
fn begin_unshielded(scene: &Scene, words: &str) -> Running {
    let program = scene.command();
    let mut command = std::process::Command::new("env");
    command
        .arg("--default-signal=HUP,INT,TERM")
        .arg(program.get_program());
    command.args(words.split(' ')).env_clear();
    command.envs(
        program
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    command.current_dir(work(scene)).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::begin(command)
}

#[test]
fn what_another_process_drives_can_be_read_and_noted_but_not_taken() {
    let scene = shop(WAITS);
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    let id = executions(&scene).remove(0);
    let pid = driver.pid();
    say(&scene, "resume")
        .says(&format!(
            "error: execution `{id}` is driven elsewhere, by process {pid}"
        ))
        .exit(1);
    ran(&scene, &["abort", "--reason", "enough"])
        .says("is driven elsewhere")
        .exit(1);
    say(&scene, "status")
        .shows("small run r-1 shop/production/checkout open by alice")
        .shows("step 4 of 6: Wait until it is let go")
        .exit(0);
    ran(&scene, &["--as", "bob", "note", "it burns"]).exit(0);
    let_go(&scene);
    driver
        .end()
        .says("note: it burns")
        .says("Closed. outcome: over")
        .exit(0);
    let events = events(&scene);
    let note = events
        .iter()
        .find(|e| e["type"] == "note.added")
        .expect("a note");
    assert_eq!(
        (&note["actor"], &note["data"]["text"]),
        (&"bob".into(), &"it burns".into())
    );
    say(&scene, "note too-late")
        .says("error: no execution is open")
        .exit(1);
    say(&scene, &format!("note late --execution {id}"))
        .says("has ended")
        .exit(1);
}

#[test]
fn ctrl_c_stops_a_read_and_asks_how_to_go_on() {
    let scene = shop(WAITS);
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    driver.signal(Signal::INT);
    driver
        .end()
        .says("stopped by the operator")
        .says("error: step `wait-there` cannot go on by itself: stopped by the operator")
        .says("hint: go on with `runbook resume")
        .exit(15);
    assert_eq!(endings(&scene, "wait-there").len(), 1);
    say(&scene, "status")
        .shows("step 4 of 6: Wait until it is let go")
        .exit(0);
    nobody_reads(&scene);
    resume_with(
        &scene,
        "wait-there: {on_failure: skip, reason: not needed}\n",
    )
    .exit(0);
}

#[test]
fn ctrl_c_during_a_change_leaves_it_in_doubt() {
    let scene = shop(&WAITS.replace("    phase: truth\n    effect: read\n", "    phase: act\n"));
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    driver.signal(Signal::INT);
    driver
        .end()
        .says("in doubt stopped by the operator")
        .says("hint: go on with `runbook resume")
        .exit(16);
    assert_eq!(endings(&scene, "wait-there")[0]["is"], "doubtful");
    say(&scene, "status").shows("in doubt").exit(0);
    say(&scene, "resume").exit(16);
    resume_with(&scene, "wait-there: {doubt: happened, reason: I looked}\n").exit(0);
    assert_eq!(
        endings(&scene, "wait-there").len(),
        1,
        "it is not performed again"
    );
}

#[test]
fn being_told_to_end_during_a_change_stops_it_and_leaves() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")] {
        let scene =
            shop(&WAITS.replace("    phase: truth\n    effect: read\n", "    phase: act\n"));
        let driver = begin_unshielded(&scene, "start ./small.yaml --run-id r-1");
        until("the command runs", || is_there(&scene));
        driver.signal(signal);
        driver
            .end()
            .says("in doubt stopped by the operator")
            .says(&format!("Paused: the tool was told to end ({name})"))
            .says("Go on with `runbook resume")
            .exit(130);
        nobody_reads(&scene);
        assert_eq!(endings(&scene, "wait-there")[0]["is"], "doubtful");
        assert_eq!(
            events(&scene).last().expect("an end")["type"],
            "execution.paused"
        );
        say(&scene, "gate --target shop/production").exit(10);
        say(&scene, "resume").says("in doubt").exit(16);
        resume_with(&scene, "wait-there: {doubt: happened, reason: I looked}\n").exit(0);
        assert_eq!(
            endings(&scene, "wait-there").len(),
            1,
            "it is not performed again"
        );
    }
}

#[test]
fn a_second_signal_does_not_cut_the_first_short() {
    let stubborn = WAITS
        .replace("mkfifo gate;", "trap \"\" TERM; mkfifo gate;")
        .replace("timeout --foreground 50 cat", "cat");
    let scene = shop(&stubborn);
    let driver = begin_unshielded(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    for signal in [Signal::INT, Signal::TERM, Signal::TERM, Signal::HUP] {
        driver.signal(signal);
    }
    driver
        .end()
        .says("stopped by the operator")
        .says("Paused: ")
        .exit(130);
    nobody_reads(&scene);
}

#[test]
fn ctrl_c_between_two_steps_is_heard_before_the_next() {
    let steps: String = (0..10)
        .map(|n| {
            let last = if n == 3 { "; kill -INT $PPID" } else { "" };
            format!(
                "  - id: quick-{n}\n    phase: act\n    title: Quick {n}\n    command: [sh, -c, ': > did-{n}{last}']\n"
            )
        })
        .collect();
    let scene = shop(&steps);
    // Whether it is in time to stop the third, or comes between it and the next: that one is not begun.
    let said = start(&scene);
    assert!(
        matches!(said.code, Some(130 | 16)),
        "{:?}: {}",
        said.code,
        said.stderr
    );
    assert!(work(&scene).join("did-3").exists());
    assert!(!work(&scene).join("did-4").exists() && !begun(&scene, "quick-4"));
    assert_eq!(
        events(&scene).last().expect("an end")["type"],
        "execution.paused"
    );
    resume_with(&scene, "quick-3: {doubt: happened, reason: it is there}\n").exit(0);
    assert!(work(&scene).join("did-9").exists());
}

#[test]
fn a_program_that_was_killed_during_a_change_finds_it_in_doubt() {
    let scene = shop(&WAITS.replace("    phase: truth\n    effect: read\n", "    phase: act\n"));
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    driver.signal(Signal::KILL);
    assert_eq!(driver.end().code, None);
    let_go(&scene);
    assert!(begun(&scene, "wait-there") && endings(&scene, "wait-there").is_empty());
    say(&scene, "status").shows("step 4 of 6").exit(0);
    say(&scene, "gate --target shop/production").exit(10);
    say(&scene, "resume").says("in doubt").exit(16);
    let attempts = events(&scene)
        .iter()
        .filter(|e| e["type"] == "attempt.started" && e["data"]["step"] == "wait-there")
        .count();
    assert_eq!(attempts, 1, "it is never repeated by itself");
    resume_with(
        &scene,
        "wait-there: {doubt: happened, reason: the target shows it}\n",
    )
    .exit(0);
}

#[test]
fn a_program_that_was_killed_during_a_read_reads_again() {
    let scene = shop(&WAITS.replace("mkfifo gate; ", "test -e gate && exit 0; mkfifo gate; "));
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    driver.signal(Signal::KILL);
    assert_eq!(driver.end().code, None);
    let_go(&scene);
    say(&scene, "resume").says("Closed. outcome: over").exit(0);
}

#[test]
fn of_two_that_resume_at_once_one_goes_on() {
    let scene = shop(WAITS);
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("the command runs", || is_there(&scene));
    driver.signal(Signal::KILL);
    let _ = driver.end();
    let_go(&scene);
    fs::remove_file(work(&scene).join("there")).expect("it was there");
    fs::remove_file(work(&scene).join("gate")).expect("it was there");
    let mut both: Vec<_> = (0..2).map(|_| begin(&scene, "resume")).collect();
    until("one waits and the other has gone", || {
        is_there(&scene)
            && both
                .iter_mut()
                .map(Running::is_under_way)
                .filter(|yes| !yes)
                .count()
                == 1
    });
    let_go(&scene);
    let mut codes: Vec<_> = both.into_iter().map(|r| r.end().code).collect();
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(1)]);
    let closed = events(&scene)
        .iter()
        .filter(|e| e["type"] == "execution.closed")
        .count();
    assert_eq!(closed, 1);
}

#[test]
fn of_two_that_start_at_once_exactly_one_holds_the_freeze() {
    let scene = shop(BY_HAND);
    let started: Vec<_> = (0..6)
        .map(|_| begin(&scene, "start ./small.yaml --run-id r-1"))
        .collect();
    let said: Vec<_> = started.into_iter().map(Running::end).collect();
    let mut codes: Vec<_> = said.iter().map(|s| s.code.expect("it exits")).collect();
    codes.sort_unstable();
    assert_eq!(codes, [10, 10, 10, 10, 10, 15]);
    let freezes = say(&scene, "freeze list --json").json();
    assert_eq!(
        freezes["freezes"].as_array().map(Vec::len),
        Some(1),
        "{freezes}"
    );
    for loser in said.iter().filter(|s| s.code == Some(10)) {
        assert!(
            loser.stderr.contains("alice"),
            "says who holds it: {}",
            loser.stderr
        );
    }
    say(&scene, "gate --target shop/production").exit(10);
}

#[test]
fn remarks_of_many_at_once_are_all_there() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let noting: Vec<_> = (0..12)
        .map(|n| begin(&scene, &format!("note remark-{n}")))
        .collect();
    for noting in noting {
        noting.end().exit(0);
    }
    let notes = events(&scene)
        .iter()
        .filter(|e| e["type"] == "note.added")
        .count();
    assert_eq!(notes, 12);
    assert!(say(&scene, "status --json").json()[0]["flaw"].is_null());
    resume_with(&scene, "look: {facts: {seen: fine}}\n").exit(0);
}

#[test]
fn a_change_by_hand_that_was_left_open_says_which_answer_it_takes() {
    let by_hand = "  - id: valve
    phase: act
    title: Turn the valve
    instruction: Turn it once.
    facts: {turned: {type: integer}}
";
    let scene = shop(by_hand);
    start(&scene)
        .says("step `valve` is by hand and needs turned")
        .exit(15);
    for answers in [
        "valve: {done: true}\n",
        "valve: {facts: {turned: 1}}\n",
        "valve: {done: true, facts: {turned: 1}, reason: I was there}\n",
    ] {
        resume_with(&scene, answers)
            .says("step `valve` is in doubt: ")
            .says("answer `valve: {doubt: happened, reason: …}` with turned, or `valve: {doubt: not-done, reason: …}`")
            .says("`done: true` does not answer that")
            .exit(16);
    }
    resume_with(
        &scene,
        "valve: {doubt: happened, facts: {turned: 1}, reason: I turned it}\n",
    )
    .says("Closed. outcome: over")
    .exit(0);
}
