//! Checks, guards and outcomes.

use super::super::model::{Check, CheckSet, Deny, Guard, Outcome, Severity};
use super::super::pattern::{CommandPattern, RequestPattern};
use super::fields::{Fields, Reading, Value};
use super::mistakes::quoted;
use super::outline::{CheckOutline, GuardOutline, Moment, Need};
use super::text::Spot;
use super::tree::{Node, Shape};
use crate::ids::Slug;

const CHECK: [&str; 6] = ["id", "title", "severity", "read", "expect", "instead"];
const GUARD: [&str; 12] = [
    "id", "do_not", "because", "instead", "before", "during", "after", "read", "require", "ensure",
    "deny", "override",
];

/// A check and what others see of it.
pub(crate) fn check(
    node: &Node,
    set: CheckSet,
    reading: &mut Reading,
) -> (Option<Check>, CheckOutline) {
    let mut outline = CheckOutline {
        id: None,
        spot: node.spot,
        set,
        mentions: Vec::new(),
    };
    let Some(fields) = Fields::open(node, named("check", node), &CHECK, reading) else {
        return (None, outline);
    };
    (outline.id, outline.spot) = id(&fields, reading);
    let title = fields
        .need("title", reading)
        .and_then(|value| value.line(&mut reading.mistakes));
    let severity = fields.need("severity", reading).and_then(|value| {
        let words = [
            ("block", Severity::Block),
            ("warn", Severity::Warn),
            ("info", Severity::Info),
        ];
        value.word(&words, &mut reading.mistakes)
    });
    let read = fields
        .get("read")
        .map_or(Vec::new(), |value| value.steps(Need::Reread, reading));
    let expect = fields
        .need("expect", reading)
        .and_then(|value| value.expression(Moment::Before, reading));
    let instead = paragraph(&fields, "instead", reading);
    outline.mentions = reading.take_mentions();
    let check = (|id: Option<Slug>| {
        Some(Check {
            id: id?,
            title: title?,
            severity: severity?,
            read,
            expect: expect?,
            instead,
        })
    })(outline.id.clone());
    (check, outline)
}

/// A guard and what others see of it.
pub(crate) fn guard(node: &Node, reading: &mut Reading) -> (Option<Guard>, GuardOutline) {
    let mut outline = GuardOutline {
        id: None,
        spot: node.spot,
        requires: false,
        mentions: Vec::new(),
    };
    let Some(fields) = Fields::open(node, named("guard", node), &GUARD, reading) else {
        return (None, outline);
    };
    (outline.id, outline.spot) = id(&fields, reading);
    if let Some(id) = &outline.id
        && !id.as_str().starts_with("no-")
    {
        reading
            .mistakes
            .at(
                outline.spot,
                &format!("the id of a guard begins with `no-`; `{id}` does not"),
            )
            .help(&format!(
                "call it `no-{id}`, or after what must not be done"
            ));
    }
    let [do_not, because, instead] = ["do_not", "because", "instead"].map(|key| {
        fields
            .need(key, reading)
            .and_then(|value| value.paragraph(&mut reading.mistakes))
    });
    let [before, during, after, read] = [
        ("before", Need::Guarded),
        ("during", Need::Watched),
        ("after", Need::Followed),
        ("read", Need::Reread),
    ]
    .map(|(key, need)| {
        fields
            .get(key)
            .map_or(Vec::new(), |value| value.steps(need, reading))
    });
    let [require, ensure] =
        [("require", Moment::Before), ("ensure", Moment::After)].map(|(key, moment)| {
            fields
                .get(key)
                .and_then(|value| value.expression(moment, reading))
        });
    let deny = fields
        .get("deny")
        .map_or(Deny::default(), |value| deny(value, reading));
    if ["require", "ensure", "deny"]
        .iter()
        .all(|key| fields.get(key).is_none())
    {
        reading
            .mistakes
            .at(outline.spot, &format!("{} measures nothing", fields.what))
            .help("give it `require`, `ensure` or `deny`; a do-not that nothing measures belongs in an instruction");
    }
    if fields.get("require").is_none()
        && let Some(value) = fields.get("during")
    {
        reading
            .mistakes
            .at(value.spot(), "`during` watches nothing")
            .help("say in `require` what must hold at every look");
    }
    if let Some(value) = fields.get("override") {
        value.word(&[("never", ())], &mut reading.mistakes);
    }
    outline.requires = fields.get("require").is_some();
    outline.mentions = reading.take_mentions();
    let guard = (|id: Option<Slug>| {
        Some(Guard {
            id: id?,
            do_not: do_not?,
            because: because?,
            instead: instead?,
            before,
            during,
            after,
            read,
            require,
            ensure,
            deny,
        })
    })(outline.id.clone());
    (guard, outline)
}

fn deny(value: Value<'_>, reading: &mut Reading) -> Deny {
    let Some(fields) = Fields::open(value.node, "`deny`", &["commands", "requests"], reading)
    else {
        return Deny::default();
    };
    let [commands, requests] = ["commands", "requests"].map(|key| {
        let Some(value) = fields.get(key) else {
            return Vec::new();
        };
        let items = value.some_items(&mut reading.mistakes).unwrap_or_default();
        items
            .iter()
            .filter_map(|node| {
                Some((
                    node.spot,
                    Value { name: key, node }.line(&mut reading.mistakes)?,
                ))
            })
            .collect::<Vec<_>>()
    });
    let commands = commands
        .into_iter()
        .filter_map(|(spot, text)| command_pattern(spot, &text, reading))
        .collect();
    let requests = requests
        .into_iter()
        .filter_map(|(spot, text)| request_pattern(spot, &text, reading))
        .collect();
    if fields.get("commands").is_none() && fields.get("requests").is_none() {
        reading
            .mistakes
            .at(value.spot(), "`deny` refuses nothing")
            .help("list patterns under `commands` or `requests`");
    }
    Deny { commands, requests }
}

/// A pattern over commands; none where it could never match.
fn command_pattern(spot: Spot, text: &str, reading: &mut Reading) -> Option<CommandPattern> {
    match CommandPattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = format!("the pattern {} {error}; it can never match", quoted(text));
            reading.mistakes.at(spot, &message).help(error.help);
            None
        }
    }
}

/// A pattern over requests; none where it could never match.
fn request_pattern(spot: Spot, text: &str, reading: &mut Reading) -> Option<RequestPattern> {
    match RequestPattern::parse(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let message = format!("{} {error}", quoted(text));
            reading.mistakes.at(spot, &message).help(error.help);
            None
        }
    }
}

/// The outcomes, the last of which must always hold.
pub(super) fn outcomes(value: Value<'_>, reading: &mut Reading) -> Vec<Outcome> {
    let items = value.some_items(&mut reading.mistakes).unwrap_or_default();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for node in items {
        let Some(fields) =
            Fields::open(node, "the outcome", &["label", "when", "success"], reading)
        else {
            continue;
        };
        let label: Option<Slug> = fields
            .need("label", reading)
            .and_then(|value| value.parsed("a label", &mut reading.mistakes));
        let when = fields
            .need("when", reading)
            .and_then(|value| value.expression(Moment::End, reading));
        let success = fields
            .get("success")
            .is_none_or(|value| value.boolean(&mut reading.mistakes) != Some(false));
        if let (Some(label), Some(when)) = (label, when) {
            if outcomes.iter().any(|outcome| outcome.label == label) {
                let message = format!("two outcomes are called `{label}`");
                reading.mistakes.at(fields.spot, &message);
            }
            outcomes.push(Outcome {
                label,
                when,
                success,
            });
        }
    }
    if let Some(last) = items.last()
        && let Some(when) = last.get("when")
        && !matches!(&when.shape, Shape::Scalar(scalar) if scalar.text.trim() == "true")
    {
        reading
            .mistakes
            .at(when.spot, "the last outcome must always hold")
            .help("end the list with an outcome that has `when: \"true\"`");
    }
    outcomes
}

/// What messages call an item: its kind, and its id where it has one.
pub(super) fn named(what: &str, node: &Node) -> String {
    match node.get("id").and_then(Node::as_text) {
        Some(id) => format!("{what} {}", quoted(id)),
        None => format!("the {what}"),
    }
}

/// The id of an item, and the place to point at when the item as a whole is wrong.
pub(super) fn id(fields: &Fields<'_>, reading: &mut Reading) -> (Option<Slug>, Spot) {
    match fields.need("id", reading) {
        Some(value) => (value.parsed("an id", &mut reading.mistakes), value.spot()),
        None => (None, fields.spot),
    }
}

/// Optional text of several lines.
pub(super) fn paragraph(
    fields: &Fields<'_>,
    key: &'static str,
    reading: &mut Reading,
) -> Option<String> {
    fields
        .get(key)
        .and_then(|value| value.paragraph(&mut reading.mistakes))
}
