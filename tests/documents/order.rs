//! The order that every runbook keeps.

use super::scene::{BREW, compare, read, refused};

#[test]
fn each_station_is_there_once() {
    refused(&[
        (
            "steps:\n  - use: standard/freeze\n",
            "«steps:\n",
            "no step has `history: take-freeze`",
        ),
        (
            "  - use: standard/preflight\n",
            "  - use: standard/preflight\n  - use: standard/preflight\n    id: «again\n",
            "`again` is a second step with `checks: preflight`",
        ),
    ]);
}

#[test]
fn nothing_is_changed_too_early() {
    refused(&[(
        "  - use: standard/freeze\n",
        "  - use: «standard/freeze\n    when: run.id != ''\n",
        "`freeze` may not depend on anything",
    )]);
    let text = BREW.replace(
        "  - use: standard/preflight\n",
        "  - {id: early, phase: truth, title: Act, command: [act]}\n  - use: standard/preflight\n",
    );
    let found = read(&text).expect_err("a command is a change");
    assert_eq!(
        found[0].message,
        "`early` may change the target before preflight was judged"
    );
    assert_eq!(found[0].related.len(), 1);
}

#[test]
fn the_run_is_read_before_preflight() {
    let text = BREW
        .replace("  - use: standard/scope\n", "")
        .replace(
            "  - use: standard/preflight\n",
            "  - use: «standard/preflight\n  - use: standard/scope\n",
        )
        .replace(
            "    read: [scope]\n    expect: facts.stage != null",
            "    expect: run.id != ''",
        );
    let failure = compare(&text, "no step reads the run before `preflight`", |text| {
        read(text).map(drop)
    });
    assert!(failure.is_empty(), "{failure}");
}

#[test]
fn closing_and_release_are_last() {
    let tail = "  - use: standard/closing\n  - use: standard/release\n";
    let late = "  - {id: late, phase: record, title: Late}\n";
    let cases = [
        (
            format!("  - use: standard/closing\n  - use: «standard/release\n{late}"),
            "`release` must be the last step",
        ),
        (
            format!("  - use: «standard/closing\n{late}  - use: standard/release\n"),
            "`closing` must stand right before `release`",
        ),
    ];
    for (new, message) in cases {
        let failure = compare(&BREW.replace(tail, &new), message, |text| {
            read(text).map(drop)
        });
        assert!(failure.is_empty(), "{failure}");
    }
}
