//! The gate against a plain table: all combinations, of which exactly one kind clears.

use runbook::clock::Span;
use runbook::digest::Digest;
use runbook::execution::event::{CheckResult, Ground, Holds, Origin, SeverityName, Work};
use runbook::execution::gate::{CHECKS_HOLD, FreezeReading, clear, observation};
use runbook::execution::state::{Acknowledged, Fact, HeldFreeze, State};
use runbook::execution::step::{Approval, Reading};
use runbook::execution::work::{render, subject};
use runbook::ids::Slug;
use serde_json::json;

use super::bench::{Bench, field, slug};

const GUARDS: &str = "
  - id: no-overflow
    do_not: Fill a full kettle
    because: It boils over.
    instead: Drain it.
    before: [fill]
    read: [look]
    require: facts.level < 80
  - id: no-descaler
    do_not: Pour descaler
    because: People drink this.
    instead: Drain.
    deny: {commands: ['kettle ... --descale']}";

const STEPS: &str = "
  - id: look
    phase: truth
    title: Look
    request: {endpoint: kettle, get: /level}
    facts:
      level: {type: integer, from: body.level}
  - id: fill
    phase: act
    title: Fill
    command: [kettle, fill]
    confirm: target.environment
    approve: {by: inputs.boss, other_than: execution.operator, expires: 10m}";

const PREFLIGHT: &str = "
  - {id: lid, title: The lid is on, severity: block, expect: facts.level >= 0, read: [look]}
  - {id: filter, title: The filter is new, severity: warn, expect: facts.level >= 0, read: [look]}";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Freeze {
    Ours,
    OtherFence,
    OtherId,
    None,
    Others,
    Unreadable,
    NotOursByRecord,
}
#[derive(Debug, Clone, Copy, PartialEq)]
enum Preflight {
    Clear,
    Stale,
    Never,
    FromLater,
    Unjudged,
    Blocks,
    BlockUnknown,
    Warns,
    AckedSame,
    AckedOther,
}
#[derive(Debug, Clone, Copy, PartialEq)]
enum Guarded {
    Yes,
    No,
    Unknown,
    ReadingFailed,
    ReadingOld,
    NotRead,
}
#[derive(Debug, Clone, Copy, PartialEq)]
enum Launched {
    Allowed,
    Denied,
    Untold,
}
#[derive(Debug, Clone, Copy, PartialEq)]
enum Consent {
    Right,
    Missing,
    OtherSubject,
}
#[derive(Debug, Clone, Copy, PartialEq)]
enum Approved {
    Right,
    Missing,
    OtherSubject,
    Expired,
    ByOther,
    ByBarred,
}

const FREEZES: [Freeze; 7] = {
    use Freeze::*;
    [
        Ours,
        OtherFence,
        OtherId,
        None,
        Others,
        Unreadable,
        NotOursByRecord,
    ]
};
const PREFLIGHTS: [Preflight; 10] = {
    use Preflight::*;
    [
        Clear,
        Stale,
        Never,
        FromLater,
        Unjudged,
        Blocks,
        BlockUnknown,
        Warns,
        AckedSame,
        AckedOther,
    ]
};
const GUARDED: [Guarded; 6] = {
    use Guarded::*;
    [Yes, No, Unknown, ReadingFailed, ReadingOld, NotRead]
};
const CONSENTS: [Consent; 3] = [Consent::Right, Consent::Missing, Consent::OtherSubject];
const APPROVALS: [Approved; 6] = {
    use Approved::*;
    [Right, Missing, OtherSubject, Expired, ByOther, ByBarred]
};

/// The whole law, as a table.
fn lawful(f: Freeze, p: Preflight, g: Guarded, l: Launched, c: Consent, a: Approved) -> bool {
    f == Freeze::Ours
        && matches!(p, Preflight::Clear | Preflight::AckedSame)
        && g == Guarded::Yes
        && l == Launched::Allowed
        && c == Consent::Right
        && a == Approved::Right
}

fn reading(freeze: Freeze) -> FreezeReading {
    let read = |ours: Option<(&str, u64)>, others: &[&str]| FreezeReading::Read {
        ours: ours.map(|(id, fence)| (id.to_owned(), fence)),
        others: others.iter().map(|&o| o.to_owned()).collect(),
        ended: None,
    };
    match freeze {
        Freeze::Ours | Freeze::NotOursByRecord => read(Some(("f-1", 7)), &[]),
        Freeze::OtherFence => read(Some(("f-1", 8)), &[]),
        Freeze::OtherId => read(Some(("f-2", 7)), &[]),
        Freeze::None => read(None, &[]),
        Freeze::Others => read(Some(("f-1", 7)), &["shop is frozen by eve"]),
        Freeze::Unreadable => FreezeReading::Unreadable {
            why: "no route".into(),
        },
    }
}

fn set_preflight(state: &mut State, bench: &Bench, preflight: Preflight) {
    let result = |id: &str, severity, holds| CheckResult {
        id: slug(id),
        severity,
        holds,
        observed: format!("{id} looked at"),
    };
    let (block, warn) = match preflight {
        Preflight::Blocks => (Holds::No, Holds::Yes),
        Preflight::BlockUnknown => (Holds::Unknown, Holds::Yes),
        Preflight::Warns | Preflight::AckedSame | Preflight::AckedOther => (Holds::Yes, Holds::No),
        _ => (Holds::Yes, Holds::Yes),
    };
    let (block, warn) = (
        result("lid", SeverityName::Block, block),
        result("filter", SeverityName::Warn, warn),
    );
    let observed = match preflight {
        Preflight::AckedSame => Some(observation(&warn)),
        Preflight::AckedOther => Some(Digest::of("something else")),
        _ => None,
    };
    state.acknowledged.clear();
    if let Some(observed) = observed {
        let reason = "known".into();
        state
            .acknowledged
            .insert(slug("filter"), Acknowledged { observed, reason });
    }
    state.checks = [block, warn].map(|r| (r.id.clone(), r)).into();
    if preflight == Preflight::Unjudged {
        state.checks.remove(&slug("filter"));
    }
    let long_ago = CHECKS_HOLD.millis() + 1000;
    state.preflight_at = match preflight {
        Preflight::Never => None,
        Preflight::Stale => Some(runbook::clock::Timestamp::from_micros(
            bench.now.micros() - i64::try_from(long_ago).expect("fits") * 1000,
        )),
        Preflight::FromLater => Some(bench.now.plus(Span::from_secs(1))),
        _ => Some(bench.now),
    };
}

fn set_guarded(state: &mut State, bench: &Bench, guarded: Guarded) {
    let value = match guarded {
        Guarded::No => Some(json!(90)),
        Guarded::Unknown => None,
        _ => Some(json!(3)),
    };
    state.facts.clear();
    if let Some(value) = value {
        let fact = Fact {
            value,
            origin: Origin::Measured,
            at: bench.now,
            step: slug("look"),
        };
        state.facts.insert(field("level"), fact);
    }
    let at = state.steps.entry(slug("fill")).or_default();
    at.mark = 100;
    at.readings.clear();
    let read = |event, failed: Option<&str>| Reading {
        event,
        count: 1,
        failed: failed.map(str::to_owned),
    };
    let read = match guarded {
        Guarded::NotRead => None,
        Guarded::ReadingFailed => Some(read(101, Some("no answer"))),
        Guarded::ReadingOld => Some(read(100, None)),
        _ => Some(read(101, None)),
    };
    at.readings.extend(read.map(|r| (slug("look"), r)));
}

#[test]
fn the_gate_agrees_with_the_table_and_only_all_good_clears() {
    let bench = Bench::with(PREFLIGHT, GUARDS, STEPS, "");
    let id: Slug = slug("fill");
    let step = bench.plan.step(&id).expect("the step").clone();
    let mut base = bench.state.clone();
    base.freeze = Some(HeldFreeze {
        id: "f-1".into(),
        fence: 7,
        scope: "shop/production".into(),
    });
    let work = render(&bench.plan, &base, &step, bench.now).expect("renders");
    let command = |argv: &[&str]| Work::Command {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        environment: Default::default(),
        secrets: Vec::new(),
    };
    let descale = command(&["sudo", "/usr/bin/kettle", "fill", "--descale"]);
    let untold = command(&["bash", "-c", "$KETTLE fill"]);
    let (mut cleared, mut all) = (0, 0);
    for g in GUARDED {
        set_guarded(&mut base, &bench, g);
        for p in PREFLIGHTS {
            set_preflight(&mut base, &bench, p);
            for (l, c, a, f) in rest() {
                let work = match l {
                    Launched::Allowed => &work,
                    Launched::Denied => &descale,
                    Launched::Untold => &untold,
                };
                let mut state = base.clone();
                let of = subject(&state, &step, work);
                let at = state.steps.entry(id.clone()).or_default();
                at.confirmed = match c {
                    Consent::Right => Some(of),
                    Consent::Missing => None,
                    Consent::OtherSubject => Some(Digest::of("else")),
                };
                at.approval = approval(a, of, &bench);
                if f == Freeze::NotOursByRecord {
                    state.freeze = None;
                }
                let verdict = clear(&bench.plan, &state, &step, work, &reading(f), bench.now);
                let expected = lawful(f, p, g, l, c, a);
                assert_eq!(
                    verdict.is_ok(),
                    expected,
                    "{f:?} {p:?} {g:?} {l:?} {c:?} {a:?}: {verdict:?}"
                );
                if let Err(grounds) = &verdict {
                    assert!(!grounds.is_empty());
                    let untold = |g: &Ground| matches!(g, Ground::CannotTell { why, .. } if why.contains("until it runs"));
                    let denied = |g: &Ground| matches!(g, Ground::Denied { .. });
                    assert_eq!(grounds.iter().any(denied), l == Launched::Denied);
                    assert_eq!(grounds.iter().any(untold), l == Launched::Untold);
                }
                cleared += usize::from(verdict.is_ok());
                all += 1;
            }
        }
    }
    assert_eq!((cleared, all), (2, 7 * 10 * 6 * 3 * 3 * 6));
}

fn rest() -> Vec<(Launched, Consent, Approved, Freeze)> {
    let mut rest = Vec::new();
    for launched in [Launched::Allowed, Launched::Denied, Launched::Untold] {
        for c in CONSENTS {
            for a in APPROVALS {
                rest.extend(FREEZES.map(|f| (launched, c, a, f)));
            }
        }
    }
    rest
}

fn approval(approved: Approved, of: Digest, bench: &Bench) -> Option<Approval> {
    let by = match approved {
        Approved::ByOther => "eve",
        Approved::ByBarred => "op",
        _ => "bo",
    };
    let subject = if approved == Approved::OtherSubject {
        Digest::of("else")
    } else {
        of
    };
    let expires_at = match approved {
        Approved::Expired => bench.now,
        _ => bench.now.plus(Span::from_secs(1)),
    };
    let by = by.parse().expect("a name");
    (approved != Approved::Missing).then_some(Approval {
        by,
        subject,
        expires_at,
    })
}
