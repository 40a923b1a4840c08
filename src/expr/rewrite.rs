//! From the tree that was read to the tree that is evaluated.
//!
//! The interpreter is the crate's; what is stricter here than in CEL is calls to functions of ours, put into the tree. Their
//! names begin with `@`, so that no source text can call them.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use crate::clock::Span;

/// `==`, except that values of different kinds are not comparable.
pub(super) const EQUAL: &str = "@equal";
/// `in`, on the same terms.
pub(super) const AMONG: &str = "@among";
/// What a comprehension walks over: a map as its keys in order, so that the same expression always says the same.
pub(super) const EACH: &str = "@each";
/// Counts a step; an error when there were too many or it takes too long.
pub(super) const STEP: &str = "@step";
/// Hands on its argument, and counts its bytes.
pub(super) const KEEP: &str = "@keep";

/// Puts our functions into the tree. The tree is no deeper than a walk may recurse.
pub(super) fn rewrite(expr: &mut IdedExpr) {
    match &mut expr.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| rewrite(target));
            call.args.iter_mut().for_each(rewrite);
            let with_null = call
                .args
                .iter()
                .any(|a| matches!(a.expr, Expr::Literal(LiteralValue::Null)));
            match call.func_name.as_str() {
                operators::EQUALS if !with_null => EQUAL.clone_into(&mut call.func_name),
                operators::NOT_EQUALS if !with_null => {
                    EQUAL.clone_into(&mut call.func_name);
                    let equal = std::mem::take(expr);
                    *expr = self::call(operators::LOGICAL_NOT, vec![equal]);
                }
                operators::IN => AMONG.clone_into(&mut call.func_name),
                "duration" => call.args.iter_mut().for_each(in_millis),
                _ => {}
            }
        }
        Expr::Select(select) => rewrite(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().for_each(rewrite),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    rewrite(&mut entry.key);
                    rewrite(&mut entry.value);
                }
            }
        }
        Expr::Comprehension(all) => comprehension(all),
        Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => {}
    }
}

/// Every walk begins with `@each`, every step with `@step`; the elements of a new list are counted by `@keep`.
///
/// The interpreter recognises the shapes of the steps (`@result && x`, `@result + [x]`), so only the `x` is wrapped.
fn comprehension(all: &mut ComprehensionExpr) {
    rewrite(&mut all.iter_range);
    wrap(&mut all.iter_range, |range| call(EACH, vec![range]));
    rewrite(&mut all.loop_step);
    rewrite(&mut all.result);
    if let Expr::Call(step) = &mut all.loop_step.expr {
        match (step.func_name.as_str(), step.args.as_mut_slice()) {
            (operators::CONDITIONAL, [condition, then, _]) => {
                wrap(condition, stepped);
                if let Expr::Call(add) = &mut then.expr {
                    add.args.iter_mut().for_each(kept);
                }
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, condition]) => {
                wrap(condition, stepped);
            }
            (operators::ADD, [_, added]) => {
                kept(added);
                if let Expr::List(list) = &mut added.expr {
                    list.elements
                        .iter_mut()
                        .for_each(|element| wrap(element, stepped));
                }
            }
            _ => {}
        }
    }
}

/// `[x]` becomes `[@keep(x)]`.
fn kept(added: &mut IdedExpr) {
    if let Expr::List(list) = &mut added.expr {
        for element in &mut list.elements {
            wrap(element, |element| call(KEEP, vec![element]));
        }
    }
}

/// `x` becomes `@step() ? x : null`, so that past the budget `x` is not evaluated any more.
fn stepped(expr: IdedExpr) -> IdedExpr {
    let null = IdedExpr {
        id: 0,
        expr: Expr::Literal(LiteralValue::Null),
    };
    call(operators::CONDITIONAL, vec![call(STEP, vec![]), expr, null])
}

/// A span of ours as the interpreter reads it, which knows no days.
fn in_millis(argument: &mut IdedExpr) {
    if let Expr::Literal(LiteralValue::String(text)) = &mut argument.expr
        && let Ok(span) = text.inner().parse::<Span>()
    {
        *text = format!("{}ms", span.millis()).into();
    }
}

fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    let call = CallExpr {
        func_name: name.to_owned(),
        target: None,
        args,
    };
    IdedExpr {
        id: 0,
        expr: Expr::Call(call),
    }
}

fn wrap(expr: &mut IdedExpr, with: impl FnOnce(IdedExpr) -> IdedExpr) {
    let inner = std::mem::take(expr);
    *expr = with(inner);
}
