//! What the README says is true: its commands run, its documents parse, its transcript is what the program prints.

use std::process::{Command, Output, Stdio};

const README: &str = include_str!("../README.md");

fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README
        .split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().expect("a fence ends"))
        .collect()
}

fn runbook(home: &std::path::Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_runbook"))
        .args(args)
        .current_dir(home)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", home)
        .env("RUNBOOK_HOME", home.join("state"))
        .env("RUNBOOK_OPERATOR", "alice")
        .env("PLATFORM_TOKEN", "a-token-of-an-endpoint")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn the_first_command_plays_the_main_job() {
    let command = blocks("console")[0]
        .trim()
        .trim_start_matches("$ cargo run --release -- ");
    let home = tempfile::tempdir().expect("a directory");
    let args: Vec<&str> = command.split(' ').collect();
    assert_eq!(args, ["drill", "bad-deploy", "--auto"]);
    let output = runbook(home.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(
        text(&output).contains("Closed. outcome: rolled-back"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_second_command_is_the_one_that_ci_calls() {
    let command = blocks("console")[1].trim().trim_start_matches("$ ");
    assert_eq!(command, "cargo test");
    let ci = include_str!("../.ci/run");
    assert!(ci.lines().any(|line| line.starts_with(command)), "{ci}");
}

#[test]
fn the_transcript_is_what_the_program_prints() {
    let home = tempfile::tempdir().expect("a directory");
    let printed = text(&runbook(home.path(), &["drill", "bad-deploy", "--auto"]));
    let mut rest = printed.as_str();
    for line in blocks("text")[0].lines() {
        // What a person typed, the times, and the menu, which only a terminal shows.
        let menu = line.starts_with("   ") && !line.starts_with("     ")
            || line.starts_with("     ")
            || line.starts_with("  Known:");
        let typed =
            line.contains(" > ") || line.contains("decided:") || line.contains("Decision of");
        if menu || typed {
            continue;
        }
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("not printed, or not here: {line}\n{printed}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn the_documents_of_the_incident_work() {
    let home = tempfile::tempdir().expect("a directory");
    let yaml = blocks("yaml");
    std::fs::write(home.path().join("run.yaml"), yaml[0]).expect("written");
    std::fs::write(home.path().join("shop.yaml"), yaml[1]).expect("written");
    std::fs::create_dir(home.path().join("scripts")).expect("made");
    std::fs::write(
        home.path().join("answers.yaml"),
        "scope-and-ownership: {facts: {scope_is_right: true, affected: checkout}}\n",
    )
    .expect("written");
    let incident = blocks("console")[2]
        .lines()
        .chain(blocks("console")[3].lines());
    for line in incident {
        let args = words(line.trim_start_matches("$ runbook "));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = runbook(home.path(), &args);
        let expected: &[i32] = match args[0] {
            "run" | "plan" | "status" => &[0],
            // Without a terminal nobody gives the inputs that have no default.
            "start" => &[2],
            "preflight" => &[0],
            "resume" => &[1],
            "gate" => &[0],
            other => panic!("an unexpected verb: {other}"),
        };
        let code = output.status.code().expect("it ended by itself");
        assert!(
            expected.contains(&code),
            "{line}: {code}\n{}",
            text(&output)
        );
        if code == 2 {
            assert!(
                text(&output).contains("input `decision_owner` is needed"),
                "{line}\n{}",
                text(&output)
            );
        }
    }
}

/// Words as a shell would cut them, for the one form of quoting that the README uses.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("never empty").push(c),
        }
    }
    words
}

#[test]
fn the_table_of_exit_codes_is_complete() {
    for code in [0, 1, 2, 10, 13, 14, 15, 16, 17, 20, 70, 130] {
        let named = README.lines().any(|line| {
            line.starts_with('|')
                && line
                    .split(['|', '/'])
                    .any(|cell| cell.trim() == code.to_string())
        });
        assert!(named, "{code}");
    }
}
