//! Steps that run programs, when those misbehave.

use std::fs;

use crate::fixture::{
    artifact, artifact_path, begin, begun, doing, endings, executions, looking, put, ran,
    resume_with, say, shop, small, start, until, with_runbook, work,
};

const DEAF: &str = "    command: [sh, -c, \"trap '' TERM; : > there; while :; do sleep 0.05; done\"]\n    timeout: 300ms\n";

#[test]
fn a_change_that_ignores_being_asked_to_end_is_ended_and_in_doubt() {
    let scene = doing(DEAF);
    start(&scene)
        .says("in doubt not done after")
        .says("error: step `do-it` ")
        .exit(16);
    assert_eq!(endings(&scene, "do-it")[0]["is"], "doubtful");
    assert!(!begun(&scene, "later"));
    resume_with(
        &scene,
        "do-it: {doubt: happened, reason: the target shows it}\n",
    )
    .exit(0);
    assert_eq!(endings(&scene, "do-it").len(), 1, "never done twice");
}

#[test]
fn a_read_that_ignores_being_asked_to_end_has_failed() {
    let scene = looking(DEAF);
    start(&scene)
        .says("error: step `do-it` cannot go on by itself: not done after")
        .exit(15);
    resume_with(&scene, "do-it: {on_failure: skip, reason: it hangs}\n").exit(0);
}

#[test]
fn two_hundred_megabytes_are_kept_whole_in_little_memory() {
    let scene = looking(
        "    command: [sh, -c, 'yes 0123456789abcdefghi | head -c 200000000; : > there; timeout --foreground 50 cat gate']\n    evidence: {flood: {from: stdout}}\n    timeout: 5m\n",
    );
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        work(&scene).join("gate"),
        rustix::fs::Mode::RWXU,
    )
    .expect("a fifo");
    let driver = begin(&scene, "start ./small.yaml --run-id r-1");
    until("everything was printed", || {
        work(&scene).join("there").exists()
    });
    let status = fs::read_to_string(format!("/proc/{}/status", driver.pid())).expect("Linux");
    let peak = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .expect("a peak");
    let peak: u64 = peak
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("kilobytes");
    assert!(peak < 64 * 1024, "it took {peak} kB");
    fs::write(work(&scene).join("gate"), "").expect("somebody reads");
    let said = driver.end();
    assert!(
        said.stderr.len() < 10_000_000,
        "the screen gets what it can take"
    );
    said.says("Closed. outcome: over").exit(0);
    let kept = fs::metadata(artifact_path(&scene, "do-it.stdout.txt")).expect("kept");
    assert_eq!(kept.len(), 200_000_000);
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let bytes: Vec<u8> = (0..=255)
        .rev()
        .chain([0, 0xff, 0xfe, b'\r', b'\n'])
        .collect();
    let scene = looking(
        "    command: [cat, blob]\n    evidence: {blob: {from: stdout, media_type: application/octet-stream}}\n",
    );
    put(&scene, "blob", &bytes);
    let said = start(&scene);
    let raw = said.stderr.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(raw, None, "no control character is shown as it is");
    said.exit(0);
    assert_eq!(artifact(&scene, "do-it.stdout.txt"), bytes);
}

#[test]
fn facts_of_output_that_is_no_text_are_not_guessed() {
    let scene =
        looking("    command: [cat, blob]\n    facts: {said: {type: string, from: stdout}}\n");
    put(&scene, "blob", b"\xff\xfe");
    start(&scene)
        .says("error: step `do-it` cannot go on by itself")
        .says("said")
        .exit(15);
    resume_with(
        &scene,
        "do-it: {on_failure: done-by-hand, reason: I read it, facts: {said: hm}}\n",
    )
    .exit(0);
}

#[test]
fn what_a_program_prints_cannot_drive_the_terminal() {
    let scene =
        looking("    command: [cat, evil]\n    facts: {title: {type: json, from: stdout}}\n")
            .env("NO_COLOR", "");
    put(
        &scene,
        "evil",
        "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}txt\rgone\n",
    );
    let said = start(&scene);
    for c in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\r'] {
        assert!(
            !said.stderr.contains(c),
            "{c:?} is shown as it is: {}",
            said.stderr
        );
    }
    said.exit(0);
}

#[test]
fn a_program_that_is_missing_or_may_not_be_run_makes_the_step_by_hand_and_the_plan_says_so() {
    for (program, why) in [
        (
            "no-such-program",
            "the program `no-such-program` is not here",
        ),
        ("./plain.sh", "the program `./plain.sh` is not here"),
    ] {
        let scene = looking(&format!("    command: [{program}, x]\n"));
        put(&scene, "plain.sh", "#!/bin/sh\n");
        say(&scene, "plan ./small.yaml --run-id r-1")
            .shows(&format!("by hand: {why}"))
            .exit(0);
        let planned = say(&scene, "plan ./small.yaml --run-id r-1 --json").json();
        assert_eq!(planned["steps"][3]["by_hand"], why);
        start(&scene)
            .says("error: step `do-it` is by hand and needs `done: true`")
            .exit(15);
        resume_with(&scene, "do-it: {done: true}\n")
            .says("Closed. outcome: over")
            .exit(0);
    }
}

#[test]
fn a_change_by_hand_that_was_left_open_is_in_doubt() {
    let scene = doing("    command: [no-such-program]\n");
    start(&scene)
        .says("error: step `do-it` is by hand and needs `done: true`")
        .exit(15);
    say(&scene, "resume").says("in doubt").exit(16);
    resume_with(&scene, "do-it: {doubt: happened, reason: bob did it}\n")
        .says("Closed. outcome: over")
        .exit(0);
}

#[test]
fn what_is_too_long_for_the_journal_is_refused_and_the_execution_goes_on() {
    let long = "x".repeat(100_000);
    let scene =
        looking("    command: [cat, long]\n    facts: {said: {type: string, from: stdout}}\n");
    put(&scene, "long", &long);
    let input = format!("text={long}");
    ran(
        &scene,
        &[
            "start",
            "./small.yaml",
            "--run-id",
            "r-1",
            "--input",
            &input,
        ],
    )
    .says("the inputs have 100006 bytes, and more than 32768 do not fit into the journal")
    .exit(2);
    assert_eq!(executions(&scene), [""; 0]);
    start(&scene)
        .says("failed what it found out could not be recorded: an entry of ")
        .exit(15);
    ran(&scene, &["note", &long])
        .says("does not fit into a journal line")
        .exit(2);
    resume_with(
        &scene,
        &format!(
            "do-it: {{on_failure: done-by-hand, reason: I read it, facts: {{said: {long}}}}}\n"
        ),
    )
    .says("not accepted: an entry of ")
    .exit(15);
    resume_with(
        &scene,
        "do-it: {on_failure: done-by-hand, reason: I read it, facts: {said: x}}\n",
    )
    .exit(0);

    let scene =
        doing("    command: [cat, long]\n    facts: {said: {type: string, from: stdout}}\n");
    put(&scene, "long", &long);
    start(&scene)
        .says("in doubt what it found out could not be recorded")
        .exit(16);
    resume_with(
        &scene,
        "do-it: {doubt: happened, reason: I looked, facts: {said: x}}\n",
    )
    .exit(0);
}

#[test]
fn work_that_is_too_long_to_be_recorded_is_not_performed() {
    let scene = doing(
        "    command: [touch, '${inputs.text}', '${inputs.text}', '${inputs.text}', '${inputs.text}']\n",
    );
    let input = format!("text={}", "x".repeat(20_000));
    ran(
        &scene,
        &[
            "start",
            "./small.yaml",
            "--run-id",
            "r-1",
            "--input",
            &input,
        ],
    )
    .says("refused what exactly to perform is unknown: an entry of ")
    .exit(15);
    assert!(!begun(&scene, "do-it"));
    resume_with(&scene, "do-it: {on_failure: skip, reason: too long}\n").exit(0);
}

#[test]
fn an_interpreter_that_is_missing_is_known_not_to_have_been_started() {
    let scene = doing("    command: [./odd.sh]\n");
    put(&scene, "odd.sh", "#!/no/such/interpreter\n");
    let odd = work(&scene).join("odd.sh");
    fs::set_permissions(&odd, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    start(&scene)
        .says("not performed `./odd.sh` could not be started")
        .exit(15);
    assert_eq!(endings(&scene, "do-it")[0]["is"], "not-performed");
    put(&scene, "odd.sh", "#!/bin/sh\n");
    resume_with(&scene, "do-it: {on_failure: retry, reason: it is mended}\n").exit(0);
}

#[test]
fn an_exit_code_that_is_not_listed_is_a_failure_with_ways_on() {
    let scene = doing(
        "    command: [sh, -c, 'echo oh no >&2; exit 7']\n    exit_codes: {0: ok, 3: drift}\n",
    );
    start(&scene)
        .says("failed exit code 7")
        .says("error: step `do-it` cannot go on by itself: exit code 7")
        .exit(15);
    assert!(!begun(&scene, "later"));
    assert_eq!(artifact(&scene, "do-it.stderr.txt"), b"oh no\n");
    resume_with(&scene, "do-it: {on_failure: back, reason: x}\n")
        .says("not accepted")
        .exit(15);
    resume_with(&scene, "do-it: {on_failure: retry}\n")
        .says("not accepted: a reason is needed")
        .exit(15);
    assert_eq!(endings(&scene, "do-it").len(), 1);
    resume_with(&scene, "do-it: {on_failure: skip, reason: not worth it}\n").exit(0);
    assert!(begun(&scene, "later"));
}

#[test]
fn a_listed_exit_code_other_than_zero_is_an_outcome() {
    let scene = looking(
        "    command: [sh, -c, 'exit 3']\n    exit_codes: {0: clean, 3: drift}\n    facts: {drift: {type: boolean, from: exit_code == 3}}\n",
    );
    start(&scene)
        .says("ok drift (3)")
        .says("drift = true")
        .exit(0);
}

#[test]
fn a_repeatable_change_is_tried_as_often_as_it_says_and_then_has_failed() {
    let scene = doing(
        "    command: [sh, -c, 'echo . >> tries; exit 1']\n    attempts: 3\n    idempotent: true\n",
    );
    start(&scene)
        .says("error: step `do-it` cannot go on by itself: exit code 1")
        .exit(15);
    let tries = || {
        fs::read_to_string(work(&scene).join("tries"))
            .expect("tried")
            .lines()
            .count()
    };
    assert_eq!((tries(), endings(&scene, "do-it").len()), (3, 3));
    assert!(!begun(&scene, "later"));
    // Resuming is no reason to try again.
    say(&scene, "resume").exit(15);
    assert_eq!(tries(), 3);
    resume_with(&scene, "do-it: {on_failure: abort, reason: enough}\n")
        .says("Begun, and not undone: do-it; look whether and how far")
        .exit(1);
}

#[test]
fn a_repeatable_change_that_works_the_second_time_is_done_twice() {
    let scene = doing(
        "    command: [sh, -c, 'echo . >> tries; test $(wc -l < tries) = 2']\n    attempts: 3\n    idempotent: true\n",
    );
    start(&scene).says("Closed. outcome: over").exit(0);
    assert_eq!(endings(&scene, "do-it").len(), 2);
}

#[test]
fn a_change_that_is_not_known_to_be_repeatable_is_done_once() {
    let keys = "    command: [sh, -c, 'echo . >> tries; exit 1']\n";
    let scene = doing(keys);
    start(&scene).exit(15);
    assert_eq!(
        fs::read_to_string(work(&scene).join("tries")).expect("tried"),
        ".\n"
    );
    for wrong in ["", "    idempotent: false\n"] {
        let scene = doing(&format!("{keys}    attempts: 2\n{wrong}"));
        start(&scene)
            .says("is a change, and is not known to be harmless when repeated")
            .says("write `idempotent: true` if it is")
            .exit(2);
    }
}

#[test]
fn a_repeatable_change_that_hangs_is_in_doubt_and_not_tried_again() {
    let scene = doing(
        "    command: [sh, -c, 'echo . >> tries; exec sleep 50']\n    attempts: 3\n    idempotent: true\n    timeout: 300ms\n",
    );
    start(&scene).says("in doubt").exit(16);
    assert_eq!(
        fs::read_to_string(work(&scene).join("tries")).expect("tried"),
        ".\n"
    );
}

#[test]
fn values_arrive_as_they_are_and_are_never_evaluated() {
    let hostile = [
        "two words",
        "it's \"quoted\" \\ back",
        "$(touch pwned) `touch pwned` ${HOME} $HOME",
        "; touch pwned; #",
        "line\nbreak",
        "--flag=-x",
        "*",
        "${inputs.other}",
        "ünï 日本",
    ];
    for value in hostile {
        let scene = looking(
            "    command: [./show.sh, 'a${inputs.text}z', '${inputs.text}', last]\n    env: {GIVEN: '${inputs.text}'}\n    evidence: {shown: {from: stdout}}\n",
        );
        put(
            &scene,
            "show.sh",
            "#!/bin/sh\nprintf '%s\\0' \"$#\" \"$@\" \"$GIVEN\"\n",
        );
        let show = work(&scene).join("show.sh");
        fs::set_permissions(&show, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("ours");
        let given = format!("text={value}");
        ran(
            &scene,
            &[
                "start",
                "./small.yaml",
                "--run-id",
                "r-1",
                "--input",
                &given,
            ],
        )
        .exit(0);
        let expected = format!("3\0a{value}z\0{value}\0last\0{value}\0");
        assert_eq!(
            String::from_utf8_lossy(&artifact(&scene, "do-it.stdout.txt")),
            expected
        );
        assert!(!work(&scene).join("pwned").exists(), "{value}");
    }
}

#[test]
fn the_environment_is_not_leaked_and_the_fence_goes_to_changes_only() {
    let show = "    command: [env]\n    evidence: {env_XX: {from: stdout}}\n";
    let steps = format!(
        "  - id: looking\n    phase: truth\n    effect: read\n    title: Look\n{}  - id: changing\n    phase: act\n    title: Change\n{}",
        show.replace("XX", "looking"),
        show.replace("XX", "changing")
    );
    let scene = shop(&steps)
        .env("AWS_SECRET_ACCESS_KEY", "leaked-secret")
        .env("HTTPS_PROXY", "http://me:pw@proxy.example")
        .env("LD_PRELOAD_NOT", "x")
        .env("LC_TIME", "C");
    start(&scene).exit(0);
    let names = |step: &str| {
        let text =
            String::from_utf8(artifact(&scene, &format!("{step}.stdout.txt"))).expect("text");
        let mut names: Vec<String> = text
            .lines()
            .filter_map(|l| Some(l.split_once('=')?.0.to_owned()))
            .collect();
        names.sort();
        names
    };
    let read = [
        "HOME",
        "LC_TIME",
        "PATH",
        "RUNBOOK_EXECUTION",
        "RUNBOOK_RUN_ID",
        "RUNBOOK_TARGET",
        "TZ",
    ];
    assert_eq!(names("looking"), read);
    let mut change = read.map(str::to_owned).to_vec();
    change.insert(4, "RUNBOOK_FENCE".into());
    assert_eq!(names("changing"), change);
    let text = String::from_utf8(artifact(&scene, "changing.stdout.txt")).expect("text");
    assert!(
        text.contains("RUNBOOK_FENCE=1\n")
            && text.contains("RUNBOOK_TARGET=shop/production/checkout\n"),
        "{text}"
    );
}

#[test]
fn a_secret_is_needed_beforehand_and_never_shown_or_kept() {
    let runbook = small("  - id: do-it\n    phase: truth\n    effect: read\n    title: Do it\n    command: [sh, -c, 'echo it is $TOKEN; env']\n    facts: {said: {type: string, from: stdout}}\n")
        .replace("freeze:", "secrets: {TOKEN: Talks to the platform}\nfreeze:");
    let scene = with_runbook(&runbook);
    start(&scene)
        .says("error: secrets-ready: `TOKEN` is not set; it is needed: Talks to the platform")
        .exit(13);
    assert_eq!(executions(&scene), [""; 0], "nothing is opened");
    say(&scene, "gate --target shop/production").exit(0);
    let scene = scene.env("TOKEN", "hunter2-hunter2");
    start(&scene)
        .says("it is [REDACTED:TOKEN]")
        .never("hunter2")
        .exit(0);
    let everything = std::process::Command::new("grep")
        .args(["-r", "hunter2"])
        .arg(scene.home())
        .output()
        .expect("grep");
    assert_eq!(String::from_utf8_lossy(&everything.stdout), "");
    let kept = artifact(&scene, "do-it.stdout.txt");
    assert!(String::from_utf8_lossy(&kept).starts_with("it is [REDACTED:TOKEN]\n"));
}

#[test]
fn a_program_gets_no_input_and_a_daemon_that_it_leaves_holds_nothing_up() {
    let scene = looking("    command: [sh, -c, 'cat; sleep 20 & echo done']\n    timeout: 15s\n");
    start(&scene)
        .says("| done")
        .says("Closed. outcome: over")
        .exit(0);
}

#[test]
fn a_program_that_is_killed_by_somebody_else_leaves_a_change_in_doubt() {
    let scene = doing("    command: [sh, -c, 'kill -9 $$']\n");
    start(&scene).says("in doubt ended by signal 9").exit(16);
    resume_with(
        &scene,
        "do-it: {doubt: not-done, reason: it died at once}\n",
    )
    .says("not done: it died at once")
    .exit(15);
    assert_eq!(
        endings(&scene, "do-it").len(),
        1,
        "what was not done is not repeated unasked"
    );
}
