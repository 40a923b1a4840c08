//! The shipped runbook against the simulated plane: every request that it sends is answered, and every expression that
//! it reads an answer with finds what it needs.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::scenario::{Scenario, scenario};
use super::world::{Effect, World};
use crate::clock::Timestamp;
use crate::expr::{Expression, Scope, Template, Truth, Value};

const RUNBOOK: &str = include_str!("../../runbooks/bad-deploy.yaml");

/// The requests of the runbook's steps, performed against a world; facts are kept as an execution keeps them.
struct Rehearsal {
    steps: BTreeMap<String, Json>,
    guards: Vec<Json>,
    world: World,
    scope: Scope,
}

impl Rehearsal {
    fn of(scenario: &Scenario) -> Self {
        let document: Json = serde_yaml::from_str(RUNBOOK).expect("YAML");
        let steps = document["steps"].as_array().expect("steps").iter();
        let steps = steps
            .filter_map(|step| Some((step["id"].as_str()?.to_owned(), step.clone())))
            .collect();
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        let mut scope = Scope::new(now);
        let recording = scenario.recording_at(now);
        let candidate = recording
            .run
            .rollback_candidate
            .expect("a candidate")
            .artifact;
        let run = json!({"id": recording.run.id, "deployed_artifacts": [candidate]});
        for (name, value) in [
            ("run", run),
            ("target", json!({"environment": recording.run.environment})),
            (
                "execution",
                json!({"id": "0196-drill", "operator": "drill-operator"}),
            ),
        ] {
            scope.set(name, Value::try_from(value).expect("a value"));
        }
        scope.set_in("inputs", "error_threshold", Value::Double(0.01));
        let guards = document["guards"].as_array().expect("guards").clone();
        Self {
            steps,
            guards,
            world: scenario.world(),
            scope,
        }
    }

    fn decide(&mut self, step: &str, option: &str) {
        self.scope.set_in("decisions", step, option);
    }

    fn step(&self, id: &str) -> Json {
        self.steps
            .get(id)
            .unwrap_or_else(|| panic!("no step `{id}`"))
            .clone()
    }

    /// Performs the request of a step and takes up its facts; the status is answered, facts only when it is accepted.
    fn perform(&mut self, id: &str) -> u16 {
        let step = self.step(id);
        let request = &step["request"];
        let (method, path) = ["get", "post"]
            .into_iter()
            .find_map(|method| Some((method.to_uppercase(), request[method].as_str()?)))
            .unwrap_or_else(|| panic!("`{id}` sends nothing"));
        let path = self.filled(path).replace("sha256:", "sha256%3A");
        let body = self.body(&request["body"]).to_string();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let answer = self.world.handle(&method, path, query, body.as_bytes());
        let accepted = match step["statuses"].as_object() {
            Some(statuses) => statuses.contains_key(&answer.status.to_string()),
            None => answer.status == 200,
        };
        if accepted {
            self.scope
                .set("body", Value::try_from(answer.body).expect("a value"));
            self.take(id, &step["facts"]);
        }
        answer.status
    }

    /// Takes up the facts of a step, each by its own expression, each of its own kind.
    fn take(&mut self, id: &str, facts: &Json) {
        let none = Map::new();
        for (name, fact) in facts.as_object().unwrap_or(&none) {
            let from = fact["from"]
                .as_str()
                .unwrap_or_else(|| panic!("{id}.{name} is typed"));
            let value = self.value(from);
            let kind = fact["type"].as_str().expect("a type");
            let right = match (kind, &value) {
                ("string" | "string?", Value::Text(_))
                | ("string?", Value::Null)
                | ("integer", Value::Int(_))
                | ("number", Value::Int(_) | Value::Double(_))
                | ("boolean", Value::Bool(_)) => true,
                ("list<string>", Value::List(list)) => {
                    list.iter().all(|v| matches!(v, Value::Text(_)))
                }
                ("list<integer>", Value::List(list)) => {
                    list.iter().all(|v| matches!(v, Value::Int(_)))
                }
                _ => false,
            };
            assert!(right, "{id}.{name} is no {kind}: {value}");
            self.scope.set_in("facts", name, value);
        }
    }

    fn value(&self, expression: &str) -> Value {
        let parsed = Expression::parse(expression).expect(expression);
        parsed
            .value(&self.scope)
            .unwrap_or_else(|why| panic!("{expression}: {why}"))
    }

    fn holds(&self, expression: &Json) -> bool {
        let expression = expression.as_str().expect("an expression");
        match Expression::parse(expression)
            .expect(expression)
            .truth(&self.scope)
        {
            Truth::True => true,
            Truth::False => false,
            Truth::Unknown(why) => panic!("{expression}: {why}"),
        }
    }

    fn filled(&self, text: &str) -> String {
        let template = Template::parse(text).expect(text);
        let mut filled = text.to_owned();
        for expression in template.expressions() {
            let value = expression
                .text(&self.scope)
                .unwrap_or_else(|why| panic!("{text}: {why}"));
            filled = filled.replace(&format!("${{{expression}}}"), &value);
        }
        filled
    }

    /// A body with its templates filled; a string that is one `${…}` keeps the type of its value.
    fn body(&self, body: &Json) -> Json {
        match body {
            Json::String(text) => {
                let inner = text
                    .strip_prefix("${")
                    .and_then(|rest| rest.strip_suffix('}'));
                match inner.filter(|inner| !inner.contains('}')) {
                    Some(expression) => self.value(expression).to_json(),
                    None => self.filled(text).into(),
                }
            }
            Json::Object(map) => map.iter().map(|(k, v)| (k.clone(), self.body(v))).collect(),
            other => other.clone(),
        }
    }

    /// From the reading of the state to the decision.
    fn find_truth_and_classify(&mut self, class: &str) {
        assert_eq!(self.perform("read-operation-and-epoch"), 200);
        self.take("pin-epoch", &self.step("pin-epoch")["facts"]);
        for id in ["deployment-history", "error-rate", "edge-agreement"] {
            assert_eq!(self.perform(id), 200, "{id}");
        }
        self.decide("classify", class);
        self.take("choose-artifact", &self.step("choose-artifact")["facts"]);
        assert_eq!(self.perform("compatibility"), 200);
        self.scope.set_in("facts", "data_damaged", false);
    }

    /// The ways that may be chosen now.
    fn offered(&self) -> Vec<String> {
        let step = self.step("choose-path");
        let options = step["choose"]["options"].as_object().expect("options");
        let offered = options
            .iter()
            .filter(|(_, option)| self.holds(&option["when"]));
        offered.map(|(id, _)| id.clone()).collect()
    }

    /// Reads again what the guards on the rollback read, and says which of them do not hold.
    fn refusing(&mut self) -> Vec<String> {
        let step = json!("rollback-route-owner");
        let all = self.guards.clone().into_iter();
        let on_it = all.filter(|g| {
            g["before"]
                .as_array()
                .is_some_and(|before| before.contains(&step))
        });
        let mut refusing = Vec::new();
        for guard in on_it.filter(|guard| guard["require"].is_string()) {
            for read in guard["read"].as_array().into_iter().flatten() {
                assert_eq!(self.perform(read.as_str().expect("a step")), 200);
            }
            if !self.holds(&guard["require"]) {
                refusing.push(guard["id"].as_str().expect("an id").to_owned());
            }
        }
        refusing
    }

    /// Looks until every edge follows, as often as `most`.
    fn converge(&mut self, most: usize) {
        let until = self.step("verify-convergence")["wait"]["until"].clone();
        for _ in 0..most {
            self.perform("read-operation-and-epoch");
            self.perform("edge-agreement");
            if self.holds(&until) {
                return;
            }
        }
        panic!("the edges do not follow after {most} looks");
    }

    fn recovered(&mut self) -> bool {
        self.perform("error-rate");
        self.holds(&self.step("bake")["wait"]["until"])
    }

    fn quarantine(&mut self) {
        assert_eq!(self.perform("quarantine"), 200);
        assert!(self.holds(&self.step("quarantine")["expect"]));
        assert_eq!(self.perform("read-quarantine"), 200);
        assert!(self.holds(&self.step("quarantine")["verify"]["expect"]));
    }

    fn took(&self) -> usize {
        let ledger = self.world.performed().iter();
        ledger
            .filter(|p| p.effect == Effect::Took && p.operation.is_some())
            .count()
    }
}

#[test]
fn bad_deploy_rolls_back() {
    let mut drill = Rehearsal::of(&scenario("bad-deploy").expect("shipped"));
    drill.find_truth_and_classify("app-only");
    assert!(!drill.recovered());
    assert_eq!(drill.offered(), ["rollback"]);
    drill.decide("choose_path", "rollback");
    assert_eq!(drill.refusing(), [""; 0]);
    assert_eq!(drill.perform("rollback-route-owner"), 202);
    assert_eq!(drill.perform("read-rollback"), 200);
    assert!(drill.holds(&drill.step("rollback-route-owner")["verify"]["expect"]));
    drill.converge(5);
    assert!(drill.recovered());
    drill.perform("deployment-history");
    for guard in drill
        .guards
        .clone()
        .iter()
        .filter(|guard| guard["ensure"].is_string())
    {
        assert!(drill.holds(&guard["ensure"]), "{}", guard["id"]);
    }
    drill.quarantine();
    assert_eq!(drill.took(), 1);
}

#[test]
fn bad_deploy_incompatible_offers_no_rollback_and_is_fixed_forward() {
    let mut drill = Rehearsal::of(&scenario("bad-deploy-incompatible").expect("shipped"));
    drill.find_truth_and_classify("db-migration");
    assert_eq!(drill.offered(), ["forward-fix", "restore"]);
    assert_eq!(drill.value("facts.schema_errors"), Value::Bool(true));
    assert!(!drill.recovered());
    drill.decide("choose_path", "forward-fix");
    let answers = scenario("bad-deploy-incompatible")
        .expect("shipped")
        .answers_at(drill.scope.now());
    let fix = answers["forward-fix"]["facts"]["fix_digest"]
        .as_str()
        .expect("a digest")
        .to_owned();
    drill
        .scope
        .set_in("facts", "fix_digest", Value::Text(fix.clone()));
    drill.converge(5);
    assert!(drill.recovered());
    assert_eq!(drill.value("facts.owner_digest"), Value::Text(fix));
    assert_eq!(drill.took(), 1);
}

#[test]
fn a_rollback_chosen_nevertheless_is_refused_by_a_guard() {
    let mut drill = Rehearsal::of(&scenario("bad-deploy-incompatible").expect("shipped"));
    drill.find_truth_and_classify("db-migration");
    drill.decide("choose_path", "rollback");
    assert!(
        drill
            .refusing()
            .contains(&"no-hidden-db-incompatibility".to_owned())
    );
}

#[test]
fn bad_deploy_moved_epoch_is_decided_twice() {
    let mut drill = Rehearsal::of(&scenario("bad-deploy-moved-epoch").expect("shipped"));
    drill.find_truth_and_classify("app-only");
    drill.decide("choose_path", "rollback");
    assert_eq!(drill.refusing(), [""; 0]);
    assert_eq!(drill.perform("rollback-route-owner"), 409);
    drill.perform("read-rollback");
    assert!(!drill.holds(&drill.step("rollback-route-owner")["verify"]["expect"]));
    drill.find_truth_and_classify("app-only");
    assert_eq!(drill.offered(), ["rollback"]);
    assert_eq!(drill.value("facts.expected_epoch"), Value::Int(43));
    assert_eq!(drill.refusing(), [""; 0]);
    assert_eq!(drill.perform("rollback-route-owner"), 202);
    drill.converge(5);
    assert!(drill.recovered());
    drill.quarantine();
    assert_eq!(drill.took(), 2, "one of somebody else, one of ours");
}

#[test]
fn an_edge_changed_by_hand_keeps_the_rollback_from_being_performed() {
    let mut drill = Rehearsal::of(&scenario("bad-deploy").expect("shipped"));
    drill.find_truth_and_classify("app-only");
    drill.decide("choose_path", "rollback");
    let body =
        json!({"artifact_digest": drill.value("facts.rollback_digest").to_json()}).to_string();
    let path = "/environments/production/edges/edge-fra/routes";
    assert_eq!(
        drill.world.handle("PUT", path, "", body.as_bytes()).status,
        200
    );
    assert_eq!(drill.refusing(), ["no-edge-route-mutation"]);
}

#[test]
fn the_answers_are_about_steps_of_the_runbook_and_name_what_it_asks_for() {
    const STANDARD: &str = include_str!("../../runbooks/standard.yaml");
    let standard: Json = serde_yaml::from_str(STANDARD).expect("YAML");
    for scenario in super::scenarios() {
        let mut steps = Rehearsal::of(&scenario).steps;
        for step in standard["steps"].as_array().expect("steps") {
            steps.insert(step["id"].as_str().expect("an id").to_owned(), step.clone());
        }
        let answers = scenario.answers_at(Timestamp::from_micros(0));
        for (id, answer) in answers.as_object().expect("a mapping") {
            let step = steps.get(id).unwrap_or_else(|| panic!("no step `{id}`"));
            let one = std::slice::from_ref(answer);
            for answer in answer.as_array().map_or(one, Vec::as_slice) {
                for part in ["facts", "evidence"] {
                    for name in answer[part].as_object().into_iter().flat_map(Map::keys) {
                        assert!(step[part][name].is_object(), "{id} has no {part} `{name}`");
                        assert!(
                            step[part][name]["from"].is_null(),
                            "{id}: `{name}` is measured"
                        );
                    }
                }
                if let Some(option) = answer["choose"].as_str() {
                    assert!(
                        step["choose"]["options"][option].is_object(),
                        "{id}: {option}"
                    );
                    assert!(
                        answer["reason"].is_string(),
                        "{id}: a choice needs a reason"
                    );
                }
                if answer["confirm"].is_string() {
                    assert_eq!(
                        answer["confirm"],
                        scenario
                            .recording_at(Timestamp::now())
                            .run
                            .environment
                            .as_str()
                    );
                }
            }
        }
    }
}
