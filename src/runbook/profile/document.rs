//! A whole profile: its endpoints, its secrets and its steps by runbook.

use std::collections::BTreeMap;

use reqwest::Url;

use super::super::model::Source;
use super::super::parse::document::header;
use super::super::parse::fields::{Fields, Reading, Value};
use super::super::parse::mistakes::quoted;
use super::super::parse::tree::{Node, Pair};
use super::super::parse::values::{is_variable, secrets};
use super::mapping::mapping;
use super::{Chapter, EndpointAddress, Profile};
use crate::ids::Slug;

/// The format of profiles that this version reads.
const FORMAT: &str = "runbook-profile/v1";

const PROFILE: [&str; 4] = ["format", "endpoints", "secrets", "steps"];

/// Reads the tree of a profile.
pub(super) fn document(root: &Node, source: Source, reading: &mut Reading) -> Option<Profile> {
    let fields = header(root, FORMAT, &PROFILE, reading)?;
    let endpoints = fields
        .get("endpoints")
        .map_or(Endpoints::default(), |value| endpoints(value, reading));
    let secrets = fields
        .get("secrets")
        .map_or(Vec::new(), |value| secrets(value, reading));
    let chapters = fields
        .get("steps")
        .map_or(Vec::new(), |value| chapters(value, &endpoints, reading));
    Some(Profile {
        endpoints: endpoints.addresses,
        secrets,
        source,
        chapters,
    })
}

/// The endpoints of a profile.
#[derive(Default)]
pub(super) struct Endpoints {
    addresses: BTreeMap<Slug, EndpointAddress>,
    /// The names, those whose address has a mistake included.
    names: Vec<Slug>,
    /// Whether a name could not be read.
    unreadable: bool,
}

impl Endpoints {
    /// Reports a request to an endpoint that is not there.
    pub(super) fn need(&self, name: &Slug, at: &Node, reading: &mut Reading) {
        if self.unreadable || self.names.contains(name) {
            return;
        }
        let message = format!("the profile has no endpoint `{name}`");
        let known = self.names.iter().map(Slug::as_str);
        let known = ("endpoints are", known);
        reading
            .mistakes
            .unknown(at.spot, &message, name.as_str(), known);
    }
}

fn endpoints(value: Value<'_>, reading: &mut Reading) -> Endpoints {
    let mut endpoints = Endpoints::default();
    let Some(pairs) = value.pairs(&mut reading.mistakes) else {
        endpoints.unreadable = true;
        return endpoints;
    };
    for pair in pairs {
        let name: Option<Slug> = key(pair, "the name of an endpoint", reading);
        let address = endpoint(pair, reading);
        let Some(name) = name else {
            endpoints.unreadable = true;
            continue;
        };
        endpoints.names.push(name.clone());
        if let Some(address) = address {
            endpoints.addresses.insert(name, address);
        }
    }
    endpoints
}

fn endpoint(pair: &Pair, reading: &mut Reading) -> Option<EndpointAddress> {
    let what = format!("endpoint {}", quoted(&pair.key));
    let fields = Fields::open(&pair.value, what, &["url", "token"], reading)?;
    let url = fields
        .need("url", reading)
        .and_then(|value| address(value, reading));
    let token = fields.get("token").and_then(|value| {
        let name = value.line(&mut reading.mistakes)?;
        if !is_variable(&name) {
            value
                .wrong("the name of an environment variable", &mut reading.mistakes)
                .help("put the token itself into that variable, never into a file");
        }
        Some(name)
    });
    Some(EndpointAddress { url: url?, token })
}

/// An address in the form in which it is used, so that nothing else is used than was judged.
fn address(value: Value<'_>, reading: &mut Reading) -> Option<String> {
    let text = value.text(&mut reading.mistakes)?;
    let mut refuse = |why: &str, help: &str| {
        // A password that was written here must not be shown again.
        let message = format!("`url` {why}");
        reading.mistakes.at(value.spot(), &message).help(help);
    };
    let example =
        "write it like `https://control.example.com` or `https://example.com:8443/control`";
    if text.contains("${") {
        refuse("is never substituted", "make one profile for each platform");
        return None;
    }
    let is_plain = !text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control());
    let has_scheme = text.starts_with("https://") || text.starts_with("http://");
    let url = Url::parse(text).ok().filter(|_| is_plain && has_scheme);
    let Some(url) = url.filter(Url::has_host) else {
        refuse(
            "is no address that begins with `https://` or `http://`",
            example,
        );
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        refuse(
            "holds a user or a password",
            "remove it; name an environment variable with a token under `token`",
        );
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        refuse(
            "holds a query or a fragment",
            "the address ends before `?` and `#`; the path of a request may have a query",
        );
        return None;
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn chapters(value: Value<'_>, endpoints: &Endpoints, reading: &mut Reading) -> Vec<Chapter> {
    let pairs = value.pairs(&mut reading.mistakes).unwrap_or_default();
    let chapter = |pair: &Pair| {
        let runbook = key(pair, "the id of a runbook", reading);
        let steps = Value {
            name: &pair.key,
            node: &pair.value,
        };
        let steps = steps.pairs(&mut reading.mistakes).unwrap_or_default();
        let steps = steps
            .iter()
            .filter_map(|pair| mapping(pair, endpoints, reading))
            .collect();
        Some(Chapter {
            runbook: runbook?,
            steps,
        })
    };
    pairs.iter().filter_map(chapter).collect()
}

/// A key that is a name.
pub(super) fn key<T>(pair: &Pair, what: &str, reading: &mut Reading) -> Option<T>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    pair.key
        .parse()
        .map_err(|error| {
            let message = format!("{what}: {} {error}", quoted(&pair.key));
            reading.mistakes.at(pair.spot, &message);
        })
        .ok()
}
