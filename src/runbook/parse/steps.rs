//! Steps: what each demands, however it is done.

use super::super::kind::Kind;
use super::super::model::{
    Action, Approve, DEFAULT_TIMEOUT, Effect, EvidenceSource, EvidenceSpec, FactSpec, Necessity,
    Phase, Step, Verify,
};
use super::actions::{Manner, manner};
use super::fields::{Fields, Reading};
use super::mistakes::quoted;
use super::outline::{Form, Moment, Need, Product, StepOutline};
use super::rules::{id, named, paragraph};
use super::tree::{Node, Pair};
use super::values::{field_id, kind, one_of};
use crate::clock::Span;
use crate::ids::{Field, Slug};

const STEP: [&str; 27] = [
    "id",
    "phase",
    "title",
    "instruction",
    "effect",
    "when",
    "facts",
    "evidence",
    "confirm",
    "approve",
    "timeout",
    "attempts",
    "idempotent",
    "expect",
    "verify",
    "on_failure",
    "required",
    "command",
    "env",
    "exit_codes",
    "request",
    "choose",
    "wait",
    "repeat",
    "hand_over",
    "history",
    "checks",
];

const PHASES: [(&str, Phase); 5] = [
    ("truth", Phase::Truth),
    ("classify", Phase::Classify),
    ("act", Phase::Act),
    ("verify", Phase::Verify),
    ("record", Phase::Record),
];

/// The effects with their names in the format.
pub(crate) const EFFECTS: [(&str, Effect); 2] =
    [("read", Effect::Read), ("change", Effect::Change)];
/// The sources of evidence with their names in the format.
pub(crate) const SOURCES: [(&str, EvidenceSource); 3] = [
    ("body", EvidenceSource::Body),
    ("stdout", EvidenceSource::Stdout),
    ("stderr", EvidenceSource::Stderr),
];

/// How long an approval holds where the step does not say.
const APPROVAL_HOLDS: Span = Span::from_secs(30 * 60);
/// Most attempts: what did not work ten times needs a person.
const MOST_ATTEMPTS: u32 = 10;

/// A step and what others see of it.
pub(crate) fn step(node: &Node, reading: &mut Reading) -> (Option<Step>, StepOutline) {
    let mut outline = StepOutline::unread(node.spot);
    let Some(fields) = Fields::open(node, named("step", node), &STEP, reading) else {
        return (None, outline);
    };
    (outline.id, outline.spot) = id(&fields, reading);
    let phase = fields
        .need("phase", reading)
        .and_then(|value| value.word(&PHASES, &mut reading.mistakes));
    let title = fields
        .need("title", reading)
        .and_then(|value| value.line(&mut reading.mistakes));
    let instruction = paragraph(&fields, "instruction", reading);
    let by_hand = match phase {
        Some(Phase::Act) | None => Effect::Change,
        Some(_) => Effect::Read,
    };
    let manner = manner(&fields, by_hand, reading);
    outline.form = manner.form;
    outline.effect = effect(&fields, &manner, reading);
    let [when, confirm] = ["when", "confirm"].map(|key| {
        fields
            .get(key)
            .and_then(|value| value.expression(Moment::Before, reading))
    });
    let expect = fields
        .get("expect")
        .and_then(|value| value.expression(Moment::After, reading));
    let (facts, all_facts) = facts(&fields, manner.form, &mut outline.facts, reading);
    let (evidence, all_evidence) = evidence(&fields, manner.form, &mut outline.evidence, reading);
    let approve = approve(&fields, reading);
    let timeout = span(&fields, "timeout", DEFAULT_TIMEOUT, reading);
    let attempts = attempts(&fields, manner.form, outline.effect, reading);
    let verify = verify(&fields, reading);
    let on_failure = fields
        .get("on_failure")
        .and_then(|value| value.step(Need::Return, reading));
    let necessity = necessity(&fields, manner.action.as_ref(), reading);
    outline.certain = is_certain(&fields);
    outline.mentions = reading.take_mentions();
    outline.complete = outline.id.is_some() && outline.form.is_some() && all_facts && all_evidence;
    let effect = outline.effect;
    let step = (|id: Option<Slug>| {
        Some(Step {
            id: id?,
            phase: phase?,
            title: title?,
            instruction,
            effect,
            when,
            action: manner.action?,
            facts,
            evidence,
            confirm,
            approve,
            timeout,
            attempts,
            expect,
            verify,
            on_failure,
            necessity,
        })
    })(outline.id.clone());
    (step, outline)
}

/// Whether nothing lets the step be left out.
fn is_certain(fields: &Fields<'_>) -> bool {
    let required = fields.get("required");
    fields.get("when").is_none()
        && required.is_none_or(|value| value.node.as_text() == Some("true"))
}

fn span(fields: &Fields<'_>, key: &'static str, otherwise: Span, reading: &mut Reading) -> Span {
    fields
        .get(key)
        .and_then(|value| value.span(&mut reading.mistakes))
        .unwrap_or(otherwise)
}

fn effect(fields: &Fields<'_>, manner: &Manner, reading: &mut Reading) -> Effect {
    let Some(value) = fields.get("effect") else {
        return manner.effect;
    };
    let Some(effect) = value.word(&EFFECTS, &mut reading.mistakes) else {
        return manner.effect;
    };
    let can_change = matches!(
        manner.form,
        Some(Form::ByHand | Form::Command | Form::Request) | None
    );
    if effect == Effect::Change && !can_change {
        reading
            .mistakes
            .at(
                value.spot(),
                &format!("{} changes nothing in the target by itself", fields.what),
            )
            .help("remove `effect`: only a command, a request or a step by hand can be a change");
        return Effect::Read;
    }
    effect
}

/// The facts, and whether all their ids could be read.
fn facts(
    fields: &Fields<'_>,
    form: Option<Form>,
    products: &mut Vec<Product>,
    reading: &mut Reading,
) -> (Vec<FactSpec>, bool) {
    let Some(value) = fields.get("facts") else {
        return (Vec::new(), true);
    };
    let Some(pairs) = value.pairs(&mut reading.mistakes) else {
        return (Vec::new(), false);
    };
    let mut facts = Vec::new();
    for pair in pairs {
        let id = field_id(&pair.key, pair.spot, "a fact", reading);
        let fact = fact(pair, id.as_ref(), form, &fields.what, reading);
        if let Some(id) = id {
            let kind = fact.as_ref().map(|fact| fact.kind.to_string());
            products.push(Product {
                id,
                is: kind,
                spot: pair.spot,
            });
        }
        facts.extend(fact);
    }
    let complete = products.len() == pairs.len();
    (facts, complete)
}

fn fact(
    pair: &Pair,
    id: Option<&Field>,
    form: Option<Form>,
    step: &str,
    reading: &mut Reading,
) -> Option<FactSpec> {
    let what = format!("fact {}", quoted(&pair.key));
    let known = ["type", "one_of", "unit", "prompt", "from"];
    let fields = Fields::open(&pair.value, what, &known, reading)?;
    let kind: Option<Kind> = kind(&fields, reading);
    let one_of = one_of(&fields, kind.as_ref(), reading);
    let [unit, prompt] = ["unit", "prompt"].map(|key| {
        fields
            .get(key)
            .and_then(|value| value.line(&mut reading.mistakes))
    });
    let moment = match form {
        Some(form) if !form.has_output() => Moment::After,
        _ => Moment::Extracting,
    };
    let from = fields
        .get("from")
        .and_then(|value| value.expression(moment, reading));
    if fields.get("from").is_none() && form.is_some_and(|form| !form.is_personal()) {
        reading
            .mistakes
            .at(
                pair.spot,
                &format!("{} has no `from`, and {step} is automated", fields.what),
            )
            .help("say how the fact is extracted, or make a step by hand that asks for it");
    }
    Some(FactSpec {
        id: id?.clone(),
        kind: kind?,
        one_of,
        unit,
        prompt,
        from,
    })
}

/// The evidence, and whether all its ids could be read.
fn evidence(
    fields: &Fields<'_>,
    form: Option<Form>,
    products: &mut Vec<Product>,
    reading: &mut Reading,
) -> (Vec<EvidenceSpec>, bool) {
    let Some(value) = fields.get("evidence") else {
        return (Vec::new(), true);
    };
    let Some(pairs) = value.pairs(&mut reading.mistakes) else {
        return (Vec::new(), false);
    };
    let mut evidence = Vec::new();
    for pair in pairs {
        let id = field_id(&pair.key, pair.spot, "an item of evidence", reading);
        let item = evidence_item(pair, id.as_ref(), form, &fields.what, reading);
        if let Some(id) = id {
            products.push(Product {
                id,
                is: item.as_ref().map(|item| item.media_type.clone()),
                spot: pair.spot,
            });
        }
        evidence.extend(item);
    }
    let complete = products.len() == pairs.len();
    (evidence, complete)
}

fn evidence_item(
    pair: &Pair,
    id: Option<&Field>,
    form: Option<Form>,
    step: &str,
    reading: &mut Reading,
) -> Option<EvidenceSpec> {
    let what = format!("evidence {}", quoted(&pair.key));
    let fields = Fields::open(&pair.value, what, &["from", "media_type"], reading)?;
    let from = fields
        .get("from")
        .and_then(|value| value.word(&SOURCES, &mut reading.mistakes));
    let wanted = match form {
        None => "",
        Some(Form::ByHand | Form::Choose) if fields.get("from").is_some() => {
            "a person gives the evidence of a step by hand: remove `from`"
        }
        Some(Form::ByHand | Form::Choose) => "",
        Some(Form::Command)
            if matches!(from, Some(EvidenceSource::Body)) || fields.get("from").is_none() =>
        {
            "take it from `stdout` or `stderr`"
        }
        Some(Form::Command) => "",
        Some(form) if form.has_output() && !matches!(from, Some(EvidenceSource::Body)) => {
            "take it from `body`"
        }
        Some(form) if form.has_output() => "",
        Some(_) => "the step has no output of its own: the steps it reads leave the evidence",
    };
    let unreadable = fields.get("from").is_some() && from.is_none();
    if !wanted.is_empty() && !unreadable {
        let (spot, message) = match fields.get("from") {
            Some(value) => (
                value.spot(),
                format!("{} cannot come from there in {step}", fields.what),
            ),
            None => (
                pair.spot,
                format!("{} has no `from`, and {step} is automated", fields.what),
            ),
        };
        reading.mistakes.at(spot, &message).help(wanted);
    }
    let media_type = match fields.get("media_type") {
        Some(value) => media_type(value.line(&mut reading.mistakes)?, value.spot(), reading),
        None if from == Some(EvidenceSource::Body) => "application/json".to_owned(),
        None => "text/plain".to_owned(),
    };
    Some(EvidenceSpec {
        id: id?.clone(),
        from,
        media_type,
    })
}

fn media_type(text: String, spot: super::text::Spot, reading: &mut Reading) -> String {
    let is_name = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-' | '_'))
    };
    if !text
        .split_once('/')
        .is_some_and(|(a, b)| is_name(a) && is_name(b))
    {
        let message = format!("{} is not a media type", quoted(&text));
        reading
            .mistakes
            .at(spot, &message)
            .help("write it like `text/plain` or `application/json`");
    }
    text
}

fn approve(fields: &Fields<'_>, reading: &mut Reading) -> Option<Approve> {
    let value = fields.get("approve")?;
    let known = ["by", "other_than", "expires"];
    let fields = Fields::open(value.node, "`approve`", &known, reading)?;
    let by = fields
        .need("by", reading)
        .and_then(|value| value.expression(Moment::Before, reading));
    let other_than = fields
        .get("other_than")
        .and_then(|value| value.expression(Moment::Before, reading));
    let expires = span(&fields, "expires", APPROVAL_HOLDS, reading);
    Some(Approve {
        by: by?,
        other_than,
        expires,
    })
}

fn attempts(fields: &Fields<'_>, form: Option<Form>, effect: Effect, reading: &mut Reading) -> u32 {
    let idempotent = fields
        .get("idempotent")
        .and_then(|value| value.boolean(&mut reading.mistakes));
    let Some(value) = fields.get("attempts") else {
        return 1;
    };
    let attempts = value
        .whole(1..=MOST_ATTEMPTS, &mut reading.mistakes)
        .unwrap_or(1);
    if form.is_some_and(Form::is_personal) {
        reading
            .mistakes
            .at(
                value.spot(),
                &format!(
                    "{} is done by a person, who is asked again anyway",
                    fields.what
                ),
            )
            .help("remove `attempts`");
    } else if form == Some(Form::HandOver) {
        reading
            .mistakes
            .at(
                value.spot(),
                &format!("{} hands over, and is not repeated by itself", fields.what),
            )
            .help("remove `attempts`; where the other one was aborted, somebody says whether to begin anew");
    } else if attempts > 1 && effect == Effect::Change && idempotent != Some(true) {
        reading
            .mistakes
            .at(
                value.spot(),
                &format!(
                    "{} is a change, and is not known to be harmless when repeated",
                    fields.what
                ),
            )
            .help("write `idempotent: true` if it is, else remove `attempts`");
    }
    attempts
}

fn verify(fields: &Fields<'_>, reading: &mut Reading) -> Option<Verify> {
    let value = fields.get("verify")?;
    let fields = Fields::open(value.node, "`verify`", &["read", "expect"], reading)?;
    let read = fields
        .need("read", reading)
        .map_or(Vec::new(), |value| value.steps(Need::Reread, reading));
    let expect = fields
        .need("expect", reading)
        .and_then(|value| value.expression(Moment::After, reading));
    Some(Verify {
        read,
        expect: expect?,
    })
}

fn necessity(fields: &Fields<'_>, action: Option<&Action>, reading: &mut Reading) -> Necessity {
    let required = match fields.get("required") {
        Some(value) => value.boolean(&mut reading.mistakes).unwrap_or(true),
        None => matches!(action, Some(Action::History(_) | Action::Checks(_))),
    };
    if required {
        Necessity::Required
    } else {
        Necessity::Skippable
    }
}
