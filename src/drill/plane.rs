//! The simulated control plane as a document: `runbooks/drills/planes/NAME.yaml`, which several scenarios share.
//!
//! # A plane
//!
//! ```yaml
//! format: drill-plane/v1
//! let:                                    # abbreviations, in CEL; worked out when something asks for them
//!   busy: size(state.sessions) > 0
//! cases:                                  # asked before those of every route; each with an `if`
//!   - {if: path.host != state.host.id, status: 404, problem: 'there is no host `${path.host}`'}
//! routes:
//!   - route: GET /hosts/{host}
//!     query: [verbose]                    # the query parameters that it knows; another is answered 400
//!     cases:
//!       - merge: {sessions: '${state.sessions > 10 ? state.sessions - 10 : 0}'}
//!         body: {host: '${state.host}', sessions: '${state.sessions}'}
//!   - route: POST /hosts/{host}/drain
//!     takes: {deadline: string, force: boolean?}   # the members of its body, by the kinds of facts
//!     let: {wanted: body.deadline}        # abbreviations of this route
//!     cases:                              # the first whose `if` holds; the last has none
//!       - if: state.host.draining
//!         status: 409
//!         problem: the host is draining already
//!         body: {host: '${state.host}'}
//!       - status: 202
//!         merge: {host: {draining: true}}
//!         body: {host: '${state.host}'}
//!         headers: {Retry-After: '2'}
//! ```
//!
//! | Name | Is |
//! |---|---|
//! | `state` | what is true: the `state` of the scenario, as it was merged so far |
//! | `path`, `query` | the `{…}` of the route, and the parameters that it knows (null where not given) |
//! | `body` | what was sent; what `takes` marks with `?` is null where it is absent |
//! | `actor` | who asks |
//!
//! - `merge` is merged into the state as JSON Merge Patch (RFC 7396): null removes, a map is merged, a list is replaced.
//!   Things that change one by one are best kept by their id: `edges: {'${path.edge}': {epoch: 43}}`, and listed with
//!   `state.edges.map(id, state.edges[id])`.
//! - `merge` reads the state before, `body`, `problem` and `headers` the state after it. A read may merge as well: that
//!   is how time passes.
//! - With a status of 400 or more the answer is a problem document; `problem` is its detail, and the members of `body`
//!   are added to it.
//! - Text that is one `${…}` as a whole becomes its value, of any kind. The names of a map may hold `${…}`, too.
//! - There is no clock and no chance. The same requests in the same order give the same answers.
//! - What is unknown or fails is answered 500 with its place in the document, and then nothing has changed.
//!
//! # What every plane gives
//!
//! - A change that merges *took* effect; an answer below 400 that merges nothing *repeated*, because there was nothing to
//!   do; everything else was *refused*. All of it is on the ledger, which `GET /ledger` answers.
//! - The answer to what took effect is given again where the same is asked with the same idempotency key, from the member
//!   `idempotency_key` of the body or the header `Idempotency-Key`; for anything else that key is answered 422. What was
//!   refused uses no key up.
//! - 404, 405, 400 and 422 for paths, methods, queries and bodies that are wrong.
//!
//! What scenarios add (the state, and the disturbances) is told in [`mod@super::scenario`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json, json};

use super::case::Case;
use super::document::{DocumentError, read};
use super::names::{Cel, GIVEN, Known, Lets};
use super::request::{Answer, Request};
use super::route::RoutePattern;
use crate::ids::Field;
use crate::runbook::kind::Kind;

/// What stands between the documents of a plane that several of them make up.
pub(super) const BETWEEN: &str = "\n---\n";

/// The format of planes that this version reads.
const FORMAT: &str = "drill-plane/v1";

/// A simulated control plane: which request is answered how.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    pub(super) lets: Lets,
    routes: Vec<Route>,
}

/// What answers one kind of request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) on: RoutePattern,
    pub(super) query: Vec<String>,
    takes: Option<BTreeMap<String, Kind>>,
    /// Those of the plane as well.
    pub(super) lets: Lets,
    /// Those of the plane, which are asked first.
    pub(super) first: Arc<[Case]>,
    pub(super) cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    #[serde(default, rename = "let")]
    lets: BTreeMap<Field, Cel>,
    #[serde(default)]
    cases: Vec<Case>,
    routes: Vec<RouteDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteDocument {
    route: RoutePattern,
    #[serde(default)]
    query: Vec<String>,
    #[serde(default)]
    takes: Option<BTreeMap<String, Taken>>,
    #[serde(default, rename = "let")]
    lets: BTreeMap<Field, Cel>,
    cases: Vec<Case>,
}

struct Taken(Kind);

impl<'de> Deserialize<'de> for Taken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let kind = text.parse().map(Self);
        kind.map_err(|error| serde::de::Error::custom(format_args!("`{text}` is {error}")))
    }
}

/// Where a request leads.
pub(super) enum Place<'a> {
    /// To what was done so far, which every plane tells.
    Ledger,
    /// To a route, with the values of its path.
    Route(&'a Route, Json),
}

impl Plane {
    /// Reads a plane.
    ///
    /// # Errors
    /// The first mistake in it, with its place.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        let mut all = Self {
            lets: Lets::new(),
            routes: Vec::new(),
        };
        for text in text.split(BETWEEN) {
            all.add(read(text, FORMAT)?)?;
        }
        Ok(all)
    }

    /// Adds what one document says. Its abbreviations and its cases are for its own routes.
    fn add(&mut self, document: Document) -> Result<(), DocumentError> {
        let lets: Lets = named(document.lets)?;
        let first: Arc<[Case]> = document.cases.into();
        for route in document.routes {
            let route = Route::new(route, &lets, &first)?;
            if self
                .routes
                .iter()
                .any(|before| before.on.is_like(&route.on))
            {
                return Err(wrong(&route.on, "such a route is there already"));
            }
            route.check()?;
            self.routes.push(route);
        }
        // Disturbances read those of all documents; of two that are called alike, the first.
        for (name, meant) in lets {
            self.lets.entry(name).or_insert(meant);
        }
        Ok(())
    }

    /// Where a request leads.
    ///
    /// # Errors
    /// An answer with status 404 or 405.
    pub(super) fn find(&self, request: &Request<'_>) -> Result<Place<'_>, Answer> {
        if request.segments == ["ledger"] {
            return if request.only_reads() {
                Ok(Place::Ledger)
            } else {
                Err(not_allowed(&["GET"]))
            };
        }
        let mut allowed = Vec::new();
        for route in &self.routes {
            if let Some(path) = route.on.path(&request.segments) {
                if route.on.method() == request.method {
                    return Ok(Place::Route(route, path));
                }
                allowed.push(route.on.method());
            }
        }
        Err(match allowed[..] {
            [] => Answer::problem(404, format!("there is nothing at `{}`", request.path)),
            _ => not_allowed(&allowed),
        })
    }

    /// That it answers such a request.
    pub(super) fn answers(&self, on: &RoutePattern) -> bool {
        self.routes.iter().any(|route| route.on.meets(on))
    }

    /// The names that are known where there is no request.
    pub(super) fn known_without_request(&self) -> Known<'_> {
        Known {
            lets: &self.lets,
            given: BTreeMap::from([("state", None)]),
        }
    }
}

impl Route {
    fn new(
        document: RouteDocument,
        of_plane: &Lets,
        first: &Arc<[Case]>,
    ) -> Result<Self, DocumentError> {
        let mut lets = of_plane.clone();
        for (name, meant) in named(document.lets)? {
            if lets.insert(name.clone(), meant).is_some() {
                let what = format!("`{name}` stands for something else in the whole plane");
                return Err(wrong(&document.route, what));
            }
        }
        if document.route.method() == "GET" && document.takes.is_some() {
            return Err(wrong(&document.route, "a GET has no body to take"));
        }
        let takes = document
            .takes
            .map(|takes| takes.into_iter().map(|(name, Taken(kind))| (name, kind)));
        Ok(Self {
            on: document.route,
            query: document.query,
            takes: takes.map(Iterator::collect),
            lets,
            first: Arc::clone(first),
            cases: document.cases,
        })
    }

    /// The parameters of the query, null where they are not given.
    pub(super) fn parameters(&self, request: &Request<'_>) -> Json {
        let all = self.query.iter();
        all.map(|name| {
            (
                name.clone(),
                request
                    .query
                    .get(name)
                    .map_or(Json::Null, |value| value.as_str().into()),
            )
        })
        .collect()
    }

    /// The body as this route takes it.
    ///
    /// # Errors
    /// An answer with status 400 where there is none, and 422 where it is something else.
    pub(super) fn body(&self, request: &Request<'_>) -> Result<Json, Answer> {
        let Some(takes) = &self.takes else {
            return Ok(request.body.clone());
        };
        let given = match &request.body {
            Json::Object(given) => given,
            Json::Null => return Err(Answer::problem(400, "the body is missing; send JSON")),
            _ => return Err(Answer::problem(422, "the body is no JSON object")),
        };
        if let Some(other) = given.keys().find(|name| !takes.contains_key(*name)) {
            return Err(Answer::problem(422, format!("`{other}` is not taken here")));
        }
        let mut body = Map::new();
        for (name, kind) in takes {
            let value = match (given.get(name), kind) {
                (None, Kind::Optional(_)) => &Json::Null,
                (None, _) => return Err(Answer::problem(422, format!("`{name}` is missing"))),
                (Some(value), _) => value,
            };
            kind.accept(value)
                .map_err(|miss| Answer::problem(422, format!("`{name}` {miss}")))?;
            body.insert(name.clone(), value.clone());
        }
        Ok(Json::Object(body))
    }

    fn known(&self) -> Known<'_> {
        let strings = |names: &'_ [String]| -> BTreeSet<String> { names.iter().cloned().collect() };
        let takes = self
            .takes
            .as_ref()
            .map(|takes| takes.keys().cloned().collect());
        let mut given = BTreeMap::from([
            ("state", None),
            ("path", Some(self.on.parameters())),
            ("query", Some(strings(&self.query))),
            ("actor", None),
        ]);
        if self.on.method() != "GET" {
            given.insert("body", takes);
        }
        Known {
            lets: &self.lets,
            given,
        }
    }

    fn check(&self) -> Result<(), DocumentError> {
        for (n, case) in self.first.iter().enumerate() {
            let place = format!("case {} of the plane", n + 1);
            let at = |what: String| DocumentError::wrong(&place, what);
            if case.when.is_none() {
                return Err(at(
                    "it has no `if`, so nothing else would ever be asked".into()
                ));
            }
            // Nothing was read of the body yet.
            let mut known = self.known();
            known.given.remove("body");
            known.given.insert("query", None);
            case.check(&known).map_err(at)?;
        }
        let known = self.known();
        for (n, case) in self.cases.iter().enumerate() {
            let is_last = n + 1 == self.cases.len();
            let what = match (is_last, &case.when) {
                (true, Some(_)) => {
                    Err("the last case has an `if`: say what else is answered".into())
                }
                (false, None) => {
                    Err("it has no `if`, so the cases after it are never reached".into())
                }
                _ => case.check(&known),
            };
            let place = format!("route `{}`, case {}", self.on, n + 1);
            what.map_err(|what| DocumentError::wrong(&place, what))?;
        }
        if self.cases.is_empty() {
            return Err(wrong(&self.on, "it has no case"));
        }
        Ok(())
    }
}

/// Abbreviations by name; none of them may hide what is given.
fn named(lets: BTreeMap<Field, Cel>) -> Result<Lets, DocumentError> {
    let lets: Lets = lets
        .into_iter()
        .map(|(name, meant)| (name.into(), meant))
        .collect();
    match lets.keys().find(|name| GIVEN.contains(&name.as_str())) {
        Some(name) => Err(DocumentError::wrong(
            "`let`",
            format!("`{name}` is given and cannot stand for something else"),
        )),
        None => Ok(lets),
    }
}

fn wrong(on: &RoutePattern, what: impl Into<String>) -> DocumentError {
    DocumentError::wrong(&format!("route `{on}`"), what)
}

fn not_allowed(allowed: &[&str]) -> Answer {
    let detail = format!("this path takes {}", allowed.join(" or "));
    Answer::problem(405, detail).with("allowed", json!(allowed))
}
