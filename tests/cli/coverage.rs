//! The table of what must work against the shipped runbooks and the tests: no row without an item, none without a pair of
//! tests, or of tries in `tests/rows`.

use runbook::runbook::model::Runbook;
use runbook::runbook::shipped::{self, RUNBOOKS};

const TABLE: &str = include_str!("../coverage.tsv");

/// The files in which the pairs of tests are.
const TESTS: &str = concat!(
    include_str!("before_anything.rs"),
    include_str!("every_execution.rs"),
    include_str!("bad_deploy.rs"),
    include_str!("partial_deployment.rs"),
);

/// One line of the table.
struct Row {
    id: &'static str,
    section: &'static str,
    items: Vec<&'static str>,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).skip(1);
    let row = |line: &'static str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let [id, section, items, demand] = cells[..] else {
            panic!("four cells: {line}");
        };
        assert!(!demand.is_empty(), "{line}");
        let items = items.split(',').collect();
        Row { id, section, items }
    };
    lines.map(row).collect()
}

fn runbooks() -> Vec<Runbook> {
    let read = RUNBOOKS.iter();
    read.map(|r| shipped::read(r.file, r.text.as_bytes()).expect("it is right"))
        .collect()
}

/// Whether a runbook has `step:a|b`, `guard:a` or `check:a`.
fn has(runbook: &Runbook, item: &str) -> bool {
    let (kind, ids) = item.split_once(':').expect("a kind and an id");
    let mut checks = runbook.preflight.iter().chain(&runbook.closing);
    ids.split('|').any(|id| match kind {
        "step" => runbook.steps.iter().any(|s| s.id.as_str() == id),
        "guard" => runbook.guards.iter().any(|g| g.id.as_str() == id),
        "check" => checks.any(|c| c.id.as_str() == id),
        "tool" => true,
        _ => panic!("`{item}` is no kind of item"),
    })
}

#[test]
fn every_row_is_carried_by_the_runbooks_that_it_holds_for() {
    let runbooks = runbooks();
    let mut lacking = Vec::new();
    for row in rows() {
        let only = row.section.strip_prefix("every@").unwrap_or(row.section);
        let concerned = runbooks
            .iter()
            .filter(|r| only == "every" || r.id.as_str() == only);
        let concerned: Vec<&Runbook> = concerned.collect();
        assert!(!concerned.is_empty(), "`{}`: no runbook `{only}`", row.id);
        for runbook in concerned {
            for item in &row.items {
                // Every runbook freezes; the id that it gives to the step is its own.
                let renamed = *item == "step:freeze" && has(runbook, "step:freeze-promotions");
                if !renamed && !has(runbook, item) {
                    lacking.push(format!("{}: {} has no {item}", row.id, runbook.id));
                }
            }
        }
    }
    assert_eq!(lacking, Vec::<String>::new());
}

#[test]
fn every_row_has_a_pair_of_tests() {
    let mut lacking = Vec::new();
    let played = crate::rows::played();
    for row in rows() {
        for path in ["right", "wrong"] {
            if played.contains(&(row.id.to_owned(), path)) {
                continue;
            }
            let test = format!("#[test]\nfn {}_{path}() {{", row.id.replace('-', "_"));
            if TESTS.matches(&test).count() != 1 {
                lacking.push(format!("{} {path}", row.id));
            }
        }
    }
    assert_eq!(lacking, Vec::<String>::new());
}

#[test]
fn every_pair_of_tests_has_a_row() {
    let ids: Vec<String> = rows().iter().map(|row| row.id.replace('-', "_")).collect();
    let tests = TESTS.lines().filter_map(|line| line.strip_prefix("fn "));
    for test in tests.filter_map(|line| line.split_once("()").map(|(name, _)| name)) {
        let of = test
            .strip_suffix("_right")
            .or_else(|| test.strip_suffix("_wrong"));
        if let Some(id) = of {
            assert!(ids.iter().any(|known| known == id), "{test}");
        }
    }
}
