//! Profiles: what is read, and what a runbook is with one applied to it.

use runbook::digest::Digest;
use runbook::runbook::diagnostic::Diagnostic;
use runbook::runbook::model::{Action, Effect, EvidenceSource, Method, Necessity, Runbook, Step};
use runbook::runbook::profile::Profile;
use runbook::runbook::shipped::{self, RUNBOOKS};

use super::scene::{BREW, read};

/// A profile for the runbook with one of everything.
pub(crate) const KETTLE: &str = include_str!("kettle.yaml");

/// The runbook with one of everything, with a profile applied to it.
pub(crate) fn applied(profile: &str) -> Result<Runbook, Vec<Diagnostic>> {
    let runbook = read(BREW).expect("the runbook is right");
    Profile::parse("kettle.yaml", profile.as_bytes())?.apply(&runbook)
}

fn step<'r>(runbook: &'r Runbook, id: &str) -> &'r Step {
    let step = runbook.steps.iter().find(|step| step.id.as_str() == id);
    step.expect("the runbook has the step")
}

#[test]
fn a_profile_is_read() {
    let profile = Profile::parse("kettle.yaml", KETTLE.as_bytes()).expect("it is right");
    let endpoints: Vec<_> = profile.endpoints.iter().collect();
    let shown: Vec<_> = endpoints
        .iter()
        .map(|(name, at)| (name.as_str(), at.url.as_str(), at.token.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            ("kettle", "https://kettle.example.com", Some("KETTLE_TOKEN")),
            ("scales", "http://127.0.0.1:8080/v1", None)
        ]
    );
    assert_eq!(profile.digest(), Digest::of(KETTLE));
    assert_eq!(profile.source.file, "kettle.yaml");
    let runbooks: Vec<_> = profile.runbooks().map(ToString::to_string).collect();
    assert_eq!(runbooks, ["stuck-brew", "another"]);
    let another = "another".parse().expect("an id");
    let steps: Vec<_> = profile.steps(&another).map(ToString::to_string).collect();
    assert_eq!(steps, ["unknown-here"]);
}

#[test]
fn a_mapped_step_changes_only_how_it_is_done() {
    let before = read(BREW).expect("the runbook is right");
    let after = applied(KETTLE).expect("it fits");
    assert_eq!(after.digest(), before.digest());
    for (old, new) in before.steps.iter().zip(&after.steps) {
        let mut undone = new.clone();
        undone.action = old.action.clone();
        undone.timeout = old.timeout;
        undone.attempts = old.attempts;
        undone.facts = old.facts.clone();
        undone.evidence = old.evidence.clone();
        assert_eq!(undone, *old);
        let kinds = |step: &Step| -> Vec<_> {
            let facts = step.facts.iter();
            facts
                .map(|f| (f.id.clone(), f.kind.clone(), f.one_of.clone()))
                .collect()
        };
        assert_eq!(kinds(new), kinds(old));
    }
    assert_eq!(step(&after, "settle"), step(&before, "settle"));
    assert_eq!(after.guards, before.guards);
    let variables: Vec<_> = after.secrets.iter().map(|s| s.variable.as_str()).collect();
    assert_eq!(variables, ["KETTLE_TOKEN", "SCALES_KEY"]);
    assert_eq!(after.secrets[0].purpose, "Talks to the kettle");
}

#[test]
fn a_step_by_hand_becomes_a_command_and_what_follows_still_follows() {
    let runbook = applied(KETTLE).expect("it fits");
    let look = step(&runbook, "look");
    let Action::Command(command) = &look.action else {
        panic!("{look:?}");
    };
    assert_eq!(command.program, "./look.sh");
    assert_eq!(command.exit_codes[&4], "dark");
    assert_eq!(look.effect, Effect::Read);
    assert_eq!(look.timeout.to_string(), "2m");
    let from: Vec<_> = look
        .facts
        .iter()
        .map(|f| f.from.as_ref().map_or("", |from| from.source()))
        .collect();
    assert_eq!(
        from,
        [
            "body.warm",
            "outcome == 'dark' ? 'brown' : body.colour",
            "facts.warm && facts.colour == 'brown'"
        ]
    );
    assert_eq!(look.evidence[0].from, Some(EvidenceSource::Stdout));
    assert_eq!(look.evidence[0].media_type, "image/png");
}

#[test]
fn facts_that_follow_are_told_last_whatever_their_place() {
    let early = BREW
        .replace("      worth_it: {type: boolean, from: \"facts.warm && facts.colour == 'brown'\"}\n", "")
        .replace(
            "      warm: {type: boolean, prompt",
            "      worth_it: {type: boolean, from: \"facts.warm && facts.colour == 'brown'\"}\n      warm: {type: boolean, prompt",
        );
    let runbook = read(&early).expect("the runbook is right");
    let profile = Profile::parse("kettle.yaml", KETTLE.as_bytes()).expect("it is right");
    let runbook = profile.apply(&runbook).expect("it fits");
    let facts = &step(&runbook, "look").facts;
    let facts: Vec<_> = facts.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(facts, ["warm", "colour", "worth_it"]);
}

#[test]
fn a_change_stays_a_change_and_is_tried_once() {
    let before = read(BREW).expect("the runbook is right");
    assert_eq!(step(&before, "refill").attempts, 2);
    let runbook = applied(KETTLE).expect("it fits");
    for id in ["refill", "drain"] {
        assert_eq!(step(&runbook, id).effect, Effect::Change, "{id}");
        assert_eq!(step(&runbook, id).attempts, 1, "{id}");
    }
    // Even a command that calls itself nothing, or a request that reads, is a change there.
    let get = KETTLE.replace("delete: '/kettles/${run.id}'", "get: '/kettles/${run.id}'");
    let runbook = applied(&get).expect("it fits");
    assert_eq!(step(&runbook, "drain").effect, Effect::Change);
    assert_eq!(step(&runbook, "read-level").attempts, 3);
}

#[test]
fn a_profile_of_addresses_alone_is_enough() {
    let text = "format: runbook-profile/v1\nendpoints: {kettle: {url: 'http://[::1]:9'}}\n";
    let before = read(BREW).expect("the runbook is right");
    assert_eq!(applied(text).expect("it fits"), before);
}

fn shipped_with(name: &str, profile: &str) -> Result<Runbook, Vec<Diagnostic>> {
    let shipped = RUNBOOKS.iter().find(|shipped| shipped.name() == name);
    let shipped = shipped.expect("it is shipped");
    let runbook = shipped::read(shipped.file, shipped.text.as_bytes())?;
    Profile::parse("platform.yaml", profile.as_bytes())?.apply(&runbook)
}

#[test]
fn the_shipped_runbook_for_a_bad_deploy_runs_on_ones_own_platform() {
    let profile = "
format: runbook-profile/v1
endpoints:
  platform: {url: 'https://control.example.com', token: PLATFORM_TOKEN}
  metrics: {url: 'https://metrics.example.com'}
steps:
  bad-deploy:
    read-operation-and-epoch:
      command: [./scripts/state.sh, '${target.environment}']
      effect: read
      facts:
        operation_state: body.state
        last_operation: body.operation
        last_build: body.build
        in_progress: body.in_progress
        owner_digest: body.digest
        owner_epoch: body.epoch
      evidence: {operation_and_epoch: stdout}
    error-rate:
      request: {endpoint: metrics, get: '/api?x=${target.environment}'}
      facts:
        error_ratio: body.data.ratio
        old_digest_fails: body.data.old > 0.01
        schema_errors: body.data.schema
      evidence: {error_rate: body}
";
    let runbook = shipped_with("bad-deploy", profile).expect("it fits");
    let read = step(&runbook, "read-operation-and-epoch");
    assert!(matches!(&read.action, Action::Command(c) if c.program == "./scripts/state.sh"));
    assert_eq!(read.evidence[0].from, Some(EvidenceSource::Stdout));
    let error_rate = step(&runbook, "error-rate");
    assert!(matches!(&error_rate.action, Action::Request(r) if r.method == Method::Get));

    let found = shipped_with(
        "bad-deploy",
        &profile.replace("owner_epoch: body.epoch", ""),
    );
    let found = found.expect_err("the epoch must be told");
    assert_eq!(
        found[0].message,
        "step `read-operation-and-epoch` lacks the fact `owner_epoch`"
    );
    let pinned = profile.replace(
        "    error-rate:",
        "    pin-epoch:\n      command: [./epoch.sh]\n      effect: read\n      facts: {expected_epoch: body.e, suspect_digest: body.d}\n    error-rate:",
    );
    let found = shipped_with("bad-deploy", &pinned).expect_err("the epoch is pinned, not read");
    assert_eq!(
        found[0].message,
        "step `pin-epoch` cannot be mapped: all its facts follow from others"
    );
}

#[test]
fn the_shipped_runbook_for_a_partial_deployment_runs_on_ones_own_platform() {
    let profile = "
format: runbook-profile/v1
steps:
  partial-deployment:
    capture-posture:
      command: [kubectl, get, deployments, -n, '${target.environment}', -o, json]
      effect: read
      facts: {degraded: 'body.items.filter(d, d.status.readyReplicas < d.spec.replicas).map(d, d.metadata.name)'}
      evidence: {posture: stdout}
    repair:
      command: [./scripts/repair.sh]
      timeout: 15m
      facts: {repaired: lines}
      evidence: {repair_transcript: stderr}
";
    let runbook = shipped_with("partial-deployment", profile).expect("it fits");
    let repair = step(&runbook, "repair");
    assert!(matches!(repair.action, Action::Command(_)));
    assert_eq!(repair.effect, Effect::Change);
    assert_eq!(repair.necessity, Necessity::Skippable);
    assert!(repair.confirm.is_some() && repair.verify.is_some());
    let found = shipped_with(
        "partial-deployment",
        &profile.replace("      timeout: 15m\n", "      effect: read\n"),
    );
    let found = found.expect_err("a repair is a change");
    assert_eq!(found[0].message, "step `repair` is a change");
}
