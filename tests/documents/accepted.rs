//! What is accepted, and what it means.

use runbook::clock::Span;
use runbook::runbook::model::{
    Action, Body, Effect, EvidenceSource, HistoryCall, Necessity, Phase, Runbook, Severity, Step,
};

use super::scene::{BREW, read};

fn brew() -> Runbook {
    read(BREW).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn step<'r>(runbook: &'r Runbook, id: &str) -> &'r Step {
    let id = id.parse().expect("an id");
    runbook.step(&id).expect("the step is there")
}

#[test]
fn a_runbook_with_one_of_everything_is_read() {
    let runbook = brew();
    assert_eq!(runbook.id.as_str(), "stuck-brew");
    assert_eq!(
        runbook.summary,
        "A kettle stopped halfway.\nNobody knows what is in it."
    );
    assert_eq!(runbook.inputs[1].default, Some("15m".into()));
    assert_eq!(runbook.inputs[2].default, Some(2.into()));
    assert_eq!(runbook.inputs[2].one_of, ["1", "2", "3"]);
    assert_eq!(runbook.secrets[0].variable, "KETTLE_TOKEN");
    assert_eq!(runbook.freeze.lease, Span::from_secs(3600));
    assert_eq!(runbook.steps.len(), 15);
    assert_eq!(runbook.outcomes.len(), 2);
    let requests = runbook.guards[1].deny.requests.iter();
    assert_eq!(
        requests.map(ToString::to_string).collect::<Vec<_>>(),
        ["DELETE /kettles/*", "* /descale"]
    );
}

#[test]
fn what_is_used_is_taken_with_its_changes_and_its_source() {
    let runbook = brew();
    let impact = step(&runbook, "impact");
    assert_eq!(impact.title, "Say who waits for tea");
    assert_eq!(
        impact.when.as_ref().map(runbook::expr::Expression::source),
        Some("facts.warm")
    );
    assert_eq!(runbook.preflight[1].severity, Severity::Warn);
    assert_eq!(runbook.guards[2].before[0].as_str(), "refill");
    let files: Vec<&str> = runbook.sources.iter().map(|s| s.file.as_str()).collect();
    assert_eq!(files, ["brew.yaml", "standard.yaml"]);
    assert_eq!(runbook.sources[0].text, BREW);
}

#[test]
fn what_is_not_said_has_the_safe_meaning() {
    let runbook = brew();
    let effects = [
        ("freeze", Effect::Read),
        ("look", Effect::Read),
        ("read-level", Effect::Read),
        ("list-leaks", Effect::Read),
        ("choose-remedy", Effect::Read),
        ("refill", Effect::Change),
        ("drain", Effect::Change),
        ("settle", Effect::Read),
    ];
    for (id, effect) in effects {
        assert_eq!(step(&runbook, id).effect, effect, "{id}");
    }
    let silent = BREW.replace(
        "    effect: read\n    command: [kettle",
        "    command: [kettle",
    );
    let mistakes = read(&silent).expect_err("a command is a change");
    assert!(
        mistakes[0]
            .message
            .contains("`list-leaks` may change the target"),
        "{mistakes:?}"
    );
    assert_eq!(step(&runbook, "freeze").necessity, Necessity::Required);
    assert_eq!(step(&runbook, "tell").necessity, Necessity::Skippable);
    assert_eq!(step(&runbook, "look").necessity, Necessity::Skippable);
    assert_eq!(step(&runbook, "drain").attempts, 1);
    assert_eq!(step(&runbook, "impact").phase, Phase::Classify);
}

#[test]
fn evidence_has_a_source_and_a_media_type() {
    let runbook = brew();
    let cases = [
        ("look", None, "image/png"),
        ("read-level", Some(EvidenceSource::Body), "application/json"),
        ("list-leaks", Some(EvidenceSource::Stdout), "text/plain"),
    ];
    for (id, from, media_type) in cases {
        let evidence = &step(&runbook, id).evidence[0];
        assert_eq!(
            (evidence.from, evidence.media_type.as_str()),
            (from, media_type),
            "{id}"
        );
    }
}

#[test]
fn actions_keep_what_was_written() {
    let runbook = brew();
    let Action::Command(command) = &step(&runbook, "list-leaks").action else {
        panic!("a command");
    };
    assert_eq!(
        (command.program.as_str(), command.arguments.len()),
        ("kettle", 3)
    );
    assert_eq!(command.exit_codes[&3], "leaking");
    let Action::Request(request) = &step(&runbook, "refill").action else {
        panic!("a request");
    };
    assert!(request.statuses.is_empty());
    let Some(Body::Object(pairs)) = &request.body else {
        panic!("an object");
    };
    assert_eq!(pairs[0].1, Body::Literal(3.into()));
    assert_eq!(pairs[1].1, Body::Literal(true.into()));
    assert!(matches!(&pairs[2].1, Body::Text(_)), "0755 is text");
    let Action::History(HistoryCall::PostComment(_)) = &step(&runbook, "tell").action else {
        panic!("a comment");
    };
}

#[test]
fn words_that_other_yaml_takes_for_something_else_stay_text() {
    for word in [
        "no", "on", "off", "yes", "y", "0755", "22:22", "1e3", "0x10", "1_000",
    ] {
        let runbook = read(&BREW.replace("owner: kettles", &format!("owner: {word}")));
        assert_eq!(runbook.map(|r| r.owner).ok().as_deref(), Some(word));
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_make_no_difference() {
    let windows = format!("\u{feff}{}", BREW.replace('\n', "\r\n"));
    let mut runbook = read(&windows).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(runbook.sources[0].text, windows);
    runbook.sources = brew().sources;
    assert_eq!(runbook, brew());
}
