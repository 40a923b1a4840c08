//! Whether an artifact that served before still fits what is there now.

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::world::{Migration, MigrationKind, MigrationState, World};

/// What has to fit. A rollback brings back none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Axis {
    /// The artifact can still be had.
    Artifact,
    /// Configuration and secrets that it needs are there.
    Configuration,
    /// The services that it is bound to exist.
    Bindings,
    /// It understands the schema and the data.
    Database,
}

impl Axis {
    fn as_str(self) -> &'static str {
        match self {
            Self::Artifact => "artifact",
            Self::Configuration => "configuration",
            Self::Bindings => "bindings",
            Self::Database => "database",
        }
    }
}

impl World {
    /// The verdict over all axes, with every blocker by name; `None` for an artifact that was never deployed here.
    pub(super) fn compatibility(&self, artifact: &str) -> Option<Json> {
        let (_, deployment) = self.first_deployment(artifact)?;
        let pruned = if deployment.pullable {
            Vec::new()
        } else {
            vec!["ARTIFACT_PRUNED".to_owned()]
        };
        let config = match &deployment.missing_config[..] {
            [] => Vec::new(),
            keys => vec![format!("CONFIG_DRIFT:{}", keys.join(","))],
        };
        let gone = deployment.missing_bindings.iter();
        let bindings = gone.map(|name| format!("BINDING_GONE:{name}")).collect();
        let sides = [
            self.read(Axis::Artifact, pruned),
            self.read(Axis::Configuration, config),
            self.read(Axis::Bindings, bindings),
        ];
        let database = self.read(Axis::Database, self.database_blockers(artifact));

        let [had, configured, bound] = sides.each_ref().map(|(fits, _)| *fits);
        let artifact_fits = both(both(had, configured), bound);
        let database_fits = database.0;
        let mut blockers: Vec<String> = Vec::new();
        if !self.in_progress().is_empty() {
            blockers.push("DEPLOY_IN_PROGRESS".to_owned());
        }
        blockers.extend(
            sides
                .into_iter()
                .chain([database])
                .flat_map(|(_, named)| named),
        );
        let verdict = match both(artifact_fits, database_fits) {
            Some(true) => "compatible",
            Some(false) => "incompatible",
            None => "unknown",
        };
        Some(json!({
            "artifact_digest": artifact,
            "verdict": verdict,
            "artifact_compatible": artifact_fits,
            "database_compatible": database_fits,
            "blockers": blockers,
        }))
    }

    /// What the database has gone through since the artifact came here, and the artifact does not understand.
    pub(super) fn database_blockers(&self, artifact: &str) -> Vec<String> {
        let since = self
            .first_deployment(artifact)
            .map_or(0, |(newer, _)| newer);
        let migrations = self.deployments[..since].iter().flat_map(|d| &d.migrations);
        migrations.filter_map(blocker).collect()
    }

    /// Whether the axis fits, and what is named against it. What cannot be read is not known, and is itself a blocker.
    fn read(&self, axis: Axis, blockers: Vec<String>) -> (Option<bool>, Vec<String>) {
        if self.unreadable.contains(&axis) {
            (None, vec![format!("UNREADABLE:{}", axis.as_str())])
        } else {
            (Some(blockers.is_empty()), blockers)
        }
    }
}

fn blocker(migration: &Migration) -> Option<String> {
    match (migration.state, migration.kind, migration.reversible) {
        (MigrationState::Pending, _, _)
        | (MigrationState::Executed, MigrationKind::Expand, _)
        | (MigrationState::Executed, MigrationKind::Data, true) => None,
        (MigrationState::Executed, MigrationKind::Contract, _) => {
            Some(format!("CONTRACT_MIGRATION:{}", migration.id))
        }
        (MigrationState::Executed, MigrationKind::Data, false) => {
            Some(format!("DATA_FORMAT:{}", migration.id))
        }
    }
}

/// False when either is false, else unknown when either is unknown.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}
