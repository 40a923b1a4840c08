//! Redaction: registered secret values are masked before a byte is stored, shown or parsed.
//!
//! What is promised:
//! - A registered value does not leave a [`Stream`], neither plain nor in one of its usual [spellings](spellings), however
//!   the bytes were cut into pieces on their way in.
//! - The output depends on the bytes alone, never on how they were cut.
//! - Everything that cannot be part of a secret is released at once: only the longest end of the input that begins a secret
//!   is held back. A prompt is therefore not delayed, and memory is bounded by the longest registered spelling.
//! - Time is linear in the input, whatever the secrets are.
//!
//! What is not: values nobody registered; values that are encrypted, compressed, cut by colour codes, or split between two
//! streams. Text that already looks like a mark passes as it is.

mod spellings;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

/// Shortest value that is masked, in bytes, without the space around it. Shorter ones occur by chance: a mask of one
/// character hides the whole output, and the places where it does not hide anything tell the value.
pub const SHORTEST: usize = 6;

/// Longest value that is masked, in bytes. It bounds the size of the search automaton; longer ones are files, not secrets.
pub const LONGEST: usize = 64 * 1024;

/// Start of a secret, in bytes, that is masked when the input ends in the middle of it.
const TELLING: usize = 8;

/// Values that are long enough but ordinary: masking them would hide the output and protect nothing.
const ORDINARY: [&str; 16] = [
    "changeme",
    "default",
    "development",
    "disabled",
    "enabled",
    "example",
    "localhost",
    "password",
    "production",
    "redacted",
    "running",
    "secret",
    "staging",
    "undefined",
    "unknown",
    "username",
];

/// A set of secrets to mask; cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Absent when there is nothing to mask.
    rules: Option<Arc<Rules>>,
}

/// A value that is *not* masked, and why; whoever registered it has to be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not masked in the output: {why}")]
pub struct Refused {
    /// The name the value was registered under.
    pub name: String,
    /// Why it cannot be masked.
    pub why: Unsuitable,
}

/// Why a value cannot be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// It occurs by chance.
    #[error("its value is shorter than {SHORTEST} bytes")]
    TooShort,
    /// It is no secret but a file.
    #[error("its value is longer than {LONGEST} bytes")]
    TooLong,
    /// It is an everyday word.
    #[error("its value is an ordinary word")]
    Ordinary,
}

/// Masks one stream of bytes that arrives in pieces.
pub struct Stream {
    rules: Option<Arc<Rules>>,
    state: Option<StateID>,
    /// What is not yet released. Its first byte has the offset `base` in the stream.
    held: Vec<u8>,
    base: u64,
    /// Found in `held`, by rising offset, not overlapping.
    found: Vec<Found>,
    /// Everything before this offset is under a mark that is already out.
    covered: u64,
    counts: BTreeMap<String, u64>,
}

struct Rules {
    automaton: NFA,
    start: StateID,
    /// For each pattern of the automaton, whose value it is.
    owners: Vec<usize>,
    /// The registered names, in order, each with its mark.
    names: Vec<(String, String)>,
    /// For each state that stands for the start of a pattern, what must be held back there.
    holds: HashMap<StateID, Hold>,
}

/// The longest end of the input that is the start, and not the whole, of a pattern; of several, of the value that was
/// registered first.
#[derive(Clone, Copy)]
struct Hold {
    len: usize,
    owner: usize,
}

#[derive(Clone, Copy)]
struct Found {
    start: u64,
    end: u64,
    owner: usize,
}

impl Redactor {
    /// Registers the values under their names, and tells which of them it cannot mask.
    ///
    /// A value registered twice is masked under the first name.
    pub fn new<N: Into<String>, V: AsRef<str>>(
        secrets: impl IntoIterator<Item = (N, V)>,
    ) -> (Self, Vec<Refused>) {
        let mut names = Vec::new();
        let mut patterns: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut refused = Vec::new();
        for (name, value) in secrets {
            let name = name.into();
            let value = value.as_ref().trim();
            match unsuitable(value) {
                Some(why) => refused.push(Refused { name, why }),
                None => {
                    for spelling in spellings::of(value) {
                        patterns.entry(spelling).or_insert(names.len());
                    }
                    names.push(name);
                }
            }
        }
        let rules = (!patterns.is_empty()).then(|| Arc::new(Rules::new(patterns, names)));
        (Self { rules }, refused)
    }

    /// Starts to mask a new stream.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream {
            rules: self.rules.clone(),
            state: self.rules.as_ref().map(|rules| rules.start),
            held: Vec::new(),
            base: 0,
            found: Vec::new(),
            covered: 0,
            counts: BTreeMap::new(),
        }
    }

    /// Masks bytes that are all at hand.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut out = stream.push(bytes);
        out.extend(stream.finish());
        out
    }

    /// Masks text that is all at hand.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8(self.bytes(text.as_bytes()))
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }

    /// The name of a registered secret that `text` holds in any spelling, if there is one.
    #[must_use]
    pub fn finds(&self, text: &str) -> Option<&str> {
        self.rules.as_ref()?.first_in(text)
    }

    /// The names under which values are masked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.rules.iter().flat_map(|rules| &rules.names);
        names.map(|(name, _)| name.as_str())
    }
}
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: BTreeSet<&str> = self.names().collect();
        f.debug_tuple("Redactor").field(&names).finish()
    }
}

impl Stream {
    /// Takes the next piece and returns what may be released now.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let (Some(rules), Some(mut state)) = (self.rules.clone(), self.state) else {
            return piece.to_vec();
        };
        let mut end = self.base + self.held.len() as u64;
        self.held.extend_from_slice(piece);
        for &byte in piece {
            end += 1;
            state = rules.automaton.next_state(Anchored::No, state, byte);
            if rules.automaton.is_match(state) {
                let (len, owner) = rules.longest_at(state);
                self.add(Found {
                    start: end - len as u64,
                    end,
                    owner,
                });
            }
        }
        self.state = Some(state);
        let hold = rules.holds.get(&state).map_or(0, |hold| hold.len);
        self.release(&rules, end - hold as u64)
    }

    /// Ends the stream and returns the rest; a start of a secret of 8 bytes or more in it is masked as well.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        let (Some(rules), Some(state)) = (self.rules.clone(), self.state) else {
            return Vec::new();
        };
        let end = self.base + self.held.len() as u64;
        if let Some(hold) = rules.holds.get(&state).filter(|hold| hold.len >= TELLING) {
            self.add(Found {
                start: end - hold.len as u64,
                end,
                owner: hold.owner,
            });
        }
        self.state = Some(rules.start);
        self.release(&rules, end)
    }

    /// How many marks were written so far, by name.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Adds what was found last, joined with whatever it overlaps. The joined one has the name of the one that starts first
    /// and, of those, the longest.
    fn add(&mut self, mut new: Found) {
        while let Some(last) = self.found.last().filter(|last| last.end > new.start) {
            let first_or_longer =
                last.start < new.start || (last.start == new.start && last.end >= new.end);
            if first_or_longer {
                new.owner = last.owner;
            }
            new.start = new.start.min(last.start);
            new.end = new.end.max(last.end);
            self.found.pop();
        }
        if new.start < self.covered {
            self.covered = self.covered.max(new.end);
        } else {
            self.found.push(new);
        }
    }

    /// Releases everything before the offset `until`. Nothing found later starts before it, so a mark that starts before it
    /// can be written although its end is still open.
    fn release(&mut self, rules: &Rules, until: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.held.len());
        let mut at = self.base.max(self.covered.min(until));
        let starting = self.found.partition_point(|found| found.start < until);
        for found in self.found.drain(..starting) {
            let (name, mark) = &rules.names[found.owner];
            out.extend_from_slice(
                &self.held[offset(at, self.base)..offset(found.start, self.base)],
            );
            out.extend_from_slice(mark.as_bytes());
            *self.counts.entry(name.clone()).or_default() += 1;
            self.covered = found.end;
            at = found.end.min(until);
        }
        let done = offset(until, self.base);
        out.extend_from_slice(&self.held[offset(at, self.base)..done]);
        self.held.drain(..done);
        self.base = until;
        out
    }
}

/// Where an offset of the stream is in a buffer that starts at `base`.
fn offset(at: u64, base: u64) -> usize {
    usize::try_from(at - base).expect("the buffer is in memory")
}

impl Rules {
    fn new(patterns: BTreeMap<Vec<u8>, usize>, names: Vec<String>) -> Self {
        let mut patterns: Vec<(Vec<u8>, usize)> = patterns.into_iter().collect();
        // Short ones first: what is held back at the end of a pattern is known from shorter patterns.
        patterns.sort_by_key(|(pattern, _)| pattern.len());
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(patterns.iter().map(|(pattern, _)| pattern))
            .expect("values are bounded in length, and the automaton holds 2^31 states");
        let start = automaton
            .start_state(Anchored::No)
            .expect("this automaton searches unanchored");
        let mut rules = Self {
            automaton,
            start,
            owners: patterns.iter().map(|(_, owner)| *owner).collect(),
            names: Vec::new(),
            holds: HashMap::new(),
        };
        rules.holds = rules.holds(&patterns);
        rules.names = names
            .into_iter()
            .map(|name| {
                let mark = format!("[REDACTED:{name}]");
                // A mark must not itself tell a secret, as when a value is named after itself.
                let mark = match rules.first_in(&mark) {
                    None => mark,
                    Some(_) => "[REDACTED]".to_owned(),
                };
                (name, mark)
            })
            .collect();
        rules
    }

    /// Follows every pattern through the automaton. After its first n bytes the state stands for exactly these, since they
    /// are the longest end of the input that starts a pattern.
    fn holds(&self, patterns: &[(Vec<u8>, usize)]) -> HashMap<StateID, Hold> {
        let mut holds = HashMap::new();
        for (pattern, owner) in patterns {
            let mut state = self.start;
            for (len, &byte) in (1..pattern.len()).zip(pattern) {
                state = self.automaton.next_state(Anchored::No, state, byte);
                let owner = *owner;
                let hold: &mut Hold = holds.entry(state).or_insert(Hold { len, owner });
                hold.owner = hold.owner.min(owner);
            }
        }
        // A state that stands for a whole pattern and starts no longer one: its own longest proper end decides.
        for (pattern, _) in patterns {
            let whole = self.after(pattern);
            if !holds.contains_key(&whole)
                && let Some(&hold) = holds.get(&self.after(&pattern[1..]))
            {
                holds.insert(whole, hold);
            }
        }
        holds
    }

    fn after(&self, bytes: &[u8]) -> StateID {
        bytes.iter().fold(self.start, |state, &byte| {
            self.automaton.next_state(Anchored::No, state, byte)
        })
    }

    /// Length and owner of the longest pattern that ends at this state.
    fn longest_at(&self, state: StateID) -> (usize, usize) {
        (0..self.automaton.match_len(state))
            .map(|index| self.automaton.match_pattern(state, index))
            .map(|pattern| {
                let len = self.automaton.pattern_len(pattern);
                (len, self.owners[pattern.as_usize()])
            })
            .max_by_key(|(len, _)| *len)
            .expect("a match state has a pattern")
    }

    fn first_in(&self, text: &str) -> Option<&str> {
        let mut state = self.start;
        for byte in text.bytes() {
            state = self.automaton.next_state(Anchored::No, state, byte);
            if self.automaton.is_match(state) {
                let (_, owner) = self.longest_at(state);
                // While the marks are still being made, only that something was found matters.
                return Some(self.names.get(owner).map_or("", |(name, _)| name));
            }
        }
        None
    }
}

fn unsuitable(value: &str) -> Option<Unsuitable> {
    let word = value.to_ascii_lowercase();
    if value.len() < SHORTEST {
        Some(Unsuitable::TooShort)
    } else if value.len() > LONGEST {
        Some(Unsuitable::TooLong)
    } else if ORDINARY.contains(&word.as_str()) {
        Some(Unsuitable::Ordinary)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
