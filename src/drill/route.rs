//! Which requests are meant: `GET /hosts/{host}`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::request::Request;
use crate::ids::Field;

/// The methods that a route can have.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// A method and a path; a segment like `{host}` stands for any one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoutePattern {
    method: &'static str,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Exactly(String),
    Any(Field),
}

impl RoutePattern {
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// The values of the path by their names; none where it is another path.
    pub(super) fn path(&self, segments: &[String]) -> Option<Json> {
        if segments.len() != self.segments.len() {
            return None;
        }
        let pairs = self.segments.iter().zip(segments);
        let values = pairs.filter_map(|(wanted, given)| match wanted {
            Segment::Exactly(text) => (text != given).then_some(None),
            Segment::Any(name) => {
                Some((!given.is_empty()).then(|| (name.to_string(), given.as_str().into())))
            }
        });
        values.collect::<Option<_>>().map(Json::Object)
    }

    /// Whether the request is one of these.
    pub(super) fn matches(&self, request: &Request<'_>) -> bool {
        self.method == request.method && self.path(&request.segments).is_some()
    }

    /// The names in the path.
    pub(super) fn parameters(&self) -> BTreeSet<String> {
        let names = self.segments.iter().filter_map(|segment| match segment {
            Segment::Any(name) => Some(name.to_string()),
            Segment::Exactly(_) => None,
        });
        names.collect()
    }

    /// Whether it stands for the same requests, whatever the names in the path.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.segments.iter().zip(&other.segments);
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && pairs.into_iter().all(|pair| match pair {
                (Segment::Exactly(one), Segment::Exactly(other)) => one == other,
                (Segment::Any(_), Segment::Any(_)) => true,
                _ => false,
            })
    }

    /// Whether there is a request that is one of both.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let pairs = self.segments.iter().zip(&other.segments);
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && pairs.into_iter().all(|pair| match pair {
                (Segment::Exactly(one), Segment::Exactly(other)) => one == other,
                _ => true,
            })
    }

    /// The path, where nothing in it is open.
    pub(super) fn plain_path(&self) -> Option<String> {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Exactly(text) => Some(format!("/{text}")),
            Segment::Any(_) => None,
        });
        segments.collect()
    }
}

impl FromStr for RoutePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let spelled = || format!("`{text}` is no route: write it as `GET /hosts/{{host}}`");
        let (method, path) = text.split_once(' ').ok_or_else(spelled)?;
        let method = METHODS
            .into_iter()
            .find(|known| *known == method)
            .ok_or_else(spelled)?;
        let path = path.strip_prefix('/').ok_or_else(spelled)?;
        let mut segments = Vec::new();
        for segment in path.split('/') {
            let named = segment
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            let segment = match named {
                Some(name) => {
                    let name: Field = name
                        .parse()
                        .map_err(|why| format!("`{text}`: `{name}` {why}"))?;
                    if segments.contains(&Segment::Any(name.clone())) {
                        return Err(format!("`{text}`: `{name}` is there twice"));
                    }
                    Segment::Any(name)
                }
                None if segment.is_empty() || segment.contains(['{', '}', '?', '%', ' ']) => {
                    return Err(spelled());
                }
                None => Segment::Exactly(segment.to_owned()),
            };
            segments.push(segment);
        }
        if segments == [Segment::Exactly("ledger".into())] {
            return Err("every plane answers `/ledger` by itself".into());
        }
        Ok(Self { method, segments })
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.method)?;
        self.segments.iter().try_for_each(|segment| match segment {
            Segment::Exactly(text) => write!(f, "/{text}"),
            Segment::Any(name) => write!(f, "/{{{name}}}"),
        })
    }
}

impl<'de> Deserialize<'de> for RoutePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pattern(text: &str) -> RoutePattern {
        text.parse().expect(text)
    }

    #[test]
    fn a_segment_in_braces_stands_for_any_one() {
        let route = pattern("GET /hosts/{host}/sessions");
        let path = |text: &str| {
            let segments: Vec<String> = text.split('/').skip(1).map(str::to_owned).collect();
            route.path(&segments)
        };
        assert_eq!(path("/hosts/h-1/sessions"), Some(json!({"host": "h-1"})));
        for other in [
            "/hosts/h-1",
            "/hosts//sessions",
            "/host/h-1/sessions",
            "/hosts/h-1/sessions/",
            "/",
        ] {
            assert_eq!(path(other), None, "{other}");
        }
        assert_eq!(route.to_string(), "GET /hosts/{host}/sessions");
    }

    #[test]
    fn what_is_no_route_says_how_to_write_one() {
        for text in [
            "",
            "GET",
            "/hosts",
            "get /hosts",
            "HEAD /hosts",
            "GET hosts",
            "GET /hosts/",
            "GET //",
            "GET /a?b=c",
            "GET /{a}x",
            "GET /{A}",
            "GET /{a}/{a}",
            "GET /a%20b",
            "GET /ledger",
            "POST /ledger",
        ] {
            assert!(text.parse::<RoutePattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn routes_of_one_shape_are_alike_and_others_may_meet() {
        let one = pattern("GET /hosts/{host}");
        assert!(one.is_like(&pattern("GET /hosts/{id}")));
        for other in [
            "POST /hosts/{host}",
            "GET /hosts/h-1",
            "GET /hosts",
            "GET /{a}/{b}",
        ] {
            assert!(!one.is_like(&pattern(other)), "{other}");
        }
        assert!(one.meets(&pattern("GET /hosts/h-1")) && one.meets(&pattern("GET /{a}/{b}")));
        assert!(!one.meets(&pattern("GET /apps/h-1")));
        assert_eq!(one.plain_path(), None);
        assert_eq!(
            pattern("GET /hosts/h-1").plain_path().as_deref(),
            Some("/hosts/h-1")
        );
    }
}
