//! Documents made to hurt: one clear mistake each, quickly, and never a panic.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use runbook::runbook::diagnostic::{Diagnostic, Paint, render};
use runbook::runbook::library::Library;
use runbook::runbook::parse;
use runbook::runbook::profile::Profile;

use super::profiles::KETTLE;
use super::scene::{BREW, STANDARD, read};

/// Far above what any of these takes, far below what an attack would.
const LIMIT: Duration = Duration::from_secs(20);

fn refused(bytes: &[u8]) -> Vec<Diagnostic> {
    let start = Instant::now();
    let found = parse("hostile.yaml", bytes, &[]).expect_err("refused");
    let shown = render(&found, "hostile.yaml", bytes, Paint::Plain);
    let _ = Library::parse("hostile.yaml", bytes);
    assert!(start.elapsed() < LIMIT, "took {:?}", start.elapsed());
    assert!(!found.is_empty());
    assert!(shown.len() < 100_000, "{} bytes are shown", shown.len());
    assert!(!shown.contains('\u{1b}'));
    found
}

#[track_caller]
fn one(bytes: impl AsRef<[u8]>, message: &str, place: (usize, usize)) {
    let found = refused(bytes.as_ref());
    let [only] = &found[..] else {
        panic!("{} mistakes, first {:?}", found.len(), found[0]);
    };
    assert!(only.message.contains(message), "{only:?}");
    assert_eq!((only.place.line, only.place.column), place, "{only:?}");
}

#[test]
fn an_alias_bomb_ends_at_its_first_anchor() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (new, old) in "bcdefghijklmnop".chars().zip("abcdefghijklmno".chars()) {
        let list = vec![format!("*{old}"); 9].join(", ");
        writeln!(bomb, "{new}: &{new} [{list}]").expect("text grows");
    }
    one(bomb, "an anchor", (1, 4));
}

#[test]
fn size_is_limited_before_anything_is_read() {
    one("x: y\n".repeat(2_000_000), "10000000 bytes", (1, 1));
    let mut largest = BREW.to_owned();
    largest.push_str(&"# x\n".repeat((1 << 18) - BREW.len() / 4 - 10));
    assert!(read(&largest).is_ok());
}

#[test]
fn nesting_is_limited() {
    one("[".repeat(100_000), "nested deeper than 64 levels", (1, 66));
    one(
        "{a: ".repeat(100_000),
        "nested deeper than 64 levels",
        (1, 261),
    );
    one(
        "- ".repeat(100_000),
        "nested deeper than 64 levels",
        (1, 129),
    );
    one("? ".repeat(100_000), "a key must be text", (1, 3));
    one("? - ".repeat(100_000), "a key must be text", (1, 3));
}

#[test]
fn the_number_of_values_is_limited() {
    let found = refused(format!("a: [{}]", "1,".repeat(500_000)).as_bytes());
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("more than 50000 values"));
    let found = refused("- a\n".repeat(250_000).as_bytes());
    assert!(found[0].message.contains("more than 50000 values"));
    let found = refused("{}: a\n".repeat(100_000).as_bytes());
    assert_eq!(found.len(), 1);
}

#[test]
fn many_mistakes_are_cut_short() {
    let mut text = BREW.to_owned();
    for n in 0..20_000 {
        writeln!(text, "k{n}: x").expect("text grows");
    }
    let found = refused(text.as_bytes());
    assert_eq!(found.len(), 51);
    assert!(
        found[50]
            .message
            .ends_with("more mistakes follow from here; fix the ones above first")
    );
    let one_line = format!("format: runbook/v1\nsteps: [{}]", "{},".repeat(20_000));
    assert!(refused(one_line.as_bytes()).len() <= 51);
    let equal = format!("format: runbook/v1\ntitle: {{{}}}", "a: 1, ".repeat(20_000));
    assert_eq!(refused(equal.as_bytes()).len(), 51);
}

#[test]
fn many_names_that_mean_nothing_are_no_work() {
    let facts: String = (0..9_000)
        .map(|n| format!("      f{n}: {{type: json}}\n"))
        .collect();
    let text = BREW.replace("      litres: {type: number}\n", &facts);
    let uses: Vec<String> = (0..20_000).map(|n| format!("facts.g{n}")).collect();
    let arguments: Vec<String> = uses
        .chunks(60)
        .map(|some| format!("'${{{}}}'", some.join("+")))
        .collect();
    let text = text.replace(", '']", &format!(", {}]", arguments.join(", ")));
    assert_eq!(refused_brew(&text).len(), 51);
    let names: Vec<String> = (0..20_000).map(|n| format!("s{n}")).collect();
    let text = BREW.replace(
        "[read-level, list-leaks]",
        &format!("[{}]", names.join(", ")),
    );
    assert!(
        refused_brew(&text)
            .iter()
            .any(|f| f.message == "`repeat` has more than 500 entries")
    );
}

fn refused_brew(text: &str) -> Vec<Diagnostic> {
    let start = Instant::now();
    let found = read(text).expect_err("refused");
    assert!(start.elapsed() < LIMIT, "took {:?}", start.elapsed());
    found
}

#[test]
fn long_texts_are_not_repeated() {
    let long = "a".repeat(500_000);
    let found = refused(
        BREW.replace("owner: kettles", &format!("? {long}\n: x\nowner: k"))
            .as_bytes(),
    );
    assert!(found.iter().all(|f| f.message.len() < 500));
    let found = refused(
        BREW.replace("id: stuck-brew", &format!("id: {long}"))
            .as_bytes(),
    );
    assert!(found.iter().all(|f| f.message.len() < 500));
}

#[test]
fn what_is_not_text_is_refused_with_its_place() {
    one(
        b"format: runbook/v1\ntitle: a\xff\n",
        "byte 27 is not part of a character",
        (2, 9),
    );
    one(b"\xfe\xff\0f", "not UTF-8", (1, 1));
    one(b"format: x\nti\0tle: a\n", "NUL", (2, 3));
}

#[test]
fn nothing_is_a_mistake_too() {
    one("", "the document is empty", (1, 1));
    one("# nothing\n\n# at all\n", "the document is empty", (1, 1));
    one("\u{feff}", "the document is empty", (1, 1));
    one("---\n", "the document has no value", (1, 4));
    one("~", "the document has no value", (1, 1));
    one("just words", "the document must be a mapping", (1, 1));
    one("[1, 2]", "the document must be a mapping", (1, 1));
}

#[test]
fn broken_yaml_is_one_mistake() {
    for (text, place) in [
        ("a: \"b", (1, 4)),
        ("a: [1, 2", (1, 4)),
        ("a: b\n\tc: d", (2, 1)),
    ] {
        one(text, "not YAML", place);
    }
}

/// Pieces that mean something to YAML or to the format.
const PIECES: [&str; 28] = [
    "\n",
    "  ",
    "\t",
    "- ",
    ": ",
    "? ",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "#",
    "---\n",
    "...\n",
    "<<: ",
    "${",
    "}",
    "%YAML 1.2\n",
    "\r",
    "\u{feff}",
    "é",
    "use: standard/freeze\n",
];

fn mutated(base: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..7_u8,
        any::<u8>(),
    );
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut bytes = base.as_bytes().to_vec();
        for (at, other, kind, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let (i, j) = (at.index(bytes.len()), other.index(bytes.len()));
            let (low, high) = (i.min(j), i.max(j));
            match kind {
                0 => bytes[i] = byte,
                1 => drop(bytes.drain(low..high.min(low + 40))),
                2 => bytes.insert(i, byte),
                3 => drop(bytes.splice(i..i, PIECES[usize::from(byte) % PIECES.len()].bytes())),
                4 => bytes.truncate(i),
                // A line doubled elsewhere, or taken out.
                _ => {
                    let start = bytes[..i]
                        .iter()
                        .rposition(|b| *b == b'\n')
                        .map_or(0, |n| n + 1);
                    let end = bytes[i..]
                        .iter()
                        .position(|b| *b == b'\n')
                        .map_or(bytes.len(), |n| i + n + 1);
                    let line = bytes[start..end].to_vec();
                    if kind == 5 {
                        bytes.drain(start..end);
                    } else {
                        let to = bytes[..j]
                            .iter()
                            .rposition(|b| *b == b'\n')
                            .map_or(0, |n| n + 1);
                        drop(bytes.splice(to..to, line));
                    }
                }
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_makes_the_reader_panic(bytes in mutated(BREW)) {
        let library = Library::parse("standard.yaml", STANDARD.as_bytes()).expect("the library is right");
        if let Err(found) = parse("brew.yaml", &bytes, &[library]) {
            prop_assert!(!found.is_empty() && found.len() <= 51);
            for mistake in &found {
                let place = mistake.place;
                prop_assert!(place.line >= 1 && place.column >= 1);
                prop_assert!(place.start <= place.end && place.end <= bytes.len(), "{mistake:?}");
                prop_assert!(!bytes[place.start..place.end].contains(&b'\n'), "{mistake:?}");
            }
            let _ = render(&found, "brew.yaml", &bytes, Paint::Styled);
        }
    }

    #[test]
    fn no_mutated_library_makes_the_reader_panic(bytes in mutated(STANDARD)) {
        if let Ok(library) = Library::parse("standard.yaml", &bytes) {
            let _ = parse("brew.yaml", BREW.as_bytes(), &[library]);
        }
    }
    #[test]
    fn no_mutated_profile_makes_the_reader_panic(bytes in mutated(KETTLE)) {
        let library = Library::parse("standard.yaml", STANDARD.as_bytes()).expect("the library is right");
        let runbook = parse("brew.yaml", BREW.as_bytes(), &[library]).expect("the runbook is right");
        if let Ok(profile) = Profile::parse("kettle.yaml", &bytes)
            && let Err(found) = profile.apply(&runbook)
        {
            prop_assert!(!found.is_empty() && found.len() <= 51);
            let _ = render(&found, "kettle.yaml", &bytes, Paint::Styled);
        }
    }
}
