//! Which ways are open from which failure.

use runbook::execution::event::Ground;
use runbook::execution::next::Next;
use runbook::execution::question::{Asked, Way};
use runbook::execution::step::{Failure, Reading};

use super::bench::{Bench, slug};

const GUARDS: &str = "
  - id: no-mess
    do_not: Leave a mess
    because: Somebody slips.
    instead: Wipe.
    before: [guarded]
    ensure: facts.level >= 0";

const STEPS: &str = "
  - id: look
    phase: truth
    title: Look
    facts: {level: {type: integer, prompt: Level}}
  - {id: command, phase: act, title: Command, command: [kettle, fill]}
  - {id: needed, phase: act, title: Needed, command: [kettle, fill], required: true, on_failure: look}
  - {id: guarded, phase: act, title: Guarded, command: [kettle, fill], on_failure: look}
  - id: checked
    phase: act
    title: Checked
    command: [kettle, fill]
    verify: {read: [look], expect: facts.level > 0}
    on_failure: look
  - {id: hand, phase: act, title: By hand, instruction: Pour.}
  - {id: tell, phase: record, title: Tell, history: {post-comment: Told}, required: false}
  - {id: again, phase: verify, title: Again, repeat: [look], expect: facts.level >= 0}";

/// f: freeze again, r: retry, l: look again, d: done by hand, s: skip, b: back.
const TABLE: [(&str, char, bool, &str); 25] = [
    // step, failure (attempt, judged, violated, refused, freeze lost, rejected), whether it was performed, ways
    ("command", 'a', false, "rds"),
    ("command", 'j', true, "lrs"),
    ("command", 'v', true, "l"),
    ("command", 'r', false, "rs"),
    ("command", 'x', false, "rs"),
    ("needed", 'a', false, "rdb"),
    ("needed", 'j', true, "lrb"),
    ("needed", 'v', true, "lb"),
    ("needed", 'r', false, "rb"),
    ("needed", 'x', false, "rb"),
    ("guarded", 'a', false, "rdsb"),
    ("guarded", 'a', true, "rdb"),
    ("guarded", 'j', true, "lrb"),
    ("guarded", 'v', true, "lb"),
    ("guarded", 'r', false, "rsb"),
    ("checked", 'a', false, "rdsb"),
    ("checked", 'j', true, "lrs"),
    ("guarded", 'f', false, "frsb"),
    ("hand", 'a', false, "rds"),
    ("hand", 'r', false, "rs"),
    ("tell", 'a', false, "rs"),
    ("tell", 'r', false, "rs"),
    ("again", 'j', false, "rs"),
    ("again", 'v', false, "l"),
    ("again", 'r', false, "rs"),
];

#[test]
fn every_failure_opens_the_ways_of_the_table() {
    for (id, failure, performed, expected) in TABLE {
        let mut bench = Bench::with("", GUARDS, STEPS, "");
        stand_at(&mut bench, id, failure, performed);
        assert_eq!(ways(&bench), expected, "{id} {failure} {performed}");
    }
}

#[test]
fn one_never_goes_back_over_a_change_that_may_have_reached_the_target() {
    let mut bench = Bench::with("", GUARDS, STEPS, "");
    stand_at(&mut bench, "needed", 'a', false);
    bench
        .state
        .steps
        .entry(slug("command"))
        .or_default()
        .changed = true;
    assert_eq!(ways(&bench), "rd");
}

#[test]
fn one_goes_back_over_an_own_change_only_once_it_was_read_back() {
    let mut bench = Bench::with("", GUARDS, STEPS, "");
    stand_at(&mut bench, "checked", 'j', true);
    let read = |failed: Option<&str>| Reading {
        event: 10,
        count: 1,
        failed: failed.map(Into::into),
    };
    for (reading, expected) in [
        (read(None), "lrsb"),
        (read(Some("the plane is away")), "lrs"),
    ] {
        let at = bench.state.steps.entry(slug("checked")).or_default();
        at.readings.insert(slug("look"), reading);
        assert_eq!(ways(&bench), expected);
    }
}

fn stand_at(bench: &mut Bench, id: &str, failure: char, performed: bool) {
    let id = slug(id);
    for step in bench.plan.runbook().steps.clone() {
        if step.id == id {
            break;
        }
        let at = bench.state.steps.entry(step.id).or_default();
        at.ended = Some(runbook::execution::step::StepEnd::Done);
    }
    let why = String::new();
    let at = bench.state.steps.entry(id).or_default();
    at.performed = performed;
    at.changed = performed;
    at.failure = Some(match failure {
        'a' => Failure::Attempt { why },
        'j' => Failure::Judged { why },
        'v' => Failure::Violated { guards: Vec::new() },
        'r' => Failure::Refused {
            grounds: vec![Ground::PreflightStale],
        },
        'f' => Failure::Refused {
            grounds: vec![Ground::FreezeLost { found: why }],
        },
        _ => Failure::Rejected {
            by: "bo".parse().expect("a name"),
            reason: why,
        },
    });
}

fn ways(bench: &Bench) -> String {
    let Next::Ask(question) = bench.next() else {
        panic!("{:?}", bench.next());
    };
    let Asked::Failed { ways, .. } = question.asked else {
        panic!("{:?}", question.asked);
    };
    let key = |way: &Way| match way {
        Way::Retry => 'r',
        Way::FreezeAgain => 'f',
        Way::LookAgain => 'l',
        Way::DoneByHand => 'd',
        Way::Skip => 's',
        Way::BackTo(_) => 'b',
    };
    ways.iter().map(key).collect()
}
