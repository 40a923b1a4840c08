//! Unknown never passes: whatever is missing, the change does not happen.

use std::collections::BTreeSet;

use proptest::prelude::*;
use runbook::execution::event::{CheckSetName, Chosen, Event, Origin};
use runbook::execution::gate::judge_checks;
use runbook::execution::next::Next;
use runbook::execution::state::{Fact, HeldFreeze};
use runbook::execution::step::{Reading, StepEnd};
use runbook::execution::work::{render, subject};
use runbook::runbook::model::CheckSet;
use runbook::runbook::shipped::RUNBOOKS;
use serde_json::{Value as Json, json};

use super::bench::{Bench, field, read, slug};

/// Everything known, and all of it good.
fn good() -> Vec<(&'static str, Json)> {
    vec![
        ("healthy_digests", json!(["good"])),
        ("rollback_digest", json!("good")),
        ("local_overrides", json!(0)),
        ("owner_epoch", json!(42)),
        ("expected_epoch", json!(42)),
        ("artifact_compatible", json!(true)),
        ("database_compatible", json!(true)),
        ("blockers", json!([])),
        ("in_progress", json!([])),
        ("scope_is_right", json!(true)),
        ("error_ratio", json!(0.5)),
        ("operation_state", json!("succeeded")),
        ("suspect_digest", json!("bad")),
        ("owner_digest", json!("bad")),
    ]
}

/// What the guards on the rollback, and what it sends, look at.
const NEEDED: usize = 9;

/// The bad deploy, everything decided, the name typed, immediately before the rollback.
fn at_rollback() -> Bench {
    let text = RUNBOOKS
        .iter()
        .find(|r| r.file == "bad-deploy.yaml")
        .expect("it is shipped")
        .text;
    let inputs = [
        ("decision_owner", json!("dana")),
        ("db_owner", json!("olga")),
        ("verifier", json!("vera")),
        ("channel", json!("#drill")),
    ];
    let mut bench = Bench::of(read("bad-deploy.yaml", text), &inputs);
    let id = slug("rollback-route-owner");
    let now = bench.now;
    for step in &bench.plan.runbook().steps.clone() {
        if step.id == id {
            break;
        }
        bench.state.steps.entry(step.id.clone()).or_default().ended = Some(StepEnd::Done);
    }
    let chosen = Chosen {
        option: slug("rollback"),
        owner: "dana".parse().expect("a name"),
        reason: "it fits".into(),
        offered: vec![slug("rollback")],
        withheld: Default::default(),
        guards: Vec::new(),
    };
    bench.state.decisions.insert(slug("recovery-path"), chosen);
    bench.state.run = Some(json!({
        "id": "r-1", "workspace": "shop", "environment": "production", "deployed_artifacts": ["good", "bad"],
        "logs": {"before": 1, "after": 1}, "preflight": [], "unresolved_warnings": [], "launched_by": "lee",
        "owners": ["lee"], "operators": [], "approved": true, "inside_window": true,
        "rollback_candidate": {"artifact": "good"}, "rollback_tested": true,
    }));
    bench.state.freeze = Some(HeldFreeze {
        id: "f-1".into(),
        fence: 7,
        scope: "shop/production".into(),
    });
    for (name, value) in good() {
        let fact = Fact {
            value,
            origin: Origin::Measured,
            at: now,
            step: slug("read-operation-and-epoch"),
        };
        bench.state.facts.insert(field(name), fact);
    }
    let results = judge_checks(&bench.plan, &bench.state, CheckSet::Preflight, now);
    let judged = Event::ChecksJudged {
        step: id.clone(),
        set: CheckSetName::Preflight,
        results,
    };
    bench.record(judged).expect("legal");
    let step = bench.plan.step(&id).expect("the step").clone();
    let work = render(&bench.plan, &bench.state, &step, bench.now).expect("everything is known");
    let of = subject(&bench.state, &step, &work);
    let at = bench.state.steps.entry(id).or_default();
    at.confirmed = Some(of);
    let fresh = Reading {
        event: 10,
        count: 1,
        failed: None,
    };
    for read in [
        "deployment-history",
        "read-operation-and-epoch",
        "edge-agreement",
        "compatibility",
    ] {
        at.readings.insert(slug(read), fresh.clone());
    }
    bench
}

fn performs(bench: &Bench) -> bool {
    match bench.next() {
        Next::Perform(p) => {
            let change = p.work_of.as_str() == "rollback-route-owner";
            assert_eq!(change, p.change);
            change
        }
        Next::Record(_) | Next::Ask(_) => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_everything_known_and_good_the_rollback_is_performed() {
    let bench = at_rollback();
    assert!(performs(&bench), "{:?}", bench.next());
}

#[test]
fn a_guards_reading_that_failed_stops_the_rollback_whatever_was_known_before() {
    for read in [
        "deployment-history",
        "read-operation-and-epoch",
        "edge-agreement",
        "compatibility",
    ] {
        let mut bench = at_rollback();
        let at = bench
            .state
            .steps
            .get_mut(&slug("rollback-route-owner"))
            .expect("the step");
        at.readings.get_mut(&slug(read)).expect("a reading").failed = Some("no answer".into());
        assert!(!performs(&bench), "{read}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn with_any_fact_missing_the_rollback_is_not_performed(missing in prop::collection::btree_set(0..good().len(), 0..6)) {
        let mut bench = at_rollback();
        for n in &missing {
            bench.state.facts.remove(&field(good()[*n].0));
        }
        let needed: BTreeSet<usize> = (0..NEEDED).collect();
        prop_assert_eq!(performs(&bench), missing.is_disjoint(&needed), "{:?}", missing);
    }

    #[test]
    fn with_any_fact_of_another_kind_the_rollback_is_not_performed(n in 0..NEEDED, kind in 0..3_usize) {
        let mut bench = at_rollback();
        let wrong = [json!(null), json!({"a": 1}), json!("NaN")][kind].clone();
        prop_assume!(!(kind == 2 && good()[n].0 == "rollback_digest"));
        bench.state.facts.get_mut(&field(good()[n].0)).expect("a fact").value = wrong;
        prop_assert!(!performs(&bench));
    }
}
