//! The comment that a step posts: once for what was decided once, whoever goes on after a crash.

use std::fs;

use serde_json::Value;

use crate::fixture::{BY_HAND, data, executions, put, ran, resume_with, say, shop, start, work};
use crate::scene::Scene;

const TELL: &str = "  - id: tell
    phase: record
    title: Tell them
    history: {post-comment: '${execution.operator} saw: ${facts.seen}'}
";

fn comments(scene: &Scene) -> Vec<(String, String)> {
    let listed = say(scene, "run comment r-1 --json").json();
    let comments = listed["comments"].as_array().expect("comments").clone();
    let text = |comment: &Value, key: &str| comment[key].as_str().expect("text").to_owned();
    let both = |comment: &Value| (text(comment, "author"), text(comment, "body"));
    comments.iter().map(both).collect()
}

/// Cuts the journal behind the intent to post: the process died when the run history had the comment.
fn lose_the_record(scene: &Scene) {
    let path = data(scene).join("journal.jsonl");
    let text = fs::read_to_string(&path).expect("a journal");
    let line = text.lines().rfind(|line| line.contains("post-comment"));
    let line = line.expect("it was posted");
    let end = text.find(line).expect("it is there") + line.len() + 1;
    fs::write(&path, &text[..end]).expect("cut");
}

#[test]
fn a_comment_that_was_posted_before_a_crash_counts_whoever_goes_on() {
    let more = "  - {id: more, phase: truth, title: Look once more}\n";
    let scene = shop(&format!("{BY_HAND}{TELL}{more}"));
    start(&scene).exit(15);
    resume_with(&scene, "look: {facts: {seen: fine}}\n").exit(15);
    lose_the_record(&scene);
    put(&scene, "answers.yaml", "more: {done: true}\n");
    let resume = ["--as", "bob", "resume", "--answers", "answers.yaml"];
    ran(&scene, &resume)
        .says("posted before, by alice at 20")
        .says("Closed. outcome: over")
        .exit(0);
    let posted = ("alice".to_owned(), "alice saw: fine".to_owned());
    assert_eq!(comments(&scene), [posted]);
}

#[test]
fn what_somebody_else_posted_under_its_key_does_not_count() {
    let scene = shop(&format!("{BY_HAND}{TELL}"));
    start(&scene).exit(15);
    let key = format!("{}/tell", executions(&scene)[0]);
    let args = ["run", "comment", "r-1", "all is well", "--key", &key];
    ran(&scene, &args).exit(0);
    resume_with(&scene, "look: {facts: {seen: fire}}\n")
        .says("was already used on run `r-1` for another comment")
        .exit(15);
}

#[test]
fn what_is_decided_again_after_going_back_is_posted_again() {
    let mend = "  - id: mend
    phase: act
    title: Mend it
    command: [test, -e, ready]
    on_failure: look
";
    let scene = shop(&format!("{BY_HAND}{TELL}{mend}"));
    start(&scene).exit(15);
    resume_with(&scene, "look: {facts: {seen: smoke}}\n").exit(15);
    fs::write(work(&scene).join("ready"), "").expect("a file");
    let answers =
        "mend: {on_failure: back, reason: looked too early}\nlook: {facts: {seen: fire}}\n";
    resume_with(&scene, answers).exit(0);
    let said = |text: &str| ("alice".to_owned(), format!("alice saw: {text}"));
    assert_eq!(comments(&scene), [said("smoke"), said("fire")]);
}
