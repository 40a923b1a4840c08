//! The runbooks that come with the tool, embedded so that they are there when nothing else is.

use super::diagnostic::Diagnostic;
use super::library::Library;
use super::model::Runbook;
use super::parse;

/// A document that comes with the tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Its file name.
    pub file: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl Shipped {
    /// The name that `runbook start` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.file.trim_end_matches(".yaml")
    }

    /// Its title. Only the head is understood: to list nine runbooks, nobody waits for their expressions.
    #[must_use]
    pub fn title(self) -> String {
        #[derive(serde::Deserialize)]
        struct Head {
            title: String,
        }
        let head: Head = serde_yaml::from_str(self.text)
            .expect("the shipped runbooks parse; a test holds them to that");
        head.title
    }
}

/// The library of standard steps, checks and guards.
pub const STANDARD: Shipped = Shipped {
    file: "standard.yaml",
    text: include_str!("../../runbooks/standard.yaml"),
};

/// The shipped runbooks, by name.
pub const RUNBOOKS: &[Shipped] = &[
    Shipped {
        file: "bad-deploy.yaml",
        text: include_str!("../../runbooks/bad-deploy.yaml"),
    },
    Shipped {
        file: "failed-run.yaml",
        text: include_str!("../../runbooks/failed-run.yaml"),
    },
    Shipped {
        file: "guided-operation.yaml",
        text: include_str!("../../runbooks/guided-operation.yaml"),
    },
    Shipped {
        file: "host-upgrade.yaml",
        text: include_str!("../../runbooks/host-upgrade.yaml"),
    },
    Shipped {
        file: "partial-deployment.yaml",
        text: include_str!("../../runbooks/partial-deployment.yaml"),
    },
    Shipped {
        file: "provider-outage.yaml",
        text: include_str!("../../runbooks/provider-outage.yaml"),
    },
    Shipped {
        file: "route-replay-gap.yaml",
        text: include_str!("../../runbooks/route-replay-gap.yaml"),
    },
    Shipped {
        file: "db-restore.yaml",
        text: include_str!("../../runbooks/db-restore.yaml"),
    },
    Shipped {
        file: "stuck-wake.yaml",
        text: include_str!("../../runbooks/stuck-wake.yaml"),
    },
];

/// Whether a name stands for a file rather than for something that comes with the tool.
#[must_use]
pub fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".yaml") || name.ends_with(".yml")
}

/// Reads a runbook against the shipped library.
///
/// # Errors
/// Every mistake in it.
pub fn read(file: &str, text: &[u8]) -> Result<Runbook, Vec<Diagnostic>> {
    let standard = Library::parse(STANDARD.file, STANDARD.text.as_bytes())
        .expect("the shipped library parses; a test holds it to that");
    parse(file, text, &[standard])
}
