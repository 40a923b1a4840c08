//! YAML that a runbook has no use for, and values of the wrong kind.

use super::scene::refused;

#[test]
fn structure_that_could_mean_something_else_is_refused() {
    refused(&[
        ("owner: kettles", "owner: «&a kettles", "an anchor"),
        ("owner: kettles", "owner: «*a", "an alias"),
        ("owner: kettles", "owner: «!team kettles", "a tag"),
        ("owner: kettles", "«<<: {owner: kettles}", "a merge key"),
        ("owner: kettles", "? «[a]\n: b", "a key must be text"),
        (
            "owner: kettles",
            "owner: kettles\n«owner: pots",
            "the key `owner` is written twice",
        ),
        (
            "body: {amount: 3,",
            "body: {amount: 3, «amount: 4,",
            "the key `amount` is written twice",
        ),
        (
            "outcomes:",
            "«---\noutcomes:",
            "a second document begins here",
        ),
        (
            "format: runbook/v1",
            "«%YAML 1.1\n---\nformat: runbook/v1",
            "a directive",
        ),
        (
            "owner: kettles",
            "owner: «\"kett\\e[2Jles\"",
            "the text holds the invisible character U+001B",
        ),
        (
            "owner: kettles",
            "owner: «kett\u{202e}les",
            "the text holds the invisible character U+202E",
        ),
    ]);
}

#[test]
fn what_is_not_yaml_is_pointed_at() {
    refused(&[
        (
            "title: Bring a",
            "title: Bring«: a",
            "not YAML: mapping values are not allowed",
        ),
        (
            "owner: kettles\n",
            "owner: \"kettles\n«",
            "not YAML: invalid indentation in multiline quoted scalar",
        ),
        ("owner: kettles", "owner: 'it'«s'", "not YAML: "),
        (
            "truth\n    title: Look at it",
            "truth\n«\ttitle: Look at it",
            "not YAML: ",
        ),
        (
            "freeze: {scope: environment, lease: 60m}\n\n",
            "freeze: {scope: environment, lease: 60m\n\n«",
            "not YAML: ",
        ),
    ]);
}

#[test]
fn values_are_what_their_key_demands() {
    refused(&[
        (
            "owner: kettles",
            "«owner:",
            "`owner` has no value; it must be text",
        ),
        ("owner: kettles", "owner: «~", "`owner` has no value"),
        (
            "owner: kettles",
            "owner: «[a, b]",
            "`owner` must be text, not a list",
        ),
        (
            "owner: kettles",
            "owner: «{a: b}",
            "`owner` must be text, not a mapping",
        ),
        (
            "owner: kettles",
            "owner: «true",
            "`owner` must be text, not the boolean `true`",
        ),
        ("owner: kettles", "owner: «''", "`owner` is empty"),
        (
            "owner: kettles",
            "owner: «\"a\\nb\"",
            "`owner` must be one line",
        ),
        (
            "reviewed: 2026-11-20",
            "reviewed: «2026-11-31",
            "`reviewed` must be a date",
        ),
        (
            "reviewed: 2026-11-20",
            "reviewed: «2026-1-2",
            "`reviewed` must be a date",
        ),
        (
            "review_every: 180d",
            "review_every: «180",
            "`review_every`: `180` is not a duration",
        ),
        (
            "lease: 60m",
            "lease: «0s",
            "`lease` must be longer than nothing",
        ),
        (
            "scope: environment",
            "scope: «enviroment",
            "`scope` must be one of `workspace`, `environment`, `service`, not `enviroment`",
        ),
        (
            "required: false",
            "required: «no",
            "`required` must be `true` or `false`, not `no`",
        ),
        (
            "attempts: 3",
            "attempts: «11",
            "`attempts` must be a whole number from 1 to 10, not `11`",
        ),
        (
            "attempts: 3",
            "attempts: «03",
            "`attempts` must be a whole number",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: «[]",
            "`repeat` is empty",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: «read-level",
            "`repeat` must be a list, not `read-level`",
        ),
        (
            "    expect: facts.level > 10 &&",
            "    expect: «true\n    #",
            "`expect` must be an expression, not the boolean `true`",
        ),
    ]);
}
