//! One entry and its line.
//!
//! ```text
//! {"v":1,"execution":"<uuid>","seq":3,"t":"…Z","mono_ns":812004551,"actor":"alice","type":"note.added","data":{…},
//!  "salt":"<32 hex>","prev":"<64 hex>","hash":"<64 hex>"}
//! ```
//!
//! The keys are always in this order and nothing stands between them, so a line is checked as bytes: no canonical form
//! is needed. `hash` is the SHA-256 of the line with its last 75 bytes (`,"hash":"…"}`) replaced by `}`; `prev` is the
//! `hash` of the line before, zeros in the first. The salt makes the hash of a withheld line useless for guessing what it
//! said. Every later version of the format keeps the meaning of `v` and of the last 75 bytes.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::clock::Timestamp;
use crate::digest::{Digest, Hasher};
use crate::execution::event::Event;
use crate::ids::{ExecutionId, Principal};

/// Longest line in bytes, its newline included. What is bigger belongs into an artifact: the bound keeps one append one
/// write, and lets a reader tell a line from rubbish.
pub const MAX_LINE: usize = 64 * 1024;

/// The version of the format that this version writes, and the only one it can check fully.
const VERSION: u64 = 1;

/// Bytes of `,"hash":"…"}`.
const HASH_TAIL: usize = 75;
/// Bytes of `,"salt":"…","prev":"…","hash":"…"}`.
const TAIL: usize = 42 + 74 + HASH_TAIL;

/// One thing that happened, with when, who, and its place in the chain. Only reading a line makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The execution that the journal belongs to.
    pub execution: ExecutionId,
    /// Position in the journal, from zero.
    pub seq: u64,
    /// The wall clock when it was written.
    pub time: Timestamp,
    /// Nanoseconds since the writing process opened the journal, on a clock that nobody sets: within one process, what
    /// really elapsed between two entries.
    pub mono_ns: u64,
    /// Who did it.
    pub actor: Principal,
    /// What happened.
    pub event: Event,
    /// The hash of the entry before.
    pub prev: Digest,
    /// The hash of this entry; commits to everything before it.
    pub hash: Digest,
    line: String,
}

impl Entry {
    /// The exact text of its line, without the newline.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// Why a line is not the next entry. `Display` is a fragment that follows `line 7`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end before the line does.
    #[error("ends without a newline")]
    Unfinished,
    /// Longer than [`MAX_LINE`].
    #[error("is longer than {MAX_LINE} bytes")]
    TooLong,
    /// The last 75 bytes are not a hash, or not that of the bytes before.
    #[error("does not match its own hash")]
    SelfHash,
    /// A key is missing, strange, or out of order, or its value is not written the one way it may be.
    #[error("is not an entry: its `{0}` is missing, misplaced or malformed")]
    Shape(&'static str),
    /// Type and data are not strict JSON.
    #[error("is not strict JSON: {0}")]
    Json(String),
    /// Lines are missing, repeated or reordered.
    #[error("has number {found} where {expected} must follow")]
    Seq {
        /// The number that must follow.
        expected: u64,
        /// The number in the line.
        found: u64,
    },
    /// The line follows another line than the one before it.
    #[error("does not follow the line before it")]
    Link,
    /// What it names is not there as it was.
    #[error("names `{path}`, which {why}")]
    Named {
        /// Where it was kept.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The line was written for another execution.
    #[error("belongs to execution `{0}`")]
    OtherExecution(ExecutionId),
}

/// What a line holds whose own hash is right.
#[derive(Debug)]
pub(super) enum Decoded {
    /// An entry.
    Entry(Box<Entry>),
    /// Format version 1, but a type or data that this version does not know.
    NotUnderstood {
        /// Its place in the chain, to verify what surrounds it.
        place: Place,
        /// Its type.
        kind: String,
    },
    /// Another format version.
    OtherVersion(u64),
}

/// Where a line says it belongs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) execution: ExecutionId,
    pub(super) seq: u64,
    pub(super) prev: Digest,
    pub(super) hash: Digest,
}

impl Entry {
    /// Where this entry belongs.
    pub(super) fn place(&self) -> Place {
        Place {
            execution: self.execution,
            seq: self.seq,
            prev: self.prev,
            hash: self.hash,
        }
    }
}

/// What a new line is made from.
pub(super) struct Draft<'a> {
    pub(super) execution: ExecutionId,
    pub(super) seq: u64,
    pub(super) time: Timestamp,
    pub(super) mono_ns: u64,
    pub(super) actor: &'a Principal,
    pub(super) event: &'a Event,
    pub(super) prev: Digest,
}

/// Writes the line of a draft, without the newline; it may be longer than [`MAX_LINE`].
pub(super) fn encode(draft: &Draft<'_>) -> Result<String, serde_json::Error> {
    let event = serde_json::to_string(draft.event)?;
    let inner = event
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or(&event);
    let mut line = format!(
        r#"{{"v":{VERSION},"execution":"{}","seq":{},"t":"{}","mono_ns":{},"actor":"{}",{inner},"salt":"{}","prev":"{}""#,
        draft.execution,
        draft.seq,
        draft.time,
        draft.mono_ns,
        draft.actor,
        // 122 random bits in 16 bytes.
        uuid::Uuid::new_v4().simple(),
        draft.prev,
    );
    let hash = self_hash(line.as_bytes());
    line.push_str(&format!(r#","hash":"{hash}"}}"#));
    Ok(line)
}

/// The hash of a line, from what stands before `,"hash":`.
fn self_hash(head: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(head);
    hasher.update(b"}");
    hasher.finish()
}

/// The hash in the last 75 bytes of a line, when it is there and right.
pub(super) fn sound_hash(line: &[u8]) -> Option<Digest> {
    let (head, tail) = line.split_at(line.len().checked_sub(HASH_TAIL)?);
    let written = hash_in(tail)?;
    (self_hash(head) == written).then_some(written)
}

/// The hash in `,"hash":"…"}`, whether right or not.
pub(super) fn hash_in(tail: &[u8]) -> Option<Digest> {
    let hex = tail.strip_prefix(br#","hash":""#)?.strip_suffix(b"\"}")?;
    std::str::from_utf8(hex).ok()?.parse().ok()
}

/// Reads a line, without its newline. Checks everything that the line alone can tell.
pub(super) fn decode(line: &[u8]) -> Result<Decoded, Fault> {
    if line.len() >= MAX_LINE {
        return Err(Fault::TooLong);
    }
    let hash = sound_hash(line).ok_or(Fault::SelfHash)?;
    let text = std::str::from_utf8(line).map_err(|_| Fault::Shape("encoding"))?;
    let mut rest = text;
    let version = number(&mut rest, "{\"v\":", "v")?;
    if version != VERSION {
        return Ok(Decoded::OtherVersion(version));
    }
    let execution = quoted_one_way(&mut rest, ",\"execution\":\"", "execution")?;
    let seq = number(&mut rest, ",\"seq\":", "seq")?;
    let time = quoted_one_way(&mut rest, ",\"t\":\"", "t")?;
    let mono_ns = number(&mut rest, ",\"mono_ns\":", "mono_ns")?;
    let actor = quoted(&mut rest, ",\"actor\":\"", "actor")?;
    let inner = rest.strip_prefix(',').ok_or(Fault::Shape("type"))?;
    // The tail has a fixed length, so nothing inside the data can be taken for it.
    let (inner, mut tail) = inner
        .len()
        .checked_sub(TAIL)
        .and_then(|at| inner.split_at_checked(at))
        .ok_or(Fault::Shape("data"))?;
    salt(&mut tail)?;
    let prev = quoted(&mut tail, ",\"prev\":\"", "prev")?;
    let (kind, event) = decode_event(inner)?;
    Ok(match event {
        None => Decoded::NotUnderstood {
            place: Place {
                execution,
                seq,
                prev,
                hash,
            },
            kind,
        },
        Some(event) => Decoded::Entry(Box::new(Entry {
            execution,
            seq,
            time,
            mono_ns,
            actor,
            event,
            prev,
            hash,
            line: text.to_owned(),
        })),
    })
}

/// Reads `"type":…,"data":…`: the type, and the event when this version knows it. Data that does not fit a known type
/// is a newer version's too: the hash says that it is what was written.
fn decode_event(inner: &str) -> Result<(String, Option<Event>), Fault> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outline {
        r#type: String,
        #[expect(dead_code, reason = "read to be checked")]
        #[serde(default)]
        data: Strict,
    }
    if !inner.starts_with("\"type\":\"") {
        return Err(Fault::Shape("type"));
    }
    let json = format!("{{{inner}}}");
    let outline: Outline =
        serde_json::from_str(&json).map_err(|error| Fault::Json(error.to_string()))?;
    Ok((outline.r#type, serde_json::from_str(&json).ok()))
}

/// Takes `before` and a decimal number, written the one way it may be.
fn number(rest: &mut &str, before: &str, key: &'static str) -> Result<u64, Fault> {
    let after = rest.strip_prefix(before).ok_or(Fault::Shape(key))?;
    let end = after
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(after.len());
    let (digits, left) = after.split_at(end);
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(Fault::Shape(key));
    }
    *rest = left;
    digits.parse().map_err(|_| Fault::Shape(key))
}

/// Takes `before`, a value whose text needs no escapes, and its closing quote.
fn quoted<T: std::str::FromStr>(
    rest: &mut &str,
    before: &str,
    key: &'static str,
) -> Result<T, Fault> {
    let after = rest.strip_prefix(before).ok_or(Fault::Shape(key))?;
    let (text, left) = after.split_once('"').ok_or(Fault::Shape(key))?;
    *rest = left;
    text.parse().map_err(|_| Fault::Shape(key))
}

/// As [`quoted`], for a value that could be written in several ways: only the one that [`encode`] writes is accepted.
fn quoted_one_way<T: std::str::FromStr + fmt::Display>(
    rest: &mut &str,
    before: &str,
    key: &'static str,
) -> Result<T, Fault> {
    let start = *rest;
    let value: T = quoted(rest, before, key)?;
    let written = &start[before.len()..start.len() - rest.len() - 1];
    if value.to_string() == written {
        Ok(value)
    } else {
        Err(Fault::Shape(key))
    }
}

/// Takes the salt.
fn salt(rest: &mut &str) -> Result<(), Fault> {
    let after = rest
        .strip_prefix(",\"salt\":\"")
        .and_then(|after| after.split_at_checked(32))
        .and_then(|(hex, left)| Some((hex, left.strip_prefix('"')?)));
    match after {
        Some((hex, left)) if hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            *rest = left;
            Ok(())
        }
        _ => Err(Fault::Shape("salt")),
    }
}

/// Any JSON value in which no object has a key twice: two readers could otherwise see two different events.
#[derive(Default)]
struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        let mut seen = BTreeSet::new();
        while let Some((key, _)) = items.next_entry::<String, Self>()? {
            if let Some(twice) = seen.replace(key) {
                return Err(serde::de::Error::custom(format_args!(
                    "key `{}` occurs twice",
                    twice.escape_debug()
                )));
            }
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft_of(event: &Event) -> String {
        encode(&Draft {
            execution: "0193a1b2-0000-7000-8000-000000000001".parse().expect("id"),
            seq: 3,
            time: "2026-11-20T23:15:06.832402Z".parse().expect("time"),
            mono_ns: 812_004_551,
            actor: &"alice@example.com".parse().expect("name"),
            event,
            prev: Digest::of("before"),
        })
        .expect("encodes")
    }

    fn note(text: &str) -> Event {
        Event::NoteAdded { text: text.into() }
    }

    /// The line with its hash made right again, as a forger would.
    fn rehash(line: &str) -> Vec<u8> {
        let head = &line[..line.len() - HASH_TAIL];
        let hash = self_hash(head.as_bytes());
        format!(r#"{head},"hash":"{hash}"}}"#).into_bytes()
    }

    #[test]
    fn a_line_reads_back_and_looks_as_promised() {
        let event = note("quote \" slash \\ newline \n é \u{2028}");
        let line = draft_of(&event);
        let Ok(Decoded::Entry(entry)) = decode(line.as_bytes()) else {
            panic!("{line}");
        };
        assert_eq!(entry.event, event);
        assert_eq!(entry.line(), line);
        let start = r#"{"v":1,"execution":"0193a1b2-0000-7000-8000-000000000001","seq":3,"t":"2026-11-20T23:15:06.832402Z","mono_ns":812004551,"actor":"alice@example.com","type":"note.added","data":{"text":"#;
        assert!(line.starts_with(start), "{line}");
        let keys: Vec<usize> = ["\"data\":", "\"salt\":", "\"prev\":", "\"hash\":"]
            .iter()
            .map(|key| line.find(key).expect("has the key"))
            .collect();
        assert!(keys.is_sorted());
        assert_eq!(keys[3] - 1, line.len() - HASH_TAIL);
        assert_ne!(line, draft_of(&event), "two lines have two salts");
    }

    #[test]
    fn a_forged_line_with_a_right_hash_still_must_have_the_one_shape() {
        let line = draft_of(&note("x"));
        for (from, to) in [
            ("\"v\":1", "\"v\":01"),
            ("\"v\":1", "\"v\": 1"),
            ("\"v\":1,", "\"v\":1,\"v\":1,"),
            ("\"seq\":3", "\"seq\":03"),
            ("\"seq\":3", "\"seq\":+3"),
            ("\"seq\":3", "\"seq\":-3"),
            ("\"seq\":3", "\"seq\":3.0"),
            ("\"seq\":3", "\"seq\":3,\"extra\":1"),
            ("\"seq\":3", "\"seq\":99999999999999999999999"),
            ("402Z", "402+00:00"),
            ("0193a1b2-0000", "0193A1B2-0000"),
            ("\"actor\":\"alice@example.com\"", "\"actor\":\"\""),
            ("\"actor\":\"alice@example.com\"", "\"actor\":\"al ice\""),
            ("\"type\":", " \"type\":"),
            ("\"type\":", "\"step\":\"x\",\"type\":"),
            ("{\"text\":\"x\"}", "{\"text\":\"x\",\"text\":\"y\"}"),
            (
                "{\"text\":\"x\"}",
                "{\"text\":\"x\",\"more\":{\"a\":[{\"b\":1,\"b\":2}]}}",
            ),
            ("{\"text\":\"x\"}", "{\"text\":\"x\"},\"data\":{}"),
            ("{\"text\":\"x\"}", "{\"text\":\"x\"},\"salt\":\"1\""),
            ("{\"text\":\"x\"}", "{\"text\":\"x\"}}{"),
            ("{\"text\":\"x\"}", "{\"text\":\"\u{1}\"}"),
            ("{\"text\":\"x\"}", "{\"text\":\"\\ud800\"}"),
            ("\"salt\":\"", "\"salt\":\"G"),
            ("\"prev\":\"", "\"prev\": \""),
        ] {
            let forged = line.replacen(from, to, 1);
            assert_ne!(forged, line, "{from}");
            let decoded = decode(&rehash(&forged));
            assert!(
                matches!(decoded, Err(Fault::Shape(_) | Fault::Json(_))),
                "{to}: {decoded:?}"
            );
        }
    }

    #[test]
    fn what_a_newer_version_wrote_is_told_apart_from_damage() {
        let line = draft_of(&note("x"));
        let newer = |from, to| decode(&rehash(&line.replacen(from, to, 1)));
        assert!(matches!(
            newer("\"v\":1", "\"v\":2"),
            Ok(Decoded::OtherVersion(2))
        ));
        for (from, to) in [
            ("note.added", "note.sung"),
            ("{\"text\":\"x\"}", "{\"text\":\"x\",\"melody\":\"y\"}"),
            ("{\"text\":\"x\"}", "{}"),
        ] {
            let decoded = newer(from, to);
            assert!(
                matches!(decoded, Ok(Decoded::NotUnderstood { .. })),
                "{to}: {decoded:?}"
            );
        }
        let damaged = line.replacen("\"v\":1", "\"v\":2", 1);
        assert!(matches!(decode(damaged.as_bytes()), Err(Fault::SelfHash)));
    }
}
