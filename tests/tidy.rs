//! The house rules that no compiler knows: who imports whom, how long a file is, what is never left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everyone may import these, and they import nobody.
const GROUND: [&str; 5] = ["clock", "digest", "expr", "ids", "redact"];
/// The longest file, tests included.
const LONGEST: usize = 700;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 8] = [
    "utils", "util", "helpers", "common", "types", "errors", "imp", "misc",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, by its path from the root.
fn rust_files(below: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let name = path.strip_prefix(root()).expect("below the root");
                found.push((name.display().to_string(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing below {below}");
    found
}

/// What is tracked, as text.
fn tracked() -> Vec<(PathBuf, String)> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root())
        .args(["ls-files", "-z"])
        .output();
    let names = match listed {
        Ok(listed) if listed.status.success() => String::from_utf8(listed.stdout).expect("UTF-8"),
        // An unpacked archive has no index; then the sources are what there is.
        _ => {
            return ["src", "tests"]
                .iter()
                .flat_map(|f| rust_files(f))
                .map(|(n, t)| (n.into(), t))
                .collect();
        }
    };
    let paths = names.split_terminator('\0').map(PathBuf::from);
    paths
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

/// The table `Who may import whom` of the map in `src/lib.rs`.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let map = fs::read_to_string(root().join("src/lib.rs")).expect("the map");
    let (_, after) = map
        .split_once("# Who may import whom")
        .expect("the table's heading");
    let rows = after
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    let rows = rows
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'));
    rows.skip(2)
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let allowed = cells[1].split(',').map(|name| name.trim().to_owned());
            (cells[0].to_owned(), allowed.collect())
        })
        .collect()
}

/// The text without comments and without the items that only tests have.
fn code(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            let closes = |line: &str| line.trim_end() == format!("{}}}", " ".repeat(indent));
            // A module in a file of its own ends with its declaration; everything else with its brace.
            let mut item = lines.next();
            while let Some(line) = item {
                if closes(line)
                    || line.trim_end().ends_with(';')
                        && line.len() - line.trim_start().len() == indent
                {
                    break;
                }
                item = lines.next();
            }
        } else {
            kept.push_str(line.split("//").next().unwrap_or(line));
            kept.push('\n');
        }
    }
    kept
}

/// The paths below `crate::` that the code names, braces opened: `execution::event`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        open("", &code[at + "crate::".len()..], &mut found);
    }
    found
}

/// Adds the paths at the start of `rest`, each behind `prefix`; returns what follows them.
fn open<'a>(prefix: &str, rest: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let names = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = rest.find(|c| !names(c)).unwrap_or(rest.len());
    let (path, mut rest) = rest.split_at(end);
    let path = format!("{prefix}{path}");
    let Some(inside) = rest.strip_prefix('{') else {
        found.insert(path);
        return rest;
    };
    rest = inside.trim_start();
    while !rest.starts_with('}') && !rest.is_empty() {
        rest = open(&path, rest, found);
        rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
    }
    rest.get(1..).unwrap_or_default()
}

#[test]
fn nested_imports_are_seen() {
    let code = "use crate::{a::b, c::{d, e::{f}}};\nlet x = crate::g::h();";
    let seen: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(seen, ["a::b", "c::d", "c::e::f", "g::h"]);
}

fn is_allowed(path: &str, allowed: &BTreeSet<String>) -> bool {
    let below = |listed: &String| path == listed || path.starts_with(&format!("{listed}::"));
    allowed.contains("everything") || allowed.iter().any(below)
}

#[test]
fn nobody_imports_what_the_map_does_not_list() {
    let table = table();
    let top = |path: &str| path.split(['/', '.']).nth(1).unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (file, text) in rust_files("src") {
        let module = top(&file);
        if ["main", "lib"].contains(&module.as_str()) || file.ends_with("/tests.rs") {
            continue;
        }
        seen.insert(module.clone());
        let is_ground = GROUND.contains(&module.as_str());
        let allowed = table.get(&module).cloned().unwrap_or_default();
        if !is_ground && !table.contains_key(&module) {
            wrong.push(format!("{file}: `{module}` is not in the table"));
        }
        for path in imports(&code(&text)) {
            let root = path.split("::").next().unwrap_or_default();
            let itself = root == module;
            let ground = GROUND.contains(&root) && (!is_ground || may_ground(&module, root));
            if !itself && !ground && !is_allowed(&path, &allowed) {
                wrong.push(format!("{file} imports `{path}`"));
            }
        }
    }
    wrong.extend(
        table
            .keys()
            .filter(|name| !seen.contains(*name))
            .map(|name| format!("there is no module `{name}`")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Expressions know times; else the ground knows nothing of itself.
fn may_ground(module: &str, other: &str) -> bool {
    (module, other) == ("expr", "clock")
}

#[test]
fn files_are_short_named_after_what_is_inside_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for (file, text) in rust_files("src").into_iter().chain(rust_files("tests")) {
        let lines = text.lines().count();
        if lines > LONGEST {
            wrong.push(format!("{file} has {lines} lines"));
        }
        let stem = Path::new(&file).with_extension("");
        if stem
            .iter()
            .any(|part| EMPTY_NAMES.iter().any(|name| part == *name))
        {
            wrong.push(format!("{file} is named after nothing"));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{file} does not begin by saying what it is"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let marks = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    let mut wrong = Vec::new();
    for (file, text) in rust_files("src").into_iter().chain(rust_files("tests")) {
        if file.ends_with("tidy.rs") {
            continue;
        }
        wrong.extend(
            marks
                .iter()
                .filter(|mark| text.contains(**mark))
                .map(|mark| format!("{file} has `{mark}`")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_machine_and_no_registry_is_named() {
    // In two parts, so that this file does not find itself.
    let marks = [
        ["/wo", "rk/"],
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/Us", "ers/"],
        ["C:", "\\Users"],
        ["/t", "mp/"],
        ["crates", ".io"],
        ["registry", ".npmjs"],
        ["py", "pi.org"],
        ["docker", ".io"],
        ["gh", "cr.io"],
    ];
    let mut wrong = Vec::new();
    for (path, text) in tracked() {
        // The lock file names where each crate comes from, as its format wants it.
        if path == Path::new("Cargo.lock") {
            continue;
        }
        for (n, line) in text.lines().enumerate() {
            let found = marks
                .iter()
                .map(|parts| parts.concat())
                .find(|mark| stands_alone(line, mark));
            wrong.extend(found.map(|mark| format!("{}:{} has `{mark}`", path.display(), n + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a line has the mark other than as the rest of a longer path or name.
fn stands_alone(line: &str, mark: &str) -> bool {
    let longer = |c: char| c.is_alphanumeric() || "]._-}".contains(c);
    let mut places = line.match_indices(mark);
    places.any(|(at, _)| !line[..at].ends_with(longer))
}
