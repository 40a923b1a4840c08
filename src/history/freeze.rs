//! The rules of freezes: what overlaps, who is the same claimant, what the gate says. Pure: no store, no clock.

use crate::clock::Timestamp;
use crate::digest::Digest;
use crate::ids::{ExecutionId, Target};

use super::model::{Freeze, FreezeState, GateDecision, GateVerdict, Holder, Scope};

impl Scope {
    /// Whether all of the target lies within this scope.
    #[must_use]
    pub fn covers(&self, target: &Target) -> bool {
        self.includes(&Scope::from(target))
    }

    /// Whether all of the other lies within this scope.
    #[must_use]
    pub fn includes(&self, other: &Scope) -> bool {
        self.overlaps(other) && self.parts().len() <= other.parts().len()
    }

    /// Whether one lies within the other: a change to either touches both.
    #[must_use]
    pub fn overlaps(&self, other: &Scope) -> bool {
        self.parts().iter().zip(other.parts()).all(|(a, b)| a == b)
    }
}

/// Who asks for a freeze on which scope, as one value: taking twice with the same claim is taking once.
///
/// An execution is its own claimant, so that two executions of one person stand in each other's way; without an
/// execution the person is.
#[must_use]
pub fn claim(holder: &Holder, scope: &Scope) -> Digest {
    let claimant = match &holder.execution {
        Some(execution) => format!("execution {execution}"),
        None => format!("principal {}", holder.principal),
    };
    Digest::of(format!("{claimant}\n{scope}"))
}

/// Judges a change to `target`, given every freeze that is not released and a sentence for each that cannot be read.
///
/// Only freezes held by the execution `own` are no obstacle: the same person's pipelines are stopped like anybody's.
/// A freeze that is known to be in the way makes it `frozen`, whatever else cannot be read.
#[must_use]
pub fn judge(
    target: &Target,
    own: Option<ExecutionId>,
    freezes: Vec<Freeze>,
    unreadable: Vec<String>,
    at: Timestamp,
) -> GateVerdict {
    let scope = Scope::from(target);
    let in_the_way = |freeze: &Freeze| {
        let ours = own.is_some() && freeze.holder.execution == own;
        freeze.state != FreezeState::Released && freeze.scope.overlaps(&scope) && !ours
    };
    let freezes: Vec<Freeze> = freezes.into_iter().filter(in_the_way).collect();
    let decision = if !freezes.is_empty() {
        GateDecision::Frozen
    } else if unreadable.is_empty() {
        GateDecision::Clear
    } else {
        GateDecision::Unknown
    };
    GateVerdict {
        decision,
        target: target.clone(),
        evaluated_at: at,
        freezes,
        unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::model::FreezeId;
    use proptest::prelude::*;

    fn scope(text: &str) -> Scope {
        text.parse().expect(text)
    }

    fn target(text: &str) -> Target {
        text.parse().expect(text)
    }

    fn held(on: &str, execution: Option<ExecutionId>) -> Freeze {
        Freeze {
            id: FreezeId::generate(),
            scope: scope(on),
            reason: "checkout fails".parse().expect("a reason"),
            holder: Holder {
                principal: "alice".parse().expect("a name"),
                execution,
                host: "laptop".to_owned(),
            },
            run: None,
            created_at: Timestamp::from_micros(0),
            fence: 1,
            lease: None,
            state: FreezeState::Active,
            release: None,
        }
    }

    fn decide(
        on: &str,
        own: Option<ExecutionId>,
        freezes: Vec<Freeze>,
        broken: usize,
    ) -> &'static str {
        let unreadable = vec!["broken".to_owned(); broken];
        let at = Timestamp::from_micros(0);
        judge(&target(on), own, freezes, unreadable, at)
            .decision
            .as_str()
    }

    #[test]
    fn a_scope_covers_what_lies_below_it_and_overlaps_what_lies_above_it() {
        for (a, b, covers, overlaps) in [
            ("shop", "shop/production", true, true),
            ("shop", "shop/production/checkout", true, true),
            ("shop/production", "shop/production/checkout", true, true),
            (
                "shop/production/checkout",
                "shop/production/checkout",
                true,
                true,
            ),
            ("shop/production/checkout", "shop/production", false, true),
            (
                "shop/production/checkout",
                "shop/production/cart",
                false,
                false,
            ),
            ("shop/staging", "shop/production", false, false),
            ("shop2", "shop/production", false, false),
        ] {
            assert_eq!(scope(a).covers(&target(b)), covers, "{a} covers {b}");
            assert_eq!(scope(a).overlaps(&scope(b)), overlaps, "{a} overlaps {b}");
            assert_eq!(scope(b).overlaps(&scope(a)), overlaps, "{b} overlaps {a}");
        }
    }

    #[test]
    fn texts_that_are_no_scope_are_refused() {
        for bad in [
            "",
            "/",
            "shop/",
            "a/b/c/d",
            "a//c",
            "a b",
            "../x",
            "a/\u{1b}[0m",
        ] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_the_holding_execution_passes_its_own_freeze() {
        let ours = ExecutionId::generate();
        let freezes = || vec![held("shop/production", Some(ours))];
        assert_eq!(decide("shop/production", Some(ours), freezes(), 0), "clear");
        assert_eq!(decide("shop/production", None, freezes(), 0), "frozen");
        let other = Some(ExecutionId::generate());
        assert_eq!(decide("shop/production", other, freezes(), 0), "frozen");
        // Taken by a person outside an execution: nobody passes, not even without an execution.
        let by_hand = vec![held("shop/production", None)];
        assert_eq!(decide("shop/production", None, by_hand, 0), "frozen");
    }

    proptest! {
        /// The oracle of the rule that matters: clear needs no obstacle and nothing unread.
        #[test]
        fn clear_needs_no_obstacle_and_nothing_unread(
            scopes in proptest::collection::vec("(shop|shop/production|shop/production/cart|shop/staging|bank)", 0..4),
            broken in 0_usize..3,
        ) {
            let freezes: Vec<Freeze> = scopes.iter().map(|on| held(on, None)).collect();
            let obstacle = scopes.iter().any(|on| on.starts_with("shop") && on != "shop/staging");
            let expected = match (obstacle, broken) {
                (true, _) => "frozen",
                (false, 0) => "clear",
                (false, _) => "unknown",
            };
            prop_assert_eq!(decide("shop/production/cart", None, freezes, broken), expected);
        }
    }
}
