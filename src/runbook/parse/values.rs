//! Values of declared kinds, and request bodies.

use serde_json::Value as Json;

use super::super::kind::Kind;
use super::super::model::{Body, Input, Secret};
use super::fields::{Fields, Reading, Value};
use super::mistakes::{listed, quoted};
use super::outline::Moment;
use super::tree::{Node, Scalar, Shape};
use crate::ids::Field;

/// The inputs, in the order written.
pub(super) fn inputs(value: Value<'_>, reading: &mut Reading) -> Vec<Input> {
    let pairs = value.pairs(&mut reading.mistakes).unwrap_or_default();
    pairs
        .iter()
        .filter_map(|pair| {
            let id = field_id(&pair.key, pair.spot, "an input", reading);
            let what = format!("input {}", quoted(&pair.key));
            let known = ["type", "one_of", "prompt", "default"];
            let fields = Fields::open(&pair.value, what, &known, reading)?;
            let kind = kind(&fields, reading);
            let one_of = one_of(&fields, kind.as_ref(), reading);
            let prompt = fields
                .get("prompt")
                .and_then(|value| value.line(&mut reading.mistakes));
            let default = match (fields.get("default"), &kind) {
                (Some(value), Some(kind)) => default(value, kind, &one_of, reading),
                _ => None,
            };
            Some(Input {
                id: id?,
                kind: kind?,
                one_of,
                prompt,
                default,
            })
        })
        .collect()
}

/// The secrets, in the order written.
pub(crate) fn secrets(value: Value<'_>, reading: &mut Reading) -> Vec<Secret> {
    let pairs = value.pairs(&mut reading.mistakes).unwrap_or_default();
    pairs
        .iter()
        .filter_map(|pair| {
            let variable = pair.key.clone();
            if !is_variable(&variable) {
                let message = format!(
                    "{} is not the name of an environment variable",
                    quoted(&variable)
                );
                reading.mistakes.at(pair.spot, &message);
            }
            let value = Value {
                name: &pair.key,
                node: &pair.value,
            };
            let purpose = value.line(&mut reading.mistakes)?;
            Some(Secret { variable, purpose })
        })
        .collect()
}

/// Whether text is the name of an environment variable that every shell accepts.
pub(crate) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A key that names a value which expressions read.
pub(crate) fn field_id(
    key: &str,
    spot: super::text::Spot,
    what: &str,
    reading: &mut Reading,
) -> Option<Field> {
    key.parse()
        .map_err(|error| {
            let message = format!("the id of {what}: {} {error}", quoted(key));
            reading.mistakes.at(spot, &message);
        })
        .ok()
}

/// The kind under `type`.
pub(super) fn kind(fields: &Fields<'_>, reading: &mut Reading) -> Option<Kind> {
    fields
        .need("type", reading)?
        .parsed("a type", &mut reading.mistakes)
}

/// The values under `one_of`, each of the kind.
pub(super) fn one_of(
    fields: &Fields<'_>,
    kind: Option<&Kind>,
    reading: &mut Reading,
) -> Vec<String> {
    let Some(value) = fields.get("one_of") else {
        return Vec::new();
    };
    if let Some(kind) = kind
        && matches!(innermost(kind), Kind::Boolean | Kind::Json)
    {
        let message = format!("`one_of` makes no sense for `{kind}`");
        reading.mistakes.at(value.spot(), &message);
        return Vec::new();
    }
    let mut allowed = Vec::new();
    for node in value.some_items(&mut reading.mistakes).unwrap_or_default() {
        let item = Value {
            name: "one_of",
            node,
        };
        let Some(text) = item.line(&mut reading.mistakes) else {
            continue;
        };
        if let Some(kind) = kind
            && let Err(mismatch) = innermost(kind).read(&text)
        {
            reading.mistakes.at(
                node.spot,
                &format!("`one_of`: {} {mismatch}", quoted(&text)),
            );
        } else if allowed.contains(&text) {
            reading.mistakes.at(
                node.spot,
                &format!("`one_of` names {} twice", quoted(&text)),
            );
        }
        allowed.push(text);
    }
    allowed
}

fn innermost(kind: &Kind) -> &Kind {
    match kind {
        Kind::List(inner) | Kind::Optional(inner) => innermost(inner),
        other => other,
    }
}

fn default(
    value: Value<'_>,
    kind: &Kind,
    one_of: &[String],
    reading: &mut Reading,
) -> Option<Json> {
    let json = json(value.node, innermost(kind));
    let accepted = match kind.accept(&json) {
        Ok(accepted) => accepted,
        Err(mismatch) => {
            let shown = value.node.as_text().map_or(String::new(), quoted);
            let message = format!("`default`: {shown} {mismatch}").replace(":  ", ": the value ");
            reading.mistakes.at(value.spot(), &message);
            return None;
        }
    };
    let items = match &accepted {
        Json::Array(items) => items.iter().collect(),
        Json::Null => Vec::new(),
        single => vec![single],
    };
    for item in items {
        let text = item.as_str().map_or(item.to_string(), str::to_owned);
        if !one_of.is_empty() && !one_of.contains(&text) {
            let allowed = listed(one_of.iter().map(String::as_str));
            let message = format!("`default`: {} is not one of {allowed}", quoted(&text));
            reading.mistakes.at(value.spot(), &message);
        }
    }
    Some(accepted)
}

/// The value as JSON; a plain scalar is a number or a boolean only where the kind is.
fn json(node: &Node, kind: &Kind) -> Json {
    match &node.shape {
        Shape::Nothing => Json::Null,
        Shape::List(items) => items.iter().map(|item| json(item, kind)).collect(),
        Shape::Mapping(pairs) => pairs
            .iter()
            .map(|pair| (pair.key.clone(), json(&pair.value, kind)))
            .collect(),
        Shape::Scalar(scalar) => match kind {
            Kind::Integer | Kind::Number | Kind::Boolean | Kind::Json => literal(scalar),
            _ => None,
        }
        .unwrap_or_else(|| scalar.text.clone().into()),
    }
}

/// A plain boolean, or a plain number as JSON writes it: `0755` and `1_000` stay text.
fn literal(scalar: &Scalar) -> Option<Json> {
    if scalar.is_boolean() {
        return Some(scalar.text.eq_ignore_ascii_case("true").into());
    }
    if !scalar.plain {
        return None;
    }
    let number: serde_json::Number = serde_json::from_str(&scalar.text).ok()?;
    // A whole number too large for 64 bits would silently lose digits.
    let whole = scalar.text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    (!whole || number.is_i64()).then_some(Json::Number(number))
}

/// A request body with its templates.
pub(super) fn body(node: &Node, reading: &mut Reading) -> Option<Body> {
    let value = Value { name: "body", node };
    match &node.shape {
        Shape::Nothing => Some(Body::Literal(Json::Null)),
        Shape::Scalar(scalar) if scalar.text.is_empty() => Some(Body::Literal("".into())),
        Shape::Scalar(scalar) => match literal(scalar) {
            Some(json) => Some(Body::Literal(json)),
            None => value.template(Moment::Before, reading).map(Body::Text),
        },
        Shape::List(items) => {
            let items: Vec<_> = items.iter().map(|item| body(item, reading)).collect();
            items.into_iter().collect::<Option<_>>().map(Body::List)
        }
        Shape::Mapping(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|pair| Some((pair.key.clone(), body(&pair.value, reading)?)))
                .collect();
            pairs.into_iter().collect::<Option<_>>().map(Body::Object)
        }
    }
}
