//! How a step is done: the keys of which a step has at most one, and their siblings.

use std::collections::BTreeMap;

use super::super::model::{
    Action, CheckSet, Choice, Choose, Command, Effect, HistoryCall, Method, Request, Wait,
};
use super::fields::{Fields, Reading, Value, canonical};
use super::mistakes::quoted;
use super::outline::{Form, Moment, Need};
use super::tree::{Pair, Shape};
use super::values::{body, is_variable};
use crate::expr::{Expression, Template};
use crate::ids::{RunbookId, Slug};

/// The keys that say how a step is done.
pub(crate) const ACTIONS: [&str; 8] = [
    "command",
    "request",
    "choose",
    "wait",
    "repeat",
    "history",
    "checks",
    "hand_over",
];

/// A method with its name in the format.
const METHODS: [(&str, Method); 6] = [
    ("get", Method::Get),
    ("head", Method::Head),
    ("post", Method::Post),
    ("put", Method::Put),
    ("patch", Method::Patch),
    ("delete", Method::Delete),
];

/// What was read of how a step is done.
pub(crate) struct Manner {
    /// The action, where it has no mistake.
    pub(crate) action: Option<Action>,
    /// Its form, where that much could be read.
    pub(crate) form: Option<Form>,
    /// What it does to the world where the step does not say.
    pub(crate) effect: Effect,
}

/// Reads how a step is done; without any of [`ACTIONS`] it is done by hand, with the effect given for that.
pub(crate) fn manner(fields: &Fields<'_>, by_hand: Effect, reading: &mut Reading) -> Manner {
    let given: Vec<&str> = ACTIONS
        .into_iter()
        .filter(|key| fields.get(key).is_some())
        .collect();
    if let [first, second, ..] = given[..] {
        let message = format!("{} has both `{first}` and `{second}`", fields.what);
        reading
            .mistakes
            .at(fields.spot_of(second), &message)
            .help("a step is done in one way: make two steps of it");
    }
    for (sibling, of) in [("env", "command"), ("exit_codes", "command")] {
        if fields.get(sibling).is_some() && !given.contains(&of) {
            let message = format!(
                "`{sibling}` belongs to `{of}`, which {} does not have",
                fields.what
            );
            reading.mistakes.at(fields.spot_of(sibling), &message);
        }
    }
    let Some(key) = given.first() else {
        return Manner {
            action: Some(Action::ByHand),
            form: Some(Form::ByHand),
            effect: by_hand,
        };
    };
    let key = *key;
    let Some(value) = ACTIONS
        .into_iter()
        .find(|action| *action == key)
        .and_then(|action| fields.get(action))
    else {
        return unread(None);
    };
    match key {
        "command" => Manner {
            action: command(value, fields, reading).map(Action::Command),
            form: Some(Form::Command),
            effect: Effect::Change,
        },
        "request" => {
            let (request, effect) = request(value, reading);
            Manner {
                action: request.map(Action::Request),
                form: Some(Form::Request),
                effect,
            }
        }
        "choose" => Manner {
            action: choose(value, reading).map(Action::Choose),
            ..unread(Some(Form::Choose))
        },
        "wait" => Manner {
            action: wait(value, reading).map(Action::Wait),
            ..unread(Some(Form::Wait))
        },
        "repeat" => Manner {
            action: Some(Action::Repeat(value.steps(Need::Reread, reading))),
            ..unread(Some(Form::Repeat))
        },
        "history" => history(value, reading),
        "hand_over" => Manner {
            action: hand_over(value, reading).map(Action::HandOver),
            ..unread(Some(Form::HandOver))
        },
        _ => checks(value, reading),
    }
}

fn unread(form: Option<Form>) -> Manner {
    Manner {
        action: None,
        form,
        effect: Effect::Read,
    }
}

fn command(value: Value<'_>, fields: &Fields<'_>, reading: &mut Reading) -> Option<Command> {
    let environment = environment(fields, reading);
    let exit_codes = match fields.get("exit_codes") {
        None => BTreeMap::from([(0, "ok".to_owned())]),
        Some(value) => outcomes(value, 0..=255, reading)
            .into_iter()
            .filter_map(|(code, name)| Some((i32::try_from(code).ok()?, name)))
            .collect(),
    };
    let (program, arguments) = value.some_items(&mut reading.mistakes)?.split_first()?;
    let program = {
        let value = Value {
            name: "the program of `command`",
            node: program,
        };
        let text = value.line(&mut reading.mistakes);
        if text.as_ref().is_some_and(|text| text.contains("${")) {
            reading
                .mistakes
                .at(value.spot(), "a program's name is never substituted")
                .help("write the program out; make one step for each program");
        }
        text
    };
    let arguments: Vec<Option<Template>> = arguments
        .iter()
        .map(|node| match &node.shape {
            // An empty argument is an argument.
            Shape::Scalar(scalar) if scalar.text.is_empty() => Template::parse("").ok(),
            _ => Value {
                name: "an argument of `command`",
                node,
            }
            .template(Moment::Before, reading),
        })
        .collect();
    Some(Command {
        program: program?,
        arguments: arguments.into_iter().collect::<Option<_>>()?,
        environment,
        exit_codes,
    })
}

fn environment(fields: &Fields<'_>, reading: &mut Reading) -> BTreeMap<String, Template> {
    let Some(value) = fields.get("env") else {
        return BTreeMap::new();
    };
    let pairs = value.pairs(&mut reading.mistakes).unwrap_or_default();
    let mut environment = BTreeMap::new();
    for pair in pairs {
        if !is_variable(&pair.key) {
            let message = format!(
                "{} is not the name of an environment variable",
                quoted(&pair.key)
            );
            reading.mistakes.at(pair.spot, &message);
        }
        if let Some(template) = value_of(pair).template(Moment::Before, reading) {
            environment.insert(pair.key.clone(), template);
        }
    }
    environment
}

fn value_of(pair: &Pair) -> Value<'_> {
    Value {
        name: &pair.key,
        node: &pair.value,
    }
}

/// Names for exit codes or statuses.
fn outcomes(
    value: Value<'_>,
    bounds: std::ops::RangeInclusive<u32>,
    reading: &mut Reading,
) -> BTreeMap<u32, String> {
    let pairs = value.pairs(&mut reading.mistakes).unwrap_or_default();
    if pairs.is_empty() {
        let message = format!("`{}` names no outcome", value.name);
        reading.mistakes.at(value.spot(), &message);
    }
    let mut outcomes = BTreeMap::new();
    for pair in pairs {
        let code = canonical(&pair.key).filter(|code| bounds.contains(code));
        if code.is_none() {
            let message = format!(
                "`{}`: {} is not a number from {} to {}",
                value.name,
                quoted(&pair.key),
                bounds.start(),
                bounds.end()
            );
            reading.mistakes.at(pair.spot, &message);
        }
        let name: Option<Slug> =
            value_of(pair).parsed("the name of an outcome", &mut reading.mistakes);
        if let (Some(code), Some(name)) = (code, name) {
            outcomes.insert(code, name.to_string());
        }
    }
    outcomes
}

fn request(value: Value<'_>, reading: &mut Reading) -> (Option<Request>, Effect) {
    let known = [
        "endpoint", "get", "head", "post", "put", "patch", "delete", "body", "statuses",
    ];
    let Some(fields) = Fields::open(value.node, "the request", &known, reading) else {
        return (None, Effect::Change);
    };
    let endpoint: Option<Slug> = fields
        .need("endpoint", reading)
        .and_then(|value| value.parsed("the name of an endpoint", &mut reading.mistakes));
    let methods: Vec<_> = METHODS
        .into_iter()
        .filter_map(|(key, method)| Some((method, fields.get(key)?)))
        .collect();
    if methods.len() != 1 {
        let found = if methods.is_empty() {
            "no method"
        } else {
            "more than one method"
        };
        reading
            .mistakes
            .at(fields.spot, &format!("the request has {found}"))
            .help(
                "give it one of `get`, `head`, `post`, `put`, `patch` and `delete`, with the path",
            );
    }
    let effect = match methods[..] {
        [(Method::Get | Method::Head, _)] => Effect::Read,
        _ => Effect::Change,
    };
    let target = methods
        .first()
        .map(|(method, value)| (*method, path(*value, reading)));
    let content = fields.get("body").map(|value| body(value.node, reading));
    if let Some(value) = fields.get("body")
        && effect == Effect::Read
    {
        reading
            .mistakes
            .at(value.spot(), "a `get` or `head` request has no body");
    }
    let statuses = fields.get("statuses").map_or(BTreeMap::new(), |value| {
        outcomes(value, 100..=599, reading)
            .into_iter()
            .filter_map(|(status, name)| Some((u16::try_from(status).ok()?, name)))
            .collect()
    });
    let request = (|| {
        let (method, path) = target?;
        Some(Request {
            endpoint: endpoint?,
            method,
            path: path?,
            body: match content {
                None => None,
                Some(body) => Some(body?),
            },
            statuses,
        })
    })();
    (request, effect)
}

/// The path of a request, which cannot lead to another host.
fn path(value: Value<'_>, reading: &mut Reading) -> Option<Template> {
    let text = value.node.as_text().unwrap_or("/");
    if !text.starts_with('/') || text.starts_with("//") {
        let message = format!("the path {} must begin with one `/`", quoted(text));
        reading
            .mistakes
            .at(value.spot(), &message)
            .help("the address before the path comes from the profile");
    }
    value.template(Moment::Before, reading)
}

fn choose(value: Value<'_>, reading: &mut Reading) -> Option<Choose> {
    let fields = Fields::open(value.node, "`choose`", &["owner", "options"], reading)?;
    let owner = fields
        .need("owner", reading)
        .and_then(|value| value.expression(Moment::Before, reading));
    let options = fields.need("options", reading)?;
    let pairs = options.pairs(&mut reading.mistakes)?;
    if pairs.is_empty() {
        reading.mistakes.at(
            options.spot(),
            "`options` is empty: there is nothing to choose",
        );
    }
    let options: Vec<_> = pairs.iter().map(|pair| option(pair, reading)).collect();
    Some(Choose {
        owner: owner?,
        options: options.into_iter().collect::<Option<_>>()?,
    })
}

fn option(pair: &Pair, reading: &mut Reading) -> Option<Choice> {
    let id: Option<Slug> = pair
        .key
        .parse()
        .map_err(|error| {
            let message = format!("the id of an option: {} {error}", quoted(&pair.key));
            reading.mistakes.at(pair.spot, &message);
        })
        .ok();
    let what = format!("option {}", quoted(&pair.key));
    let known = ["title", "when", "guards", "choose_when"];
    let fields = Fields::open(&pair.value, what, &known, reading)?;
    let title = fields
        .need("title", reading)
        .and_then(|value| value.line(&mut reading.mistakes));
    let when = expression(&fields, "when", Moment::Before, reading);
    let guards = fields
        .get("guards")
        .map_or(Vec::new(), |value| value.guards(reading));
    let choose_when = fields
        .get("choose_when")
        .and_then(|value| value.paragraph(&mut reading.mistakes));
    Some(Choice {
        id: id?,
        title: title?,
        when,
        guards,
        choose_when,
    })
}

fn hand_over(value: Value<'_>, reading: &mut Reading) -> Option<RunbookId> {
    let fields = Fields::open(value.node, "`hand_over`", &["runbook"], reading)?;
    let runbook = fields.need("runbook", reading)?;
    runbook.parsed("the id of a runbook", &mut reading.mistakes)
}

fn wait(value: Value<'_>, reading: &mut Reading) -> Option<Wait> {
    let known = ["until", "read", "every", "sustain", "fail_when"];
    let fields = Fields::open(value.node, "`wait`", &known, reading)?;
    let until = fields
        .need("until", reading)
        .and_then(|value| value.expression(Moment::After, reading));
    let read = fields
        .get("read")
        .map_or(Vec::new(), |value| value.steps(Need::Reread, reading));
    let every = match fields.get("every") {
        Some(value) => value.expression(Moment::Before, reading),
        None => Expression::parse("duration('10s')").ok(),
    };
    let sustain = expression(&fields, "sustain", Moment::Before, reading);
    let fail_when = expression(&fields, "fail_when", Moment::After, reading);
    Some(Wait {
        until: until?,
        read,
        every: every?,
        sustain,
        fail_when,
    })
}

fn expression(
    fields: &Fields<'_>,
    key: &'static str,
    moment: Moment,
    reading: &mut Reading,
) -> Option<Expression> {
    fields
        .get(key)
        .and_then(|value| value.expression(moment, reading))
}

fn history(value: Value<'_>, reading: &mut Reading) -> Manner {
    let (form, call) = if let Shape::Mapping(_) = &value.node.shape {
        let Some(fields) = Fields::open(value.node, "`history`", &["post-comment"], reading) else {
            return unread(None);
        };
        let call = fields
            .need("post-comment", reading)
            .and_then(|value| value.template(Moment::Before, reading))
            .map(HistoryCall::PostComment);
        (Some(Form::Tell), call)
    } else if value.node.as_text() == Some("post-comment") {
        reading
            .mistakes
            .at(value.spot(), "`post-comment` has no text")
            .help("write `history: {post-comment: text of the comment}`");
        return unread(Some(Form::Tell));
    } else {
        let words = [
            ("take-freeze", Form::TakeFreeze),
            ("read-run", Form::ReadRun),
            ("read-logs", Form::ReadLogs),
            ("mark-trusted", Form::Tell),
            ("mark-untrusted", Form::Tell),
            ("release-freeze", Form::ReleaseFreeze),
        ];
        let form = value.word(&words, &mut reading.mistakes);
        let call = form.map(|form| match form {
            Form::TakeFreeze => HistoryCall::TakeFreeze,
            Form::ReadRun => HistoryCall::ReadRun,
            Form::ReadLogs => HistoryCall::ReadLogs,
            Form::ReleaseFreeze => HistoryCall::ReleaseFreeze,
            _ if value.node.as_text() == Some("mark-trusted") => HistoryCall::MarkTrusted,
            _ => HistoryCall::MarkUntrusted,
        });
        (form, call)
    };
    Manner {
        action: call.map(Action::History),
        ..unread(form)
    }
}

fn checks(value: Value<'_>, reading: &mut Reading) -> Manner {
    let words = [
        ("preflight", CheckSet::Preflight),
        ("closing", CheckSet::Closing),
    ];
    let set = value.word(&words, &mut reading.mistakes);
    Manner {
        action: set.map(Action::Checks),
        ..unread(set.map(Form::Checks))
    }
}
