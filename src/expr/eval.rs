//! Evaluating: within a budget, and with an answer for every failure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cel::common::value::{CowVal, Val};
use cel::objects::Value as CelValue;
use cel::{Context, ExecutionError, FunctionContext};

use super::rewrite::{EQUAL, KEEP, STEP};
use super::strict::ENV;
use super::syntax::{Parsed, STACK};
use super::view::{View, lend, lend_map, span_of};
use super::{Reference, Scope, Value, Why};
use crate::clock::Timestamp;

/// How many elements the comprehensions of one evaluation may look at, all together. Two lists of 500 against each other
/// are within it.
const STEPS: usize = 250_000;

/// How many bytes the lists that one evaluation makes may hold, all together.
const BYTES: usize = 64 << 20;

/// How long an evaluation may take. The steps run out long before on any machine that is not overloaded: the answer
/// should not depend on the clock.
const TIME: Duration = Duration::from_secs(1);

/// A function of ours as the interpreter takes it.
type Function = Box<
    dyn for<'c, 'v> Fn(&mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError>
        + Send
        + Sync,
>;

/// The value of an expression. It is evaluated on a thread of its own: the stack that it needs is not the caller's
/// concern, and what goes wrong in there is an unknown out here.
pub(super) fn evaluate(parsed: &Parsed, scope: &Scope) -> Result<Value, Why> {
    let failed = |what| Why::new(format!("`{}` cannot be evaluated: {what}", parsed.source));
    std::thread::scope(|threads| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(threads, || run(parsed, scope))
            .map_err(|_| failed("the system gives no thread"))?
            .join()
            .unwrap_or_else(|_| Err(failed("the interpreter failed")))
    })
}

fn run(parsed: &Parsed, scope: &Scope) -> Result<Value, Why> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    for (name, value) in scope.names() {
        let mut read = parsed
            .references
            .iter()
            .filter(|r| r.root() == name)
            .peekable();
        if read.peek().is_some()
            && let Some(value) = lend_read(value, read.map(Reference::key))
        {
            context.add_variable_as_val(name.as_str(), value);
        }
    }
    let budget = Arc::new(Budget::new());
    let added =
        add_budget(&mut context, &budget).and_then(|()| add_names(&mut context, parsed, scope));
    if added.is_err() {
        return Err(Why::new("the functions of expressions cannot be set up"));
    }
    match CelValue::resolve_val(&parsed.tree, &context) {
        Ok(value) => View::of(value.as_ref()).to_value(),
        Err(_) if budget.is_spent() => Err(Why::new(format!(
            "`{}` takes too long to evaluate",
            parsed.source
        ))),
        Err(error) => Err(explain(&error, parsed, scope)),
    }
}

/// A value, lent as far as it is read: of a map only the members that are named, unless something reads it as a whole.
fn lend_read<'v, 'p>(
    value: &'v Value,
    keys: impl Iterator<Item = Option<&'p str>>,
) -> Option<Box<dyn Val + 'v>> {
    match (value, keys.collect::<Option<BTreeSet<&str>>>()) {
        (Value::Map(map), Some(keys)) => {
            lend_map(map.iter().filter(|(key, _)| keys.contains(key.as_str())))
        }
        (value, _) => lend(value),
    }
}

/// What is left of an evaluation's allowance.
struct Budget {
    steps: AtomicUsize,
    bytes: AtomicUsize,
    until: Instant,
    spent: AtomicBool,
}

impl Budget {
    fn new() -> Self {
        Self {
            steps: AtomicUsize::new(STEPS),
            bytes: AtomicUsize::new(BYTES),
            until: Instant::now() + TIME,
            spent: AtomicBool::new(false),
        }
    }

    fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }

    /// Takes from an allowance; once one is exceeded, every further taking fails.
    fn take(&self, allowance: &AtomicUsize, amount: usize) -> Result<(), ExecutionError> {
        let left = allowance.load(Ordering::Relaxed).checked_sub(amount);
        match left {
            Some(left) if !self.is_spent() && Instant::now() < self.until => {
                allowance.store(left, Ordering::Relaxed);
                Ok(())
            }
            _ => {
                self.spent.store(true, Ordering::Relaxed);
                Err(ExecutionError::function_error(STEP, "takes too long"))
            }
        }
    }
}

fn add_budget(
    context: &mut Context<'_, '_>,
    budget: &Arc<Budget>,
) -> Result<(), cel::DeclarationError> {
    let steps = Arc::clone(budget);
    context.add_function(STEP, move || -> Result<CelValue, ExecutionError> {
        steps.take(&steps.steps, 1)?;
        Ok(CelValue::Bool(true))
    })?;
    let bytes = Arc::clone(budget);
    let keep: Function = Box::new(move |call| {
        let kept = call
            .args
            .pop()
            .ok_or_else(ExecutionError::missing_argument_or_target)?;
        bytes.take(&bytes.bytes, View::of(kept.as_ref()).bytes())?;
        Ok(kept)
    });
    context.add_function::<Function, _>(KEEP, keep)
}

/// What is known about the names that an expression asks about. They are literals, so it is known beforehand.
#[derive(Default)]
struct Names {
    captured: BTreeMap<String, Timestamp>,
    measured: BTreeMap<String, bool>,
    known: BTreeMap<String, bool>,
}

impl Names {
    fn of(parsed: &Parsed, scope: &Scope) -> Self {
        let mut names = Self::default();
        for name in parsed.name_calls.iter().map(|call| &call.name) {
            if let Some(at) = scope.captured(name) {
                names.captured.insert(name.clone(), at);
            }
            if let Some(measured) = scope.measured(name) {
                names.measured.insert(name.clone(), measured);
            }
            names.known.insert(name.clone(), scope.known(name));
        }
        names
    }
}

/// Adds `fresh`, `measured` and `known`.
fn add_names(
    context: &mut Context<'_, '_>,
    parsed: &Parsed,
    scope: &Scope,
) -> Result<(), cel::DeclarationError> {
    type Name = Arc<String>;
    type Answer = Result<CelValue, ExecutionError>;
    let because = |reason: String| ExecutionError::function_error(BY_NAME, reason);
    let absent = move |name: &str| because(format!("`{name}` has not been captured yet"));
    let Names {
        captured,
        measured,
        known,
    } = Names::of(parsed, scope);
    let now = scope.now();
    context.add_function(
        "fresh",
        move |name: Name, limit: chrono::Duration| -> Answer {
            let captured = *captured.get(name.as_str()).ok_or_else(|| absent(&name))?;
            let limit = span_of(limit).map_err(|why| because(why.to_string()))?;
            if captured > now {
                let reason = format!("`{name}` was captured after now: a clock is wrong");
                return Err(because(reason));
            }
            Ok(CelValue::Bool(captured.plus(limit) >= now))
        },
    )?;
    context.add_function("measured", move |name: Name| -> Answer {
        let measured = measured.get(name.as_str());
        measured
            .map(|yes| CelValue::Bool(*yes))
            .ok_or_else(|| absent(&name))
    })?;
    context.add_function("known", move |name: Name| -> Answer {
        let known = known.get(name.as_str());
        known
            .map(|yes| CelValue::Bool(*yes))
            .ok_or_else(|| absent(&name))
    })
}

/// Why there is no value, in words for people. Never the values themselves: they may be large, and they may be secret.
fn explain(error: &ExecutionError, parsed: &Parsed, scope: &Scope) -> Why {
    use ExecutionError as E;
    Why::new(match error {
        E::NoSuchKey(key) | E::UndeclaredReference(key) => {
            let missing = parsed
                .references
                .iter()
                .find_map(|reference| missing(&reference.path, key, scope));
            match missing {
                Some(path) => format!("`{path}` has no value yet"),
                None => format!("`{}`: an element has no key `{key}`", parsed.source),
            }
        }
        E::FunctionError { function, message }
            if FUNCTIONS_OF_OURS.contains(&function.as_str()) =>
        {
            format!("`{}`: {message}", parsed.source)
        }
        E::FunctionError { function, .. } => format!("`{}`: `{function}` fails", parsed.source),
        E::NoSuchOverload(overload) => format!(
            "`{}`: `{}` does not work on {}",
            parsed.source,
            overload.function().trim_matches(['_', '@']),
            overload
                .argument_types()
                .join(" and ")
                .replace("google.protobuf.", "")
        ),
        E::UnsupportedBinaryOperator(operator, left, right) => format!(
            "`{}`: `{}` does not work on {} and {}",
            parsed.source,
            symbol(operator),
            left.type_of(),
            right.type_of()
        ),
        E::UnexpectedType { want, .. } if want == "bool" => {
            format!(
                "`{}`: a condition in it is neither true nor false",
                parsed.source
            )
        }
        E::DivisionByZero(_) | E::RemainderByZero(_) => {
            format!("`{}` divides by zero", parsed.source)
        }
        E::Overflow(..) => format!("`{}`: a number becomes too large", parsed.source),
        E::IndexOutOfBounds(_) => format!("`{}`: the list has no element there", parsed.source),
        _ => format!("`{}` cannot be evaluated with these values", parsed.source),
    })
}

/// How an operator is written that the interpreter calls by a name.
fn symbol(operator: &str) -> &str {
    match operator {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        other => other,
    }
}

/// What the errors of `fresh`, `measured` and `known` are marked with.
const BY_NAME: &str = "@name";

/// The functions whose error messages are written for people.
const FUNCTIONS_OF_OURS: [&str; 2] = [BY_NAME, EQUAL];

/// The beginning of the path that ends in the name that has no value, when it is `name`.
fn missing(path: &str, name: &str, scope: &Scope) -> Option<String> {
    let ends = path
        .match_indices('.')
        .map(|(dot, _)| dot)
        .chain([path.len()]);
    let absent = ends
        .map(|end| &path[..end])
        .find(|prefix| scope.get(prefix).is_none())?;
    (absent.rsplit('.').next() == Some(name)).then(|| absent.to_owned())
}
