//! Bad luck: everything that goes wrong around an execution. Each test ends with the execution still in order.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::fixture::{
    BY_HAND, RUN, begun, data, events, executions, put, ran, resume_with, say, shop, small, start,
    with_runbook, work,
};

#[test]
fn an_unknown_run_is_refused_before_anything_is_recorded() {
    let scene = shop(BY_HAND);
    for verb in ["start", "plan", "preflight"] {
        say(&scene, &format!("{verb} ./small.yaml --run-id r-2"))
            .says("error: needed-inputs: the run history knows no run `r-2`")
            .says("hint: `runbook run list` shows the runs that were recorded")
            .exit(1);
    }
    assert_eq!(executions(&scene), [""; 0]);
    say(&scene, "gate --target shop/production").exit(0);
}

#[test]
fn a_run_of_another_workspace_is_refused() {
    let scene = shop(BY_HAND);
    for target in ["bank/production", "shop/staging", "shop/production/cart"] {
        say(
            &scene,
            &format!("start ./small.yaml --run-id r-1 --target {target}"),
        )
        .says(&format!(
            "error: check-run-and-workspace: run `r-1` is of `shop/production/checkout`, not of `{target}`"
        ))
        .says("hint: `runbook run list` shows every run with its target")
        .exit(13);
    }
    assert_eq!(executions(&scene), [""; 0]);
    say(
        &scene,
        "start ./small.yaml --run-id r-1 --target shop/production/checkout",
    )
    .says("step `look` is by hand and needs seen")
    .exit(15);
}

#[test]
fn without_logs_from_before_and_after_the_preflight_blocks() {
    let runbook = small(BY_HAND).replace(
        "  - use: standard/check-run-and-workspace\n",
        "  - use: standard/check-logs-before-after\n",
    );
    let scene = with_runbook(&runbook);
    let (before, after) = ("text: starting", "text: bang");
    for (missing, id) in [(before, "r-2"), (after, "r-3")] {
        let lines = RUN.replace("id: r-1", &format!("id: {id}"));
        let lines: Vec<&str> = lines.lines().filter(|l| !l.contains(missing)).collect();
        put(&scene, "other.yaml", lines.join("\n"));
        say(&scene, "run record other.yaml").exit(0);
        say(&scene, &format!("start ./small.yaml --run-id {id}"))
            .says("block The run history has logs from before and from after the failure [check-logs-before-after]")
            .says("Instead: Fetch the missing logs and add them with `runbook run logs RUN --add FILE`")
            .says("error: step `preflight` cannot go on by itself")
            .exit(13);
        let waits = executions(&scene).pop().expect("an execution");
        // The remedy that was named is the remedy.
        put(
            &scene,
            "more.log",
            "2026-11-20T23:01:00Z early\n2026-11-20T23:09:00Z late\n",
        );
        say(&scene, &format!("run logs {id} --add more.log")).exit(0);
        put(
            &scene,
            "answers.yaml",
            "preflight: {on_failure: retry, reason: logs are there}\nlook: {facts: {seen: yes it is}}\n",
        );
        say(&scene, &format!("resume {waits} --answers answers.yaml"))
            .says("Closed. outcome: over")
            .exit(0);
    }
}

#[test]
fn a_target_that_somebody_froze_is_left_alone() {
    let scene = shop(BY_HAND);
    ran(
        &scene,
        &[
            "--as",
            "bob",
            "freeze",
            "take",
            "shop/production",
            "--reason",
            "checkout fails",
        ],
    )
    .exit(0);
    for verb in ["start", "preflight"] {
        say(&scene, &format!("{verb} ./small.yaml --run-id r-1"))
            .says("error: freeze: `shop/production/checkout` cannot be worked on: ")
            .says("bob")
            .says("checkout fails")
            .says("since 2")
            .says("hint: ask the holder;")
            .exit(10);
    }
    assert_eq!(executions(&scene), [""; 0]);
    ran(
        &scene,
        &[
            "--as",
            "bob",
            "freeze",
            "release",
            "shop/production",
            "--fence",
            "1",
            "--reason",
            "works",
        ],
    )
    .exit(0);
    start(&scene).exit(15);
}

#[test]
fn a_second_execution_on_the_same_target_is_refused() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let first = executions(&scene).remove(0);
    start(&scene)
        .says("cannot be worked on")
        .says(&format!("execution {first}"))
        .says("alice")
        .says("hint: ask the holder; `runbook status` shows open executions")
        .exit(10);
    assert_eq!(executions(&scene), [first]);
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says("Closed. outcome: over")
        .exit(0);
}

#[test]
fn an_edited_runbook_is_not_gone_on_with_unless_adopted() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    put(
        &scene,
        "small.yaml",
        small(BY_HAND).replace("Look at it", "Look at it twice"),
    );
    let before = events(&scene).len();
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    for adopt in [&[][..], &["--adopt", ""], &["--adopt", "  "]] {
        let args = [&["resume", "--answers", "answers.yaml"], adopt].concat();
        ran(&scene, &args)
            .says("error: runbook `small` was edited since the execution began (")
            .says("hint: the text it began with is kept beside its journal; put it back, or go on with `--adopt REASON`")
            .exit(1);
    }
    assert_eq!(events(&scene).len(), before, "nothing is recorded");
    say(&scene, "status").shows("small run r-1").exit(0);
    let adopting = [
        "resume",
        "--answers",
        "answers.yaml",
        "--adopt",
        "the title misled",
    ];
    ran(&scene, &adopting).says("Look at it twice").exit(0);
    let resumed = events(&scene)
        .into_iter()
        .find(|e| e["type"] == "execution.resumed");
    let adopted = resumed.expect("resumed")["data"]["adopted"].clone();
    assert_eq!(adopted["reason"], "the title misled");
    let kept = adopted["runbook"]["files"][0]["path"]
        .as_str()
        .expect("a path")
        .to_owned();
    let kept = fs::read_to_string(data(&scene).join(kept)).expect("kept");
    assert!(kept.contains("Look at it twice"));
    let first = fs::read_to_string(data(&scene).join("runbook/small.yaml")).expect("kept");
    assert!(
        !first.contains("Look at it twice"),
        "what it began with stays"
    );
}

#[test]
fn a_runbook_is_kept_whatever_its_file_is_called() {
    for name in ["my runbook ä.yaml", ".hidden.yaml", "standard.yaml"] {
        let scene = shop(BY_HAND).file(name, &small(BY_HAND));
        let path = format!("./{name}");
        ran(&scene, &["start", &path, "--run-id", "r-1"]).exit(15);
        put(
            &scene,
            name,
            small(BY_HAND).replace("Look at it", "Look at it twice"),
        );
        put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
        ran(
            &scene,
            &["resume", "--answers", "answers.yaml", "--adopt", "why not"],
        )
        .says("Look at it twice")
        .exit(0);
    }
}

#[test]
fn a_runbook_that_is_gone_or_broken_stops_resuming_and_loses_nothing() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let place = work(&scene).join("small.yaml");
    fs::remove_file(&place).expect("it was there");
    say(&scene, "resume")
        .says("error: failed to read `./small.yaml`")
        .says("hint: put the runbook back as it was, and resume in the directory that the execution began in")
        .exit(2);
    put(&scene, "small.yaml", "format: runbook/v1\nid: [\n");
    say(&scene, "resume").says("`./small.yaml` has").exit(2);
    put(&scene, "small.yaml", small(BY_HAND));
    resume_with(&scene, "look: {facts: {seen: fine}}\n").exit(0);
}

#[test]
fn an_aborted_execution_leaves_the_freeze_and_never_changes_again() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let id = executions(&scene).remove(0);
    ran(&scene, &["abort", "--reason", " "])
        .says("a reason is needed")
        .exit(2);
    ran(&scene, &["abort", "--reason", "wrong run"])
        .says("Aborted: wrong run")
        .says("Nothing was changed.")
        .says("shop/production stays frozen (fence")
        .says("runbook freeze release ")
        .exit(0);
    say(&scene, "gate --target shop/production/checkout").exit(10);
    let last = events(&scene).len();
    for verb in [
        format!("resume {id}"),
        format!("abort {id} --reason again"),
        format!("note x --execution {id}"),
    ] {
        say(&scene, &verb)
            .says(&format!("error: execution `{id}` has ended"))
            .says("hint: ")
            .exit(1);
    }
    say(&scene, "resume").says("no execution is open").exit(1);
    assert_eq!(events(&scene).len(), last);
    say(&scene, "status").says("No execution is open.").exit(0);
    say(&scene, "status --all").shows("aborted").exit(0);
    ran(
        &scene,
        &[
            "freeze",
            "release",
            "shop/production",
            "--fence",
            "1",
            "--reason",
            "wrong run",
        ],
    )
    .exit(0);
    say(&scene, "gate --target shop/production/checkout").exit(0);
}

#[test]
fn of_several_open_executions_one_must_be_named() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    put(
        &scene,
        "other.yaml",
        RUN.replace("r-1", "r-2").replace("production", "staging"),
    );
    say(&scene, "run record other.yaml").exit(0);
    say(&scene, "start ./small.yaml --run-id r-2").exit(15);
    let ids = executions(&scene);
    for verb in ["resume", "note hello", "abort --reason enough"] {
        say(&scene, verb)
            .says("error: several executions are open:")
            .says(&format!("{}  small, run r-1", ids[0]))
            .says(&format!("{}  small, run r-2", ids[1]))
            .says("hint: name one of them by its id")
            .exit(2);
    }
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    say(&scene, &format!("resume {} --answers answers.yaml", ids[1])).exit(0);
    say(&scene, "status")
        .shows("run r-1")
        .never("run r-2")
        .exit(0);
    say(&scene, "resume --answers answers.yaml").exit(0);
    let unknown = "01999999-9999-7999-8999-999999999999";
    say(&scene, &format!("resume {unknown}"))
        .says(&format!("error: there is no execution `{unknown}`"))
        .says("hint: `runbook status --all` lists every one")
        .exit(1);
}

#[test]
fn an_abort_names_the_bytes_of_a_torn_last_line() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let journal = data(&scene).join("journal.jsonl");
    let mut bytes = fs::read(&journal).expect("a journal");
    bytes.extend_from_slice(b"{\"v\":1,");
    fs::write(&journal, &bytes).expect("written");
    let _ = say(&scene, "abort --reason wrong-run");
    let types: Vec<String> = events(&scene)
        .iter()
        .map(|e| e["type"].as_str().expect("a type").to_owned())
        .collect();
    let end = ["journal.recovered", "execution.aborted"];
    assert_eq!(types[types.len() - 2..], end, "{types:?}");
}

#[test]
fn a_torn_last_line_is_repaired_and_its_bytes_are_kept() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let journal = data(&scene).join("journal.jsonl");
    let mut bytes = fs::read(&journal).expect("a journal");
    let torn = b"{\"v\":1,\"execution\":\"01";
    bytes.extend_from_slice(torn);
    fs::write(&journal, &bytes).expect("written");
    say(&scene, "status")
        .shows("its last line is incomplete; resuming repairs that")
        .exit(0);
    assert_eq!(
        fs::read(&journal).expect("read"),
        bytes,
        "looking repairs nothing"
    );
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says(&format!(
            "The last line of the journal was incomplete; it was cut off at byte {} and its bytes are kept.",
            bytes.len() - torn.len()
        ))
        .exit(0);
    let recovered = events(&scene)
        .into_iter()
        .find(|e| e["type"] == "journal.recovered");
    let kept = recovered.expect("recovered")["data"]["kept"][0]["path"].clone();
    let kept = data(&scene).join(kept.as_str().expect("a path"));
    assert_eq!(fs::read(kept).expect("kept"), torn);
}

#[test]
fn a_journal_that_is_damaged_in_the_middle_is_refused_and_the_others_are_still_listed() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let broken = executions(&scene).remove(0);
    let journal = data(&scene).join("journal.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    fs::write(
        &journal,
        text.replacen("\"launched_by\":\"carol\"", "\"launched_by\":\"mallo\"", 1),
    )
    .expect("written");
    let damaged = fs::read(&journal).expect("read");
    assert_ne!(damaged, text.as_bytes());
    put(
        &scene,
        "other.yaml",
        RUN.replace("r-1", "r-2").replace("production", "staging"),
    );
    say(&scene, "run record other.yaml").exit(0);
    say(&scene, "start ./small.yaml --run-id r-2").exit(15);
    say(&scene, &format!("resume {broken}"))
        .says(&format!(
            "error: no-incomplete-log: the journal of execution `{broken}` is damaged: line "
        ))
        .says("it can still be read up to there, but not continued: start a new execution")
        .exit(17);
    for verb in [
        format!("note x --execution {broken}"),
        format!("abort {broken} --reason x"),
    ] {
        let said = say(&scene, &verb).says("error: ");
        assert!(!matches!(said.code, Some(0)), "{verb}");
    }
    say(&scene, "status")
        .shows(&broken)
        .shows("damaged: line ")
        .shows("run r-2")
        .exit(0);
    let listed = say(&scene, "status --json").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    assert!(
        listed[0]["flaw"]
            .as_str()
            .is_some_and(|f| f.starts_with("damaged: line ")),
        "{listed}"
    );
    assert!(listed[1]["flaw"].is_null());
    assert_eq!(
        fs::read(&journal).expect("read"),
        damaged,
        "nothing is added to it"
    );
    let other = executions(&scene).pop().expect("two");
    put(&scene, "answers.yaml", "look: {facts: {seen: fine}}\n");
    say(&scene, &format!("resume {other} --answers answers.yaml")).exit(0);
}

#[test]
fn a_state_directory_that_others_can_write_to_is_refused() {
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let journal = fs::read(data(&scene).join("journal.jsonl")).expect("a journal");
    let mode = |mode| fs::set_permissions(scene.home(), fs::Permissions::from_mode(mode));
    mode(0o777).expect("ours");
    for (verb, code) in [
        ("resume", 1),
        ("status", 1),
        ("note x", 1),
        ("start ./small.yaml --run-id r-1", 20),
        ("run list", 20),
        ("freeze list", 20),
        ("freeze take shop/staging --reason x", 20),
    ] {
        say(&scene, verb)
            .says("can be written by others (mode 777)")
            .says("check what is in it, then `chmod go-w` it, or name another state directory")
            .exit(code);
    }
    say(&scene, "gate --target shop/staging")
        .shows("unknown: ")
        .shows("can be written by others (mode 777)")
        .exit(20);
    mode(0o700).expect("ours");
    assert_eq!(
        fs::read(data(&scene).join("journal.jsonl")).expect("read"),
        journal
    );
    resume_with(&scene, "look: {facts: {seen: fine}}\n").exit(0);
}

#[test]
fn a_state_directory_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = shop(BY_HAND);
    start(&scene).exit(15);
    let nobody = 65534;
    std::os::unix::fs::chown(scene.home(), Some(nobody), None).expect("root may");
    let whose = "belongs to user 65534, and you are 0; run as that user, or name a state directory of your own";
    for (verb, code) in [
        ("resume", 1),
        ("status", 1),
        ("start ./small.yaml --run-id r-1", 20),
    ] {
        say(&scene, verb).says(whose).exit(code);
    }
    say(&scene, "gate --target shop/staging")
        .shows(whose)
        .exit(20);
    std::os::unix::fs::chown(scene.home(), Some(0), None).expect("root may");
    resume_with(&scene, "look: {facts: {seen: fine}}\n").exit(0);
}

#[test]
fn without_a_person_it_says_which_step_needs_what_and_goes_on_later() {
    let scene = shop(
        "  - id: look
    phase: truth
    title: Look at it
    facts: {seen: {type: string}, count: {type: integer}}
    evidence: {picture: {media_type: text/plain}}
  - id: change-it
    phase: act
    title: Change it
    command: ['true']
    confirm: run.environment
    approve: {by: \"'olga'\"}
",
    );
    start(&scene)
        .says("error: step `look` is by hand and needs seen, count, picture")
        .says("hint: go on with `runbook resume")
        .says("in a terminal, or with `--answers FILE`; the freeze stays")
        .exit(15);
    resume_with(
        &scene,
        "look: {facts: {seen: fine, count: lots}, evidence: {picture: x}}\n",
    )
    .says("not accepted: ")
    .says("count")
    .exit(15);
    resume_with(&scene, "look: {facts: {seen: fine, count: 3}}\n")
        .says("picture")
        .exit(15);
    resume_with(
        &scene,
        "look: {facts: {seen: fine, count: 3}, evidence: {picture: x}}\n",
    )
    .says("error: step `change-it` needs `production` typed as confirmation")
    .exit(15);
    resume_with(&scene, "change-it: {confirm: staging}\n")
        .says("not accepted")
        .exit(15);
    resume_with(&scene, "change-it: {confirm: production}\n")
        .says("error: step `change-it` needs the approval of olga")
        .exit(15);
    assert!(!begun(&scene, "change-it"));
    resume_with(&scene, "change-it: {confirm: production, approve: bob}\n")
        .says("not accepted")
        .exit(15);
    resume_with(&scene, "change-it: {confirm: production, approve: olga}\n")
        .says("Closed. outcome: over")
        .exit(0);
}

#[test]
fn answers_that_are_no_answers_open_nothing() {
    let scene = shop(BY_HAND);
    let bomb = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(", ");
            text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        text.into_bytes()
    };
    let big = format!("look: {{reason: {}}}\n", "x".repeat(10 << 20)).into_bytes();
    for (answers, why) in [
        (&b"lok: {done: true}\n"[..], "`small` has no step `lok`"),
        (b"look: 3\n", "an answer, or a list of answers"),
        (b"look: {facts: [seen]}\n", ""),
        (b"look: {fact: {seen: x}}\n", "fact"),
        (b"look: {done: yes please}\n", ""),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"look: {done: true}\nlook: {done: true}\n", "look"),
        (b"look: [\n", ""),
        (&bomb, ""),
        (&big, "larger than 1 MiB"),
    ] {
        put(&scene, "answers.yaml", answers);
        let said = say(
            &scene,
            "start ./small.yaml --run-id r-1 --answers answers.yaml",
        )
        .says("error: `answers.yaml` is not an answers file: ")
        .says(why);
        assert!(
            said.stderr.len() < 4000,
            "told in short: {} bytes",
            said.stderr.len()
        );
        said.exit(2);
    }
    say(
        &scene,
        "start ./small.yaml --run-id r-1 --answers nowhere.yaml",
    )
    .says("error: failed to read `nowhere.yaml`")
    .exit(2);
    assert_eq!(executions(&scene), [""; 0]);
    say(&scene, "gate --target shop/production").exit(0);
    // On resuming neither: nothing is recorded.
    start(&scene).exit(15);
    let before = events(&scene).len();
    resume_with(&scene, "lok: {done: true}\n")
        .says("has no step `lok`")
        .exit(2);
    assert_eq!(events(&scene).len(), before);
}

#[test]
fn damage_of_an_execution_that_has_ended_is_told_as_well() {
    let scene = shop("");
    start(&scene).exit(0);
    say(&scene, "status").says("No execution is open.").exit(0);
    let journal = data(&scene).join("journal.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    let last = text.lines().last().expect("a line");
    fs::write(&journal, format!("{text}{last}\n")).expect("written");
    say(&scene, "status").shows("damaged: line ").exit(0);
}

const CHANGES: &str = "  - id: change-it
    phase: act
    title: Change it
    command: [touch, changed]
";

#[test]
fn a_history_that_breaks_on_the_way_refuses_the_change() {
    let scene = shop(&format!(
        "  - id: look\n    phase: truth\n    effect: read\n    title: Look\n    command: [sh, -c, 'for f in ../home/history.db*; do cp junk $f; done']\n{CHANGES}"
    ));
    put(&scene, "junk", "garbage ".repeat(9999));
    let history = scene.home().join("history.db");
    let whole = fs::read(&history).expect("a history");
    start(&scene)
        .says("refused the freeze cannot be read, so it counts as lost")
        .exit(20);
    assert!(!work(&scene).join("changed").exists());
    say(&scene, "resume")
        .says("until it can be read again, treat every target as frozen")
        .exit(20);
    say(&scene, "gate --target shop/production")
        .shows("unknown")
        .exit(20);
    say(&scene, "status")
        .shows("step 5 of 7: Change it")
        .exit(0);
    // The whole one is from before the freeze: it is there again, but the freeze is not.
    fs::write(&history, whole).expect("written");
    let _ = fs::remove_file(scene.home().join("history.db-wal"));
    let _ = fs::remove_file(scene.home().join("history.db-shm"));
    resume_with(
        &scene,
        "change-it: {on_failure: retry, reason: it is back}\n",
    )
    .says("the freeze is not ours any more: no active freeze of this execution")
    .exit(10);
    assert!(!work(&scene).join("changed").exists());
}

#[test]
fn a_freeze_that_was_released_on_the_way_refuses_the_change() {
    let scene = shop(&format!("{BY_HAND}{CHANGES}"));
    start(&scene).exit(15);
    ran(
        &scene,
        &[
            "freeze",
            "release",
            "shop/production",
            "--fence",
            "1",
            "--reason",
            "by mistake",
        ],
    )
    .exit(0);
    resume_with(&scene, "look: {facts: {seen: fine}}\n")
        .says("refused the freeze is not ours any more")
        .exit(10);
    // Somebody else's freeze is not ours either.
    ran(
        &scene,
        &[
            "--as",
            "bob",
            "freeze",
            "take",
            "shop/production",
            "--reason",
            "mine",
        ],
    )
    .exit(0);
    resume_with(&scene, "change-it: {on_failure: retry, reason: again}\n")
        .says("refused")
        .says("bob")
        .exit(10);
    assert!(!work(&scene).join("changed").exists());
    assert!(!begun(&scene, "change-it"));
    ran(&scene, &["abort", "--reason", "start anew"]).exit(0);
}
