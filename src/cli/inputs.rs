//! The inputs of an execution: typed, defaulted, asked for, and judged before anything begins.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::ids::Field;
use crate::runbook::model::{Input, Runbook};

use super::error::{CliError, Exit};

/// Most bytes of all inputs together: they stand on one line of the journal, with what else begins an execution.
const LARGEST_INPUTS: usize = crate::journal::MAX_LINE / 2;

/// What becomes of an input that was neither given nor has a default.
pub(crate) enum Missing {
    /// Somebody gave it when asked.
    Given(Json),
    /// It is left out: what needs it is unknown.
    Left,
    /// It cannot be done without.
    Needed,
}

/// These inputs, with the defaults of the others.
pub(crate) fn defaults(runbook: &Runbook, given: &BTreeMap<Field, Json>) -> BTreeMap<Field, Json> {
    let defaults = runbook
        .inputs
        .iter()
        .filter_map(|i| Some((i.id.clone(), i.default.clone()?)));
    let mut all: BTreeMap<Field, Json> = defaults.collect();
    all.extend(given.clone());
    all
}

/// The inputs as given, defaults filled in.
pub(crate) fn inputs(
    runbook: &Runbook,
    given: &[String],
    mut missing: impl FnMut(&Input) -> Missing,
) -> Result<BTreeMap<Field, Json>, CliError> {
    let mut inputs = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for text in given {
        let (name, typed) = text.split_once('=').unwrap_or((text, ""));
        match runbook
            .inputs
            .iter()
            .find(|input| input.id.as_str() == name)
        {
            None => wrong.push(unknown_input(runbook, name)),
            Some(input) => match read_input(input, typed) {
                Ok(value) => drop(inputs.insert(input.id.clone(), value)),
                Err(why) => wrong.push(why),
            },
        }
    }
    for input in runbook.inputs.iter().filter(|_| wrong.is_empty()) {
        if inputs.contains_key(&input.id) {
            continue;
        }
        let value = match &input.default {
            Some(default) => Missing::Given(default.clone()),
            // Whoever left one question is not asked the next.
            None if !absent.is_empty() => Missing::Needed,
            None => missing(input),
        };
        match value {
            Missing::Given(value) => drop(inputs.insert(input.id.clone(), value)),
            Missing::Left => {}
            Missing::Needed => absent.push(input),
        }
    }
    wrong.extend(absent.iter().map(|input| {
        let prompt = input.prompt.as_deref().unwrap_or("no default");
        format!(
            "input `{}` is needed ({prompt}): {}",
            input.id,
            input.kind.wanted()
        )
    }));
    let size = inputs
        .values()
        .map(|value| value.to_string().len())
        .sum::<usize>();
    if size > LARGEST_INPUTS {
        wrong.push(format!(
            "the inputs have {size} bytes, and more than {LARGEST_INPUTS} do not fit into the journal"
        ));
    }
    if wrong.is_empty() {
        return Ok(inputs);
    }
    let error = CliError::new(
        Exit::Usage,
        format!("guided-flow: {}", wrong.join("\n       ")),
    );
    Err(error.hint(format!(
        "give each as `--input NAME=VALUE`; `runbook show {}` lists them",
        runbook.id
    )))
}

fn read_input(input: &Input, typed: &str) -> Result<Json, String> {
    let value = input
        .kind
        .read(typed)
        .map_err(|why| format!("input `{}`: `{typed}` {why}", input.id))?;
    judged(input, &value)
}

/// The value as the input takes it: of its kind, and among what is listed.
///
/// # Errors
/// Why not, for people.
pub(crate) fn judged(input: &Input, value: &Json) -> Result<Json, String> {
    let shown = || {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let fits = input.kind.accept(value);
    let fits = fits.map_err(|why| format!("input `{}`: `{}` {why}", input.id, shown()))?;
    let mut one_of = input.one_of.iter();
    if input.one_of.is_empty() || one_of.any(|one| fits.as_str() == Some(one)) {
        return Ok(fits);
    }
    Err(format!(
        "input `{}`: `{}` is not one of {}",
        input.id,
        shown(),
        input.one_of.join(", ")
    ))
}

fn unknown_input(runbook: &Runbook, name: &str) -> String {
    let near = runbook
        .inputs
        .iter()
        .map(|i| (strsim::jaro_winkler(i.id.as_str(), name), i.id.as_str()));
    let near = near
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let near = near.map_or(String::new(), |(_, id)| format!("; did you mean `{id}`?"));
    format!(
        "`{}` has no input `{}`{near}",
        runbook.id,
        crate::report::text::harmless(name)
    )
}
