//! Expressions: what they say, and what they refuse to say.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::clock::{Span, Timestamp};

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a timestamp")
}

fn json(value: serde_json::Value) -> Value {
    Value::try_from(value).expect("a value")
}

fn scope() -> Scope {
    let mut scope = Scope::new(now());
    scope.set(
        "run",
        json(json!({
            "environment": "prod", "rollback_candidate": null, "replicas": 3, "load": 0.5, "other": null,
            "stages": [{"index": 0, "state": "done"}, {"index": 1, "state": "failed"}, {"index": 2}],
            "labels": {"z": 1, "a": 2, "m": 3}, "my-key": 1,
        })),
    );
    scope.set_in("facts", "drift", true);
    scope.set_in("facts", "degraded", json(json!(["a", "b"])));
    scope.set_in("facts", "nothing", Value::Null);
    scope.set_in(
        "facts",
        "seen-at",
        "2026-11-20T11:50:00Z"
            .parse::<Timestamp>()
            .expect("a timestamp"),
    );
    scope.set_in("inputs", "max_age", Span::from_secs(900));
    scope.set_captured(
        "posture",
        "2026-11-20T11:45:00Z".parse().expect("a timestamp"),
    );
    scope.set_captured(
        "from-the-future",
        "2026-11-20T12:00:01Z".parse().expect("a timestamp"),
    );
    scope.set_measured("drift");
    scope.set_measured("posture");
    scope
}

fn expression(source: &str) -> Expression {
    Expression::parse(source).unwrap_or_else(|error| panic!("{source}: {error} at {:?}", error.at))
}

fn truth(source: &str) -> Truth {
    expression(source).truth(&scope())
}

/// The reason why `source` is unknown.
fn why(source: &str) -> String {
    match truth(source) {
        Truth::Unknown(why) => why.to_string(),
        other => panic!("{source} is {other}"),
    }
}

fn refused(source: &str) -> SyntaxError {
    Expression::parse(source).expect_err(source)
}

#[test]
fn what_is_true_and_what_is_false() {
    for source in [
        "facts.drift",
        "size(facts.degraded) == 2",
        "run.replicas == 3 && run.replicas == 3.0 && run.replicas < 3.5",
        "run.stages.exists(s, s.state in ['failed', 'stopped'])",
        "run.stages.filter(s, s.index < 2).all(s, s.state != 'pending')",
        "facts.degraded.map(d, d + '!') == ['a!', 'b!']",
        "run.stages.exists_one(s, s.index == 1)",
        "run.environment.startsWith('pr') && run.environment.matches('^pr.d$')",
        "run.rollback_candidate == null && null == facts.nothing",
        "facts.drift ? true : facts.missing",
        "'z' in run.labels && run.labels['z'] == 1",
        "run.labels.map(k, k) == ['a', 'm', 'z']",
        "has(facts.drift) && !has(facts.missing) && !has(decisions.missing)",
        "now - facts.seen_at < inputs.max_age",
        "now == timestamp('2026-11-20T12:00:00Z')",
        "inputs.max_age == duration('15m') && duration('1d') == duration('24h')",
        "fresh('posture', inputs.max_age) && fresh('posture', duration('15m'))",
        "measured('posture') && measured('drift') && !measured('degraded')",
        "known('drift') && known('nothing') && !known('missing')",
        "{'a': [1, null]} == {'a': [1.0, null]}",
        "[1, 'a'] != [2, 3]",
    ] {
        assert_eq!(truth(source), Truth::True, "{source}");
        assert_eq!(truth(&format!("!({source})")), Truth::False, "{source}");
    }
}

#[test]
fn what_is_unknown_stays_unknown_under_not() {
    for source in [
        "facts.missing",
        "missing",
        "facts.missing == 1",
        "facts.missing != 1",
        "run.stages[7].state == 'failed'",
        "run.stages.all(s, s.state != 'pending')",
        "run.environment",
        "facts.degraded",
        "1 / 0 == 1",
        "9223372036854775807 + 1 > 0",
        "run.load + 1 > 0.0",
        "run.environment < 3",
        "has(missing.key)",
        "fresh('missing', duration('1h'))",
        "fresh('from_the_future', duration('1h'))",
        "measured('missing')",
        "facts.missing && true",
        "facts.missing || false",
        "facts.missing ? true : true",
        "0.0 / 0.0 != 1.0",
        "int('x') == 1",
        "run.environment.matches('(')",
        // Different kinds cannot be compared.
        "run.replicas == '3'",
        "run.replicas != '3'",
        "'3' in [1, 2, 3]",
        "1 in run.labels",
        "facts.drift == 'true'",
        "[3] == ['3']",
        "run.stages.exists(s, s.index == '1')",
        "inputs.max_age == 900",
        "now == '2026-11-20T12:00:00Z'",
        // A null is no value, unless one asks for it.
        "run.rollback_candidate != 'v1'",
        "run.rollback_candidate == run.other",
        "run.rollback_candidate in ['v1']",
        "size(facts.nothing) == 0",
    ] {
        assert!(
            matches!(truth(source), Truth::Unknown(_)),
            "{source} is {}",
            truth(source)
        );
        let not = format!("!({source})");
        assert!(
            matches!(truth(&not), Truth::Unknown(_)),
            "{not} is {}",
            truth(&not)
        );
    }
}

#[test]
fn unknown_is_gone_only_where_it_cannot_matter() {
    assert_eq!(truth("false && facts.missing"), Truth::False);
    assert_eq!(truth("facts.missing && false"), Truth::False);
    assert_eq!(truth("true || facts.missing"), Truth::True);
    assert_eq!(truth("facts.missing || true"), Truth::True);
    assert_eq!(
        truth("run.stages.exists(s, s.state == 'failed')"),
        Truth::True
    );
    assert_eq!(truth("'a' in [1, 'a']"), Truth::True);
}

#[test]
fn the_reason_can_be_understood() {
    for (source, reason) in [
        ("!facts.missing", "`facts.missing` has no value yet"),
        ("facts['missing'] == 1", "`facts.missing` has no value yet"),
        ("execution.id == 'x'", "`execution` has no value yet"),
        (
            "run.replicas == '3'",
            "`run.replicas == '3'`: an integer and a string cannot be compared",
        ),
        (
            "fresh('logs', duration('5m'))",
            "`fresh('logs', duration('5m'))`: `logs` has not been captured yet",
        ),
        (
            "run.environment",
            "`run.environment` is a string, not true or false",
        ),
        (
            "run.stages.filter(s, s.index == 2).all(s, s.state == 'done')",
            "`run.stages.filter(s, s.index == 2).all(s, s.state == 'done')`: an element has no key `state`",
        ),
        (
            "run.replicas / 0 == 1",
            "`run.replicas / 0 == 1` divides by zero",
        ),
        (
            "run.load * 2 > 1.0",
            "`run.load * 2 > 1.0`: `*` does not work on float and int",
        ),
        (
            "run.environment < 3",
            "`run.environment < 3`: `<` does not work on string and int",
        ),
    ] {
        assert_eq!(why(source), reason, "{source}");
    }
}

#[test]
fn what_cannot_be_right_is_refused_when_it_is_read() {
    for (source, part, at) in [
        ("", "empty", 0..0),
        ("facts.drift &&", "end of the expression", 14..14),
        ("a\n  == ü + b", "token recognition", 7..9),
        ("'ü' == lower('a')", "no function `lower`", 8..13),
        ("'üü' == a b", "extraneous", 12..13),
        (
            "optional.of(facts.drift).orValue(true)",
            "no function `orValue`",
            25..32,
        ),
        ("xs.all(x)", "list.all(x, x > 0)", 3..6),
        (
            "fresh(inputs.name, duration('1m'))",
            "write `fresh` as",
            0..5,
        ),
        ("known('a', 'b')", "write `known` as", 0..5),
        ("x < duration('15')", "not a duration", 13..17),
        ("3u == x", "without `u`", 0..2),
        ("b'x' == x", "byte strings", 0..4),
        ("Secret{a: 1} == x", "named types", 6..7),
        (".facts.drift", "begin with a dot", 6..7),
    ] {
        let error = refused(source);
        assert!(error.message.contains(part), "{source}: {error}");
        assert_eq!(error.at, at, "{source}: {error}");
    }
}

#[test]
fn references_are_what_is_read_from_outside() {
    let source = "run.stages.all(s, s.index <= facts.boundary || s.tags.exists(t, t == inputs['tag'].x)) && has(facts.ä)";
    let error = Expression::parse(source).expect_err("no letters beyond ASCII in names");
    assert_eq!(&source[error.at.clone()], "ä");

    let source = "'ü' == run.name && run.stages.all(s, s.index <= facts.boundary || s.t.exists(t, t == inputs['tag'].x)) && has(facts.a)";
    let expression = expression(source);
    let paths: Vec<_> = expression
        .references()
        .iter()
        .map(|r| r.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "run.name",
            "run.stages",
            "facts.boundary",
            "inputs.tag.x",
            "facts.a"
        ]
    );
    let written: Vec<_> = expression
        .references()
        .iter()
        .map(|r| &source[r.at.clone()])
        .collect();
    assert_eq!(
        written,
        [
            "run.name",
            "run.stages",
            "facts.boundary",
            "inputs",
            "facts.a"
        ]
    );
    assert_eq!(expression.references()[2].key(), Some("boundary"));

    let source = "fresh('posture', inputs.age) && !measured(\"drift\")";
    let expression = self::expression(source);
    let calls: Vec<_> = expression
        .name_calls()
        .iter()
        .map(|c| (c.function, c.name.as_str(), &source[c.at.clone()]))
        .collect();
    assert_eq!(
        calls,
        [
            ("fresh", "posture", "'posture'"),
            ("measured", "drift", "\"drift\"")
        ]
    );
}

#[test]
fn an_operator_sees_what_was_looked_at() {
    let observed = |source: &str| expression(source).observed(&scope());
    assert_eq!(
        observed("facts.drift && facts.drift == facts.missing"),
        "facts.drift = true; facts.missing = unknown"
    );
    assert_eq!(
        observed("size(facts.degraded) == 0"),
        r#"facts.degraded = ["a","b"]"#
    );
    assert_eq!(
        observed("fresh('posture', inputs.max_age)"),
        "inputs.max_age = 15m; captured('posture') = 15m ago"
    );
    let mut scope = scope();
    scope.set("body", "ü".repeat(500));
    let observed = expression("body == ''").observed(&scope);
    assert_eq!(
        observed.chars().count(),
        "body = ".len() + OBSERVED + 1,
        "{observed}"
    );
}

#[test]
fn values_keep_their_kind() {
    for (source, value) in [
        ("run.replicas + 1", Value::Int(4)),
        ("run.load * 2.0", Value::Double(1.0)),
        (
            "facts.degraded.map(d, {'name': d})",
            json(json!([{"name": "a"}, {"name": "b"}])),
        ),
        ("now", Value::Time(now())),
        ("inputs.max_age", Value::Span(Span::from_secs(900))),
        ("now - facts.seen_at", Value::Span(Span::from_secs(600))),
        ("run.rollback_candidate", Value::Null),
    ] {
        assert_eq!(expression(source).value(&scope()), Ok(value), "{source}");
    }
    for source in ["facts.seen_at - now", "{1: 2}", "1.0 / 0.0", "int"] {
        assert!(expression(source).value(&scope()).is_err(), "{source}");
    }
}

#[test]
fn a_runaway_ends_as_unknown() {
    let mut scope = scope();
    scope.set("big", json(json!((0..10_000).collect::<Vec<_>>())));
    scope.set("text", "x".repeat(1 << 20));
    for source in [
        "big.all(a, big.all(b, big.all(c, a + b + c >= 0)))",
        "big.exists(a, big.exists(b, a + b < 0))",
        "big.map(a, big.map(b, b)) == []",
        "big.map(a, text + text) == []",
        "big.filter(a, big.exists_one(b, a == b)) == []",
    ] {
        let started = Instant::now();
        let truth = expression(source).truth(&scope);
        assert!(
            matches!(&truth, Truth::Unknown(why) if why.to_string().contains("too long")),
            "{source}: {truth}"
        );
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{source} took {:?}",
            started.elapsed()
        );
    }
    let within = "big.all(a, a >= 0) && size(big.filter(a, a % 2 == 0)) == 5000";
    assert_eq!(expression(within).truth(&scope), Truth::True);
}

/// Reads and evaluates; what goes wrong is to be an answer, not a broken thread.
fn survives(source: &str) {
    match Expression::parse(source) {
        Ok(expression) => {
            if let Truth::Unknown(why) = expression.truth(&scope()) {
                assert!(!why.to_string().contains("interpreter failed"), "{why}");
            }
        }
        Err(error) => {
            assert!(
                source.get(error.at.clone()).is_some(),
                "{error} at {:?} in {source:?}",
                error.at
            );
            assert!(
                error.message != "the expression cannot be read",
                "{source:?}"
            );
        }
    }
}

#[test]
fn hostile_sources_overflow_nothing() {
    let fill = |unit: &str| unit.repeat(MAX_SOURCE / unit.len());
    for unit in [
        "(", ")", "!", "-", "- ", "[", "{", "a.", "a.a.a", "?:", "a?", "a?a:", "1+", "a[", "a[0]",
        "[0]", "{0:", "a(", "a.map(a,", "'", "\"", "'''", "\\", "a&&", "a||b&&", "!(", "-(",
        "has(", "a.b.", "ü", "\0", "\n", "a\n", "//", "0x", "1e9", "$", "${", "@", "a in ", "a==",
        "r'", "b'\\x", ".", "..", "a{", "`",
    ] {
        let open = fill(unit);
        let half = fill(&unit.repeat(2));
        for source in [
            open.clone(),
            format!(
                "{}1",
                &half[..half.len() - 2.min(half.len())].trim_end_matches(|c: char| !c.is_ascii())
            ),
        ] {
            let started = Instant::now();
            survives(&source);
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "{unit:?} took {:?}",
                started.elapsed()
            );
        }
    }
    for (open, middle, close) in [
        ("(", "1", ")"),
        ("[", "", "]"),
        ("{1:", "1", "}"),
        ("a.map(b,", "b", ")"),
        ("!(", "a", ")"),
    ] {
        for depth in [8, 16, 24, 32, 64, 96, 100] {
            let source = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            survives(&source);
        }
    }
    assert!(
        refused(&"a".repeat(MAX_SOURCE + 1))
            .message
            .contains("longer")
    );
    assert!(
        refused(&vec!["1"; 400].join("+"))
            .message
            .contains("nested")
    );
    assert!(Expression::parse(&vec!["1"; 60].join("+")).is_ok());
}

#[test]
fn templates_fill_in_values() {
    let render = |source: &str| {
        Template::parse(source)
            .expect(source)
            .render(&scope())
            .map_err(|why| why.to_string())
    };
    assert_eq!(render("plain $ {} text").as_deref(), Ok("plain $ {} text"));
    assert_eq!(
        render("${run.environment}-${run.replicas}/${inputs.max_age}").as_deref(),
        Ok("prod-3/15m")
    );
    assert_eq!(
        render("$${x} costs $5, ${now}").as_deref(),
        Ok("${x} costs $5, 2026-11-20T12:00:00Z")
    );
    assert_eq!(
        render("${'a}b' + \"}\" + r'\\' + '''}'}'''}").as_deref(),
        Ok("a}b}\\}'}")
    );
    assert_eq!(render("${ {'a': {'b': 'c'}}.a.b }").as_deref(), Ok("c"));
    assert_eq!(
        render("${run.load} ${facts.drift}").as_deref(),
        Ok("0.5 true")
    );
    for bad in [
        "${facts.missing}",
        "a${facts.degraded}",
        "${run.rollback_candidate}",
        "${run.labels}",
        "${'a\\x00b'}",
        "${1.0 / 0.0}",
    ] {
        assert!(render(bad).is_err(), "{bad} is {:?}", render(bad));
    }
}

#[test]
fn a_template_of_one_expression_keeps_its_kind() {
    let value = |source: &str| Template::parse(source).expect(source).value(&scope());
    assert_eq!(value("${run.replicas}"), Ok(Value::Int(3)));
    assert_eq!(value("${run.replicas} "), Ok(Value::from("3 ")));
    assert_eq!(value("3"), Ok(Value::from("3")));
    assert!(value("${facts.missing}").is_err());
    assert!(Template::parse("$${x}").expect("escaped").is_literal());
    assert!(Template::parse("").expect("empty").is_literal());
}

#[test]
fn the_place_of_a_template_error_is_in_the_whole_string() {
    let error = Template::parse("ü ${a} ${b +} c").expect_err("broken");
    assert_eq!(error.at, 13..13, "{error}");
    let error = Template::parse("x ${a").expect_err("open");
    assert_eq!(error.at, 2..4, "{error}");
    assert!(Template::parse("${}").is_err());
    assert!(Template::parse("${'}").is_err());
    let source = "ü ${a} ${b.c}";
    let template = Template::parse(source).expect(source);
    let written: Vec<_> = template
        .references()
        .iter()
        .map(|r| source[r.at.clone()].to_owned())
        .collect();
    assert_eq!(written, ["a", "b.c"]);
}

/// Pieces that make up expressions which are often whole.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "facts.drift",
        "facts.missing",
        "missing",
        "run.stages",
        "x",
        "1",
        "2.5",
        "'a'",
        "null",
        "true",
        "false",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "!",
        "-",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        "in",
        "+",
        "/",
        "?",
        ":",
        ",",
        ".",
        "size(",
        ".all(x,",
        ".map(x,",
        "has(",
        "now",
        "duration('1m')",
        "ü",
        "\"",
        "\\",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

/// Conditions that are whole, over names of which some have no value.
fn conditions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "true",
        "false",
        "facts.drift",
        "facts.missing",
        "missing",
        "facts.nothing",
        "run.replicas == 3",
        "run.replicas == '3'",
        "facts.missing == 1",
        "1 / 0 == 1",
        "run.stages.exists(s, s.state == 'failed')",
        "run.stages.all(s, s.state == 'x')",
        "run.other == null",
        "fresh('missing', duration('1m'))",
        "'a' in facts.degraded",
        "1 in facts.degraded",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) || ({b})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
}

#[test]
fn lists_are_added_up_and_joined() {
    for holds in [
        "[1, 2, 3].sum() == 6",
        "[1, 0.5].sum() == 1.5",
        "[].sum() == 0",
        "run.stages.map(s, s.index).sum() == 3",
        "[[1], [], [2, 3]].flatten() == [1, 2, 3]",
        "[[[1]]].flatten() == [[1]]",
        "[].flatten() == []",
    ] {
        assert_eq!(truth(holds), Truth::True, "{holds}");
    }
    for (unknown, reason) in [
        ("['a'].sum() == 0", "`sum` adds up numbers, not a string"),
        ("[null].sum() == 0", "`sum` adds up numbers, not null"),
        ("'a'.sum() == 0", "`sum` needs a list of numbers"),
        (
            "[9223372036854775807, 1].sum() == 0",
            "a number becomes too large",
        ),
        (
            "[1, [2]].flatten() == []",
            "`flatten` joins lists, not an integer",
        ),
        (
            "run.labels.flatten() == []",
            "`flatten` needs a list of lists",
        ),
    ] {
        assert!(why(unknown).contains(reason), "{unknown}: {}", why(unknown));
    }
    // Doubling a list again and again ends at the budget.
    let doubled = "[0].map(x, ['aaaaaaaa'])".to_owned() + &".map(x, [x, x].flatten())".repeat(34);
    assert!(doubled.len() < MAX_SOURCE);
    assert!(why(&format!("{doubled} == []")).contains("takes too long"));
}

#[test]
fn a_map_is_read_as_a_whole_or_by_its_members() {
    for holds in [
        "run.replicas == 3 && size(run) == 8",
        "run.replicas == 3 && 'load' in run",
        "run.replicas == 3 && run.exists(key, key == 'load')",
        "run.replicas == 3 && run['my-key'] == 1",
        "has(run.load) && !has(run.none_such) && !has(run.labels.b)",
    ] {
        assert_eq!(truth(holds), Truth::True, "{holds}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_the_parser_or_the_evaluator_panic(text in prop_oneof![".{0,80}", pieces()]) {
        survives(&text);
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.observed(&scope());
        }
        let _ = Template::parse(&text);
        let _ = Template::parse(&format!("${{{text}}}"));
    }

    #[test]
    fn not_turns_true_into_false_and_leaves_unknown(source in conditions()) {
        prop_assume!(source.len() < MAX_SOURCE - 8);
        let not = truth(&format!("!({source})"));
        match truth(&source) {
            Truth::True => prop_assert_eq!(not, Truth::False),
            Truth::False => prop_assert_eq!(not, Truth::True),
            Truth::Unknown(_) => prop_assert!(matches!(not, Truth::Unknown(_)), "{}", not),
        }
    }

    #[test]
    fn what_is_missing_can_only_be_decided_by_either_answer(source in conditions()) {
        prop_assume!(source.len() < MAX_SOURCE / 2);
        // Whatever `missing` turns out to be, an answer that was given without it holds.
        let before = truth(&source);
        if matches!(before, Truth::Unknown(_)) {
            return Ok(());
        }
        for answer in [true, false] {
            let mut scope = scope();
            scope.set("missing", answer);
            scope.set_in("facts", "missing", answer);
            prop_assert_eq!(expression(&source).truth(&scope), before.clone(), "{}", source);
        }
    }
}
