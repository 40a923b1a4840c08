//! The rules of every plane, tried on a small one: a host whose sessions end while it is looked at.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::disturbance::Disturbance;
use super::document::yaml;
use super::plane::Plane;
use super::request::{Answer, Asked};
use super::simulation::{Reply, Simulation};
use super::world::{Effect, World};

const PLANE: &str = r"format: drill-plane/v1
let:
  drained: state.sessions == 0
  owner: state.owners[0]
cases:
  - {if: path.host != state.host, status: 404, problem: 'there is no host `${path.host}`'}
routes:
  - route: GET /hosts/{host}
    query: [since]
    cases:
      - if: query.since != null
        body: {since: '${query.since}'}
      - merge: {sessions: '${state.draining && state.sessions > 10 ? state.sessions - 10 : state.draining ? 0 : state.sessions}'}
        body: {host: '${state.host}', sessions: '${state.sessions}', drained: '${drained}'}
  - route: POST /hosts/{host}/drain
    takes: {deadline: duration, note: string?, idempotency_key: string?}
    let:
      wanted: body.deadline
    cases:
      - if: state.draining
        body: {draining: true}
      - status: 202
        merge: {draining: true, drains: '${state.drains + 1}', note: '${body.note}'}
        body: {drains: '${state.drains}', by: '${actor}', deadline: '${wanted}'}
        headers: {Location: '/hosts/${path.host}'}
  - route: DELETE /hosts/{host}/drain
    cases:
      - if: '!state.draining'
        status: 409
        problem: 'the host is not draining; it has ${state.sessions} sessions'
        body: {sessions: '${state.sessions}'}
      - merge: {draining: false}
        body: {}
  - route: POST /hosts/{host}/reboot
    cases:
      - if: size(state.owners) > 0 && owner == 'drill-lee'
        status: 403
        problem: it is not yours
      - if: state.none_such
        body: {}
      - merge: {drains: 99}
        body: {}
";

fn state() -> Map<String, Json> {
    let state = json!({"host": "h-1", "sessions": 25, "draining": false, "drains": 0, "note": "none", "owners": []});
    state.as_object().expect("a map").clone()
}

/// The plane, with these disturbances.
fn simulation(disturbances: &str) -> Simulation {
    let plane = Plane::parse(PLANE).unwrap_or_else(|error| panic!("{error}"));
    let all: Vec<Disturbance> = yaml(disturbances).unwrap_or_else(|error| panic!("{error}"));
    for one in &all {
        one.check(&plane).unwrap_or_else(|error| panic!("{error}"));
    }
    let world = World::new("drain", state(), all.len());
    Simulation::new(Arc::new(plane), all.into(), world)
}

fn ask(simulation: &mut Simulation, request: &str, key: Option<&str>, body: &str) -> Reply {
    let (method, path) = request.split_once(' ').expect("a request");
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    simulation.handle(Asked {
        method,
        path,
        query,
        key,
        body: body.as_bytes(),
    })
}

fn answer(simulation: &mut Simulation, request: &str, body: &str) -> Answer {
    match ask(simulation, request, None, body) {
        Reply::Answer(answer) => answer,
        Reply::Cut => panic!("{request} is cut"),
    }
}

/// Asks for a drain with this key; the status, none where the connection is cut.
fn drain(simulation: &mut Simulation, key: &str) -> Option<u16> {
    match ask(
        simulation,
        "POST /hosts/h-1/drain",
        Some(key),
        r#"{"deadline": "1h"}"#,
    ) {
        Reply::Answer(answer) => Some(answer.status),
        Reply::Cut => None,
    }
}

/// Who did what, with what came of it.
fn ledger(simulation: &Simulation) -> Vec<(String, Effect, Option<u16>)> {
    let all = simulation.world().performed().iter();
    all.map(|p| (format!("{} {}", p.actor, p.request), p.effect, p.status))
        .collect()
}

fn by_operator(effect: Effect, status: Option<u16>) -> (String, Effect, Option<u16>) {
    (
        "drill-operator POST /hosts/h-1/drain".to_owned(),
        effect,
        status,
    )
}

#[test]
fn a_read_moves_the_world_the_same_way_each_time() {
    let looks = || {
        let mut simulation = simulation("[]");
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(answer(&mut simulation, "GET /hosts/h-1", "").body);
        }
        assert_eq!(drain(&mut simulation, "k"), Some(202));
        for _ in 0..4 {
            seen.push(answer(&mut simulation, "GET /hosts/h-1", "").body);
        }
        (seen, simulation.world().clone())
    };
    let (seen, world) = looks();
    let sessions: Vec<i64> = seen
        .iter()
        .map(|b| b["sessions"].as_i64().expect("n"))
        .collect();
    assert_eq!(sessions, [25, 25, 15, 5, 0, 0]);
    assert_eq!(
        (&seen[3]["drained"], &seen[4]["drained"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(world.performed().len(), 1, "reads are not on the ledger");
    assert_eq!(looks(), (seen, world));
}

#[test]
fn an_answer_tells_of_the_state_after_it() {
    let mut simulation = simulation("[]");
    let accepted = answer(
        &mut simulation,
        "POST /hosts/h-1/drain",
        r#"{"deadline": "1h"}"#,
    );
    assert_eq!(
        accepted.body,
        json!({"drains": 1, "by": "drill-operator", "deadline": "1h"})
    );
    assert_eq!(accepted.headers["Location"], "/hosts/h-1");
    assert_eq!(
        simulation.world().state().get("note"),
        None,
        "an absent `note` is null, and null removes"
    );
    let parameter = answer(&mut simulation, "GET /hosts/h-1?since=now", "");
    assert_eq!(parameter.body, json!({"since": "now"}));
}

#[test]
fn what_merges_took_effect_what_does_not_repeated_and_a_problem_is_a_refusal() {
    let mut simulation = simulation("[]");
    let refused = answer(&mut simulation, "DELETE /hosts/h-1/drain", "");
    assert_eq!(refused.status, 409);
    assert_eq!(
        (
            &refused.body["detail"],
            &refused.body["sessions"],
            &refused.body["title"]
        ),
        (
            &json!("the host is not draining; it has 25 sessions"),
            &json!(25),
            &json!("Conflict")
        )
    );
    drain(&mut simulation, "k");
    drain(&mut simulation, "l");
    let effects: Vec<_> = ledger(&simulation)
        .into_iter()
        .map(|(_, e, s)| (e, s))
        .collect();
    assert_eq!(
        effects,
        [
            (Effect::Refused, Some(409)),
            (Effect::Took, Some(202)),
            (Effect::Repeated, Some(200)),
        ]
    );
}

#[test]
fn too_many_requests_and_then_not() {
    let mut simulation = simulation(
        "- title: too many requests
  before: POST /hosts/{host}/drain
  times: 2
  answer: {status: 429, problem: 'ask again later: ${state.sessions} sessions', headers: {Retry-After: '7'}}
",
    );
    let asked = || Some("k");
    let body = r#"{"deadline": "1h"}"#;
    for _ in 0..2 {
        let Reply::Answer(refused) = ask(&mut simulation, "POST /hosts/h-1/drain", asked(), body)
        else {
            panic!("cut");
        };
        assert_eq!(
            (refused.status, refused.headers["Retry-After"].as_str()),
            (429, "7")
        );
        assert_eq!(refused.body["detail"], "ask again later: 25 sessions");
    }
    assert_eq!(simulation.world().state(), &state());
    assert_eq!(drain(&mut simulation, "k"), Some(202));
    assert_eq!(
        ledger(&simulation),
        [
            by_operator(Effect::Refused, Some(429)),
            by_operator(Effect::Refused, Some(429)),
            by_operator(Effect::Took, Some(202)),
        ]
    );
}

#[test]
fn a_lost_answer_was_performed_and_is_given_when_it_is_asked_for_again() {
    for (lost, status) in [
        ("cut", None),
        ("{status: 503, problem: try again}", Some(503)),
    ] {
        let mut simulation = simulation(&format!(
            "- {{title: the answer is lost, after: 'POST /hosts/{{host}}/drain', answer: {lost}}}"
        ));
        assert_eq!(drain(&mut simulation, "k"), status);
        assert_eq!(simulation.world().state()["drains"], 1);
        assert_eq!(
            drain(&mut simulation, "k"),
            Some(202),
            "and not 200: it is the answer of then"
        );
        assert_eq!(simulation.world().state()["drains"], 1);
        assert_eq!(
            ledger(&simulation),
            [
                by_operator(Effect::Took, Some(202)),
                by_operator(Effect::Repeated, Some(202)),
            ]
        );
    }
}

#[test]
fn what_is_cut_before_did_not_happen() {
    let mut simulation = simulation("- {title: cut, before: 'POST /hosts/h-1/drain', answer: cut}");
    assert_eq!(drain(&mut simulation, "k"), None);
    assert_eq!(simulation.world().state(), &state());
    assert_eq!(ledger(&simulation), [by_operator(Effect::Refused, None)]);
    assert_eq!(drain(&mut simulation, "k"), Some(202));
}

#[test]
fn a_key_belongs_to_one_request() {
    let mut simulation = simulation("[]");
    let drain = |simulation: &mut Simulation, key, body: &str| match ask(
        simulation,
        "POST /hosts/h-1/drain",
        key,
        body,
    ) {
        Reply::Answer(answer) => answer.status,
        Reply::Cut => panic!("cut"),
    };
    let keyed = r#"{"deadline": "1h", "idempotency_key": "k"}"#;
    assert_eq!(drain(&mut simulation, None, keyed), 202);
    assert_eq!(drain(&mut simulation, None, keyed), 202);
    assert_eq!(drain(&mut simulation, Some("k"), keyed), 202);
    assert_eq!(
        drain(&mut simulation, Some("k"), r#"{"deadline": "2h"}"#),
        422
    );
    assert_eq!(drain(&mut simulation, Some("l"), keyed), 400, "two keys");
    let path = "DELETE /hosts/h-1/drain";
    assert!(matches!(
        ask(&mut simulation, path, Some("k"), ""),
        Reply::Answer(Answer { status: 422, .. })
    ));
    let took = ledger(&simulation)
        .into_iter()
        .filter(|(_, e, _)| *e == Effect::Took);
    assert_eq!(took.count(), 1);
}

#[test]
fn somebody_else_acts_by_a_request_or_without_one() {
    let mut simulation = simulation(
        "- title: drill-lee drains the host
  before:
    - GET /hosts/{host}
    - GET /hosts/{host}
  actor: drill-lee
  sends: {request: POST /hosts/h-1/drain, body: {deadline: 1h, note: '${string(state.sessions)}'}}
  merge: {sessions: 12}
- title: it is drained a second time, which nothing follows from
  before: GET /hosts/{host}
  times: 9
  actor: drill-lee
  sends: {request: POST /hosts/h-1/drain, body: {deadline: 1h}}
  merge: {sessions: '${state.sessions + 1000}'}
- title: sessions come back
  after: DELETE /hosts/{host}/drain
  actor: drill-users
  merge: {sessions: 40}
",
    );
    // The second disturbance is due at each read, and refused or repeated but at the first.
    let sessions = |simulation: &mut Simulation| {
        answer(simulation, "GET /hosts/h-1", "").body["sessions"].clone()
    };
    assert_eq!(
        sessions(&mut simulation),
        1015,
        "drained by the second one, which then follows"
    );
    assert_eq!(
        sessions(&mut simulation),
        1005,
        "both repeat, and nothing follows"
    );
    answer(&mut simulation, "DELETE /hosts/h-1/drain", "");
    assert_eq!(simulation.world().state()["sessions"], 40);
    let lee = |effect, status| {
        (
            "drill-lee POST /hosts/h-1/drain".to_owned(),
            effect,
            Some(status),
        )
    };
    assert_eq!(
        ledger(&simulation),
        [
            lee(Effect::Took, 202),
            lee(Effect::Repeated, 200),
            lee(Effect::Repeated, 200),
            (
                "drill-operator DELETE /hosts/h-1/drain".to_owned(),
                Effect::Took,
                Some(200)
            ),
            (
                "drill-users sessions come back".to_owned(),
                Effect::Took,
                None
            ),
        ]
    );
}

#[test]
fn what_is_unknown_changes_nothing_and_says_where_it_is() {
    let mut simulation = simulation(
        "- {title: a mistake, before: 'GET /hosts/{host}', actor: drill-lee, merge: {sessions: '${state.none}'}}",
    );
    for (request, place) in [
        (
            "POST /hosts/h-1/reboot",
            "route `POST /hosts/{host}/reboot`, case 2, `if`: `state.none_such` has no value",
        ),
        (
            "GET /hosts/h-1",
            "disturbance `a mistake`: `state.none` has no value",
        ),
        (
            "GET /hosts/h-1",
            "disturbance `a mistake`: `state.none` has no value",
        ),
    ] {
        let broken = answer(&mut simulation, request, "");
        assert_eq!(broken.status, 500);
        let detail = broken.body["detail"].as_str().expect("text");
        assert!(
            detail.starts_with(place) && detail.ends_with("nothing was changed"),
            "{detail}"
        );
        assert_eq!(simulation.world().state(), &state());
    }
    assert_eq!(
        ledger(&simulation),
        [(
            "drill-operator POST /hosts/h-1/reboot".to_owned(),
            Effect::Refused,
            Some(500)
        )]
    );
}

#[test]
fn what_is_wrong_with_a_request_is_said_before_a_case_is_asked() {
    for (request, body, status, detail) in [
        ("GET /hosts/h-2", "", 404, "there is no host `h-2`"),
        (
            "GET /hosts/h-1?limit=1",
            "",
            400,
            "unknown query parameter `limit`; this path knows `since`",
        ),
        ("GET /hosts", "", 404, "there is nothing at `/hosts`"),
        (
            "PUT /hosts/h-1/drain",
            "",
            405,
            "this path takes POST or DELETE",
        ),
        ("PUT /ledger", "", 405, "this path takes GET"),
        (
            "GET /ledger?limit=1",
            "",
            400,
            "unknown query parameter `limit`; this path knows none",
        ),
        (
            "POST /hosts/h-1/drain",
            "",
            400,
            "the body is missing; send JSON",
        ),
        (
            "POST /hosts/h-1/drain",
            "[]",
            422,
            "the body is no JSON object",
        ),
        ("POST /hosts/h-1/drain", "{}", 422, "`deadline` is missing"),
        (
            "POST /hosts/h-1/drain",
            r#"{"deadline": 1}"#,
            422,
            "`deadline` is not a duration like `15m`",
        ),
        (
            "POST /hosts/h-1/drain",
            r#"{"deadline": "1h", "x": 1}"#,
            422,
            "`x` is not taken here",
        ),
        ("POST /hosts/h-2/drain", "{}", 404, "there is no host `h-2`"),
    ] {
        let mut simulation = simulation("[]");
        let refused = answer(&mut simulation, request, body);
        assert_eq!(
            (refused.status, &refused.body["detail"]),
            (status, &json!(detail)),
            "{request}"
        );
        assert_eq!(simulation.world().state(), &state());
        let noted = ledger(&simulation).len();
        assert_eq!(noted, usize::from(!request.starts_with("GET")), "{request}");
    }
}

#[test]
fn a_wrong_plane_says_what_is_wrong_and_where() {
    for (from, to, expected) in [
        (
            "drill-plane/v1",
            "drill-plane/v2",
            "the format `drill-plane/v2` is not read here",
        ),
        ("routes:", "rutes:", "rutes"),
        (
            "status: 409",
            "status: 209",
            "`problem` needs a status of 400 or more",
        ),
        ("status: 202", "status: 422", "say what is wrong"),
        ("status: 202", "status: 99", "`99` is no status"),
        (
            "body: {drains:",
            "body: [drains]\n        bodi: {drains:",
            "bodi",
        ),
        (
            "if: state.draining\n",
            "if: state.draining &&\n",
            "is no expression",
        ),
        (
            "state.sessions == 0",
            "state.sessions ==",
            "is no expression",
        ),
        (
            "${state.drains + 1}",
            "${state.drains +}",
            "line 23 column 41",
        ),
        ("merge: {draining: false}", "merge: [1]", "`merge` is a map"),
        (
            "merge: {draining: false}",
            "merge: nothing",
            "`merge` is a map",
        ),
        ("{Location:", "{'Loc ation':", "no name of a header"),
        (
            "takes: {deadline: duration",
            "takes: {deadline: span",
            "`span` is not a type",
        ),
        (
            "route: POST /hosts/{host}/drain",
            "route: post /hosts/{host}/drain",
            "is no route",
        ),
        (
            "route: POST /hosts/{host}/reboot",
            "route: POST /hosts/{id}/drain",
            "there already",
        ),
        (
            "wanted: body.deadline",
            "wanted: body.dedline",
            "route `POST /hosts/{host}/drain`, case 2: `body.dedline`",
        ),
        (
            "wanted: body.deadline",
            "drained: body.deadline",
            "stands for something else",
        ),
        (
            "wanted: body.deadline",
            "state: body.deadline",
            "`state` is given",
        ),
        (
            "wanted: body.deadline",
            "wanted: size(wanted)",
            "`wanted` stands for itself",
        ),
        (
            "wanted: body.deadline",
            "wanted: now",
            "there is no `now` here",
        ),
        (
            "wanted: body.deadline",
            "wanted: known('x')",
            "a plane has none",
        ),
        (
            "no host `${path.host}`",
            "no host `${path.hoost}`",
            "case 1 of the plane",
        ),
        (
            "{if: path.host != state.host, ",
            "{",
            "case 1 of the plane: it has no `if`",
        ),
        (
            "if: state.draining\n        body",
            "body",
            "route `POST /hosts/{host}/drain`, case 1: it has no `if`",
        ),
        (
            "      - merge: {drains: 99}\n        body: {}\n",
            "",
            "the last case has an `if`",
        ),
        (
            "since: '${query.since}'",
            "since: '${query.sins}'",
            "there is no `query.sins` here",
        ),
        (
            "since: '${query.since}'",
            "since: '${body}'",
            "there is no `body` here",
        ),
    ] {
        assert!(PLANE.contains(from), "{from}");
        let error = Plane::parse(&PLANE.replacen(from, to, 1))
            .expect_err(to)
            .to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn a_wrong_disturbance_says_what_is_wrong() {
    let plane = Plane::parse(PLANE).expect("a plane");
    let on = "before: POST /hosts/{host}/drain";
    for (wrong, expected) in [
        (String::from("answer: cut"), "say `before` or `after`"),
        (
            format!("{on}\n  after: GET /hosts/h-1\n  answer: cut"),
            "say `before` or `after`",
        ),
        (on.to_owned(), "nothing happens"),
        (format!("{on}\n  answer: cutt"), "`cutt` is no answer"),
        (
            format!("{on}\n  answer: {{status: 429}}"),
            "say what is wrong",
        ),
        (format!("{on}\n  times: 0\n  answer: cut"), "never happens"),
        (format!("{on}\n  merge: {{a: 1}}"), "say who does it"),
        (format!("{on}\n  actor: lee"), "the actor does nothing"),
        (
            format!("{on}\n  actor: lee\n  merge: 7"),
            "`merge` is a map",
        ),
        (
            format!("{on}\n  actor: lee\n  merge: {{a: '${{path.host}}'}}"),
            "there is no `path` here",
        ),
        (
            format!("{on}\n  actor: lee\n  sends: {{request: 'POST /hosts/{{host}}/drain'}}"),
            "sent as it is",
        ),
        (
            format!("{on}\n  actor: lee\n  sends: {{request: GET /hosts/h-1}}"),
            "only reads",
        ),
        (
            format!("{on}\n  actor: lee\n  sends: {{request: POST /apps}}"),
            "no route for `POST /apps`",
        ),
        (
            "before: POST /apps\n  answer: cut".to_owned(),
            "no route for `POST /apps`",
        ),
    ] {
        let document = format!("- title: t\n  {wrong}\n");
        let read = yaml::<Vec<Disturbance>>(&document).and_then(|all| all[0].check(&plane));
        let error = read.expect_err(&document).to_string();
        assert!(error.contains(expected), "{document}: {error}");
    }
}

#[test]
fn the_examples_of_the_format_are_right() {
    let examples = |source: &str| -> Vec<String> {
        let blocks = source.split("//! ```yaml\n").skip(1);
        let blocks = blocks.map(|rest| rest.split("//! ```").next().expect("an end"));
        blocks
            .map(|block| {
                block
                    .lines()
                    .map(|line| line[4.min(line.len())..].to_owned() + "\n")
                    .collect()
            })
            .collect()
    };
    let planes = examples(include_str!("plane.rs"));
    let plane = Plane::parse(&planes[0]).unwrap_or_else(|error| panic!("{error}"));
    let scenarios = examples(include_str!("scenario.rs"));
    let all: std::collections::BTreeMap<String, Vec<Disturbance>> =
        yaml(&scenarios[1]).unwrap_or_else(|error| panic!("{error}"));
    for one in &all["disturbances"] {
        one.check(&plane).unwrap_or_else(|error| panic!("{error}"));
    }
}
