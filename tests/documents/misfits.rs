//! Profiles that are wrong, or do not fit the runbook: what is said, at which line and column.

use runbook::runbook::diagnostic::{Paint, render};
use runbook::runbook::profile::Profile;

use super::profiles::{KETTLE, applied};
use super::scene::{BREW, Case, compare, read};

fn refused(cases: &[Case]) {
    let mut failures = String::new();
    for (old, new, message) in cases {
        assert_eq!(KETTLE.matches(old).count(), 1, "not exactly once: {old}");
        let text = KETTLE.replace(old, new);
        failures.push_str(&compare(&text, message, |text| applied(text).map(drop)));
    }
    assert!(failures.is_empty(), "{failures}");
}

/// What is said of one edit, message and help.
fn said(old: &str, new: &str) -> Vec<(String, Option<String>)> {
    let found = applied(&KETTLE.replace(old, new)).expect_err("the edit is wrong");
    found.into_iter().map(|f| (f.message, f.help)).collect()
}

#[test]
fn effects_are_never_weakened() {
    refused(&[
        (
            "      command: [./refill.sh, '${facts.colour}']\n",
            "      command: [./refill.sh, '${facts.colour}']\n      effect: «read\n",
            "step `refill` is a change",
        ),
        (
            "    look:\n      command: [./look.sh, '${target.environment}']\n      env: {RUN: '${run.id}'}\n      exit_codes: {0: seen, 4: dark}\n      effect: read\n",
            "    look:\n      «command: [./look.sh, '${target.environment}']\n      env: {RUN: '${run.id}'}\n      exit_codes: {0: seen, 4: dark}\n",
            "step `look` only reads, and this may change something",
        ),
        (
            "      request: {endpoint: scales, post: /weigh, body: {run: '${run.id}'}}\n      effect: read\n",
            "      «request: {endpoint: scales, post: /weigh, body: {run: '${run.id}'}}\n",
            "step `read-level` only reads, and this may change something",
        ),
        (
            "'${run.id}'}}\n      effect: read\n",
            "'${run.id}'}}\n      effect: «change\n",
            "step `read-level` only reads",
        ),
        (
            "      facts: {leaking:",
            "      effect: «change\n      facts: {leaking:",
            "step `list-leaks` only reads",
        ),
    ]);
}

#[test]
fn steps_exist_and_can_be_mapped() {
    let mapping =
        |id: &str| format!("    «{id}:\n      command: [./x.sh]\n      effect: read\n    drain:\n");
    let cases = [
        ("lok", "runbook `stuck-brew` has no step `lok`"),
        (
            "freeze",
            "step `freeze` cannot be mapped: it speaks to the run history",
        ),
        (
            "scope",
            "step `scope` cannot be mapped: it speaks to the run history",
        ),
        (
            "tell",
            "step `tell` cannot be mapped: it speaks to the run history",
        ),
        (
            "preflight",
            "step `preflight` cannot be mapped: it judges the checks",
        ),
        (
            "choose-remedy",
            "step `choose-remedy` cannot be mapped: a person decides",
        ),
        ("settle", "step `settle` cannot be mapped: it waits"),
        (
            "look-again",
            "step `look-again` cannot be mapped: it performs other steps",
        ),
        (
            "release",
            "step `release` cannot be mapped: it speaks to the run history",
        ),
    ];
    for (id, message) in cases {
        refused(&[("    drain:\n", &*mapping(id).leak(), message)]);
    }
    let said = said("    refill:\n", "    refil:\n");
    assert_eq!(said[0].1.as_deref(), Some("did you mean `refill`?"));
    let only =
        "    facts:\n      warm: {type: boolean, from: run.id == 'r'}\n  - use: standard/impact";
    let (start, rest) = BREW.split_once("    facts:\n      warm").expect("facts");
    let (_, rest) = rest
        .split_once("  - use: standard/impact")
        .expect("the next step");
    let runbook = format!("{start}{only}{rest}").replace("facts.colour", "run.id");
    let runbook = read(&runbook).expect("the runbook is right");
    let profile = Profile::parse("kettle.yaml", KETTLE.as_bytes()).expect("it is right");
    let found = profile.apply(&runbook).expect_err("nothing is left to map");
    assert_eq!(
        found[0].message,
        "step `look` cannot be mapped: all its facts follow from others"
    );
}

#[test]
fn a_mapping_gives_all_that_the_step_must_prove_and_no_more() {
    refused(&[
        (
            "      facts: {level: body.grams / 10, gone: status == 404}",
            "      «facts: {level: body.grams / 10}",
            "step `read-level` lacks the fact `gone`",
        ),
        (
            "    drain:\n      request: {endpoint: kettle, delete: '/kettles/${run.id}'}\n      facts: {litres: body.litres}\n",
            "    «drain:\n      request: {endpoint: kettle, delete: '/kettles/${run.id}'}\n",
            "step `drain` lacks the fact `litres`",
        ),
        (
            "gone: status == 404",
            "gone: status == 404, «colour: body.colour",
            "step `read-level` has no fact `colour`",
        ),
        (
            "facts: {warm: body.warm,",
            "facts: {«worth_it: body.worth_it, warm: body.warm,",
            "fact `worth_it` follows from others",
        ),
        (
            "evidence: {level_document: body}",
            "evidence: {level_document: body, «photo: body}",
            "evidence `photo` is the same output as `level_document`",
        ),
        (
            "    read-level:\n      request: {endpoint: scales, post: /weigh, body: {run: '${run.id}'}}\n      effect: read\n      facts: {level: body.grams / 10, gone: status == 404}\n      evidence: {level_document: body}\n",
            "    «read-level:\n      request: {endpoint: scales, post: /weigh, body: {run: '${run.id}'}}\n      effect: read\n      facts: {level: body.grams / 10, gone: status == 404}\n",
            "step `read-level` lacks the evidence `level_document`",
        ),
        (
            "      command: [./refill.sh, '${facts.colour}']",
            "      command: [./refill.sh, '${facts.colour}']\n      evidence: {«transcript: stdout}",
            "step `refill` has no evidence `transcript`",
        ),
    ]);
    let said = said("gone: status == 404", "gonne: status == 404");
    let helps: Vec<_> = said.iter().map(|(_, help)| help.as_deref()).collect();
    assert!(helps.contains(&Some("did you mean `gone`?")), "{said:?}");
}

#[test]
fn names_in_expressions_mean_something_in_the_runbook() {
    refused(&[
        (
            "[./refill.sh, '${facts.colour}']",
            "[./refill.sh, '${«facts.color}']",
            "no step produces the fact `color`",
        ),
        (
            "[./look.sh, '${target.environment}']",
            "[./look.sh, '${«facts.level}']",
            "no earlier step produces the fact `level`",
        ),
        (
            "[./look.sh, '${target.environment}']",
            "[./look.sh, '${«body.warm}']",
            "`body` means nothing here",
        ),
        (
            "env: {RUN: '${run.id}'}",
            "env: {RUN: '${«runn.id}'}",
            "there is nothing called `runn`",
        ),
        (
            "size(body.drips) > inputs.strength",
            "size(body.drips) > «inputs.strenth",
            "there is no input `strenth`",
        ),
        (
            "size(body.drips) > inputs.strength",
            "size(«boddy.drips) > 0 && status == 200",
            "there is nothing called `boddy`",
        ),
    ]);
    let found = applied(&KETTLE.replace("'${facts.colour}'", "'${facts.litres}'"))
        .expect_err("it is known only later");
    assert!(
        found[0].related.is_empty(),
        "what is related stands in another document"
    );
}

#[test]
fn the_document_is_well_formed() {
    refused(&[
        (
            "runbook-profile/v1",
            "«runbook/v1",
            "the format `runbook/v1` is not read here",
        ),
        (
            "endpoints:\n",
            "«endpionts: {}\nendpoints:\n",
            "the document has an unknown key `endpionts`",
        ),
        (
            "      timeout: 2m",
            "      «timout: 2m",
            "step `look` has an unknown key `timout`",
        ),
        (
            "      timeout: 2m",
            "      timeout: «0s",
            "`timeout` must be longer than nothing",
        ),
        (
            "      timeout: 2m",
            "      «attempts: 2",
            "step `look` has an unknown key `attempts`",
        ),
        (
            "      command: [./nothing.sh, '${facts.unheard_of}']",
            "      «effect: read",
            "step `unknown-here` has neither `command` nor `request`",
        ),
        (
            "      command: [./nothing.sh, '${facts.unheard_of}']",
            "      «wait: {until: 'true'}",
            "step `unknown-here` has an unknown key `wait`",
        ),
        (
            "      command: [./nothing.sh, '${facts.unheard_of}']",
            "      command: [./nothing.sh]\n      «request: {endpoint: kettle, get: /}",
            "step `unknown-here` has both `command` and `request`",
        ),
        (
            "      command: [./nothing.sh, '${facts.unheard_of}']",
            "      request: {endpoint: «scale, get: /}",
            "the profile has no endpoint `scale`",
        ),
        (
            "      command: [./nothing.sh, '${facts.unheard_of}']",
            "      command: [«'${run.id}']",
            "a program's name is never substituted",
        ),
        (
            "      command: [./nothing.sh, '${facts.unheard_of}']",
            "      request: {endpoint: kettle, get: «//evil.example.com}",
            "the path `//evil.example.com` must begin with one `/`",
        ),
        (
            "  another:",
            "  «Another:",
            "the id of a runbook: `Another` may hold only",
        ),
        (
            "    unknown-here:",
            "    «unknown_here:",
            "the id of a step: `unknown_here` may hold only",
        ),
        (
            "  another:",
            "  «stuck-brew:",
            "the key `stuck-brew` is written twice",
        ),
        (
            "warm: body.warm,",
            "warm: body.«,",
            "`warm` is not an expression",
        ),
        (
            "warm: body.warm,",
            "warm: «'true',",
            "fact `warm` reads nothing of what the step gives",
        ),
        (
            "warm: body.warm,",
            "warm: «facts.level > 3,",
            "fact `warm` reads nothing of what the step gives",
        ),
        (
            "photo: stdout",
            "photo: «body",
            "evidence `photo` cannot come from there",
        ),
        (
            "leaks: body",
            "leaks: «stderr",
            "evidence `leaks` cannot come from there",
        ),
        (
            "photo: stdout",
            "photo: «stduot",
            "`photo` must be one of `body`, `stdout`, `stderr`",
        ),
        (
            "  SCALES_KEY:",
            "  «SCALES-KEY:",
            "`SCALES-KEY` is not the name of an environment variable",
        ),
    ]);
}

#[test]
fn endpoints_are_addresses_and_nothing_more() {
    let url = "'http://127.0.0.1:8080/v1/'";
    let no_address = "`url` is no address that begins with";
    refused(&[
        (url, "«'ftp://x.example.com'", no_address),
        (url, "«'file:///etc/passwd'", no_address),
        (url, "«'x.example.com'", no_address),
        (url, "«'https:x.example.com'", no_address),
        (url, "«'https:\\\\x.example.com'", no_address),
        (
            url,
            "«'https://x.example.com\\@evil.example.com'",
            no_address,
        ),
        (url, "«'https://'", no_address),
        (url, "«'https://a b'", no_address),
        (url, "«'https://x.example.com:99999'", no_address),
        (
            url,
            "«'https://${run.id}.example.com'",
            "`url` is never substituted",
        ),
        (
            url,
            "«'https://me:geheim@x.example.com'",
            "`url` holds a user or a password",
        ),
        (
            url,
            "«'https://me@x.example.com'",
            "`url` holds a user or a password",
        ),
        (
            url,
            "«'https://x.example.com?a=b'",
            "`url` holds a query or a fragment",
        ),
        (
            url,
            "«'https://x.example.com?'",
            "`url` holds a query or a fragment",
        ),
        (
            url,
            "«'https://x.example.com#a'",
            "`url` holds a query or a fragment",
        ),
        (
            "token: KETTLE_TOKEN",
            "token: «kettle-token-geheim",
            "`token` must be the name of an environment variable",
        ),
        (
            "token: KETTLE_TOKEN",
            "«tokn: KETTLE_TOKEN",
            "endpoint `kettle` has an unknown key `tokn`",
        ),
        (
            "{url: 'http://127.0.0.1:8080/v1/'}",
            "«{}",
            "endpoint `scales` has no `url`",
        ),
        (
            "  scales: {",
            "  «Scales: {",
            "the name of an endpoint: `Scales` may hold only",
        ),
    ]);
}

#[test]
fn all_mistakes_are_told_at_once_and_in_order() {
    let wrong = KETTLE
        .replace("'https://kettle.example.com'", "'kettle'")
        .replace("timeout: 2m", "timeout: soon")
        .replace("photo: stdout", "photo: body");
    let found = applied(&wrong).expect_err("three mistakes");
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.is_sorted_by_key(|f| f.place.line));
    let misfit = KETTLE
        .replace("    refill:\n", "    refil:\n")
        .replace("gone: status", "gonne: status");
    let found = applied(&misfit).expect_err("three misfits");
    let lines: Vec<_> = found.iter().map(|f| f.place.line).collect();
    assert_eq!(lines, [24, 24, 30], "{found:?}");
    let shown = render(&found, "kettle.yaml", misfit.as_bytes(), Paint::Plain);
    assert!(shown.contains("kettle.yaml:30:5"), "{shown}");
}

#[test]
fn hostile_profiles_are_refused_like_hostile_runbooks() {
    for text in [
        &b"\xff\xfe"[..],
        b"",
        b"- a\n",
        b"format: runbook-profile/v1\nsteps: &a {x: *a}\n",
        b"format: runbook-profile/v1\nformat: runbook-profile/v1\n",
        &vec![b'a'; (1 << 20) + 1],
    ] {
        assert!(Profile::parse("p.yaml", text).is_err());
    }
    let mut many = String::from("format: runbook-profile/v1\nsteps:\n  stuck-brew:\n");
    for i in 0..5000 {
        many.push_str(&format!("    s{i}: {{command: [x]}}\n"));
    }
    assert_eq!(applied(&many).expect_err("unknown steps").len(), 51);
}
