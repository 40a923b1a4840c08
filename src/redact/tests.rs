//! Secrets in every spelling, and cut in two.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use super::*;
use proptest::prelude::*;

fn redactor(values: &[&str]) -> Redactor {
    let named = values.iter().enumerate();
    let (redactor, refused) = Redactor::new(named.map(|(i, value)| (format!("s{i}"), *value)));
    assert_eq!(refused, []);
    redactor
}

fn in_pieces(redactor: &Redactor, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut out: Vec<u8> = pieces.iter().flat_map(|piece| stream.push(piece)).collect();
    out.extend(stream.finish());
    out
}

/// The promise, slow and obvious: mark every byte of every occurrence, then write one mark for each joined stretch.
fn oracle(values: &[String], text: &[u8]) -> Vec<u8> {
    let mut found: Vec<(usize, usize, bool, usize)> = Vec::new();
    for (owner, value) in values.iter().enumerate() {
        for spelling in spellings::of(value) {
            for start in 0..text.len() {
                let rest = &text[start..];
                let whole = rest.starts_with(&spelling);
                let cut = !whole && rest.len() >= TELLING && spelling.starts_with(rest);
                if whole || cut {
                    found.push((start, start + rest.len().min(spelling.len()), cut, owner));
                }
            }
        }
    }
    // First start first; of those the longest; of those a whole one; of those the value that was registered first.
    found.sort_by_key(|&(start, end, cut, owner)| (start, usize::MAX - end, cut, owner));
    let mut out = Vec::new();
    let mut at = 0;
    let mut next = 0;
    while let Some(&(start, mut end, _, owner)) = found.get(next) {
        while let Some(more) = found.get(next).filter(|more| more.0 < end) {
            end = end.max(more.1);
            next += 1;
        }
        out.extend_from_slice(&text[at..start]);
        out.extend_from_slice(format!("[REDACTED:s{owner}]").as_bytes());
        at = end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_cut_gives_what_the_oracle_gives(
        values in prop::collection::vec("[ab]{6,9}|[abc]{6,12}", 1..4),
        parts in prop::collection::vec((0..3_usize, 0..24_usize, "[abc \n]{0,5}", 0..14_usize, 0..4_usize), 0..8),
        cuts in prop::collection::vec(0..200_usize, 0..12),
    ) {
        let mut text = Vec::new();
        for (value, spelling, noise, take, shared) in parts {
            let all: Vec<Vec<u8>> = spellings::of(&values[value % values.len()]).into_iter().collect();
            let spelling = &all[spelling % all.len()];
            let piece = &spelling[..spelling.len().min(take + 3)];
            // Either noise before it, or as many bytes in common with what is there as fit.
            let fits = |len: &usize| text.ends_with(&piece[..*len]);
            let common = (1..=shared.min(piece.len())).rev().find(fits).unwrap_or(0);
            if common == 0 {
                text.extend_from_slice(noise.as_bytes());
            }
            text.extend_from_slice(&piece[common..]);
        }
        let refs: Vec<&str> = values.iter().map(String::as_str).collect();
        let redactor = redactor(&refs);
        let expected = oracle(&values, &text);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        prop_assert_eq!(shown(&redactor.bytes(&text)), shown(&expected));

        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(shown(&in_pieces(&redactor, &pieces)), shown(&expected));
        let single: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(shown(&in_pieces(&redactor, &single)), shown(&expected));

        for value in &values {
            for spelling in spellings::of(value) {
                let survives = expected.windows(spelling.len()).any(|window| window == spelling);
                prop_assert!(!survives, "{}", shown(&spelling));
            }
        }
    }

    #[test]
    fn any_secret_of_six_bytes_is_masked_or_refused(value in r"\PC{6,20}", around in r"[ -Z]{0,6}") {
        let (redactor, refused) = Redactor::new([("TOKEN", &value)]);
        let text = format!("{around}{value}{around}");
        let out = redactor.text(&text);
        prop_assert!(!refused.is_empty() || !out.contains(value.trim()), "{}", out);
    }
}

#[test]
fn overlapping_secrets_are_masked_as_one() {
    let redactor = redactor(&["abcd--", "--efgh"]);
    assert_eq!(redactor.text("1 abcd--efgh 2"), "1 [REDACTED:s0] 2");
    assert_eq!(redactor.text("abcd----efgh"), "[REDACTED:s0][REDACTED:s1]");
    let one_byte = self::redactor(&["abcdex", "xfghij"]);
    assert_eq!(one_byte.text("abcdexfghij"), "[REDACTED:s0]");
    let cut: [&[u8]; 2] = [b"abcdex", b"fghij"];
    assert_eq!(in_pieces(&one_byte, &cut), b"[REDACTED:s0]");
    assert_eq!(
        in_pieces(&redactor, &[b"abcd--e", b"fg", b"h"]),
        b"[REDACTED:s0]"
    );
}

#[test]
fn only_the_start_of_a_secret_is_held_back() {
    let redactor = redactor(&["hunter2-hunter3"]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push(b"Password: "), b"Password: ");
    assert_eq!(stream.push(b"hunter2-hunt"), b"");
    assert_eq!(stream.push(b"ing: "), b"hunter2-hunting: ");
    assert_eq!(stream.push(b"hunter2-hunter3"), b"[REDACTED:s0]");
    assert_eq!(stream.counts().get("s0"), Some(&1));
}

#[test]
fn a_secret_cut_off_by_the_end_is_masked_when_eight_bytes_of_it_are_there() {
    let redactor = redactor(&["hunter2-hunter3"]);
    assert_eq!(redactor.text("it was hunter2-"), "it was [REDACTED:s0]");
    assert_eq!(redactor.text("it was hunter2"), "it was hunter2");
}

#[test]
fn memory_is_bounded_by_the_secret_when_everything_matches() {
    let redactor = redactor(&["aaaaaa", "aaaaaaaaab"]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    for piece in [b'a'; 300_000].chunks(7) {
        out.extend(stream.push(piece));
        assert!(stream.held.len() <= 10 && stream.found.len() <= 1);
    }
    out.extend(stream.finish());
    assert_eq!(out, b"[REDACTED:s0]");
}

#[test]
fn values_that_would_mask_everything_are_refused_aloud() {
    let (redactor, refused) = Redactor::new([
        ("A", "e"),
        ("B", "  true\n"),
        ("C", ""),
        ("D", "Password"),
        ("E", &"x".repeat(LONGEST + 1)),
        ("F", "s3cr3t-value"),
    ]);
    let whys: Vec<(&str, Unsuitable)> = refused.iter().map(|r| (r.name.as_str(), r.why)).collect();
    assert_eq!(
        whys,
        [
            ("A", Unsuitable::TooShort),
            ("B", Unsuitable::TooShort),
            ("C", Unsuitable::TooShort),
            ("D", Unsuitable::Ordinary),
            ("E", Unsuitable::TooLong),
        ]
    );
    assert_eq!(redactor.names().collect::<Vec<_>>(), ["F"]);
    let told = refused.first().unwrap().to_string();
    assert_eq!(
        told,
        "`A` is not masked in the output: its value is shorter than 6 bytes"
    );
}

#[test]
fn neither_a_mark_nor_the_debug_form_tells_a_secret() {
    let (redactor, _) = Redactor::new([("hunter2-token", "hunter2"), ("B", "REDACTED:hu")]);
    assert_eq!(redactor.text("is hunter2"), "is [REDACTED]");
    assert!(!format!("{:?}", self::redactor(&["hunter2"])).contains("hunter2"));
}

#[test]
fn without_secrets_everything_passes_at_once() {
    let mut stream = Redactor::default().stream();
    assert_eq!(stream.push(b"\x00\xff bytes"), b"\x00\xff bytes");
    assert_eq!(stream.finish(), b"");
}

#[test]
fn a_secret_is_found_in_an_argument() {
    let redactor = redactor(&["hunter2-token"]);
    assert_eq!(redactor.finds("--password=hunter2-token"), Some("s0"));
    assert_eq!(redactor.finds("--password=hunter2-toke"), None);
}
