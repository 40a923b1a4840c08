//! Reading: from bytes to entries, and to a verdict on what follows the last of them.

use crate::digest::Digest;
use crate::ids::ExecutionId;

use super::entry::{Decoded, Entry, Fault, Place, decode, hash_in, sound_hash};

/// What a journal says.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The entries from the first one on, each verified, up to the first line that is not one that this version
    /// understands.
    pub entries: Vec<Entry>,
    /// What follows them. The journal is only accepted as whole if this is [`Tail::Whole`].
    pub tail: Tail,
}

/// What follows the last entry of a [`Reading`].
#[derive(Debug, Clone, PartialEq)]
pub enum Tail {
    /// Nothing.
    Whole,
    /// An incomplete last line: it is still being written, or a crash left it.
    Torn {
        /// Where it begins, in bytes from the start.
        offset: u64,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// A line that a newer version wrote. Its own hash is right; what it means is unknown here, so nothing may be
    /// decided from what follows, nor written after it.
    Newer {
        /// Its number, from one.
        line: u64,
        /// Its type, or `format version 2`.
        what: String,
        /// How many lines from it on are verified; with another format version only itself.
        verified: u64,
    },
    /// Something else: the journal was changed, cut or reordered, or the disk lost what it had.
    Damaged {
        /// The number of the first wrong line, from one.
        line: u64,
        /// Where it begins, in bytes from the start.
        offset: u64,
        /// What is wrong with it.
        why: Fault,
    },
}

/// Reads all bytes of a journal of this execution. Never fails: what is wrong is in the [`Tail`]. What entries name
/// instead of holding is put in by [`Store::read`](super::Store::read) alone.
#[must_use]
pub fn scan(bytes: &[u8], execution: ExecutionId) -> Reading {
    scan_from(Head::start(execution), bytes)
}

/// The end of a journal as far as it is known: what the next line must continue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    pub(super) execution: ExecutionId,
    /// The number of the next entry.
    pub(super) seq: u64,
    /// The hash of the last entry.
    pub(super) hash: Digest,
    /// The length of the file in bytes.
    pub(super) length: u64,
}

impl Head {
    /// Before the first entry.
    pub(super) fn start(execution: ExecutionId) -> Self {
        Self {
            execution,
            seq: 0,
            hash: Digest::ZERO,
            length: 0,
        }
    }

    /// Checks that a line belongs exactly here.
    fn admit(&self, place: Place) -> Result<(), Fault> {
        if place.execution != self.execution {
            Err(Fault::OtherExecution(place.execution))
        } else if place.seq != self.seq {
            Err(Fault::Seq {
                expected: self.seq,
                found: place.seq,
            })
        } else if place.prev != self.hash {
            Err(Fault::Link)
        } else {
            Ok(())
        }
    }

    /// The end after a line of so many bytes, its newline included.
    pub(super) fn after(&self, hash: Digest, bytes: usize) -> Self {
        Self {
            execution: self.execution,
            seq: self.seq + 1,
            hash,
            length: self.length + bytes as u64,
        }
    }
}

/// Reads the bytes that follow a known end.
pub(super) fn scan_from(start: Head, bytes: &[u8]) -> Reading {
    let mut head = start;
    let mut entries = Vec::new();
    // The first line not understood: its number and type.
    let mut newer: Option<(u64, String)> = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (line, finished) = match rest.iter().position(|b| *b == b'\n') {
            Some(end) => (&rest[..end], true),
            None => (rest, false),
        };
        let next = decode(line).and_then(|decoded| {
            let place = match &decoded {
                Decoded::Entry(entry) => entry.place(),
                Decoded::NotUnderstood { place, .. } => *place,
                Decoded::OtherVersion(_) => return Ok((decoded, head.hash)),
            };
            head.admit(place)?;
            Ok((decoded, place.hash))
        });
        let next = match next {
            Ok(_) if !finished => Err(Fault::Unfinished),
            next => next,
        };
        let hash = match next {
            Err(why) => return bad_end(entries, newer, head, rest, why),
            Ok((Decoded::OtherVersion(version), _)) => {
                let (line, what) =
                    newer.unwrap_or((head.seq + 1, format!("format version {version}")));
                return ended_newer(entries, line, what, head.seq + 1);
            }
            Ok((Decoded::NotUnderstood { kind, .. }, hash)) => {
                newer.get_or_insert((head.seq + 1, kind));
                hash
            }
            Ok((Decoded::Entry(entry), hash)) => {
                if newer.is_none() {
                    entries.push(*entry);
                }
                hash
            }
        };
        head = head.after(hash, line.len() + 1);
        rest = &rest[line.len() + 1..];
    }
    match newer {
        Some((line, what)) => ended_newer(entries, line, what, head.seq),
        None => Reading {
            entries,
            tail: Tail::Whole,
        },
    }
}

fn ended_newer(entries: Vec<Entry>, line: u64, what: String, good_lines: u64) -> Reading {
    Reading {
        entries,
        tail: Tail::Newer {
            line,
            what,
            verified: good_lines + 1 - line,
        },
    }
}

/// The verdict when the line at the start of `region` is bad.
fn bad_end(
    entries: Vec<Entry>,
    newer: Option<(u64, String)>,
    head: Head,
    region: &[u8],
    why: Fault,
) -> Reading {
    let tail = match (is_torn(region, &why), newer) {
        (false, _) => Tail::Damaged {
            line: head.seq + 1,
            offset: head.length,
            why,
        },
        (true, Some((line, what))) => return ended_newer(entries, line, what, head.seq),
        (true, None) => Tail::Torn {
            offset: head.length,
            bytes: region.to_vec(),
        },
    };
    Reading { entries, tail }
}

/// Whether a crash during the last append can have left these bytes: no line with a sound hash is among them, and no end
/// of a line with more than its newline behind it. A line whose hash is right but whose place is wrong was put there.
fn is_torn(region: &[u8], why: &Fault) -> bool {
    let mut lines = region.split(|b| *b == b'\n');
    let first = lines.next().unwrap_or_default();
    // A whole entry at its place that only lacks its newline is torn: it was not acknowledged.
    let first_is_sound = sound_hash(first).is_some() && *why != Fault::Unfinished;
    if first_is_sound || lines.any(|line| sound_hash(line).is_some()) {
        return false;
    }
    const LINE_END: usize = 75;
    !region.windows(LINE_END).enumerate().any(|(at, window)| {
        let behind = &region[at + LINE_END..];
        hash_in(window).is_some() && !behind.is_empty() && behind != b"\n"
    })
}

#[cfg(test)]
mod tests {
    use super::super::entry::{Draft, encode};
    use super::*;
    use crate::clock::Timestamp;
    use crate::execution::event::Event;

    const ID: &str = "0193a1b2-0000-7000-8000-000000000001";

    fn id() -> ExecutionId {
        ID.parse().expect("id")
    }

    /// Lines of a sound journal, each with its newline.
    fn lines_of(execution: ExecutionId, count: u64) -> Vec<Vec<u8>> {
        let mut head = Head::start(execution);
        let mut lines = Vec::new();
        for seq in 0..count {
            let draft = Draft {
                execution,
                seq,
                time: Timestamp::from_micros(1_790_000_000_000_000 + seq as i64),
                mono_ns: seq * 1000,
                actor: &"alice".parse().expect("name"),
                event: &Event::NoteAdded {
                    text: format!("note {seq}"),
                },
                prev: head.hash,
            };
            let line = encode(&draft).expect("encodes") + "\n";
            let hash = sound_hash(line.trim_end().as_bytes()).expect("sound");
            head = head.after(hash, line.len());
            lines.push(line.into_bytes());
        }
        lines
    }

    fn journal(count: u64) -> Vec<u8> {
        lines_of(id(), count).concat()
    }

    fn assert_damaged_at(bytes: &[u8], at: u64, what: &str) {
        let reading = scan(bytes, id());
        assert!(
            matches!(reading.tail, Tail::Damaged { line, .. } if line == at),
            "{what}: {:?}",
            reading.tail
        );
        assert_eq!(reading.entries.len() as u64, at - 1, "{what}");
    }

    fn assert_torn_at(bytes: &[u8], offset: usize, what: &str) {
        let expected = Tail::Torn {
            offset: offset as u64,
            bytes: bytes[offset..].to_vec(),
        };
        assert_eq!(scan(bytes, id()).tail, expected, "{what}");
    }

    #[test]
    fn cut_anywhere_leaves_exactly_the_whole_entries_and_the_torn_bytes() {
        let lines = lines_of(id(), 12);
        let bytes = lines.concat();
        let whole = scan(&bytes, id());
        assert_eq!((whole.entries.len(), whole.tail), (12, Tail::Whole));
        for cut in 0..bytes.len() {
            let reading = scan(&bytes[..cut], id());
            let (mut kept, mut start) = (0, 0);
            while start + lines[kept].len() <= cut {
                start += lines[kept].len();
                kept += 1;
            }
            assert_eq!(reading.entries, whole.entries[..kept], "cut at {cut}");
            if start == cut {
                assert_eq!(reading.tail, Tail::Whole);
            } else {
                assert_torn_at(&bytes[..cut], start, "cut");
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let lines = lines_of(id(), 12);
        let mut bytes = lines.concat();
        let last_start = bytes.len() - lines[11].len();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let tail = scan(&bytes, id()).tail;
                match tail {
                    Tail::Damaged { .. } => {}
                    Tail::Torn { offset, .. } => assert!(
                        at >= last_start && offset == last_start as u64,
                        "byte {at} bit {bit}"
                    ),
                    other => panic!("byte {at} bit {bit} was missed: {other:?}"),
                }
                bytes[at] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn what_a_crash_can_leave_at_the_end_is_torn() {
        let lines = lines_of(id(), 12);
        let bytes = lines.concat();
        let whole = lines[..11].concat();
        let half = lines[11].len() / 2;

        let mut zeroed = bytes.clone();
        zeroed[whole.len()..].fill(0);
        assert_torn_at(&zeroed, whole.len(), "zeroed last line");

        let zeros = [&bytes[..], &[0; 4096]].concat();
        assert_torn_at(&zeros, bytes.len(), "zeros behind");

        let half_and_zeros = [&whole[..], &lines[11][..half], &[0; 512]].concat();
        assert_torn_at(&half_and_zeros, whole.len(), "half and zeros");

        let mut noise = Digest::of("noise");
        let mut random = whole.clone();
        for _ in 0..64 {
            noise = Digest::of(noise.to_string());
            let hex = noise.to_string();
            let pair = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex");
            random.extend((0..32).map(pair));
        }
        assert!(random[whole.len()..].contains(&b'\n'));
        assert_torn_at(&random, whole.len(), "random");
    }

    #[test]
    fn zeros_in_the_middle_are_damage() {
        let lines = lines_of(id(), 12);
        let mut bytes = lines.concat();
        let start = lines[..4].concat().len();
        bytes[start..start + 512].fill(0);
        assert_damaged_at(&bytes, 5, "zeroed sector");
    }

    #[test]
    fn lines_deleted_inserted_repeated_reordered_or_foreign_are_damage() {
        let lines = lines_of(id(), 12);
        for at in 0..12_usize {
            let here = at as u64 + 1;
            if at < 11 {
                let mut deleted = lines.clone();
                deleted.remove(at);
                assert_damaged_at(&deleted.concat(), here, "deleted");

                let mut swapped = lines.clone();
                swapped.swap(at, at + 1);
                assert_damaged_at(&swapped.concat(), here, "reordered");
            }
            let mut repeated = lines.clone();
            repeated.insert(at, lines[at].clone());
            assert_damaged_at(&repeated.concat(), here + 1, "repeated");

            let mut empty = lines.clone();
            empty.insert(at, b"\n".to_vec());
            assert_damaged_at(&empty.concat(), here, "empty line");

            // The same place in another journal of the same execution, and in one of another execution.
            for other in [id(), ExecutionId::generate()] {
                let mut foreign = lines.clone();
                foreign[at] = lines_of(other, 12)[at].clone();
                let found = if at == 0 && other == id() {
                    here + 1
                } else {
                    here
                };
                assert_damaged_at(&foreign.concat(), found, "foreign");
            }
        }
    }

    #[test]
    fn a_journal_of_another_execution_is_not_accepted() {
        let other = ExecutionId::generate();
        let reading = scan(&journal(3), other);
        assert!(reading.entries.is_empty());
        assert_eq!(
            reading.tail,
            Tail::Damaged {
                line: 1,
                offset: 0,
                why: Fault::OtherExecution(id())
            }
        );
    }

    #[test]
    fn what_a_newer_version_wrote_is_verified_but_ends_the_entries() {
        let lines = lines_of(id(), 3);
        // The same length, so that only the content differs; then a sound chain is built upon it.
        let mut head = Head::start(id());
        let mut newer = Vec::new();
        for (number, line) in lines.iter().enumerate() {
            let mut text = String::from_utf8(line.clone()).expect("text");
            if number == 1 {
                text = text.replace("note.added", "note.sung!");
            }
            newer.push(relinked(text.trim_end(), head.hash));
            let hash = sound_hash(newer[number].trim_ascii_end()).expect("sound");
            head = head.after(hash, newer[number].len());
        }
        let reading = scan(&newer.concat(), id());
        assert_eq!(reading.entries.len(), 1);
        let expected = Tail::Newer {
            line: 2,
            what: "note.sung!".into(),
            verified: 2,
        };
        assert_eq!(reading.tail, expected);

        newer.swap(1, 2);
        assert_damaged_at(&newer.concat(), 2, "reordered newer lines");

        let version = String::from_utf8(lines[1].clone()).expect("text");
        let version = relinked(
            version.trim_end().replace("\"v\":1", "\"v\":2").as_str(),
            head.hash,
        );
        let reading = scan(&[&lines[0][..], &version, &lines[2]].concat(), id());
        let expected = Tail::Newer {
            line: 2,
            what: "format version 2".into(),
            verified: 1,
        };
        assert_eq!((reading.entries.len(), reading.tail), (1, expected));
    }

    /// A line with another `prev`, and its own hash made right.
    fn relinked(line: &str, prev: Digest) -> Vec<u8> {
        let head = &line[..line.len() - 75 - 74];
        let body = format!("{head},\"prev\":\"{prev}\"");
        let hash = Digest::of(format!("{body}}}"));
        format!("{body},\"hash\":\"{hash}\"}}\n").into_bytes()
    }
}
