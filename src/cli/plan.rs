//! `runbook list`, `runbook show` and `runbook plan`: reading runbooks, before anything begins.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::execution::plan::Plan;
use crate::report::step::{how, phase};
use crate::report::text::{STRONG, hanging, styled, wrapped};
use crate::runbook::model::{Check, Effect, Guard, Runbook, Severity, Step};
use crate::runbook::shipped::RUNBOOKS;

use super::context::Here;
use super::documents;
use super::error::{CliError, Exit};
use super::inputs::Missing;
use super::start::{Which, ready};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A shipped runbook by name, any other by path.
    runbook: String,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    which: Which,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn list(here: &mut Here, args: &ListArgs) -> Result<Exit, CliError> {
    if args.json {
        let mut all = Vec::new();
        for shipped in RUNBOOKS {
            let r = documents::find_runbook(shipped.name())?.runbook;
            all.push(json!({"id": r.id, "title": r.title, "summary": r.summary, "owner": r.owner, "reviewed": r.reviewed.to_string(), "digest": r.digest()}));
        }
        here.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let widest = RUNBOOKS.iter().map(|r| r.name().len()).max().unwrap_or(0);
    for runbook in RUNBOOKS {
        here.out.data(format_args!(
            "{:widest$}  {}",
            runbook.name(),
            runbook.title()
        ))?;
    }
    Ok(Exit::Done)
}

pub(crate) fn show(here: &mut Here, args: &ShowArgs) -> Result<Exit, CliError> {
    let runbook = documents::find_runbook(&args.runbook)?.runbook;
    if args.json {
        here.out
            .json(&as_json(&Plan::new(runbook, &Default::default()), None))?;
        return Ok(Exit::Done);
    }
    here.out.data(about(&runbook))?;
    let plan = Plan::new(runbook, &Default::default());
    for line in steps(&plan, &|_| None) {
        here.out.data(line)?;
    }
    Ok(Exit::Done)
}

pub(crate) async fn plan(here: &mut Here, args: &PlanArgs) -> Result<Exit, CliError> {
    let history = here.existing_history().await?;
    let found = documents::find_runbook(&args.which.runbook)?;
    // A plan may be made before anybody knows who decides: what is missing is said, not demanded.
    let absent = std::cell::RefCell::new(Vec::new());
    let ready = ready(here, &args.which, history, found, |input| {
        absent.borrow_mut().push(input.id.to_string());
        Missing::Left
    });
    let ready = ready.await?;
    let plan = Plan::new(ready.found.runbook, &ready.opened.by_hand);
    if args.json {
        here.out.json(&as_json(&plan, Some(&ready.opened)))?;
        return Ok(Exit::Done);
    }
    let opened = &ready.opened;
    here.out.data(format_args!(
        "{} for run {} on {}",
        plan.runbook().title,
        opened.run_id,
        opened.target
    ))?;
    here.out.data(format_args!(
        "Nothing is performed. Freezes {}.",
        freeze(plan.runbook(), opened)
    ))?;
    let absent = absent.into_inner();
    if !absent.is_empty() {
        here.out
            .data(format_args!("Still to be given: {}.", absent.join(", ")))?;
    }
    for line in steps(&plan, &|step| {
        opened.by_hand.get(&step.id).map(String::as_str)
    }) {
        here.out.data(line)?;
    }
    Ok(Exit::Done)
}

fn freeze(runbook: &Runbook, opened: &crate::execution::event::Opened) -> String {
    let target = &opened.target;
    match runbook.freeze.scope {
        crate::runbook::model::FreezeScope::Workspace => target.workspace.to_string(),
        crate::runbook::model::FreezeScope::Environment => {
            format!("{}/{}", target.workspace, target.environment)
        }
        crate::runbook::model::FreezeScope::Service => target.to_string(),
    }
}

fn about(runbook: &Runbook) -> String {
    let mut lines = vec![
        styled(STRONG, &runbook.title),
        wrapped(0, &runbook.summary),
        format!(
            "Owner {}, reviewed {}, sha256 {}",
            runbook.owner,
            runbook.reviewed,
            runbook.digest().short()
        ),
        String::new(),
        "Inputs".into(),
    ];
    for input in &runbook.inputs {
        let default = input
            .default
            .as_ref()
            .map_or("needed".into(), |d| format!("default {d}"));
        let prompt = input.prompt.as_deref().unwrap_or("");
        lines.push(hanging(
            &format!("  {} ", input.id),
            4,
            &format!("{}, {default}. {prompt}", input.kind),
        ));
    }
    lines.push("\nPreflight".into());
    lines.extend(runbook.preflight.iter().map(check));
    lines.push("\nDo not".into());
    lines.extend(runbook.guards.iter().map(guard));
    lines.push("\nSteps".into());
    lines.join("\n")
}

fn check(check: &Check) -> String {
    hanging(
        &format!("  {} ", severity(check.severity)),
        8,
        &format!("{} [{}]", check.title, check.id),
    )
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Block => "block",
        Severity::Warn => "warn ",
        Severity::Info => "info ",
    }
}

fn guard(guard: &Guard) -> String {
    [
        hanging("  ", 4, &format!("{} [{}]", guard.do_not, guard.id)),
        hanging("    because ", 12, &guard.because),
        hanging("    instead ", 12, &guard.instead),
    ]
    .join("\n")
}

fn steps<'a>(plan: &'a Plan, missing: &'a dyn Fn(&Step) -> Option<&'a str>) -> Vec<String> {
    let mut lines = Vec::new();
    for (n, step) in plan.runbook().steps.iter().enumerate() {
        let change = if step.effect == Effect::Change {
            ", changes the target"
        } else {
            ""
        };
        lines.push(hanging(
            &format!("{:>3}  ", n + 1),
            5,
            &format!(
                "{} [{}] ({}{change})",
                step.title,
                step.id,
                phase(step.phase)
            ),
        ));
        let gates: Vec<&str> = plan.do_nots(step).map(|g| g.id.as_str()).collect();
        let mut more =
            vec![missing(step).map_or_else(|| how(step), |why| format!("by hand: {why}"))];
        more.extend(step.when.as_ref().map(|when| format!("when {when}")));
        more.extend((!gates.is_empty()).then(|| format!("guards: {}", gates.join(", "))));
        more.extend(
            step.confirm
                .as_ref()
                .map(|confirm| format!("confirm {confirm}")),
        );
        more.extend(
            step.approve
                .as_ref()
                .map(|approve| format!("approval of {}", approve.by)),
        );
        lines.extend(
            more.iter()
                .map(|text| wrapped(7, &crate::report::step::one_line(text))),
        );
    }
    lines
}

fn as_json(plan: &Plan, opened: Option<&crate::execution::event::Opened>) -> Json {
    let runbook = plan.runbook();
    let guards = runbook.guards.iter().map(|g| {
        json!({"id": g.id, "do_not": g.do_not, "because": g.because, "instead": g.instead,
            "require": g.require.as_ref().map(ToString::to_string), "ensure": g.ensure.as_ref().map(ToString::to_string),
            "deny": {"commands": g.deny.commands.iter().map(ToString::to_string).collect::<Vec<_>>(), "requests": g.deny.requests.iter().map(ToString::to_string).collect::<Vec<_>>()}})
    });
    let checks = |checks: &[Check]| {
        let all = checks.iter().map(|c| json!({"id": c.id, "title": c.title, "severity": severity(c.severity).trim(), "expect": c.expect.source()}));
        all.collect::<Vec<_>>()
    };
    let steps = runbook.steps.iter().enumerate().map(|(n, step)| {
        json!({
            "number": n + 1,
            "id": step.id,
            "title": step.title,
            "phase": phase(step.phase),
            "effect": if step.effect == Effect::Change { "change" } else { "read" },
            "how": how(step),
            "by_hand": opened.and_then(|o| o.by_hand.get(&step.id)),
            "when": step.when.as_ref().map(ToString::to_string),
            "guards": plan.do_nots(step).map(|g| &g.id).collect::<Vec<_>>(),
            "facts": step.facts.iter().map(|f| json!({"id": f.id, "type": f.kind.to_string()})).collect::<Vec<_>>(),
            "evidence": step.evidence.iter().map(|e| &e.id).collect::<Vec<_>>(),
            "confirm": step.confirm.as_ref().map(ToString::to_string),
            "approval": step.approve.as_ref().map(|a| a.by.to_string()),
        })
    });
    let inputs = runbook.inputs.iter().map(|i| json!({"id": i.id, "type": i.kind.to_string(), "default": i.default, "prompt": i.prompt}));
    json!({
        "id": runbook.id,
        "title": runbook.title,
        "summary": runbook.summary,
        "digest": runbook.digest(),
        "run": opened.map(|o| &o.run_id),
        "target": opened.map(|o| &o.target),
        "inputs": inputs.collect::<Vec<_>>(),
        "preflight": checks(&runbook.preflight),
        "guards": guards.collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
        "closing": checks(&runbook.closing),
        "outcomes": runbook.outcomes.iter().map(|o| &o.label).collect::<Vec<_>>(),
    })
}
