//! Answers from a file, for CI and for tests: what an operator would have answered, written down beforehand.
//!
//! ```yaml
//! scope-and-ownership: {facts: {scope_is_right: true, affected: checkout}}
//! impact: {choose: production-regression, reason: every second order fails}
//! rollback-route-owner:
//!   - {confirm: production, on_failure: back, reason: the epoch moved}
//!   - {confirm: production}
//! ```
//!
//! Each part of an answer is used once; a list is used from the front. What the file does not answer, nobody answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::{MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer};

use crate::execution::question::{Asked, Draft, DraftFound, Question, Way};
use crate::ids::{Field, Principal, Slug};

use super::console::{Given, Reply};

/// Largest answers file: 1 MiB is thousands of answers.
const LARGEST: usize = 1 << 20;

/// What a file answers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    folder: PathBuf,
    steps: BTreeMap<Slug, Vec<Parts>>,
}

/// Why a text is not an answers file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnswers(String);

/// The parts of an answer; each is taken once.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parts {
    facts: Option<BTreeMap<Field, serde_json::Value>>,
    evidence: Option<BTreeMap<Field, EvidenceText>>,
    done: Option<bool>,
    not_done: Option<String>,
    choose: Option<Slug>,
    reason: Option<String>,
    confirm: Option<String>,
    approve: Option<Principal>,
    reject: Option<Reject>,
    acknowledge: BTreeMap<Slug, String>,
    on_failure: Option<Then>,
    doubt: Option<Settled>,
    beside: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reject {
    by: Principal,
    reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Then {
    Retry,
    FreezeAgain,
    LookAgain,
    DoneByHand,
    Skip,
    Back,
    Abort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Settled {
    Happened,
    NotDone,
    LookAgain,
}

/// Text, or a mapping with one key, `file`.
#[derive(Debug, Clone, PartialEq)]
enum EvidenceText {
    Text(String),
    File(PathBuf),
}

impl Answers {
    /// Reads answers; paths of evidence files are taken from `folder`.
    ///
    /// # Errors
    /// [`NotAnswers`] with the place.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, NotAnswers> {
        if text.len() > LARGEST {
            return Err(NotAnswers("larger than 1 MiB".into()));
        }
        let steps: BTreeMap<Slug, OneOrMore> = serde_yaml::from_str_with_options(text, strict())
            .map_err(|why| NotAnswers(why.to_string()))?;
        let steps = steps.into_iter().map(|(id, parts)| (id, parts.0)).collect();
        Ok(Self {
            folder: folder.to_owned(),
            steps,
        })
    }

    /// The steps that are answered, to find those that a runbook does not have.
    pub fn steps(&self) -> impl Iterator<Item = &Slug> {
        self.steps.keys()
    }

    /// Takes the answer to a question; none where the file has none (left).
    pub fn take(&mut self, question: &Question) -> Option<Reply> {
        let at = match &question.asked {
            Asked::ByHand { work_of } => work_of,
            _ => &question.step,
        };
        let folder = self.folder.clone();
        let parts = self.steps.get_mut(at)?;
        parts
            .iter_mut()
            .find_map(|part| part.take(question, &folder))
    }
}

impl Parts {
    fn take(&mut self, question: &Question, folder: &Path) -> Option<Reply> {
        let reason = || self.reason.clone().unwrap_or_default();
        let (draft, given) = match &question.asked {
            Asked::ByHand { .. } => {
                if let Some(reason) = self.not_done.take() {
                    let draft = Draft::NotDone { reason };
                    return Some(Reply::Answer {
                        draft,
                        given: Vec::new(),
                    });
                }
                if self.facts.is_none() && self.evidence.is_none() && self.done != Some(true) {
                    return None;
                }
                self.done = None;
                let (found, given) = self.found(folder);
                (Draft::Facts(found), given)
            }
            Asked::Choose { .. } => {
                let reason = reason();
                (
                    Draft::Choose {
                        option: self.choose.take()?,
                        reason,
                    },
                    Vec::new(),
                )
            }
            Asked::Confirm { .. } => (Draft::Confirm(self.confirm.take()?), Vec::new()),
            Asked::Approve { .. } => match (self.approve.take(), self.reject.take()) {
                (Some(by), _) => (Draft::Approve { by }, Vec::new()),
                (None, Some(reject)) => (
                    Draft::Reject {
                        by: reject.by,
                        reason: reject.reason,
                    },
                    Vec::new(),
                ),
                (None, None) => return None,
            },
            Asked::Acknowledge { check } => (
                Draft::Acknowledge {
                    reason: self.acknowledge.remove(&check.id)?,
                },
                Vec::new(),
            ),
            Asked::Failed { ways, .. } => return self.after_failure(ways, folder),
            Asked::Beside { .. } => {
                let reason = self.beside.take()?;
                (Draft::Settled { reason }, Vec::new())
            }
            Asked::InDoubt { .. } => {
                let reason = reason();
                match self.doubt.take()? {
                    Settled::NotDone => (Draft::NotDone { reason }, Vec::new()),
                    Settled::LookAgain => (Draft::LookAgain, Vec::new()),
                    Settled::Happened => {
                        let (found, given) = self.found(folder);
                        (Draft::DoneByHand { found, reason }, given)
                    }
                }
            }
        };
        Some(Reply::Answer { draft, given })
    }

    fn after_failure(&mut self, ways: &[Way], folder: &Path) -> Option<Reply> {
        let then = self.on_failure.take()?;
        let reason = self.reason.clone().unwrap_or_default();
        // What is not open is answered all the same, and refused with a reason, rather than passed over in silence.
        let _ = ways;
        let (draft, given) = match then {
            Then::Retry => (Draft::Retry { reason }, Vec::new()),
            Then::FreezeAgain => (Draft::FreezeAgain { reason }, Vec::new()),
            Then::LookAgain => (Draft::LookAgain, Vec::new()),
            Then::Skip => (Draft::Skip { reason }, Vec::new()),
            Then::Back => (Draft::BackTo { reason }, Vec::new()),
            Then::Abort => return Some(Reply::Abort { reason }),
            Then::DoneByHand => {
                let (found, given) = self.found(folder);
                (Draft::DoneByHand { found, reason }, given)
            }
        };
        Some(Reply::Answer { draft, given })
    }

    fn found(&mut self, folder: &Path) -> (DraftFound, Vec<(Field, Given)>) {
        let facts = self.facts.take().unwrap_or_default();
        let evidence = self.evidence.take().unwrap_or_default();
        let given = evidence.into_iter().map(|(id, text)| match text {
            EvidenceText::Text(text) => (id, Given::Text(text)),
            EvidenceText::File(path) => (id, Given::File(folder.join(path))),
        });
        (
            DraftFound {
                facts,
                evidence: Vec::new(),
            },
            given.collect(),
        )
    }
}

/// The options under which every document is read: YAML 1.2, nothing clever.
fn strict() -> serde_yaml::Options {
    serde_yaml::options! {
        strict_booleans: true,
        merge_keys: serde_yaml::MergeKeyPolicy::Error,
    }
}

/// A mapping, or a list of them.
struct OneOrMore(Vec<Parts>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMore;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an answer, or a list of answers")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore, A::Error> {
                Parts::deserialize(value::MapAccessDeserializer::new(map))
                    .map(|parts| OneOrMore(vec![parts]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrMore, A::Error> {
                Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(OneOrMore)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for EvidenceText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            file: PathBuf,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = EvidenceText;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, or `{file: PATH}`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EvidenceText, E> {
                Ok(EvidenceText::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EvidenceText, A::Error> {
                let file = File::deserialize(value::MapAccessDeserializer::new(map))?;
                Ok(EvidenceText::File(file.file))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::step::Failure;

    fn ask(step: &str, asked: Asked) -> Question {
        Question {
            step: step.parse().expect("a slug"),
            asked,
        }
    }

    fn failed() -> Asked {
        Asked::Failed {
            failure: Failure::Attempt { why: String::new() },
            ways: vec![Way::Retry],
        }
    }

    #[test]
    fn each_part_is_used_once_and_a_list_from_the_front() {
        let text = "roll:\n  - {confirm: production, on_failure: back, reason: moved}\n  - {confirm: again}\n";
        let mut answers = Answers::parse(text, Path::new(".")).expect("answers");
        let confirm = || {
            let work = crate::execution::event::Work::ByHand;
            ask(
                "roll",
                Asked::Confirm {
                    expected: "production".into(),
                    work,
                },
            )
        };
        let typed = |reply: Option<Reply>| match reply {
            Some(Reply::Answer {
                draft: Draft::Confirm(typed),
                ..
            }) => Some(typed),
            _ => None,
        };
        assert_eq!(
            typed(answers.take(&confirm())).as_deref(),
            Some("production")
        );
        assert!(matches!(
            answers.take(&ask("roll", failed())),
            Some(Reply::Answer {
                draft: Draft::BackTo { .. },
                ..
            })
        ));
        assert_eq!(typed(answers.take(&confirm())).as_deref(), Some("again"));
        assert_eq!(answers.take(&confirm()), None);
        assert_eq!(answers.take(&ask("other", failed())), None);
    }

    #[test]
    fn what_is_not_an_answer_is_refused_with_its_place() {
        for bad in [
            "a: {chose: x}",
            "a: 3",
            "a: {choose: [x]}",
            "A: {choose: x}",
            "- x",
            "a: {facts: {}}\na: {done: true}",
        ] {
            assert!(Answers::parse(bad, Path::new(".")).is_err(), "{bad}");
        }
    }
}
