//! `bad-deploy` over a database that the old artifact cannot read: nothing that anybody answers brings it back.

use serde_json::json;

use crate::incident::Incident;

/// Whatever is answered wherever something is asked: the old artifact never comes back over a database that it cannot
/// read.
#[test]
fn no_sequence_of_answers_rolls_back_over_an_incompatible_database() {
    let ways = ["retry", "back", "skip", "done-by-hand", "look-again"];
    let mut tried = 0;
    for class in [
        "app-only",
        "db-migration",
        "runtime-service",
        "route-propagation",
    ] {
        for damaged in [false, true] {
            for way in ways {
                let incident = Incident::incompatible();
                let insist = |facts: serde_json::Value, evidence: serde_json::Value| {
                    json!([
                        {"choose": "rollback", "reason": "green button", "confirm": "production",
                         "on_failure": way, "facts": facts, "evidence": evidence},
                        {"choose": "rollback", "reason": "greener button", "confirm": "production",
                         "on_failure": "skip"},
                    ])
                };
                let fits = json!({"artifact_compatible": true, "database_compatible": true, "blockers": []});
                let answers = incident
                    .answers()
                    .with("classify", json!([{"choose": class, "reason": "r"}, {"choose": class, "reason": "r"}]))
                    .with("data-damage", json!([
                        {"facts": {"data_damaged": damaged}, "evidence": {"data_damage_query": "q"}},
                        {"facts": {"data_damaged": damaged}, "evidence": {"data_damage_query": "q"}},
                    ]))
                    .with("choose-artifact", insist(json!({"rollback_digest": "sha256:600d"}), json!({})))
                    .with("compatibility", insist(fits, json!({"compatibility": "typed"})))
                    .with("recovery-path", insist(json!({}), json!({})))
                    .with("rollback-route-owner", insist(
                        json!({"rollback_operation": "op-1"}), json!({"rollback_answer": "typed"}),
                    ));
                incident
                    .start(&answers)
                    .refused(15, &["step `recovery-path`", "`rollback` cannot be chosen"]);
                incident.nothing_changed();
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 40);
}

/// The other ways do not lead there either, whatever is answered to the step that rolls back.
#[test]
fn no_other_option_ends_in_a_rollback_over_an_incompatible_database() {
    let classes = [
        "app-only",
        "db-migration",
        "runtime-service",
        "route-propagation",
    ];
    for class in classes {
        for option in ["forward-or-restore", "already-back", "other-procedure"] {
            let incident = Incident::incompatible();
            let chosen =
                |option: &str| json!({"choose": option, "reason": "r", "on_failure": "back"});
            let typed = json!({
                "confirm": "production", "on_failure": "done-by-hand", "reason": "r",
                "facts": {"rollback_operation": "op-1"}, "evidence": {"rollback_answer": "typed"},
            });
            let answers = incident
                .answers()
                .without("forward-fix")
                .with("classify", chosen(class))
                .with("recovery-path", json!([chosen(option), chosen("rollback")]))
                .with("rollback-route-owner", typed);
            let _ = incident.start(&answers).exit(15);
            incident.nothing_changed();
        }
    }
}
