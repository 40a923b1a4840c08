//! The rules that the simulated world follows, each with requests that try to break it.

use serde_json::{Value as Json, json};

use super::request::{Answer, Asked};
use super::scenario::scenario;
use super::simulation::{Reply, Simulation};
use super::world::Effect;
use crate::clock::Timestamp;

const ENVIRONMENT: &str = "/environments/production";

/// A drill that is played by requests alone.
#[derive(Clone)]
struct Played(Simulation);

impl Played {
    fn handle(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> Answer {
        let asked = Asked {
            method,
            path,
            query,
            key: None,
            body,
        };
        match self.0.handle(asked) {
            Reply::Answer(answer) => {
                assert_ne!(answer.status, 500, "{method} {path}: {}", answer.body);
                answer
            }
            Reply::Cut => panic!("{method} {path} is cut"),
        }
    }

    /// The same in another state.
    fn edited(&self, edit: impl FnOnce(&mut Json)) -> Self {
        let mut world = self.0.world().clone();
        let mut state = Json::Object(world.state);
        edit(&mut state);
        world.state = state.as_object().expect("a map").clone();
        let mut edited = self.clone();
        edited.0.go_on_in(world);
        edited
    }

    fn state(&self) -> Json {
        Json::Object(self.0.world().state().clone())
    }
}

fn world(id: &str) -> Played {
    let scenario = scenario(id).expect("a shipped scenario");
    Played(scenario.simulation_at(Timestamp::now()))
}

fn digest(word: &str) -> String {
    format!("sha256:{}", word.repeat(16))
}

fn get(world: &mut Played, path: &str) -> Json {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let answer = world.handle("GET", &format!("{ENVIRONMENT}{path}"), query, b"");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

fn send(world: &mut Played, method: &str, path: &str, body: &Json) -> Answer {
    world.handle(
        method,
        &format!("{ENVIRONMENT}{path}"),
        "",
        body.to_string().as_bytes(),
    )
}

fn rollback(world: &mut Played, artifact: &str, epoch: i64, key: &str) -> Answer {
    let order = json!({
        "kind": "rollback", "artifact_digest": artifact, "expected_epoch": epoch,
        "idempotency_key": key, "reason": "drill-1842",
    });
    send(world, "POST", "/operations", &order)
}

fn effects(world: &Played) -> Vec<Effect> {
    world
        .0
        .world()
        .performed()
        .iter()
        .map(|p| p.effect)
        .collect()
}

#[test]
fn a_rollback_is_accepted_at_the_current_epoch_only() {
    for epoch in [0, 41, 43, i64::MAX] {
        let mut world = world("bad-deploy");
        let before = world.state();
        let refused = rollback(&mut world, &digest("600d"), epoch, "k");
        assert_eq!(refused.status, 409);
        assert_eq!(refused.body["current"]["epoch"], 42);
        assert_eq!(refused.body["current"]["artifact_digest"], digest("0bad"));
        assert_eq!(world.state(), before);
        assert_eq!(effects(&world), [Effect::Refused]);
    }
    let mut world = world("bad-deploy");
    let accepted = rollback(&mut world, &digest("600d"), 42, "k");
    assert_eq!(accepted.status, 202);
    assert_eq!(accepted.body["operation"]["state"], "running");
    assert_eq!(accepted.body["operation"]["build_id"], Json::Null);
    assert_eq!(accepted.body["route_owner"]["epoch"], 43);
}

#[test]
fn one_key_makes_one_operation() {
    let mut world = world("bad-deploy");
    let first = rollback(&mut world, &digest("600d"), 42, "k");
    let after = world.state();
    for _ in 0..3 {
        let again = rollback(&mut world, &digest("600d"), 42, "k");
        assert_eq!(
            (again.status, &again.body["operation"]),
            (202, &first.body["operation"])
        );
    }
    let other = rollback(&mut world, &digest("600d"), 43, "k");
    assert_eq!(
        other.status, 422,
        "the same key with another epoch is another request"
    );
    assert_eq!(world.state(), after);
    use Effect::{Refused, Repeated, Took};
    assert_eq!(
        effects(&world),
        [Took, Repeated, Repeated, Repeated, Refused]
    );

    let found = get(&mut world, "/operations?idempotency_key=k");
    assert_eq!(found["operations"].as_array().map(Vec::len), Some(1));
    let none = get(&mut world, "/operations?idempotency_key=");
    assert_eq!(none["operations"], json!([]), "an empty key is no key");
}

#[test]
fn a_refused_key_is_not_used_up() {
    let mut world = world("bad-deploy");
    assert_eq!(rollback(&mut world, &digest("600d"), 41, "k").status, 409);
    assert_eq!(
        get(&mut world, "/operations?idempotency_key=k")["operations"],
        json!([])
    );
    assert_eq!(rollback(&mut world, &digest("600d"), 42, "k").status, 202);
}

#[test]
fn edges_follow_one_with_each_read_and_then_the_operation_has_succeeded() {
    let mut world = world("bad-deploy");
    rollback(&mut world, &digest("600d"), 42, "k");
    let mut seen = Vec::new();
    for _ in 0..4 {
        let state = get(&mut world, "/state");
        let ratio = get(&mut world, "/errors")["ratio"]
            .as_f64()
            .expect("a number");
        let edges = get(&mut world, "/edges");
        let following = edges["edges"].as_array().expect("edges");
        let following = following.iter().filter(|e| e["epoch"] == 43).count();
        seen.push((state["operation"]["state"].to_string(), ratio, following));
    }
    let running = "\"running\"".to_owned();
    assert_eq!(
        seen,
        [
            (running.clone(), 0.18, 1),
            (running.clone(), 0.120667, 2),
            (running, 0.061333, 3),
            ("\"succeeded\"".to_owned(), 0.002, 3),
        ]
    );
    assert_eq!(get(&mut world, "/state")["in_progress"], json!([]));
    assert_eq!(
        get(&mut world, "/deployments")["deployments"][0]["healthy"],
        true
    );
}

#[test]
fn a_second_operation_waits_for_the_first() {
    let mut world = world("bad-deploy");
    rollback(&mut world, &digest("600d"), 42, "k");
    let second = rollback(&mut world, &digest("0bad"), 43, "l");
    assert_eq!(second.status, 409);
    assert!(second.body["detail"].to_string().contains("op-drill-1043"));
    for _ in 0..3 {
        get(&mut world, "/edges");
    }
    assert_eq!(rollback(&mut world, &digest("0bad"), 43, "l").status, 202);
    assert_eq!(
        get(&mut world, "/errors")["ratio"],
        0.002,
        "no edge follows yet"
    );
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    for (artifact, status) in [
        (digest("ffff"), 404),
        (digest("01d0"), 422),
        (digest("0bad"), 422),
        (String::new(), 404),
    ] {
        let mut world = world("bad-deploy");
        let before = world.state();
        assert_eq!(
            rollback(&mut world, &artifact, 42, "k").status,
            status,
            "{artifact}"
        );
        assert_eq!(world.state(), before);
    }
    let good = digest("600d");
    for order in [
        json!({"kind": "rollback", "artifact_digest": good, "idempotency_key": "k"}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": 42}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": 42, "idempotency_key": ""}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": "42", "idempotency_key": "k"}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": null, "idempotency_key": "k"}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": u64::MAX, "idempotency_key": "k"}),
        json!({"kind": "rebuild", "artifact_digest": good, "expected_epoch": 42, "idempotency_key": "k"}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": 42, "idempotency_key": "k", "force": true}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": 42, "idempotency_key": "k", "edges": "at-once"}),
        json!({"kind": "rollback", "artifact_digest": good, "expected_epoch": 42, "idempotency_key": "k", "actor": "drill-lee"}),
        json!([]),
    ] {
        let mut world = world("bad-deploy");
        let before = world.state();
        assert_eq!(
            send(&mut world, "POST", "/operations", &order).status,
            422,
            "{order}"
        );
        assert_eq!(world.state(), before);
        assert_eq!(effects(&world), [Effect::Refused]);
    }
}

#[test]
fn frozen_promotions_let_one_artifact_through_and_rollbacks() {
    let promote = |artifact: String| {
        json!({
            "kind": "promote", "artifact_digest": artifact, "expected_epoch": 42,
            "idempotency_key": "k", "build_id": "build-drill-320",
        })
    };
    let mut frozen = world("bad-deploy");
    assert_eq!(
        send(&mut frozen, "POST", "/operations", &promote(digest("ffff"))).status,
        423
    );
    assert_eq!(
        send(&mut frozen, "POST", "/operations", &promote(digest("600d"))).status,
        423
    );
    assert_eq!(rollback(&mut frozen, &digest("600d"), 42, "r").status, 202);
    let mut excepting = world("bad-deploy-incompatible");
    assert_eq!(
        send(
            &mut excepting,
            "POST",
            "/operations",
            &promote(digest("ffff"))
        )
        .status,
        423
    );
    assert_eq!(
        send(
            &mut excepting,
            "POST",
            "/operations",
            &promote(digest("f1c5"))
        )
        .status,
        202
    );
}

#[test]
fn a_quarantined_artifact_goes_nowhere() {
    let mut world =
        world("bad-deploy").edited(|state| state["promotions"]["frozen"] = false.into());
    let bad = digest("0bad");
    let path = format!("/quarantine?artifact={}", bad.replace(':', "%3A"));
    assert_eq!(get(&mut world, &path)["quarantined"], false);
    let order = json!({"artifact_digest": bad, "reason": "drill"});
    for _ in 0..2 {
        let answer = send(&mut world, "POST", "/quarantine", &order);
        assert_eq!(
            (answer.status, &answer.body["quarantined"]),
            (200, &json!(true))
        );
    }
    assert_eq!(effects(&world), [Effect::Took, Effect::Repeated]);
    assert_eq!(get(&mut world, &path)["quarantined"], true);
    let promote = json!({"kind": "promote", "artifact_digest": bad, "expected_epoch": 42, "idempotency_key": "k"});
    assert_eq!(
        send(&mut world, "POST", "/operations", &promote).status,
        422
    );
    let unknown = json!({"artifact_digest": digest("ffff"), "reason": "drill"});
    assert_eq!(
        send(&mut world, "POST", "/quarantine", &unknown).status,
        404
    );
}

#[test]
fn the_verdict_follows_from_what_was_executed_since() {
    for (kind, reversible, state, expected) in [
        ("expand", true, "executed", None),
        ("expand", false, "executed", None),
        ("contract", true, "executed", Some("CONTRACT_MIGRATION:m")),
        ("contract", false, "executed", Some("CONTRACT_MIGRATION:m")),
        ("contract", false, "pending", None),
        ("data", true, "executed", None),
        ("data", false, "executed", Some("DATA_FORMAT:m")),
        ("data", false, "pending", None),
    ] {
        let mut world = world("bad-deploy").edited(|world| {
            world["deployments"][0]["migrations"] =
                json!([{"id": "m", "kind": kind, "reversible": reversible, "state": state}]);
        });
        let body = get(
            &mut world,
            &format!("/compatibility?artifact={}", digest("600d")),
        );
        let blockers: Vec<&str> = expected.into_iter().collect();
        assert_eq!(
            body["database_compatible"],
            expected.is_none(),
            "{kind} {reversible} {state}"
        );
        assert_eq!(body["blockers"], json!(blockers));
        assert_eq!(body["artifact_compatible"], true);
        let itself = get(
            &mut world,
            &format!("/compatibility?artifact={}", digest("0bad")),
        );
        assert_eq!(
            itself["verdict"], "compatible",
            "its own migrations are not after it"
        );
    }
}

#[test]
fn what_cannot_be_read_is_not_known_and_a_blocker() {
    let path = format!("/compatibility?artifact={}", digest("600d"));
    for (axis, artifact, database) in [
        ("artifact", json!(null), json!(true)),
        ("configuration", json!(null), json!(true)),
        ("bindings", json!(null), json!(true)),
        ("database", json!(true), json!(null)),
    ] {
        let mut world = world("bad-deploy").edited(|state| state["unreadable"] = json!([axis]));
        let body = get(&mut world, &path);
        assert_eq!(body["artifact_compatible"], artifact);
        assert_eq!(body["database_compatible"], database);
        assert_eq!(body["blockers"], json!([format!("UNREADABLE:{axis}")]));
        assert_eq!(body["verdict"], "unknown");

        let mut world = world.edited(|state| {
            let deployments = &mut state["deployments"];
            deployments[1]["missing_config"] = json!(["A", "B"]);
            deployments[1]["missing_bindings"] = json!(["mail"]);
            deployments[0]["migrations"][0]["kind"] = "contract".into();
        });
        let body = get(&mut world, &path);
        assert_eq!(
            body["verdict"], "incompatible",
            "what is known to be wrong stays wrong"
        );
        let all = [
            ("artifact", vec![]),
            ("configuration", vec!["CONFIG_DRIFT:A", "CONFIG_DRIFT:B"]),
            ("bindings", vec!["BINDING_GONE:mail"]),
            ("database", vec!["CONTRACT_MIGRATION:m-0219-add-discount"]),
        ];
        let named = all.into_iter().flat_map(|(other, named)| {
            if other == axis {
                vec![format!("UNREADABLE:{axis}")]
            } else {
                named.into_iter().map(str::to_owned).collect()
            }
        });
        assert_eq!(body["blockers"], named.collect::<Json>());
    }
    let mut world = world("bad-deploy");
    let body = get(
        &mut world,
        &format!("/compatibility?artifact={}", digest("01d0")),
    );
    assert_eq!(body["blockers"], json!(["ARTIFACT_PRUNED"]));
    rollback(&mut world, &digest("600d"), 42, "k");
    let body = get(&mut world, &path);
    assert_eq!(body["blockers"], json!(["DEPLOY_IN_PROGRESS"]));
}

#[test]
fn going_back_over_a_contract_migration_is_not_prevented_and_does_not_heal() {
    let mut world = world("bad-deploy-incompatible");
    assert_eq!(rollback(&mut world, &digest("600d"), 42, "k").status, 202);
    for _ in 0..3 {
        get(&mut world, "/edges");
    }
    assert_eq!(get(&mut world, "/data")["damaged"], true);
    assert_eq!(get(&mut world, "/errors")["ratio"], 0.06);
    // Deployed again, it is still older than the migration.
    let body = get(
        &mut world,
        &format!("/compatibility?artifact={}", digest("600d")),
    );
    assert_eq!(body["database_compatible"], false);
}

#[test]
fn an_edge_changed_by_hand_shows_and_follows_nothing_until_it_is_taken_back() {
    let mut world = world("bad-deploy");
    let wanted = json!({"artifact_digest": digest("600d")});
    assert_eq!(
        send(&mut world, "PUT", "/edges/edge-iad/routes", &wanted).status,
        200
    );
    assert_eq!(
        send(&mut world, "PUT", "/edges/edge-xxx/routes", &wanted).status,
        404
    );
    rollback(&mut world, &digest("600d"), 42, "k");
    for _ in 0..5 {
        get(&mut world, "/edges");
    }
    let edges = get(&mut world, "/edges");
    assert_eq!(
        edges["edges"][1]["local_overrides"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(edges["edges"][1]["epoch"], 42);
    assert_eq!(get(&mut world, "/state")["operation"]["state"], "running");
    for expected in [Effect::Took, Effect::Repeated] {
        assert_eq!(
            send(&mut world, "DELETE", "/edges/edge-iad/routes", &json!({})).status,
            200
        );
        assert_eq!(effects(&world).last(), Some(&expected));
    }
    get(&mut world, "/edges");
    assert_eq!(get(&mut world, "/state")["operation"]["state"], "succeeded");
}

#[test]
fn the_epoch_moves_once_right_before_the_first_rollback() {
    let mut world = world("bad-deploy-moved-epoch");
    for path in ["/state", "/edges", "/operations", "/state"] {
        get(&mut world, path);
    }
    assert_eq!(get(&mut world, "/state")["route_owner"]["epoch"], 42);
    let refused = rollback(&mut world, &digest("600d"), 42, "k-42");
    assert_eq!(
        (refused.status, &refused.body["current"]["epoch"]),
        (409, &json!(43))
    );
    let state = get(&mut world, "/state");
    assert_eq!(state["operation"]["actor"], "drill-somebody");
    assert_eq!(
        (&state["operation"]["state"], &state["in_progress"]),
        (&json!("succeeded"), &json!([]))
    );
    assert_eq!(
        rollback(&mut world, &digest("600d"), 43, "k-43").status,
        202
    );
    assert_eq!(
        effects(&world),
        [Effect::Took, Effect::Refused, Effect::Took]
    );
}

#[test]
fn a_disturbance_waits_for_its_requests_in_order() {
    let mut world = world("bad-deploy-incompatible");
    let epoch = |world: &mut Played| get(world, "/state")["route_owner"]["epoch"].clone();
    assert_eq!(
        (epoch(&mut world), epoch(&mut world)),
        (json!(42), json!(42))
    );
    get(
        &mut world,
        &format!("/compatibility?artifact={}", digest("600d")),
    );
    get(&mut world, "/errors");
    assert_eq!(
        (epoch(&mut world), epoch(&mut world)),
        (json!(43), json!(43))
    );
    assert_eq!(effects(&world), [Effect::Took], "and once");
}

#[test]
fn paths_methods_and_bodies_that_are_wrong_change_nothing() {
    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("GET", "", "", 404),
        ("GET", "/environments", "", 404),
        ("GET", "/environments/staging/state", "", 404),
        ("GET", "/environments/production", "", 404),
        ("GET", "/environments/production/state/", "", 404),
        (
            "GET",
            "/environments/production/operations/op-none",
            "",
            404,
        ),
        ("POST", "/environments/staging/operations", "{}", 404),
        ("POST", "/environments/production/state", "{}", 405),
        ("DELETE", "/environments/production/operations", "", 405),
        ("PATCH", "/environments/production/quarantine", "{}", 405),
        ("HEAD", "/environments/production/errors", "", 405),
        ("POST", "/environments/production/compatibility", "", 405),
        (
            "GET",
            "/environments/production/edges/edge-fra/routes",
            "",
            405,
        ),
        ("POST", "/ledger", "", 405),
        ("GET", "/environments/production/compatibility", "", 400),
        (
            "POST",
            "/environments/production/operations",
            "kind: rollback",
            400,
        ),
        ("POST", "/environments/production/quarantine", "", 400),
        (
            "PUT",
            "/environments/production/edges/edge-fra/routes",
            "{",
            400,
        ),
    ] {
        let mut world = world("bad-deploy");
        let before = world.state();
        let answer = world.handle(method, path, "", body.as_bytes());
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.body["status"], status);
        assert_eq!(world.state(), before, "{method} {path}");
        assert_eq!(
            world.0.world().performed().len(),
            usize::from(method != "GET")
        );
    }
    let mut world = world("bad-deploy");
    for path in [
        "state",
        "edges",
        "errors",
        "deployments",
        "operations",
        "quarantine",
    ] {
        let path = format!("{ENVIRONMENT}/{path}");
        assert_eq!(
            world.handle("GET", &path, "limit=1", b"").status,
            400,
            "{path}"
        );
    }
}

#[test]
fn the_ledger_serves_what_was_performed() {
    let mut world = world("bad-deploy");
    rollback(&mut world, &digest("600d"), 42, "k");
    rollback(&mut world, &digest("600d"), 42, "k");
    let ledger = world.handle("GET", "/ledger", "", b"").body;
    assert_eq!(ledger["performed"][0]["effect"], "took");
    assert_eq!(ledger["performed"][1]["effect"], "repeated");
    for line in [0, 1] {
        let line = &ledger["performed"][line];
        assert_eq!(line["actor"], "drill-operator");
        assert_eq!(line["request"], "POST /environments/production/operations");
        assert_eq!(
            (&line["idempotency_key"], &line["body"]["kind"]),
            (&json!("k"), &json!("rollback"))
        );
        assert_eq!(line["status"], 202);
    }
    assert_eq!(ledger["drill"], true);
}
