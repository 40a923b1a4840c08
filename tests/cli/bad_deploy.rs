//! `bad-deploy`: every line of the source material on the right path, and on the wrong one.

use serde_json::json;

use runbook::execution::deny::{Verdict, judge_words};

use crate::disturbed::{AT_ONCE, disturbed, promoted, unreadable_database};
use crate::incident::{Incident, shipped};

const ROLLED_BACK: [&str; 2] = [
    "POST /environments/production/operations rollback",
    "POST /environments/production/quarantine",
];

#[test]
fn freeze_promotions_right() {
    let incident = Incident::bad_deploy();
    incident.gate(0);
    let _ = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    incident.gate(10);
    for target in ["shop/production/checkout", "shop/production/mail"] {
        let _ = incident.run(&["gate", "--target", target]).exit(10);
    }
    let _ = incident.run(&["gate", "--target", "shop/staging"]).exit(0);
    let _ = incident.resume(&incident.answers()).exit(0);
    incident.gate(0);
}

#[test]
fn freeze_promotions_wrong() {
    let incident = Incident::bad_deploy();
    for scope in ["shop", "shop/production", "shop/production/checkout"] {
        let reason = "schema change";
        let _ = incident
            .run_as("bob", &["freeze", "take", scope, "--reason", reason])
            .exit(0);
        incident.start(&incident.answers()).refused(
            10,
            &["freeze-promotions", "is frozen by bob since 20", reason],
        );
        let list = incident.json(&["freeze", "list", "--json"]);
        let fence = list["freezes"][0]["fence"].to_string();
        let args = ["freeze", "release", scope, "--fence", &fence];
        let args = [&args[..], &["--reason", "done"]].concat();
        let _ = incident.run_as("bob", &args).exit(0);
    }
    assert_eq!(incident.json(&["status", "--all", "--json"]), json!([]));
    incident.nothing_changed();
}

#[test]
fn a_freeze_that_was_lost_on_the_way_stops_the_change() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers().without("recovery-path"))
        .exit(15);
    let args = ["freeze", "release", "shop/production", "--fence", "1"];
    let args = [&args[..], &["--reason", "it looked forgotten"]].concat();
    let _ = incident.run_as("bob", &args).exit(0);
    incident
        .resume(&incident.answers())
        .refused(10, &["rollback-route-owner", "freeze"]);
    let args = ["freeze", "take", "shop/production", "--reason", "mine now"];
    let _ = incident.run_as("bob", &args).exit(0);
    let again = json!({"on_failure": "retry", "reason": "once more", "confirm": "production"});
    incident
        .resume(&incident.answers().with("rollback-route-owner", again))
        .refused(10, &["rollback-route-owner", "frozen by bob"]);
    incident.nothing_changed();
}

#[test]
fn read_operation_and_epoch_right() {
    let incident = Incident::bad_deploy();
    let done = incident
        .start(&incident.answers().without("impact"))
        .exit(15);
    let at = |words: &str| done.stderr.find(words).expect("it was said");
    assert!(at("owner_epoch = 42") < at("log_lines = 6"));
    assert!(at("operation_state = succeeded") < at("log_lines = 6"));
}

#[test]
fn read_operation_and_epoch_wrong() {
    let broken = "    read-operation-and-epoch:
      request: {endpoint: platform, get: /environments/nowhere/state}
      facts:
        operation_state: body.operation.state
        last_operation: body.route_owner.last_operation_id
        last_build: body.operation.build_id
        in_progress: body.in_progress
        owner_digest: body.route_owner.artifact_digest
        owner_epoch: body.route_owner.epoch
      evidence: {operation_and_epoch: body}
";
    let incident = Incident::bad_deploy().steps_done(broken);
    incident
        .start(&incident.answers())
        .refused(15, &["read-operation-and-epoch", "404"]);
    let skip = json!({"on_failure": "skip", "reason": "the logs will tell"});
    let mut answers = incident.answers();
    for step in [
        "read-operation-and-epoch",
        "pin-epoch",
        "deployment-history",
    ] {
        answers = answers.with(step, skip.clone());
    }
    let done = incident.resume(&answers).never_says("log_lines = 6");
    done.refused(
        14,
        &[
            "preflight-and-logs",
            "no-logs-before-read-operation-and-epoch",
        ],
    );
    // The logs are required, so there is no way around the order.
    let answers = incident.answers().with("preflight-and-logs", skip);
    incident
        .resume(&answers)
        .never_says("log_lines = 6")
        .refused(14, &["no-logs-before-read-operation-and-epoch"]);
}

#[test]
fn the_logs_stay_closed_where_a_copy_of_the_runbook_reads_them_first() {
    let incident = Incident::bad_deploy().runbook_edited(&[
        ("  - use: standard/preflight-and-logs\n\n  # Classify risk.", "  # Classify risk."),
        (
            "  - id: read-operation-and-epoch\n    phase: truth",
            "  - use: standard/preflight-and-logs\n\n  - id: read-operation-and-epoch\n    phase: truth",
        ),
    ]);
    incident
        .start(&incident.answers())
        .never_says("log_lines = 6")
        .refused(14, &["no-logs-before-read-operation-and-epoch"]);
}

#[test]
fn classify_right() {
    for class in [
        "route-propagation",
        "db-migration",
        "runtime-service",
        "app-only",
    ] {
        let choice = json!({"choose": class, "reason": "it fits"});
        let incident = Incident::bad_deploy();
        let answers = incident.answers().with("classify", choice);
        incident
            .start(&answers.without("recovery-path"))
            .says(&format!("decided: {class} by drill-dana: it fits"))
            .refused(15, &["recovery-path"]);
    }
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers().without("classify"))
        .says("(route-propagation, db-migration, runtime-service, app-only), with a reason")
        .exit(15);
}

#[test]
fn classify_wrong() {
    let incident = Incident::bad_deploy();
    let answers = incident.answers();
    let choice = |class: &str, reason: &str| json!({"choose": class, "reason": reason});
    let other = answers
        .clone()
        .with("classify", choice("bad-luck", "it happens"));
    incident
        .start(&other)
        .refused(15, &["step `classify`", "there is no option `bad-luck`"]);
    let silent = answers.clone().with("classify", choice("app-only", " "));
    incident
        .resume(&silent)
        .refused(15, &["step `classify`", "a reason is needed"]);
    incident
        .resume(&answers.without("classify"))
        .refused(15, &["step `classify` needs a decision of drill-dana"]);
    incident.nothing_changed();
}

#[test]
fn rollback_route_owner_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("rollback_operation = op-drill-1043")
        .says("Closed. outcome: rolled-back")
        .exit(0);
    assert_eq!(incident.took_effect(), ROLLED_BACK);
    incident.gate(0);
}

#[test]
fn rollback_route_owner_wrong() {
    // Right before the guards are judged, somebody else begins another operation.
    let incident = Incident::bad_deploy_edited(|text| {
        disturbed(
            &text,
            &["GET /environments/production/deployments"; 2],
            &promoted(
                "{artifact_digest: 'sha256:01d101d101d101d101d101d101d101d101d101d101d101d101d101d101d101d1', build_id: b, {}}",
            ),
        )
    });
    incident.start(&incident.answers()).refused(
        14,
        &[
            "step `rollback-route-owner`",
            "guard no-overlapping-operation",
            "guard no-edge-route-mutation",
            "guard no-hidden-db-incompatibility",
        ],
    );
    let took = incident.took_effect();
    assert!(took.iter().all(|one| !one.contains("rollback")), "{took:?}");
}

#[test]
fn an_epoch_that_moved_refuses_the_rollback_and_it_is_decided_again() {
    let incident = Incident::bad_deploy_edited(|text| {
        disturbed(
            &text,
            &["POST /environments/production/operations"],
            &format!(
                "{}\n    merge: {AT_ONCE}",
                promoted(
                    "{artifact_digest: 'sha256:0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0bad', {}}"
                )
            ),
        )
    });
    incident
        .start(&incident.answers())
        .refused(15, &["step `rollback-route-owner`", "409"]);
    let took = incident.took_effect();
    assert!(took.iter().all(|one| !one.contains("rollback")), "{took:?}");
    // Sending it again is no way out: it names the epoch that was decided on.
    let again = json!([
        {"on_failure": "retry", "reason": "once more"},
        {"confirm": "production"},
        {"on_failure": "retry", "reason": "once more"},
    ]);
    incident
        .resume(&incident.answers().with("rollback-route-owner", again))
        .refused(14, &["guard no-edge-route-mutation"]);
    let back = json!([
        {"on_failure": "back", "reason": "the epoch moved"},
        {"confirm": "production"},
    ]);
    let _ = incident
        .resume(&incident.answers().with("rollback-route-owner", back))
        .says("owner_epoch = 43")
        .exit(0);
}

#[test]
fn forward_or_restore_right() {
    let fixed = Incident::incompatible();
    let offered = fixed
        .start(&fixed.answers().without("forward-or-restore"))
        .exit(15);
    let _ = offered.says("decision of drill-olga (forward-fix, restore)");
    let _ = fixed
        .resume(&fixed.answers().without("forward-fix"))
        .exit(15);
    fixed.nothing_changed();
}

#[test]
fn forward_or_restore_wrong() {
    let choose = |option: &str| json!({"choose": option, "reason": "it feels right"});
    for option in ["forward-or-restore", "already-back", "other-procedure"] {
        let incident = Incident::bad_deploy();
        let refusal = format!("`{option}` cannot be chosen: does not hold");
        incident
            .start(&incident.answers().with("recovery-path", choose(option)))
            .refused(15, &["step `recovery-path`", &refusal]);
        incident.nothing_changed();
    }
    // A fix brings back no data.
    let damaged =
        json!({"facts": {"data_damaged": true}, "evidence": {"data_damage_query": "3 rows"}});
    let lost = Incident::incompatible();
    lost.start(&lost.answers().with("data-damage", damaged))
        .refused(
            15,
            &[
                "step `forward-or-restore`",
                "`forward-fix` cannot be chosen",
                "data_damaged = true",
            ],
        );
    lost.nothing_changed();
    // And a fix goes out only with the approval of who answers for the database, read by a second person.
    let fix = Incident::incompatible();
    let approved_by = |who: &str| {
        json!({
            "confirm": "production", "approve": who,
            "facts": {"fix_digest": "sha256:f1c5", "fix_reviewer": "drill-vera"},
            "evidence": {"fix_difference": "-a\n+b\n"},
        })
    };
    fix.start(&fix.answers().with("forward-fix", approved_by("alice")))
        .refused(15, &["step `forward-fix`", "approval of `drill-olga`"]);
    fix.nothing_changed();
}

#[test]
fn an_artifact_that_does_not_fit_leaves_the_way_forward() {
    let incident = Incident::bad_deploy_edited(|text| {
        let healthy = "      build_id: build-drill-311\n      healthy: true";
        assert!(text.contains(healthy));
        text.replace(
            healthy,
            &format!("{healthy}\n      missing_config: [PAYMENT_KEY]"),
        )
    });
    incident
        .start(&incident.answers())
        .says("CONFIG_DRIFT:PAYMENT_KEY")
        .refused(
            15,
            &[
                "`rollback` cannot be chosen: guard no-hidden-db-incompatibility",
                "artifact_compatible",
            ],
        );
    let _ = incident
        .resume(&incident.answers().without("recovery-path"))
        .says("decision of drill-dana (forward-or-restore)")
        .exit(15);
    incident.nothing_changed();
}

#[test]
fn no_rebuild_as_rollback_right() {
    let incident = Incident::bad_deploy();
    let done = incident.start(&incident.answers()).exit(0);
    let digest = format!("sha256:{}", "600d".repeat(16));
    let _ = done
        .says(&format!("rollback_digest = {digest}"))
        .never_says("violated");
    assert_eq!(incident.last_read("owner_digest"), digest);
    assert_eq!(incident.last_read("last_build"), json!(null));
    for line in [
        "vercel rollback dpl_1",
        "netlify api restoreSiteDeploy --data {}",
        "wrangler rollback 41",
        "fly deploy --image registry.fly.io/app@sha256:600d",
        "kubectl rollout undo deploy/x --to-revision=41",
        "helm rollback x 41",
        "kubectl set image deploy/x x=app@sha256:600d",
        "nomad job revert app 41",
        "git log",
        "docker pull app",
    ] {
        assert_eq!(denied_by(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn no_rebuild_as_rollback_wrong() {
    for line in [
        "git push origin main",
        "git push heroku HEAD:main",
        "git push --force origin HEAD:master",
        "docker build -t app:rollback .",
        "docker buildx build --push .",
        "docker compose build",
        "podman build .",
        "vercel deploy --prod",
        "vercel --prod",
        "netlify deploy --build --prod",
        "wrangler deploy",
        "gcloud run deploy --source .",
        "gcloud run deploy shop --source=.",
        "fly deploy",
        "fly deploy --remote-only",
        "flyctl deploy",
        "kubectl set image deploy/x x=app:latest",
        "kubectl set image deploy/x x=app:stable",
        "fly deploy --image app:latest",
        "kubectl -n shop rollout restart deploy/x",
        "helm upgrade x ./chart",
        "nomad job run app.nomad",
        "cf push",
    ] {
        assert!(
            denied_by(line).contains(&"no-rebuild-as-rollback".to_owned()),
            "{line}"
        );
    }
    // In the place of the operation, such a command is not launched.
    for command in [
        "[./docker, build, -t, 'app:rollback', .]",
        "[./git, push, origin, main]",
    ] {
        let mapped = format!(
            "    rollback-route-owner:\n      command: {command}\n      facts: {{rollback_operation: stdout}}\n      evidence: {{rollback_answer: stdout}}\n"
        );
        let incident = Incident::bad_deploy().steps_done(&mapped);
        incident.put_program("docker");
        incident.put_program("git");
        incident.start(&incident.answers()).refused(
            14,
            &[
                "step `rollback-route-owner`",
                "guard no-rebuild-as-rollback denies",
            ],
        );
        assert_eq!(incident.was_run(), "");
        incident.nothing_changed();
    }
    // Nor is one of which nobody can tell what it launches.
    let mapped = "    rollback-route-owner:\n      command: [bash, -c, 'eval \"$ROLLBACK\"']\n      facts: {rollback_operation: stdout}\n      evidence: {rollback_answer: stdout}\n";
    let incident = Incident::bad_deploy().steps_done(mapped);
    let why = "cannot tell what `bash -c eval \"$ROLLBACK\"` launches";
    let instead = "Instead: give the program and its words as they are";
    let done = incident.start(&incident.answers());
    done.refused(14, &["guard no-rebuild-as-rollback", why, instead]);
    incident.nothing_changed();
    // An artifact that the run history never saw deployed is none to roll back to.
    let incident = Incident::bad_deploy_edited(|text| {
        let (before, rest) = text.split_once("earlier:\n").expect("earlier runs");
        let (_, world) = rest.split_once("\nplane: ").expect("the world");
        format!("{before}earlier: []\nplane: {world}")
    });
    incident.start(&incident.answers()).refused(
        14,
        &[
            "step `rollback-route-owner`",
            "guard no-rebuild-as-rollback",
        ],
    );
    incident.nothing_changed();
}

#[test]
fn no_edge_route_mutation_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("what had to hold afterwards holds")
        .exit(0);
    assert_eq!(incident.last_read("owner_epoch"), 43);
    assert_eq!(incident.last_read("edge_epochs"), json!([43, 43, 43]));
    for line in [
        "kubectl get ingress -o yaml",
        "nats kv get ROUTES app.web",
        "curl https://edge.example.com/routes",
        "psql -c SELECT",
    ] {
        assert_eq!(denied_by(line), Vec::<String>::new(), "{line}");
    }
}

#[test]
fn no_edge_route_mutation_wrong() {
    for line in [
        "ssh edge1 sed -i s/a/b/ /etc/routes",
        "ssh -l root edge1 systemctl reload router",
        "kubectl edit ingress web",
        "kubectl -n shop patch httproute web",
        "nats kv put ROUTES app.web x",
        "etcdctl put /routes/web x",
        "consul kv put routes/web x",
        "redis-cli SET route:web x",
        "curl -X PUT https://edge1/routes/web",
        "curl https://edge1/routes/web -X PUT -d x",
        "curl --request PUT https://edge1/routes/web",
        "curl --request=DELETE https://edge1/routes/web",
        "curl -XPOST https://edge1/routes/web",
    ] {
        assert!(
            denied_by(line).contains(&"no-edge-route-mutation".to_owned()),
            "{line}"
        );
    }
    // In the place of the operation, such a command is not launched and such a request is not sent, however spelled.
    let command = "      command: [./curl, -X, PUT, 'https://edge-fra/routes/web']\n";
    let request = |path: &str| {
        format!(
            "      request: {{endpoint: platform, put: {path}, body: {{artifact_digest: 'sha256:600d'}}}}\n"
        )
    };
    let denied = [
        command.to_owned(),
        request("/environments/production/edges/edge-fra/routes"),
        request("/environments/production/%65dges/edge-fra/routes"),
        request("/environments/production/nowhere/../edges/edge-fra/routes"),
        request("/environments/production/nowhere/%2E%2e/edges/edge-fra/routes"),
        request("/environments/production//EDGES/edge-fra/routes"),
    ];
    for how in denied {
        let source = if how.contains("command") {
            "stdout"
        } else {
            "body"
        };
        let mapped = format!(
            "    rollback-route-owner:\n{how}      facts: {{rollback_operation: string({source})}}\n      evidence: {{rollback_answer: {source}}}\n"
        );
        let incident = Incident::bad_deploy().steps_done(&mapped);
        incident.put_program("curl");
        incident.start(&incident.answers()).refused(
            14,
            &[
                "step `rollback-route-owner`",
                "guard no-edge-route-mutation denies",
            ],
        );
        assert_eq!(incident.was_run(), "");
        incident.nothing_changed();
    }
}

#[test]
fn an_edge_that_somebody_edited_is_noticed_before_and_after() {
    let edit = "sends: {request: PUT /environments/production/edges/edge-fra/routes, body: {artifact_digest: 'sha256:01d0'}}";
    let before = Incident::bad_deploy_edited(|text| {
        disturbed(&text, &["GET /environments/production/edges"], edit)
    });
    before.start(&before.answers()).refused(
        14,
        &[
            "step `rollback-route-owner`",
            "guard no-edge-route-mutation",
        ],
    );
    // Asked once for the truth, twice for the guards, three times until they agree; then, once more, for the proof.
    let after = Incident::bad_deploy_edited(|text| {
        disturbed(&text, &["GET /environments/production/edges"; 7], edit)
    });
    after
        .start(&after.answers())
        .refused(14, &["step `verify-convergence`", "no-edge-route-mutation"]);
    after.gate(10);
    // The run knows, though the decision is not on record yet.
    let comments = after.comments();
    assert_eq!(comments.len(), 1, "{comments:?}");
    let told = comments[0]["body"].as_str().expect("text");
    assert!(
        told.contains("[no-edge-route-mutation]: facts.local_overrides = 1"),
        "{told}"
    );
    let skip = json!({"on_failure": "skip", "reason": "it works, does it not"});
    after
        .resume(&after.answers().with("verify-convergence", skip))
        .refused(14, &["no-edge-route-mutation"]);
    after.gate(10);
    assert_eq!(after.comments().len(), 1, "it is told once");
}

#[test]
fn no_hidden_db_incompatibility_right() {
    let incident = Incident::bad_deploy();
    let _ = incident
        .start(&incident.answers())
        .says("database_compatible = true")
        .exit(0);
    assert_eq!(incident.took_effect(), ROLLED_BACK);
}

#[test]
fn no_hidden_db_incompatibility_wrong() {
    // What cannot be read is not compatible, whatever somebody types instead.
    let incident = Incident::bad_deploy_edited(|text| unreadable_database(&text));
    incident
        .start(&incident.answers())
        .refused(15, &["step `compatibility`"]);
    let typed = json!({
        "on_failure": "done-by-hand", "reason": "it always was",
        "facts": {"artifact_compatible": true, "database_compatible": true, "blockers": []},
        "evidence": {"compatibility": "trust me"},
    });
    incident
        .resume(&incident.answers().with("compatibility", typed))
        .refused(
            14,
            &[
                "step `rollback-route-owner`",
                "guard no-hidden-db-incompatibility",
            ],
        );
    incident.nothing_changed();
    // Leaving the question out is no answer either.
    let skipping = Incident::bad_deploy_edited(|text| unreadable_database(&text));
    let skip = json!({"on_failure": "skip", "reason": "no time"});
    skipping
        .start(&skipping.answers().with("compatibility", skip))
        .refused(
            14,
            &[
                "no option can be chosen",
                "rollback: guard no-hidden-db-incompatibility: unknown whether",
            ],
        );
    skipping.nothing_changed();
    // Where it is known, the decision itself refuses.
    let incompatible = Incident::incompatible();
    let insisting = json!({"choose": "rollback", "reason": "the button is green"});
    incompatible
        .start(&incompatible.answers().with("recovery-path", insisting))
        .refused(
            15,
            &[
                "step `recovery-path`",
                "`rollback` cannot be chosen: guard no-hidden-db-incompatibility",
                "database_compatible = false",
            ],
        );
    incompatible.nothing_changed();
}

#[test]
fn by_hand_the_same_questions_are_asked_and_the_same_answers_refused() {
    let incident = Incident::bad_deploy().without_profile();
    let state = json!({
        "facts": {
            "operation_state": "succeeded", "last_operation": "op-1", "last_build": "b-1",
            "in_progress": [], "owner_digest": "sha256:0bad", "owner_epoch": 42,
        },
        "evidence": {"operation_and_epoch": "as the page shows it"},
    });
    let answers = incident
        .answers()
        .with("read-operation-and-epoch", state)
        .with("deployment-history", json!({
            "facts": {"healthy_digests": ["sha256:600d"]}, "evidence": {"deployments": "page"},
        }))
        .with("error-rate", json!({
            "facts": {"error_ratio": 0.18, "old_digest_fails": false, "schema_errors": true},
            "evidence": {"error_rate": "query and result"},
        }))
        .with("edge-agreement", json!({
            "facts": {"edge_epochs": [42], "edge_digests": ["sha256:0bad"], "local_overrides": 0},
            "evidence": {"edge_agreement": "page"},
        }))
        .with("compatibility", json!({
            "facts": {"artifact_compatible": true, "database_compatible": false, "blockers": ["CONTRACT_MIGRATION"]},
            "evidence": {"compatibility": "alembic history"},
        }));
    incident.start(&answers).refused(
        15,
        &[
            "step `recovery-path`",
            "`rollback` cannot be chosen",
            "database_compatible = false",
        ],
    );
}

/// The guards of the shipped runbook whose patterns deny a command line.
fn denied_by(line: &str) -> Vec<String> {
    let text = shipped("bad-deploy").as_bytes();
    let runbook = runbook::runbook::shipped::read("bad-deploy.yaml", text).expect("it is right");
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let guards = runbook.guards.iter();
    guards
        .filter(|guard| judge_words(&argv, &guard.deny.commands) != Verdict::Clear)
        .map(|guard| guard.id.to_string())
        .collect()
}
