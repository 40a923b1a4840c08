//! The course of a step: what failure, doubt, waiting, refusing and leaving lead to.

use runbook::clock::Span;
use runbook::execution::event::{Answer, Ending, Event, Ground, Holds, StepVerdict};
use runbook::execution::gate::FreezeReading;
use runbook::execution::next::Next;
use runbook::execution::question::{Asked, Draft, Way};
use runbook::execution::state::Standing;
use runbook::execution::step::{Failure, StepEnd};
use serde_json::{Value as Json, json};

use super::bench::{Bench, again, doubtful, facts, failed, slug};

const LOOK: &str = "
  - id: look
    phase: truth
    title: Look
    request: {endpoint: kettle, get: /level}
    facts: {level: {type: integer, from: body.level}}";

fn with(steps: &str) -> Bench {
    Bench::with("", "", &format!("{LOOK}{steps}"), "")
}

const FILL: &str = "
  - {id: fill, phase: act, title: Fill, command: [kettle, fill], required: true}";

/// A change that can be read back.
const DRAIN: &str = "
  - id: drain
    phase: act
    title: Drain
    command: [kettle, drain]
    facts: {drained: {type: integer, from: exit_code}}
    evidence: {transcript: {from: stdout}}
    verify: {read: [look], expect: facts.level < 80}
    required: true";

fn failure(bench: &mut Bench, step: &str) -> Failure {
    match bench.asked(step) {
        Asked::Failed { failure, .. } => failure,
        other => panic!("{other:?}"),
    }
}

fn grounds(bench: &mut Bench, step: &str) -> Vec<Ground> {
    match failure(bench, step) {
        Failure::Refused { grounds } => grounds,
        other => panic!("{other:?}"),
    }
}

fn is_closed(bench: &Bench, with: bool) -> bool {
    matches!(bench.state.standing, Standing::Closed { success, .. } if success == with)
}

#[test]
fn a_calm_walk_closes_by_itself() {
    let mut bench = with(FILL);
    assert_eq!(bench.go(), None);
    assert!(is_closed(&bench, true), "{:?}", bench.state.standing);
    assert_eq!(bench.state.freeze, None);
}

#[test]
fn the_last_try_that_fails_fails_the_step_and_nothing_after_it_begins() {
    let mut bench = with(
        "\n  - {id: probe, phase: truth, title: Probe, effect: read, command: [kettle], attempts: 3}\n  - {id: after, phase: act, title: After, command: [kettle]}",
    );
    bench.end("probe", &[failed(), failed(), failed()]);
    assert!(matches!(
        failure(&mut bench, "probe"),
        Failure::Attempt { .. }
    ));
    assert_eq!((bench.started("probe"), bench.started("after")), (3, 0));
    bench.say(again());
    assert_eq!(bench.go(), None);
    assert_eq!((bench.started("probe"), bench.started("after")), (4, 1));
    assert_eq!(
        bench.step("probe").attempts,
        4,
        "every try is its own record"
    );
}

#[test]
fn what_timed_out_is_asked_about_like_what_failed() {
    let menu = |ending| {
        let mut bench = with("");
        bench.end("look", &[ending]);
        match bench.asked("look") {
            Asked::Failed {
                ways,
                failure: Failure::Attempt { .. },
            } => ways,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(menu(failed()), menu(doubtful()));
}

#[test]
fn aborting_ends_it_at_once_and_from_everywhere() {
    let mut places: Vec<Bench> = vec![with(FILL), with(FILL), with(DRAIN), with(FILL)];
    places[1].end("fill", &[failed()]);
    places[2].end("drain", &[doubtful()]);
    places[2].world.facts.clear();
    for (n, bench) in places.iter_mut().enumerate() {
        if n > 0 && n < 3 {
            assert!(bench.go().is_some());
        }
        if n == 3 {
            bench
                .record(Event::Paused {
                    reason: "lunch".into(),
                })
                .expect("legal");
        }
        let (before, held) = (bench.events.len(), bench.state.freeze.clone());
        bench
            .record(Event::Aborted {
                reason: "enough".into(),
            })
            .expect("legal");
        assert_eq!(bench.next(), Next::Finished);
        assert_eq!(bench.events.len(), before + 1);
        assert_eq!(bench.state.freeze, held, "aborting never releases");
        let late = Event::NoteAdded {
            text: "late".into(),
        };
        assert!(bench.record(late).is_err(), "what has ended never changes");
    }
}

#[test]
fn a_retry_performs_the_work_again() {
    let mut bench = with(FILL);
    bench.end("fill", &[failed()]);
    failure(&mut bench, "fill");
    bench.say(again());
    assert_eq!(bench.go(), None);
    assert_eq!(bench.started("fill"), 2);
}

#[test]
fn deciding_again_is_what_counts_from_there() {
    let steps = "
  - id: remedy
    phase: classify
    title: Remedy
    choose: {owner: inputs.boss, options: {fill: {title: Fill}, drain: {title: Drain}}}
  - {id: fill, phase: act, title: Fill, command: [kettle, fill], when: decisions.remedy == 'fill', on_failure: remedy}
  - {id: drain, phase: act, title: Drain, command: [kettle, drain], when: decisions.remedy == 'drain'}";
    let mut bench = with(steps);
    let choose = |option: &str| Draft::Choose {
        option: slug(option),
        reason: "so".into(),
    };
    bench.end("fill", &[failed()]);
    bench.say(choose("fill"));
    failure(&mut bench, "fill");
    bench.say(Draft::BackTo {
        reason: "the other one".into(),
    });
    bench.say(choose("drain"));
    assert_eq!(bench.go(), None);
    assert_eq!(bench.step("fill").ended, Some(StepEnd::NotApplicable));
    assert_eq!((bench.started("fill"), bench.started("drain")), (1, 1));
}

#[test]
fn no_is_never_a_skip() {
    let mut bench = with(
        "\n  - {id: ask, phase: truth, title: Ask, facts: {ready: {type: boolean}}, expect: facts.ready, required: true}\n  - {id: after, phase: act, title: After, command: [kettle]}",
    );
    bench.say(facts(&[("ready", json!(false))]));
    assert!(matches!(failure(&mut bench, "ask"), Failure::Judged { .. }));
    assert_eq!(bench.started("after"), 0);
}

#[test]
fn a_condition_that_is_unknown_halts_and_neither_performs_nor_passes_over() {
    for when in [
        "run.unheard_of == 1",
        "!(run.unheard_of == 1)",
        "run.launched_by",
        "run.launched_by == 3",
    ] {
        let mut bench = with(&format!(
            "\n  - {{id: fill, phase: act, title: Fill, command: [kettle], when: '{when}'}}"
        ));
        assert!(
            matches!(&grounds(&mut bench, "fill")[..], [Ground::Unknown { .. }]),
            "{when}"
        );
        assert_eq!((bench.started("fill"), bench.step("fill").ended), (0, None));
    }
}

#[test]
fn a_guard_that_cannot_be_measured_refuses_negated_or_not() {
    for require in [
        "run.unheard_of",
        "!run.unheard_of",
        "!measured('level') || run.unheard_of",
    ] {
        let guard = format!(
            "  - {{id: no-x, do_not: X, because: Y, instead: Z, before: [fill], require: \"{require}\"}}"
        );
        let mut bench = Bench::with("", &guard, &format!("{LOOK}{FILL}"), "");
        assert!(
            matches!(&grounds(&mut bench, "fill")[..], [Ground::Guard(_)]),
            "{require}"
        );
        assert_eq!(bench.started("fill"), 0);
    }
}

#[test]
fn a_command_that_failed_does_not_advance_and_what_it_left_is_kept() {
    let mut bench = with(DRAIN);
    bench.end("drain", &[failed()]);
    failure(&mut bench, "drain");
    let kept = bench.events.iter().any(|(_, event)| {
        matches!(event, Event::AttemptFinished(f) if f.step.as_str() == "drain" && !f.evidence.is_empty())
    });
    assert!(kept);
    assert!(
        bench.state.evidence.is_empty()
            || !bench
                .state
                .left
                .contains_key(&super::bench::field("transcript"))
    );
}

#[test]
fn the_end_of_input_can_be_resumed_and_answers_nothing() {
    let mut bench =
        with("\n  - {id: ask, phase: truth, title: Ask, facts: {ready: {type: boolean}}}");
    let before = bench.asked("ask");
    bench
        .record(Event::Paused {
            reason: "end of input".into(),
        })
        .expect("legal");
    assert_eq!(bench.next(), Next::Finished);
    bench.resume();
    assert_eq!(bench.asked("ask"), before);
}

#[test]
fn a_late_writer_changes_nothing_that_is_settled() {
    let mut bench = with(FILL);
    bench.end("fill", &[failed()]);
    failure(&mut bench, "fill");
    let ended = || slug("preflight");
    assert_eq!(bench.step("preflight").ended, Some(StepEnd::Done));
    let verdict = StepVerdict::Failed { why: "late".into() };
    let reason = || "late".to_owned();
    let late = [
        Event::StepJudged {
            step: ended(),
            verdict,
            guards: Vec::new(),
        },
        Event::NotApplicable {
            step: ended(),
            because: reason(),
        },
        Event::Refused {
            step: ended(),
            grounds: Vec::new(),
        },
        Event::Answered {
            step: ended(),
            answer: Answer::Facts(Default::default()),
        },
        Event::Answered {
            step: slug("look"),
            answer: Answer::Facts(Default::default()),
        },
        Event::Answered {
            step: slug("look"),
            answer: Answer::Retry { reason: reason() },
        },
        Event::Closed {
            outcome: slug("calm"),
            success: true,
        },
    ];
    for event in late {
        let before = bench.state.clone();
        assert!(bench.record(event.clone()).is_err(), "{event:?}");
        assert_eq!(bench.state, before);
    }
}

#[test]
fn a_doubt_is_settled_by_reading_back_and_what_the_answer_would_have_brought_is_asked_for() {
    let mut bench = with(DRAIN);
    bench.end("drain", &[doubtful()]);
    assert!(matches!(bench.asked("drain"), Asked::ByHand { .. }));
    assert!(bench.step("drain").read_back);
    assert!(bench.answer(facts(&[])).is_err(), "its fact is needed");
    // The evidence of an answer that was lost cannot be had; what was read back stands in its place.
    bench.say(facts(&[("drained", json!(0))]));
    assert_eq!(bench.go(), None);
    assert_eq!(bench.started("drain"), 1);
}

#[test]
fn a_doubt_that_cannot_be_read_back_waits_for_a_person_and_can_be_looked_at_again() {
    let mut bench = with(DRAIN);
    bench.end("drain", &[doubtful()]);
    bench.end("look", &[super::bench::done(), failed(), failed()]);
    for _ in 0..2 {
        match bench.asked("drain") {
            Asked::InDoubt { doubt } => assert!(doubt.unsettled.is_some()),
            other => panic!("{other:?}"),
        }
        bench.say(Draft::LookAgain);
    }
    assert!(
        matches!(bench.asked("drain"), Asked::ByHand { .. }),
        "read back at last"
    );
    assert_eq!(bench.started("drain"), 1);
}

#[test]
fn a_crash_between_intent_and_outcome_is_a_doubt_and_never_a_second_try() {
    let mut bench = with(FILL);
    while bench.started("fill") == 0 {
        match bench.next() {
            Next::Perform(p) if p.change => assert!(bench.start(&p)),
            Next::Record(event) => bench.record(event).expect("legal"),
            Next::Perform(p) => {
                let step = bench.plan.step(&p.work_of).expect("a step").clone();
                assert!(bench.start(&p));
                bench.finish(&p, &step, super::bench::done());
            }
            other => panic!("{other:?}"),
        }
    }
    bench.resume();
    assert!(matches!(bench.asked("fill"), Asked::InDoubt { .. }));
    bench.say(Draft::NotDone {
        reason: "the kettle is empty".into(),
    });
    assert!(matches!(bench.asked("fill"), Asked::Failed { .. }));
    assert_eq!(bench.started("fill"), 1);
}

#[test]
fn a_run_that_cannot_be_read_again_is_unknown_and_not_what_it_was() {
    let preflight = "  - {id: lid, title: Lid, severity: block, expect: run.state == 'failed'}";
    let mut bench = Bench::with(preflight, "", &format!("{LOOK}{FILL}"), "");
    bench.end("look", &[failed()]);
    failure(&mut bench, "look");
    bench.now = bench.now.plus(Span::from_secs(3600));
    bench.world.run = Json::Null;
    bench.say(again());
    assert!(matches!(
        &grounds(&mut bench, "fill")[..],
        [Ground::Check(_)]
    ));
    bench.world.run = json!({"state": "failed"});
    bench.say(again());
    assert_eq!(bench.go(), None, "the retry measured the preflight again");
}

#[test]
fn a_freeze_that_was_lost_halts_until_it_is_ours_again() {
    let mut bench = with(FILL);
    bench.world.freeze = Some(FreezeReading::Read {
        ours: None,
        others: vec!["eve".into()],
        ended: None,
    });
    assert!(matches!(
        &grounds(&mut bench, "fill")[..],
        [Ground::FreezeLost { .. }, Ground::FrozenByOthers { .. }]
    ));
    bench.world.freeze = Some(FreezeReading::Unreadable {
        why: "no route".into(),
    });
    bench.say(again());
    assert!(matches!(
        &grounds(&mut bench, "fill")[..],
        [Ground::FreezeUnknown { .. }]
    ));
    bench.world.freeze = None;
    bench.say(again());
    assert_eq!(bench.go(), None);
}

#[test]
fn what_was_agreed_under_a_freeze_that_was_lost_is_agreed_again_under_the_next() {
    let asked = FILL.replace("command:", "confirm: target.workspace, command:");
    let preflight = "  - {id: lid, title: Lid, severity: block, expect: run.state == 'failed'}";
    let mut bench = Bench::with(preflight, "", &format!("{LOOK}{asked}"), "");
    assert!(matches!(bench.asked("fill"), Asked::Confirm { .. }));
    let judged = |bench: &Bench| {
        let judged = |event: &Event| matches!(event, Event::ChecksJudged { .. });
        bench.events.iter().filter(|(_, e)| judged(e)).count()
    };
    bench.world.freeze = Some(FreezeReading::Read {
        ours: None,
        others: Vec::new(),
        ended: Some("eve released it".into()),
    });
    bench.say(Draft::Confirm("shop".into()));
    let found = "eve released it".to_owned();
    assert_eq!(grounds(&mut bench, "fill"), [Ground::FreezeLost { found }]);
    let before = judged(&bench);
    bench.world.freeze = None;
    bench.end("freeze", &[failed()]);
    let reason = || "eve was told".to_owned();
    bench.say(Draft::FreezeAgain { reason: reason() });
    assert!(matches!(
        &grounds(&mut bench, "fill")[..],
        [Ground::FreezeLost { .. }]
    ));
    bench.say(Draft::FreezeAgain { reason: reason() });
    assert!(matches!(bench.asked("fill"), Asked::Confirm { .. }));
    assert_eq!(judged(&bench), before + 1);
    bench.say(Draft::Confirm("shop".into()));
    assert_eq!(bench.go(), None);
    assert_eq!(bench.started("fill"), 1);
}

const WAIT: &str = "
  - id: settle
    phase: verify
    title: Settle
    wait: {read: [look], until: facts.level < 80, every: duration('1m'), sustain: duration('5m')}
    timeout: 1h";

fn looks(bench: &Bench) -> usize {
    bench
        .events
        .iter()
        .filter(|(_, e)| matches!(e, Event::WaitLooked { .. }))
        .count()
}

#[test]
fn a_wait_needs_every_look_and_looks_at_all_times() {
    let mut bench = with(WAIT);
    assert_eq!(bench.go(), None);
    assert_eq!(looks(&bench), 6, "one, and one for each of five minutes");

    let mut bench = with(WAIT);
    while looks(&bench) < 3 {
        step_once(&mut bench);
    }
    bench.now = bench.now.plus(Span::from_secs(1200));
    assert_eq!(bench.go(), None);
    assert_eq!(looks(&bench), 3 + 1 + 6, "what nobody watched did not hold");
}

#[test]
fn a_wait_ends_with_its_time_and_is_never_yes_by_then() {
    let mut bench = with(WAIT);
    bench.find("level", json!(90));
    assert!(matches!(
        failure(&mut bench, "settle"),
        Failure::Judged { .. }
    ));
    let breach = "
  - id: settle
    phase: verify
    title: Settle
    wait: {read: [look], until: facts.level < 80, every: duration('1m'), fail_when: BREACH}
    timeout: 10m";
    for (when, at_once) in [
        ("facts.level < 80", true),
        ("run.unheard_of", false),
        ("facts.level > 80", false),
    ] {
        let mut bench = with(&breach.replace("BREACH", when));
        let question = bench.go();
        assert_eq!(question.is_none(), when == "facts.level > 80", "{when}");
        if question.is_some() {
            assert_eq!(looks(&bench) == 1, at_once, "{when}");
        }
    }
}

const WATCHED: &str = "
  - id: no-drowning
    do_not: Let the level rise above the rim
    because: It spills.
    instead: Stop the inflow.
    during: [settle]
    read: [look]
    require: facts.level < 95";

#[test]
fn what_is_watched_during_a_wait_stops_it_at_the_look_at_which_it_does_not_hold() {
    let watched = || Bench::with("", WATCHED, &format!("{LOOK}{WAIT}"), "");
    let mut bench = watched();
    assert_eq!(bench.go(), None);
    assert_eq!(looks(&bench), 6);
    assert_eq!(bench.started("fill"), 0);

    let mut bench = watched();
    while looks(&bench) < 3 {
        step_once(&mut bench);
    }
    bench.find("level", json!(96));
    let grounds_found = grounds(&mut bench, "settle");
    let [Ground::Guard(verdict)] = &grounds_found[..] else {
        panic!("{grounds_found:?}");
    };
    assert_eq!(
        (verdict.id.as_str(), verdict.holds),
        ("no-drowning", Holds::No)
    );
    assert_eq!(looks(&bench), 3, "it was not looked past");
    // Back below the rim, it is watched from the beginning.
    bench.find("level", json!(70));
    bench.say(again());
    assert_eq!(bench.go(), None);
    assert_eq!(looks(&bench), 3 + 6);

    // What cannot be read does not hold.
    let mut bench = watched();
    let why = String::from("the gauge is broken");
    bench.end(
        "look",
        &[super::bench::done(), Ending::Failed { why, code: None }],
    );
    let grounds_found = grounds(&mut bench, "settle");
    let [Ground::Guard(verdict)] = &grounds_found[..] else {
        panic!("{grounds_found:?}");
    };
    assert_eq!(verdict.holds, Holds::Unknown);
}

fn step_once(bench: &mut Bench) {
    match bench.next() {
        Next::Record(event) => bench.record(event).expect("legal"),
        Next::Sleep(until) => bench.now = until,
        Next::Perform(p) => {
            let step = bench.plan.step(&p.work_of).expect("a step").clone();
            assert!(bench.start(&p));
            bench.finish(&p, &step, super::bench::done());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_by_hand_and_cannot_be_done_is_a_failure_with_ways_on() {
    let mut bench =
        with("\n  - {id: ask, phase: truth, title: Ask, facts: {ready: {type: boolean}}}");
    bench.asked("ask");
    assert!(bench.answer(Draft::NotDone { reason: " ".into() }).is_err());
    bench.say(Draft::NotDone {
        reason: "nobody is there".into(),
    });
    match bench.asked("ask") {
        Asked::Failed { ways, .. } => {
            assert!(ways.contains(&Way::Skip) && ways.contains(&Way::Retry));
        }
        other => panic!("{other:?}"),
    }
    bench.say(Draft::Skip {
        reason: "nobody is there".into(),
    });
    assert_eq!(bench.go(), None);
}

#[test]
fn the_release_stands_on_closing_checks_of_now() {
    let closing =
        "  - {id: calm, title: Calm, severity: block, read: [look], expect: facts.level < 80}";
    let mut bench = Bench::with("", "", LOOK, closing);
    while bench.step("close-checks").ended.is_none() {
        step_once(&mut bench);
    }
    bench
        .record(Event::Paused {
            reason: "night".into(),
        })
        .expect("legal");
    bench.resume();
    bench.find("level", json!(99));
    assert!(matches!(
        &grounds(&mut bench, "close-run")[..],
        [Ground::Check(_)]
    ));
    assert!(bench.state.freeze.is_some());
    bench.find("level", json!(9));
    bench.say(again());
    assert_eq!(bench.go(), None);
}

#[test]
fn success_is_not_claimed_over_an_unknown() {
    let text = |outcomes: &str| {
        let runbook = super::bench::small("", "", LOOK, "");
        let source = &runbook.sources[0].text;
        let (head, _) = source.split_once("outcomes:").expect("it has outcomes");
        super::bench::read("small.yaml", &format!("{head}outcomes:\n{outcomes}"))
    };
    let outcomes = "  - {label: broken, when: run.unheard_of, success: false}\n  - {label: fine, when: 'true'}\n";
    let mut bench = Bench::of(text(outcomes), &[("boss", json!("bo"))]);
    bench.find("level", json!(3));
    assert_eq!(bench.go(), None);
    assert!(is_closed(&bench, false), "{:?}", bench.state.standing);
}
