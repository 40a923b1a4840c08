//! Answers that are refused, whoever asked.

use runbook::clock::Span;
use runbook::execution::event::{Event, Origin};
use runbook::execution::question::{Asked, Draft};
use serde_json::json;

use super::bench::{Bench, evidence, facts, found, slug};

const STEPS: &str = "
  - id: look
    phase: truth
    title: Look
    facts: {level: {type: integer, prompt: Level}, colour: {type: string, one_of: [brown, green]}}
    evidence: {photo: {media_type: image/png}}
  - id: other
    phase: truth
    title: Other
    evidence: {note: {media_type: text/plain}}
  - id: remedy
    phase: classify
    title: Remedy
    choose:
      owner: inputs.boss
      options:
        fill: {title: Fill, when: facts.level < 2}
        drain: {title: Drain}
        guess: {title: Guess, when: facts.level > 2 && run.nobody_knows}
  - id: drain
    phase: act
    title: Drain
    command: [kettle, drain, '${facts.colour}']
    confirm: target.environment
    approve: {by: inputs.boss, other_than: execution.operator, expires: 10m}";

fn bench() -> Bench {
    Bench::with("", "", STEPS, "")
}

/// Evidence of the step, as given by a person.
fn with_evidence(bench: &Bench, of: &[&str], mut draft: Draft) -> Draft {
    if let Draft::Facts(found) = &mut draft {
        for id in of {
            let step = bench.plan.step(&slug(id)).expect("a step");
            found.evidence.extend(evidence(step, Origin::Attested));
        }
    }
    draft
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a case reads better without `&`"
)]
fn refused(bench: &mut Bench, draft: Draft, because: &str) {
    assert!(bench.go().is_some());
    let before = bench.state.clone();
    let why = bench.answer(draft.clone()).expect_err("it is refused").0;
    assert!(why.contains(because), "{draft:?}: {why}");
    assert_eq!(bench.state, before);
}

fn to_remedy(bench: &mut Bench) {
    let right = facts(&[("level", json!(3)), ("colour", json!("brown"))]);
    bench.say(with_evidence(bench, &["look"], right));
    bench.say(with_evidence(bench, &["other"], facts(&[])));
}

fn to_approval(bench: &mut Bench) {
    to_remedy(bench);
    bench.say(Draft::Choose {
        option: slug("drain"),
        reason: "full".into(),
    });
    bench.say(Draft::Confirm("production".into()));
    assert!(matches!(bench.asked("drain"), Asked::Approve { .. }));
}

#[test]
fn facts_are_of_their_kind_declared_and_complete() {
    let mut bench = bench();
    let level = ("level", json!(3));
    let colour = ("colour", json!("brown"));
    let table = [
        (
            vec![("level", json!("3 or 4")), colour.clone()],
            vec!["look"],
            "`level`",
        ),
        (
            vec![("level", json!(2.5)), colour.clone()],
            vec!["look"],
            "`level`",
        ),
        (
            vec![("level", json!(null)), colour.clone()],
            vec!["look"],
            "`level`",
        ),
        (
            vec![level.clone(), ("colour", json!("blue"))],
            vec!["look"],
            "one of brown, green",
        ),
        (vec![level.clone()], vec!["look"], "fact `colour` is needed"),
        (
            vec![level.clone(), colour.clone(), ("taste", json!(1))],
            vec!["look"],
            "no fact `taste`",
        ),
        (
            vec![level.clone(), colour.clone()],
            vec![],
            "evidence `photo` is needed",
        ),
        (
            vec![level.clone(), colour.clone()],
            vec!["other"],
            "evidence `photo` is needed",
        ),
        (
            vec![level.clone(), colour.clone()],
            vec!["look", "other"],
            "asks for no evidence `note`",
        ),
        (vec![level, colour], vec!["look", "look"], "given twice"),
    ];
    for (given, of, because) in table {
        let draft = with_evidence(&bench, &of, facts(&given));
        refused(&mut bench, draft, because);
    }
}

#[test]
fn an_answer_to_another_question_is_none() {
    let mut bench = bench();
    let reason = || "because".to_owned();
    let drafts = [
        Draft::Confirm("production".into()),
        Draft::Choose {
            option: slug("drain"),
            reason: reason(),
        },
        Draft::Approve {
            by: "bo".parse().expect("a name"),
        },
        Draft::Acknowledge { reason: reason() },
        Draft::Retry { reason: reason() },
        Draft::LookAgain,
        Draft::Skip { reason: reason() },
        Draft::BackTo { reason: reason() },
        Draft::DoneByHand {
            found: found(&[]),
            reason: reason(),
        },
    ];
    for draft in drafts {
        refused(&mut bench, draft, "does not answer this question");
    }
}

#[test]
fn a_withheld_or_invented_option_or_none_with_a_reason_is_refused() {
    let mut bench = bench();
    to_remedy(&mut bench);
    let choose = |option: &str, reason: &str| Draft::Choose {
        option: slug(option),
        reason: reason.into(),
    };
    refused(
        &mut bench,
        choose("fill", "why not"),
        "cannot be chosen: does not hold",
    );
    refused(
        &mut bench,
        choose("guess", "why not"),
        "cannot be chosen: unknown whether",
    );
    refused(
        &mut bench,
        choose("explode", "why not"),
        "there is no option",
    );
    refused(&mut bench, choose("drain", " \n"), "a reason is needed");
}

#[test]
fn only_the_right_name_confirms_and_only_the_right_person_approves() {
    let mut bench = bench();
    to_remedy(&mut bench);
    bench.say(Draft::Choose {
        option: slug("drain"),
        reason: "full".into(),
    });
    for typed in ["", "yes", "y", "Production", "production2", "staging"] {
        refused(
            &mut bench,
            Draft::Confirm(typed.into()),
            "is not `production`",
        );
    }
    bench.say(Draft::Confirm(" production ".into()));
    let approve = |by: &str| Draft::Approve {
        by: by.parse().expect("a name"),
    };
    refused(&mut bench, approve("eve"), "the approval of `bo` is needed");
    refused(&mut bench, approve("op"), "the approval of `bo` is needed");
    let reason = "  ".to_owned();
    refused(
        &mut bench,
        Draft::Reject {
            by: "bo".parse().expect("a name"),
            reason,
        },
        "a reason is needed",
    );
}

#[test]
fn nobody_approves_what_they_are_barred_from() {
    let runbook = super::bench::small("", "", STEPS, "");
    let mut bench = Bench::of(runbook, &[("boss", json!("op"))]);
    bench.find("level", json!(3));
    to_approval(&mut bench);
    refused(
        &mut bench,
        Draft::Approve {
            by: "op".parse().expect("a name"),
        },
        "somebody other than `op`",
    );
}

#[test]
fn an_approval_that_expired_or_was_of_other_work_is_asked_for_again() {
    for change in ["time", "work", "nothing"] {
        let mut bench = bench();
        to_approval(&mut bench);
        bench.say(Draft::Approve {
            by: "bo".parse().expect("a name"),
        });
        match change {
            "time" => bench.now = bench.now.plus(Span::from_secs(601)),
            "work" => {
                let fact = bench
                    .state
                    .facts
                    .values_mut()
                    .find(|f| f.value == json!("brown"));
                fact.expect("the colour").value = json!("green");
            }
            _ => {}
        }
        let question = bench.go();
        let started = bench.started("drain");
        match change {
            "time" => assert!(matches!(
                question.expect("a question").asked,
                Asked::Approve { .. }
            )),
            "work" => assert!(matches!(
                question.expect("a question").asked,
                Asked::Confirm { .. }
            )),
            _ => assert_eq!((question, started), (None, 1)),
        }
        assert_eq!(started, usize::from(change == "nothing"), "{change}");
    }
}

#[test]
fn a_rejection_stops_the_change() {
    let mut bench = bench();
    to_approval(&mut bench);
    bench.say(Draft::Reject {
        by: "bo".parse().expect("a name"),
        reason: "not now".into(),
    });
    assert!(matches!(bench.asked("drain"), Asked::Failed { .. }));
    assert_eq!(bench.started("drain"), 0);
    let answered = |event: &Event| matches!(event, Event::Answered { .. });
    assert!(
        bench.events.iter().any(|(_, e)| answered(e)),
        "the no is on record"
    );
}
