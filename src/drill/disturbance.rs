//! What happens while the operator works: other people, failures, answers that are lost.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::case::{Says, mergeable};
use super::document::DocumentError;
use super::form::Form;
use super::plane::Plane;
use super::request::Request;
use super::route::RoutePattern;
use super::world::Progress;
use crate::ids::Principal;

/// Something that happens at some request of the operator.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Document")]
pub(super) struct Disturbance {
    pub(super) title: String,
    pub(super) moment: Moment,
    /// Requests that must have been made in this order, others between them; never empty.
    requests: Vec<RoutePattern>,
    times: u32,
    pub(super) deed: Option<Deed>,
    pub(super) answer: Option<Instead>,
}

/// When it happens, seen from the answer to the last of the requests that it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before the plane does anything.
    Before,
    /// When the plane has done everything, and before anybody hears of it.
    After,
}

/// What somebody does.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deed {
    pub(super) actor: Principal,
    pub(super) sends: Option<Sends>,
    pub(super) merge: Option<Form>,
}

/// A request of somebody else, which the plane answers like any.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sends {
    /// With nothing open in its path.
    pub(super) request: RoutePattern,
    #[serde(default)]
    pub(super) body: Option<Form>,
}

/// What the operator gets in the place of the plane's answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Instead {
    /// Another answer.
    Says(Says),
    /// Nothing: the connection is cut.
    Cut,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    title: String,
    #[serde(default)]
    before: OneOrMore,
    #[serde(default)]
    after: OneOrMore,
    #[serde(default)]
    times: Option<u32>,
    #[serde(default)]
    actor: Option<Principal>,
    #[serde(default)]
    sends: Option<Sends>,
    #[serde(default)]
    merge: Option<Form>,
    #[serde(default)]
    answer: Option<Instead>,
}

impl TryFrom<Document> for Disturbance {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        let wrong = |what: &str| format!("disturbance `{}`: {what}", document.title);
        let (moment, requests) = match (document.before.0, document.after.0) {
            (before, after) if after.is_empty() && !before.is_empty() => (Moment::Before, before),
            (before, after) if before.is_empty() && !after.is_empty() => (Moment::After, after),
            _ => return Err(wrong("say `before` or `after` which requests it happens")),
        };
        let times = document.times.unwrap_or(1);
        if times == 0 {
            return Err(wrong("`times: 0` never happens"));
        }
        let deed = match (document.actor, document.sends, document.merge) {
            (None, None, None) => None,
            (Some(_), None, None) => {
                return Err(wrong("the actor does nothing: say `sends` or `merge`"));
            }
            (None, _, _) => return Err(wrong("say who does it: `actor`")),
            (Some(actor), sends, merge) => Some(Deed {
                actor,
                sends,
                merge: merge
                    .map(mergeable)
                    .transpose()
                    .map_err(|what| wrong(&what))?,
            }),
        };
        if deed.is_none() && document.answer.is_none() {
            return Err(wrong("nothing happens: say `sends`, `merge` or `answer`"));
        }
        Ok(Self {
            title: document.title,
            moment,
            requests,
            times,
            deed,
            answer: document.answer,
        })
    }
}

impl Disturbance {
    /// Takes note of a request, and says whether it happens at it.
    pub(super) fn is_due(&self, request: &Request<'_>, progress: &mut Progress) -> bool {
        if progress.happened == self.times {
            return false;
        }
        // All were seen: what remains of `times` happens at further requests like the last.
        let next = progress.seen.min(self.requests.len() - 1);
        if !self.requests[next].matches(request) {
            return false;
        }
        progress.seen = next + 1;
        let due = progress.seen == self.requests.len();
        progress.happened += u32::from(due);
        due
    }

    /// That it fits the plane.
    pub(super) fn check(&self, plane: &Plane) -> Result<(), DocumentError> {
        let wrong =
            |what: String| DocumentError::wrong(&format!("disturbance `{}`", self.title), what);
        let sent = self
            .deed
            .iter()
            .filter_map(|deed| deed.sends.as_ref())
            .map(|sends| &sends.request);
        if let Some(other) = self
            .requests
            .iter()
            .chain(sent.clone())
            .find(|on| !plane.answers(on))
        {
            return Err(wrong(format!("the plane has no route for `{other}`")));
        }
        for request in sent {
            if request.plain_path().is_none() {
                return Err(wrong(format!(
                    "`{request}` is sent as it is: name what is in the braces"
                )));
            }
            if request.method() == "GET" {
                return Err(wrong(format!("`{request}` only reads")));
            }
        }
        let known = plane.known_without_request();
        let forms = self.deed.iter().flat_map(|deed| {
            let body = deed.sends.as_ref().and_then(|sends| sends.body.as_ref());
            body.into_iter().chain(&deed.merge)
        });
        forms
            .into_iter()
            .try_for_each(|form| known.check_form(form))
            .map_err(wrong)?;
        match &self.answer {
            Some(Instead::Says(says)) => says.check(&known).map_err(wrong),
            Some(Instead::Cut) | None => Ok(()),
        }
    }
}

/// One request, or several in order.
#[derive(Default)]
struct OneOrMore(Vec<RoutePattern>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a request like `GET /hosts/{host}`, or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore, E> {
                let one = text.parse().map_err(E::custom)?;
                Ok(OneOrMore(vec![one]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneOrMore, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMore(all))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Instead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Instead;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`cut`, or a map with `status`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Instead, E> {
                match text {
                    "cut" => Ok(Instead::Cut),
                    other => Err(E::custom(format_args!(
                        "`{other}` is no answer: write `cut`, or a map with `status`"
                    ))),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Instead, A::Error> {
                Says::deserialize(MapAccessDeserializer::new(map)).map(Instead::Says)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
