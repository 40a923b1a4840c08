//! The drills that come with the tool, embedded so that they are there when nothing else is.

use serde::Deserialize;

use crate::ids::Slug;

/// A scenario that comes with the tool.
pub(super) struct Shipped {
    /// The name of its file, and its id.
    pub(super) name: &'static str,
    pub(super) scenario: &'static str,
    pub(super) answers: &'static str,
}

macro_rules! scenario {
    ($name:literal) => {
        Shipped {
            name: $name,
            scenario: include_str!(concat!("../../runbooks/drills/", $name, ".yaml")),
            answers: include_str!(concat!("../../runbooks/drills/", $name, ".answers.yaml")),
        }
    };
}

macro_rules! plane {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../runbooks/drills/planes/", $name, ".yaml")),
        )
    };
}

/// The scenarios, those of one runbook together, the one to begin with first.
pub(super) const SCENARIOS: &[Shipped] = &[
    scenario!("bad-deploy"),
    scenario!("bad-deploy-incompatible"),
    scenario!("bad-deploy-moved-epoch"),
    scenario!("bad-deploy-damaged"),
    scenario!("failed-run"),
    scenario!("failed-run-impatient"),
    scenario!("failed-run-rollback"),
    scenario!("guided-operation"),
    scenario!("guided-operation-rollback"),
    scenario!("provider-outage"),
    scenario!("provider-outage-failover"),
    scenario!("provider-outage-blind"),
    scenario!("route-replay-gap"),
    scenario!("route-replay-gap-stale"),
    scenario!("route-replay-gap-fallback"),
    scenario!("route-replay-gap-restarted"),
    scenario!("route-replay-gap-moved"),
    scenario!("route-replay-gap-lost-answer"),
    scenario!("db-restore"),
    scenario!("db-restore-hole"),
    scenario!("db-restore-nightly-job"),
    scenario!("db-restore-moved"),
    scenario!("db-restore-lost-answer"),
    scenario!("host-upgrade"),
    scenario!("host-upgrade-deadline"),
    scenario!("host-upgrade-quorum"),
    scenario!("stuck-wake"),
    scenario!("stuck-wake-stampede"),
    scenario!("stuck-wake-not-ready"),
];

/// The planes, by name.
pub(super) const PLANES: &[(&str, &str)] = &[
    plane!("bad-deploy"),
    plane!("managed-runs"),
    plane!("provider-outage"),
    plane!("route-replay-gap"),
    plane!("db-restore"),
    plane!("host-upgrade"),
    plane!("stuck-wake"),
];

/// What a list of drills says about one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Head {
    /// The name that `runbook drill` takes.
    pub id: Slug,
    /// What happens, in one line.
    pub title: String,
    /// What one has learnt afterwards, in one sentence.
    pub teaches: String,
    /// The runbook that is rehearsed.
    pub runbook: String,
}

/// The heads of the scenarios, those of one runbook together: to list them, nobody waits for their planes.
#[must_use]
pub fn heads() -> Vec<Head> {
    let heads = SCENARIOS
        .iter()
        .map(|shipped| serde_yaml::from_str(shipped.scenario));
    heads
        .collect::<Result<_, _>>()
        .expect("the shipped scenarios are embedded, and a test reads each")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The names of the YAML files of a folder.
    fn files(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).expect("a folder").map(|entry| {
            let path = entry.expect("an entry").path();
            path.is_file().then(|| {
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                name.strip_suffix(".yaml")
                    .expect("only YAML is kept here")
                    .to_owned()
            })
        });
        files.flatten().collect()
    }

    #[test]
    fn every_drill_in_the_folder_is_in_the_table() {
        let tabled = SCENARIOS.iter().flat_map(|shipped| {
            let name = shipped.name;
            [name.to_owned(), format!("{name}.answers")]
        });
        assert_eq!(tabled.collect::<BTreeSet<_>>(), files("runbooks/drills"));
        let tabled = PLANES.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(
            tabled.collect::<BTreeSet<_>>(),
            files("runbooks/drills/planes")
        );
    }
}
