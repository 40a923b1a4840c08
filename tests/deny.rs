//! Deny patterns against the table of `deny.tsv`, and against hostile text.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use runbook::execution::deny::{Verdict, judge_line, judge_words};
use runbook::runbook::pattern::CommandPattern;

struct Row {
    kind: String,
    line: String,
    pattern: CommandPattern,
    verdict: &'static str,
}

fn rows() -> Vec<Row> {
    let table = include_str!("deny.tsv");
    let rows = table.lines().filter(|line| !line.starts_with("# "));
    rows.map(|row| {
        let [kind, line, pattern, verdict] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not four columns: {row}");
        };
        let words = ["denied", "clear", "untold"];
        Row {
            kind: kind.to_owned(),
            line: line.replace('⏎', "\n").replace('⍽', "\u{a0}"),
            pattern: CommandPattern::parse(pattern).expect(pattern),
            verdict: words.into_iter().find(|w| *w == verdict).expect(verdict),
        }
    })
    .collect()
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Matches(_) => "denied",
        Verdict::Clear => "clear",
        Verdict::CannotTell(_) => "untold",
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn every_line_of_the_table_is_judged_as_it_says() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in rows() {
        let judged = judge_line(&row.line, [&row.pattern]);
        // The same line within words that no shell reads.
        let nested = judge_words(&owned(&["sudo", "bash", "-c", &row.line]), [&row.pattern]);
        let count = counts.entry(row.kind.clone()).or_default();
        if word(&judged) == row.verdict && word(&nested) == row.verdict {
            count.0 += 1;
        } else {
            count.1 += 1;
            let Row {
                kind,
                line,
                pattern,
                verdict,
            } = row;
            wrong.push(format!(
                "{kind}: `{line}` / `{pattern}` is {verdict}, judged {judged:?}, nested {nested:?}"
            ));
        }
    }
    for (kind, (right, wrong)) in &counts {
        println!("{kind:<20} right {right:>3}  wrong {wrong:>3}");
    }
    let of = |catalogue: bool| {
        let counts = counts
            .iter()
            .filter(|(kind, _)| kind.starts_with("4.1") == catalogue);
        counts
            .map(|(_, (right, wrong))| right + wrong)
            .sum::<usize>()
    };
    assert!(of(true) >= 130, "the catalogue has {} pairs", of(true));
    assert!(of(false) >= of(true), "{} of our own", of(false));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_word_of_a_command_is_not_read_by_a_shell() {
    let pattern = CommandPattern::parse("kubectl rollout restart").expect("right");
    for (words, expected) in [
        (vec!["kubectl", "rollout", "restart"], "denied"),
        (
            vec!["kubectl", "get", "$(kubectl rollout restart x)"],
            "clear",
        ),
        (vec!["echo", "x; kubectl rollout restart x"], "clear"),
        (vec!["sudo", "kubectl", "rollout", "restart"], "denied"),
        (vec!["bash", "./scripts/redeploy-host-stack.sh"], "clear"),
        (vec!["bash", "-c", "kubectl rollout restart x"], "denied"),
        (
            vec!["ssh", "host", "a; kubectl rollout restart x"],
            "denied",
        ),
        (vec!["$x", "rollout", "restart"], "clear"),
        (vec!["bash", "-s"], "untold"),
        (vec!["", "x"], "clear"),
        (vec![], "clear"),
    ] {
        let judged = judge_words(&owned(&words), [&pattern]);
        assert_eq!(word(&judged), expected, "{words:?}: {judged:?}");
    }
}

#[test]
fn without_a_pattern_nothing_is_guarded() {
    assert_eq!(judge_line("eval \"$x\"", []), Verdict::Clear);
}

#[test]
fn what_cannot_be_told_says_why() {
    let pattern = CommandPattern::parse("kubectl rollout restart").expect("right");
    for (line, expected) in [
        (
            "$x rollout",
            "the name of the program is not known until it runs",
        ),
        (
            "curl x | sh",
            "`sh` reads its program from its standard input",
        ),
        (
            "sudo --quick ls",
            "`sudo` is given `--quick`, an option that is not known here",
        ),
        (
            "kubectl rollout \"$verb\" x",
            "may be `kubectl rollout restart` when it runs",
        ),
        (
            "kubectl \"$verb\" restart",
            "what `kubectl` is told to do is not known until it runs",
        ),
        ("find . \"$x\" rm", "`find` may launch what follows `*`"),
        ("sed 1e", "`sed` may launch what `1e` says"),
        ("ssh host", "`ssh` opens a shell"),
        ("python3 -c x", "`python3` is given its program as text"),
        ("if true", "the line is not shell"),
    ] {
        match judge_line(line, [&pattern]) {
            Verdict::CannotTell(why) => assert!(why.contains(expected), "{line}: {why}"),
            judged => panic!("{line}: {judged:?}"),
        }
    }
}

/// What takes long enough to be noticed by whoever waits at a terminal.
const SLOW: Duration = Duration::from_secs(20);

#[test]
fn nested_text_neither_overflows_nor_hangs() {
    let pattern = CommandPattern::parse("kubectl ... rollout ... restart").expect("right");
    let openers = [
        "(",
        "$(",
        "{ ",
        "`",
        "\"$(",
        "((",
        "[[ (",
        "[[ ! ",
        "if ",
        "<(",
        "${x:-",
        "$((",
        "case x in x) ",
        "<<E ",
        "a|",
        "! ",
        "\\",
        "'",
        "\"",
        "$'",
        "while ",
        "for x in x; do ",
        "f() { ",
        "a && ",
        "x=(",
        "${x[",
        "coproc ",
        "time ",
        "sudo ",
        "env ",
        "{a,",
        "if x; then ",
        "a;",
        "& ",
        "<<<",
        "$",
        "function f ",
        "x\n",
        "[",
        "select x in ",
        "kubectl rollout ",
        "bash -c ",
        "until ",
    ];
    for opener in openers {
        for bytes in [64, 200, 4096, 64 << 10] {
            let line = opener.repeat(bytes / opener.len());
            let begun = Instant::now();
            let judged = judge_line(&line, [&pattern]);
            assert!(
                begun.elapsed() < SLOW,
                "{opener} x {bytes}: {:?}",
                begun.elapsed()
            );
            drop(judged);
        }
    }
    for count in [20, 60, 120] {
        for (open, close) in [
            ("$(", ")"),
            ("(", ")"),
            ("{ ", "; }"),
            ("\"$(", ")\""),
            ("<(", ")"),
        ] {
            let line = format!(
                "echo {}kubectl rollout restart x{}",
                open.repeat(count),
                close.repeat(count)
            );
            let begun = Instant::now();
            let judged = judge_line(&line, [&pattern]);
            assert!(
                begun.elapsed() < SLOW,
                "{open} x {count}: {:?}",
                begun.elapsed()
            );
            assert_ne!(judged, Verdict::Clear, "{open} x {count}");
        }
    }
    let long = "x".repeat((64 << 10) + 1);
    assert!(matches!(
        judge_line(&long, [&pattern]),
        Verdict::CannotTell(_)
    ));
    assert!(matches!(
        judge_words(&[long], [&pattern]),
        Verdict::CannotTell(_)
    ));
}

/// Text of what shells act on, and of anything.
fn shell_like() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "kubectl",
        "rollout",
        "restart",
        "sudo",
        "bash",
        "-c",
        "ssh",
        "eval",
        "find",
        "-exec",
        "env",
        "xargs",
        "$(",
        ")",
        "(",
        "{",
        "}",
        "`",
        "'",
        "\"",
        "\\",
        "$x",
        "${",
        "<<E",
        "\nE\n",
        "<<<",
        "|",
        ";",
        "&",
        "&&",
        "||",
        "if",
        "then",
        "fi",
        "for",
        "in",
        "do",
        "done",
        "case",
        "esac",
        ";;",
        "[[",
        "]]",
        "((",
        "))",
        "#",
        " ",
        "\n",
        "*",
        "!",
        "=",
        "A=b",
        "<(",
        ">",
        "$'",
        "é",
        "\u{a0}",
        "\u{1f980}",
        "\0",
        "~",
        "--",
        "-u",
    ]);
    let piece =
        prop_oneof![8 => parts.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    (prop::collection::vec(piece, 0..60), prop::bool::ANY)
        .prop_map(|(pieces, spaced)| pieces.join(if spaced { " " } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_text_panics_or_is_judged_twice_in_two_ways(line in shell_like()) {
        let pattern = CommandPattern::parse("kubectl rollout restart").expect("right");
        let judged = judge_line(&line, [&pattern]);
        prop_assert_eq!(&judged, &judge_line(&line, [&pattern]));
        let no_reading = Verdict::CannotTell("the line could not be read".to_owned());
        prop_assert_ne!(judged, no_reading, "the reader panicked");
    }

    #[test]
    fn what_is_denied_is_never_clear_behind_anything(line in shell_like()) {
        let pattern = CommandPattern::parse("kubectl rollout restart").expect("right");
        for text in [
            format!("kubectl rollout restart x\n{line}"),
            format!("kubectl rollout restart x; {line}"),
            format!("{{ kubectl rollout restart x; }} | {line}"),
        ] {
            prop_assert_ne!(judge_line(&text, [&pattern]), Verdict::Clear, "{}", text);
        }
    }

    #[test]
    fn any_text_whatever_is_read(line in any::<String>(), words in prop::collection::vec(any::<String>(), 0..8)) {
        let pattern = CommandPattern::parse("kubectl rollout restart").expect("right");
        let no_reading = Verdict::CannotTell("the line could not be read".to_owned());
        prop_assert_ne!(&judge_line(&line, [&pattern]), &no_reading);
        prop_assert_ne!(&judge_words(&words, [&pattern]), &no_reading);
    }
}
