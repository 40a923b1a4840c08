//! What other people do while the operator works.

use serde::{Deserialize, Serialize};

use super::operate::Order;
use super::request::Request;
use super::world::World;

/// Something that happens once, right before the answer to the last of some requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disturbance {
    /// Requests, as `METHOD /path` without a query, that must have been made in this order, others between them; the
    /// n-th request of a kind is that kind n times.
    requests: Vec<String>,
    /// How many of them were.
    #[serde(default)]
    seen: usize,
    #[serde(rename = "do")]
    deed: Deed,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deed {
    /// Another actor changes the route owner, and so moves the epoch.
    Operation(Order),
    /// Somebody changes what one edge serves.
    OverrideEdge {
        edge: String,
        artifact_digest: String,
    },
    /// The code that serves damages data.
    DamageData,
}

impl World {
    /// Lets happen what is due at this request.
    pub(super) fn disturb(&mut self, request: &Request) {
        let asked = format!("{} {}", request.method, request.path);
        let mut due = Vec::new();
        for disturbance in &mut self.disturbances {
            if disturbance.requests.get(disturbance.seen) == Some(&asked) {
                disturbance.seen += 1;
                if disturbance.seen == disturbance.requests.len() {
                    due.push(disturbance.deed.clone());
                }
            }
        }
        for deed in due {
            match deed {
                Deed::Operation(order) => {
                    self.ordered(order);
                }
                Deed::OverrideEdge {
                    edge,
                    artifact_digest,
                } => {
                    self.override_edge(&edge, &artifact_digest, "drill-somebody");
                }
                Deed::DamageData => self.data_damaged = true,
            }
        }
    }
}
