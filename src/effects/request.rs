//! Sends one HTTP request: to the endpoint that was named and nowhere else, and with an end that tells whether a change may
//! have happened.
//!
//! - A redirect is an end, not a second request: credentials never leave for another origin.
//! - A request is never repeated here; each connection carries one.
//! - [`Ended::NotSent`] is said only when it is known. Whatever came after a connection was there may have been received:
//!   for a change, [`Ended::Broken`], [`Ended::TimedOut`], [`Ended::Stopped`] and [`Ended::TooLarge`] leave it in doubt unless
//!   [`RequestEnding::status`] settles it.
//! - The answer is parsed after masking, within limits, and a document that is not JSON never yields a value.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io::Write;
use std::sync::{Arc, OnceLock};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::intake::Intake;
use super::stop::Stop;
use crate::clock::Span;
use crate::redact::Redactor;

mod body;
mod record;

pub use super::intake::Taken;
pub use body::{Body, NotJson};
pub use record::{NEVER_RECORDED, is_recordable, recordable_url};
pub use reqwest::Method;

/// How long a connection may take to be there, TLS included. A service that is alive takes milliseconds.
pub const CONNECT: Span = Span::from_secs(5);

/// Longest answer that is read, in bytes, unless the request says otherwise.
pub const MAX_BODY: u64 = 16 * 1024 * 1024;

/// The headers of an answer that are kept.
const KEPT_HEADERS: [&str; 6] = [
    "content-type",
    "date",
    "etag",
    "location",
    "retry-after",
    "x-request-id",
];

/// Sends requests; what it needs for TLS is read once, when it is first needed, and shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct Client {
    loopback: Arc<OnceLock<Result<reqwest::Client, String>>>,
    outside: Arc<OnceLock<Result<reqwest::Client, String>>>,
}

/// What to ask for.
#[derive(Clone)]
pub struct RequestSpec {
    /// The method.
    pub method: Method,
    /// The address; `http` or `https`.
    pub url: String,
    /// Headers to send.
    pub headers: BTreeMap<String, String>,
    /// A document to send as JSON.
    pub body: Option<Value>,
    /// A secret to send as `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// How long everything may take, the answer's body included.
    pub timeout: Span,
    /// Longest answer that is read, in bytes.
    pub max_body: u64,
}

/// What became of a request.
#[derive(Debug)]
pub struct RequestEnding {
    /// How it ended.
    pub ended: Ended,
    /// The status, once there was one, even when the rest of the answer never came.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Span,
    /// The answer's body as it went into the sink; its start is not kept.
    pub taken: Taken,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// A whole answer came; its status may be any but a redirect's.
    Answered {
        /// The status code.
        status: u16,
        /// What is kept of the headers, by name in lower case, masked.
        headers: BTreeMap<String, String>,
        /// The body, masked.
        body: Body,
    },
    /// The endpoint wants the request to be made elsewhere. It was not made there.
    Redirected {
        /// The status code.
        status: u16,
        /// Where, if it says so; masked, without user, password and signatures.
        location: Option<String>,
    },
    /// The body is longer than the limit; the rest was not read.
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The time was up. The request may have been received.
    TimedOut,
    /// The operator stopped it. The request may have been received.
    Stopped,
    /// The request did not leave, for this reason.
    NotSent(String),
    /// There was a connection, and no whole answer came, for this reason. The request may have been received.
    Broken(String),
}

/// Sends the request and reads the answer into `sink`. Needs a tokio runtime with its drivers enabled.
pub async fn send(
    client: &Client,
    spec: &RequestSpec,
    redactor: &Redactor,
    sink: &mut (dyn Write + Send),
    mut stop: Stop,
) -> RequestEnding {
    let begun = Instant::now();
    let keep = usize::try_from(spec.max_body).unwrap_or(usize::MAX);
    let mut exchange = Exchange {
        redactor,
        intake: Intake::new(redactor, sink, keep),
        max_body: spec.max_body,
        status: None,
        headers: BTreeMap::new(),
    };
    let prepared = if stop.asked() {
        Err("it was stopped before it was sent".to_owned())
    } else {
        prepare(client, spec)
    };
    let ended = match prepared {
        Err(why) => Some(Ended::NotSent(redactor.text(&why))),
        Ok((client, request)) => tokio::select! {
            biased;
            ended = exchange.run(client, request) => ended,
            () = stop.wait() => Some(Ended::Stopped),
            () = sleep(spec.timeout.as_std()) => Some(Ended::TimedOut),
        },
    };
    let took = Span::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
    exchange.end(ended, took)
}

/// One request and its answer, so far.
struct Exchange<'a> {
    redactor: &'a Redactor,
    intake: Intake<'a>,
    max_body: u64,
    status: Option<u16>,
    headers: BTreeMap<String, String>,
}

impl Exchange<'_> {
    /// Runs to an end; none means that a whole answer came.
    async fn run(&mut self, client: &reqwest::Client, request: reqwest::Request) -> Option<Ended> {
        let mut response = match client.execute(request).await {
            Ok(response) => response,
            Err(e) if e.is_builder() || e.is_connect() => {
                return Some(Ended::NotSent(self.told(e)));
            }
            Err(e) => return Some(Ended::Broken(self.told(e))),
        };
        let status = response.status().as_u16();
        self.status = Some(status);
        self.headers = kept(response.headers(), self.redactor);
        if matches!(status, 301..=303 | 307 | 308) {
            let location = self.headers.get("location").cloned();
            return Some(Ended::Redirected { status, location });
        }
        let limit = self.max_body;
        let mut read = 0;
        loop {
            match response.chunk().await {
                Ok(None) => return None,
                Ok(Some(piece)) => {
                    let room = usize::try_from(limit - read).unwrap_or(usize::MAX);
                    self.intake.take(&piece[..piece.len().min(room)]);
                    if piece.len() > room {
                        return Some(Ended::TooLarge { limit });
                    }
                    read += piece.len() as u64;
                }
                Err(e) => {
                    let why = self.told(e);
                    return Some(Ended::Broken(format!(
                        "the answer broke off after its status {status} and {read} bytes of its body: {why}"
                    )));
                }
            }
        }
    }

    fn end(mut self, ended: Option<Ended>, took: Span) -> RequestEnding {
        self.intake.end();
        let mut taken = self.intake.taken();
        let start = std::mem::take(&mut taken.start);
        let ended = ended.unwrap_or_else(|| Ended::Answered {
            status: self.status.unwrap_or_default(),
            body: body::read(
                &start,
                self.headers.get("content-type").map(String::as_str),
                self.redactor,
            ),
            headers: self.headers,
        });
        RequestEnding {
            ended,
            status: self.status,
            took,
            taken,
        }
    }

    /// The error and its causes, without the address, which may hold a secret.
    fn told(&self, e: reqwest::Error) -> String {
        let e = e.without_url();
        let mut told = e.to_string();
        let mut cause = e.source();
        while let Some(e) = cause {
            let text = e.to_string();
            if !told.contains(&text) {
                told.push_str(": ");
                told.push_str(&text);
            }
            cause = e.source();
        }
        self.redactor.text(&told)
    }
}

fn prepare<'a>(
    client: &'a Client,
    spec: &RequestSpec,
) -> Result<(&'a reqwest::Client, reqwest::Request), String> {
    let url: reqwest::Url = spec
        .url
        .parse()
        .map_err(|e| format!("its address cannot be read: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme();
        return Err(format!(
            "its address starts with `{scheme}:`; only `http:` and `https:` are spoken here"
        ));
    }
    let client = client.for_host(url.host_str().unwrap_or_default())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.headers {
        let bad = || format!("its header `{name}` has a name or a value that HTTP does not allow");
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        headers.insert(key, HeaderValue::from_str(value).map_err(|_| bad())?);
    }
    let mut request = client.request(spec.method.clone(), url).headers(headers);
    if let Some(bearer) = &spec.bearer {
        request = request.bearer_auth(bearer);
    }
    if let Some(body) = &spec.body {
        request = request.json(body);
    }
    let request = request.build().map_err(|e| match spec.bearer {
        // The only part that was not checked above.
        Some(_) => "its token holds characters that a header cannot".to_owned(),
        None => e.without_url().to_string(),
    })?;
    Ok((client, request))
}

impl Client {
    /// A proxy stands between us and the outside, never between us and ourselves.
    fn for_host(&self, host: &str) -> Result<&reqwest::Client, String> {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = match address.parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        let client = if loopback {
            self.loopback
                .get_or_init(|| build(reqwest::Client::builder().no_proxy()))
        } else {
            self.outside
                .get_or_init(|| build(reqwest::Client::builder()))
        };
        client.as_ref().map_err(Clone::clone)
    }
}

fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, String> {
    builder
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // A connection that was used before may be closed while we send; whether we were heard is then unknown.
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT.as_std())
        .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| {
            let cause = e.source().map(ToString::to_string).unwrap_or_default();
            format!("no TLS on this machine: {e}: {cause}; are its CA certificates installed?")
        })
}

fn kept(headers: &HeaderMap, redactor: &Redactor) -> BTreeMap<String, String> {
    let mut kept = BTreeMap::new();
    for name in KEPT_HEADERS {
        if let Some(value) = headers.get(name) {
            let value = redactor.text(&String::from_utf8_lossy(value.as_bytes()));
            let value = match name {
                "location" => recordable_url(&value),
                _ => value,
            };
            kept.insert(name.to_owned(), value);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
