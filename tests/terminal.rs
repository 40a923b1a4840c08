//! The program on a terminal, as an operator uses it: typed at, interrupted, left, and taken up again.

use std::process::Command;
use std::time::{Duration, Instant};

use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};

struct Desk {
    home: tempfile::TempDir,
    session: PtySession,
}

impl Desk {
    fn open(home: tempfile::TempDir, args: &[&str]) -> Self {
        // Line by line, as on a serial line: no cursor movement is needed to read it.
        Self::at("dumb", env!("CARGO_BIN_EXE_runbook"), args, home)
    }

    fn at(term: &str, program: &str, args: &[&str], home: tempfile::TempDir) -> Self {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(home.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", home.path())
            .env("RUNBOOK_HOME", home.path().join("state"))
            .env("RUNBOOK_OPERATOR", "alice")
            .env("NO_COLOR", "1")
            .env("TERM", term);
        let options = Options::default()
            .timeout_ms(Some(30_000))
            .strip_ansi_escape_codes(true);
        Self {
            home,
            session: spawn_with_options(command, options).expect("a terminal"),
        }
    }

    fn drill(scenario: &str) -> Self {
        Self::open(
            tempfile::tempdir().expect("a directory"),
            &["drill", scenario],
        )
    }

    fn sees(&mut self, text: &str) -> &mut Self {
        if let Err(why) = self.session.exp_string(text) {
            panic!("expected {text:?}: {why}");
        }
        self
    }

    fn types(&mut self, line: &str) -> &mut Self {
        self.session.send_line(line).expect("typed");
        self
    }

    fn presses(&mut self, key: char) -> &mut Self {
        self.session.send_control(key).expect("pressed");
        self
    }

    /// Everything up to the decision.
    fn reads_the_truth(&mut self) -> &mut Self {
        self.sees("that you were called for?").types("yes");
        self.sees("What does not work").types("checkout");
        self.sees("Why is this acceptable").types("a small canary");
        self.sees("Number or name")
            .types("production-regression")
            .sees("Why production-regression?")
            .types("all orders");
        self.sees("what proves that?").types("the log");
        self.sees("Number or name")
            .types("app-only")
            .sees("Why app-only?")
            .types("only the new digest");
        self.sees("write or remove data wrongly?").types("no");
        self.sees("data_damage_query").types("select 1; 0 rows")
    }

    /// The process that drives the only execution.
    fn driver(&self) -> rustix::process::Pid {
        let mut folders = vec![self.home.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.ends_with("driver.lock") {
                    let pid = std::fs::read_to_string(path).expect("a pid");
                    let pid = pid.trim().parse().expect("a number");
                    return rustix::process::Pid::from_raw(pid).expect("a pid");
                }
            }
        }
        panic!("nobody drives")
    }

    fn ends_with(mut self, code: i32) -> tempfile::TempDir {
        self.session.exp_eof().expect("it ends");
        let status = format!("{:?}", self.session.process().wait().expect("it ended"));
        assert!(
            status.ends_with(&format!(", {code})")),
            "expected to exit with {code}: {status}"
        );
        self.home
    }
}

#[test]
fn a_drill_is_walked_to_a_rollback() {
    let mut desk = Desk::drill("bad-deploy");
    desk.sees("This is a drill").sees("Step 1 of 32");
    desk.reads_the_truth();
    desk.sees("Known:")
        .sees("database_compatible = true (measured");
    desk.sees("Number or name")
        .types("2")
        .sees("cannot be chosen here");
    desk.types("1")
        .sees("Why rollback?")
        .types("the old artifact fits");
    desk.sees("do not Rebuild from the main branch")
        .sees("Type `production`")
        .types("staging")
        .sees("not accepted")
        .types("production");
    desk.sees("From when")
        .types("2026-11-21T08:00:00Z")
        .sees("Until when")
        .types("2026-11-21T08:30:00Z");
    desk.sees("What follows")
        .types("a test")
        .sees("Who owns")
        .types("lee");
    desk.sees("Closed.").sees("rolled-back");
    desk.ends_with(0);
}

#[test]
fn leaving_answers_nothing_and_loses_nothing() {
    let mut desk = Desk::drill("bad-deploy");
    desk.sees("that you were called for?")
        .types("yes")
        .sees("What does not work");
    desk.types(":note somebody should look at the cart")
        .sees("note: somebody should look");
    // The answer before the remark is not asked for again.
    desk.sees("What does not work")
        .presses('c')
        .sees("Nothing was answered")
        .presses('c')
        .sees("Paused");
    let home = desk.ends_with(130);

    let mut desk = Desk::open(home, &["resume"]);
    desk.sees("Resumed")
        .sees("Step 3 of 32")
        .sees("that you were called for?")
        .presses('d')
        .sees("end of input");
    let home = desk.ends_with(130);

    let mut desk = Desk::open(home, &["resume"]);
    desk.sees("that you were called for?")
        .types(":abort")
        .sees("Why is it aborted?")
        .types("the wrong run");
    desk.sees("Aborted:")
        .sees("Nothing was changed.")
        .sees("nothing real was frozen");
    desk.ends_with(1);
}

#[test]
fn being_told_to_end_at_a_prompt_leaves_and_gives_the_terminal_back() {
    for term in ["dumb", "xterm"] {
        let program = env!("CARGO_BIN_EXE_runbook");
        let shell = format!("{program} drill bad-deploy; echo left with $?; stty -a");
        let mut desk = Desk::at(
            term,
            "sh",
            &["-c", &shell],
            tempfile::tempdir().expect("a directory"),
        );
        desk.sees("that you were called for?")
            .types("yes")
            .sees("What does not work");
        let pid = desk.driver();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
        desk.sees("Paused: the tool was told to end (SIGTERM)")
            .sees("Go on with `runbook resume")
            .sees("left with 130")
            .sees(" icanon");
        let home = desk.ends_with(0);
        let mut desk = Desk::open(home, &["resume"]);
        desk.sees("Resumed")
            .sees("that you were called for?")
            .presses('d');
        desk.ends_with(130);
    }
}

#[test]
fn ctrl_c_stops_a_command_and_comes_back_with_the_failure_menu() {
    let home = tempfile::tempdir().expect("a directory");
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_runbook"))
            .args(args)
            .current_dir(home.path())
            .env("RUNBOOK_HOME", home.path().join("state"))
            .output()
            .expect("it runs");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    std::fs::write(home.path().join("run.yaml"), RUN).expect("written");
    std::fs::write(home.path().join("slow.yaml"), SLOW).expect("written");
    run(&["run", "record", "run.yaml"]);
    let mut desk = Desk::open(home, &["start", "slow.yaml", "--run-id", "r-1"]);
    desk.sees("that you were called for?")
        .types("yes")
        .sees("What does not work")
        .types("!echo beside")
        .sees("ad hoc")
        .sees("What does not work")
        .types("all of it");
    desk.sees("| working");
    let began = Instant::now();
    desk.presses('c')
        .sees("stopped by the operator")
        .sees("What now?");
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "the command was not stopped"
    );
    desk.types("x")
        .sees("is none of these")
        .types("r")
        .sees("another try")
        .types("once more")
        .sees("| working");
    desk.presses('c')
        .sees("What now?")
        .types("p")
        .sees("Paused");
    let home = desk.ends_with(130);
    let journal = std::fs::read_dir(home.path().join("state/executions"))
        .expect("there")
        .next()
        .expect("one")
        .expect("read");
    let text = std::fs::read_to_string(journal.path().join("data/journal.jsonl")).expect("read");
    assert_eq!(
        text.matches("\"work_of\":\"slow\"").count(),
        4,
        "two attempts, each begun and ended: {text}"
    );
}

#[test]
fn inputs_that_are_missing_are_asked_for_before_anything_begins() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("run.yaml"), RUN).expect("written");
    let done = Command::new(env!("CARGO_BIN_EXE_runbook"))
        .args(["run", "record", "run.yaml"])
        .current_dir(home.path())
        .env("RUNBOOK_HOME", home.path().join("state"))
        .output()
        .expect("it runs");
    assert!(done.status.success());
    let mut desk = Desk::open(home, &["start", "bad-deploy", "--run-id", "r-1"]);
    desk.sees("Who decides how to recover?")
        .types("two words")
        .sees("is not a name")
        .types("bob");
    desk.sees("database?").presses('d');
    desk.sees("input `db_owner` is needed");
    let home = desk.ends_with(2);
    assert!(
        !home.path().join("state/executions").exists(),
        "an execution was begun"
    );
}

const RUN: &str = "
run:
  id: r-1
  workspace: shop
  environment: production
  state: failed
  launched_by: lee
  launched_at: 2026-11-20T22:40:00Z
  failed_at: 2026-11-20T22:47:00Z
logs:
  - {at: 2026-11-20T22:46:00Z, text: before}
  - {at: 2026-11-20T22:48:00Z, text: after}
";

const SLOW: &str = "
format: runbook/v1
id: slow
title: A slow command
summary: For a test.
owner: tests
reviewed: 2026-11-20
freeze: {scope: environment, lease: 60m}
preflight:
  - use: standard/check-logs-before-after
steps:
  - use: standard/freeze
  - use: standard/read-run
  - use: standard/scope-and-ownership
  - use: standard/preflight
  - id: slow
    phase: truth
    effect: read
    title: Work for long
    command: [sh, -c, 'echo working; sleep 600']
  - use: standard/close-checks
  - use: standard/close-run
closing: []
outcomes:
  - {label: done, when: 'true'}
";
