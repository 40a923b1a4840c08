//! Comparing values: two of different kinds are not unequal, they are not comparable.

use std::sync::{Arc, LazyLock};

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};

use super::rewrite::{AMONG, EACH, EQUAL};

use super::view::View;

/// The functions on lists that the interpreter does not have, named as elsewhere.
const SUM: &str = "sum";
const FLATTEN: &str = "flatten";

/// The interpreter's own functions, those on lists that it does not have, and the ones that stand for `==`, `in` and the walk of a comprehension.
pub(super) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    env.add_overload(EQUAL, EQUAL, vec![DYN_TYPE, DYN_TYPE], |args| {
        equal(args[0].as_ref(), args[1].as_ref()).map(verdict)
    })
    .and_then(|()| {
        env.add_overload(AMONG, AMONG, vec![DYN_TYPE, DYN_TYPE], |args| {
            among(args[0].as_ref(), args[1].as_ref()).map(verdict)
        })
    })
    .and_then(|()| env.add_overload(EACH, EACH, vec![DYN_TYPE], each))
    .and_then(|()| env.add_member_overload(SUM, SUM, DYN_TYPE, vec![], sum))
    .and_then(|()| env.add_member_overload(FLATTEN, FLATTEN, DYN_TYPE, vec![], flatten))
    .expect("the standard library has none of these names");
    Arc::new(env)
});

fn verdict<'b, 'v>(holds: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(holds))
}

/// `left == right`, where neither is the word `null`.
fn equal(left: &dyn Val, right: &dyn Val) -> Result<bool, ExecutionError> {
    refuse_null(left)?;
    refuse_null(right)?;
    same(left, right)
}

/// `value in range`.
fn among(value: &dyn Val, range: &dyn Val) -> Result<bool, ExecutionError> {
    refuse_null(value)?;
    match View::of(range) {
        View::List(list) => {
            let mut incomparable = None;
            for element in list.iter() {
                match same(value, element.as_ref()) {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(error) => incomparable = Some(error),
                }
            }
            incomparable.map_or(Ok(false), Err)
        }
        View::Map(map) => {
            let keys: Vec<_> = map.keys().map(CelMapKey::inner).collect();
            let mut incomparable = None;
            for key in keys {
                match same(value, key) {
                    Ok(true) => return Ok(true),
                    Ok(false) => {}
                    Err(error) => incomparable = Some(error),
                }
            }
            incomparable.map_or(Ok(false), Err)
        }
        other => Err(because(format!(
            "`in` needs a list or a map, not {}",
            other.kind()
        ))),
    }
}

/// Whether two values are the same; `null` only within lists and maps, where it is an element like any other.
fn same(left: &dyn Val, right: &dyn Val) -> Result<bool, ExecutionError> {
    match (View::of(left), View::of(right)) {
        (View::Null, View::Null) => Ok(true),
        (View::Null, _) | (_, View::Null) => Ok(false),
        (View::Bool(a), View::Bool(b)) => Ok(a == b),
        (View::Int(a), View::Int(b)) => Ok(a == b),
        (View::Double(a), View::Double(b)) if !a.is_nan() && !b.is_nan() => Ok(a == b),
        // Both ways, since a large integer loses its last digits as a double.
        (View::Int(a), View::Double(b)) | (View::Double(b), View::Int(a)) if !b.is_nan() => {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "both ways are compared"
            )]
            let equal = a as f64 == b && i128::from(a) == b as i128;
            Ok(equal)
        }
        (View::Text(a), View::Text(b)) => Ok(a == b),
        (View::Span(a), View::Span(b)) => Ok(a == b),
        (View::Time(a), View::Time(b)) => Ok(a == b),
        (View::List(a), View::List(b)) => same_lists(a, b),
        (View::Map(a), View::Map(b)) => same_maps(a, b),
        (a, b) => Err(because(format!(
            "{} and {} cannot be compared",
            a.kind(),
            b.kind()
        ))),
    }
}

fn same_lists(left: &CelList<'_>, right: &CelList<'_>) -> Result<bool, ExecutionError> {
    if left.len() != right.len() {
        return Ok(false);
    }
    all(left
        .iter()
        .zip(right.iter())
        .map(|(a, b)| same(a.as_ref(), b.as_ref())))
}

fn same_maps(left: &CelMap<'_>, right: &CelMap<'_>) -> Result<bool, ExecutionError> {
    if left.len() != right.len() || left.keys().any(|key| !right.contains_key(key)) {
        return Ok(false);
    }
    all(left
        .iter()
        .filter_map(|(key, a)| Some(same(a.as_ref(), right.get(key)?.as_ref()))))
}

/// One difference decides, whatever else cannot be compared.
fn all(pairs: impl Iterator<Item = Result<bool, ExecutionError>>) -> Result<bool, ExecutionError> {
    let mut incomparable = None;
    for pair in pairs {
        match pair {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => incomparable = Some(error),
        }
    }
    incomparable.map_or(Ok(true), Err)
}

/// A list as it is, a map as the list of its keys in order.
fn each<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let range = args.pop().ok_or_else(|| because("nothing to walk over"))?;
    match View::of(range.as_ref()) {
        View::List(_) => Ok(range),
        View::Map(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_by_key(|key| cel::objects::Key::from((*key).clone()));
            let keys: Vec<Box<dyn Val + 'v>> = keys
                .into_iter()
                .map(|key| key.inner().clone_as_boxed())
                .collect();
            Ok(CowVal::owned(CelList::from(keys)))
        }
        other => Err(because(format!(
            "{} has no elements to walk over",
            other.kind()
        ))),
    }
}

/// `[1, 2].sum()`: 3; of nothing, 0.
fn sum<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let list = args.pop().ok_or_else(|| because("nothing to add up"))?;
    let View::List(list) = View::of(list.as_ref()) else {
        return Err(because("`sum` needs a list of numbers"));
    };
    let (mut whole, mut fraction) = (Some(0_i64), 0.0_f64);
    for element in list.iter() {
        match View::of(element.as_ref()) {
            View::Int(n) => {
                whole = match whole {
                    Some(sum) => Some(
                        sum.checked_add(n)
                            .ok_or_else(|| because("a number becomes too large"))?,
                    ),
                    None => None,
                };
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "used only where there are fractions"
                )]
                let n = n as f64;
                fraction += n;
            }
            View::Double(n) => {
                whole = None;
                fraction += n;
            }
            other => {
                return Err(because(format!(
                    "`sum` adds up numbers, not {}",
                    other.kind()
                )));
            }
        }
    }
    Ok(match whole {
        Some(whole) => CowVal::owned(CelInt::from(whole)),
        None => CowVal::owned(CelDouble::from(fraction)),
    })
}

/// `[[1], [2, 3]].flatten()`: `[1, 2, 3]`, one level.
fn flatten<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let list = args.pop().ok_or_else(|| because("nothing to flatten"))?;
    let View::List(list) = View::of(list.as_ref()) else {
        return Err(because("`flatten` needs a list of lists"));
    };
    let mut flat: Vec<Box<dyn Val + 'v>> = Vec::new();
    for element in list.iter() {
        match View::of(element.as_ref()) {
            View::List(inner) => flat.extend(inner.iter().map(|v| v.as_ref().clone_as_boxed())),
            other => {
                return Err(because(format!(
                    "`flatten` joins lists, not {}",
                    other.kind()
                )));
            }
        }
    }
    Ok(CowVal::owned(CelList::from(flat)))
}

fn refuse_null(value: &dyn Val) -> Result<(), ExecutionError> {
    match View::of(value) {
        View::Null => Err(because(
            "a value is null, and null is compared only with the word `null`",
        )),
        _ => Ok(()),
    }
}

fn because(reason: impl ToString) -> ExecutionError {
    ExecutionError::function_error(EQUAL, reason)
}
