//! `runbook freeze` and `runbook gate`.

use std::fs;

use crate::scene::Scene;

fn frozen() -> Scene {
    let scene = Scene::new();
    scene
        .run([
            "freeze",
            "take",
            "shop/production",
            "--reason",
            "checkout fails",
            "--run-id",
            "r-1842",
        ])
        .stdout("frozen: `shop/production`, fence 1\n")
        .exit(0);
    scene
}

const HELD: &str = "  `shop/production` is frozen by alice on [..] since [..]Z, outside an execution, run r-1842, fence 1
    reason: checkout fails
";

#[test]
fn the_gate_is_closed_while_a_freeze_holds_and_clear_after_its_release() {
    let scene = frozen();
    for target in ["shop/production", "shop/production/checkout"] {
        scene
            .run(["gate", "--target", target])
            .stdout(&format!("frozen: `{target}`\n{HELD}"))
            .exit(10);
    }
    scene
        .run(["gate", "--target", "shop/production", "--json"])
        .json(|verdict| {
            assert_eq!(verdict["decision"], "frozen");
            assert_eq!(verdict["freezes"][0]["reason"], "checkout fails");
            assert_eq!(verdict["freezes"][0]["holder"]["principal"], "alice");
        })
        .exit(10);
    scene
        .run(["gate", "--target", "shop/staging"])
        .stdout("clear: no freeze is on `shop/staging`\n")
        .exit(0);
    scene
        .run([
            "freeze",
            "release",
            "shop/production",
            "--fence",
            "1",
            "--reason",
            "it works",
        ])
        .stderr("released: `shop/production`\n")
        .exit(0);
    scene
        .run(["gate", "--target", "shop/production"])
        .stdout("clear: no freeze is on `shop/production`\n")
        .exit(0);
    scene
        .run(["freeze", "list", "--all"])
        .stdout(&format!("{HELD}    released by alice at [..]Z: it works\n"))
        .exit(0);
}

#[test]
fn somebody_elses_freeze_is_not_taken() {
    let scene = frozen();
    scene
        .run(["freeze", "take", "shop/production", "--reason", "again"])
        .stderr("nothing changed: you hold this freeze already\n")
        .stdout(HELD)
        .exit(0);
    let scene = scene.env("RUNBOOK_OPERATOR", "bob");
    scene
        .run(["freeze", "take", "shop/production", "--reason", "mine"])
        .stderr(&format!(
            "error: `shop/production` is already frozen by alice\n{HELD}hint: ask alice, or follow along\n"
        ))
        .exit(10);
    scene
        .run(["freeze", "take", "shop", "--reason", "all of it", "--json"])
        .json(|taken| assert_eq!(taken["outcome"], "taken"))
        .exit(0);
}

#[test]
fn a_stale_fence_releases_nothing() {
    let scene = frozen();
    scene
        .run(["freeze", "release", "shop/production", "--fence", "2", "--reason", "it works"])
        .stderr(&format!(
            "error: not released: fence 2 is not that of the freeze on `shop/production`, which still holds\n{HELD}hint: [..]\n"
        ))
        .exit(1);
    scene.run(["freeze", "list", "shop"]).stdout(HELD).exit(0);
    scene
        .run(["freeze", "list", "bank"])
        .stderr("no freezes\n")
        .exit(0);
    scene
        .run([
            "freeze",
            "release",
            "shop/staging",
            "--fence",
            "1",
            "--reason",
            "it works",
        ])
        .stderr("error: no freeze is active on `shop/staging`\nhint: [..]\n")
        .exit(1);
}

#[test]
fn a_freeze_needs_a_reason_and_a_target() {
    let scene = Scene::new();
    for reason in ["", "  ", "a\nb", "\u{1b}[2J"] {
        scene
            .run(["freeze", "take", "shop/production", "--reason", reason])
            .stderr("error: invalid value [..]\n...")
            .exit(2);
    }
    scene
        .run(["freeze", "take", "a/b/c/d", "--reason", "x"])
        .stderr("error: invalid value 'a/b/c/d' for '<TARGET>': is not a scope: [..]\n...")
        .exit(2);
    scene.run(["gate"]).stderr("error: [..]\n...").exit(2);
    assert!(!scene.home().exists());
}

#[test]
fn a_history_that_cannot_be_read_is_unknown() {
    const UNKNOWN: &str =
        "unknown: whether `shop/production` is frozen could not be found out; treat it as frozen\n";
    let scene = Scene::new();
    scene
        .run(["gate", "--target", "shop/production"])
        .stdout(&format!(
            "{UNKNOWN}  unreadable: there is no run history at `[SCENE]/home/history.db`\n"
        ))
        .stderr("hint: [..]\n")
        .exit(20);
    assert!(!scene.home().exists(), "the gate makes nothing");

    let scene = frozen();
    let path = scene.home().join("history.db");
    for (content, problem) in [
        (
            String::new(),
            "[..]: it is empty, which a run history never is",
        ),
        ("garbage ".repeat(999), "[..]: [..]file is not a database"),
    ] {
        fs::write(&path, &content).expect("written");
        scene
            .run(["gate", "--target", "shop/production"])
            .stdout(&format!("{UNKNOWN}  unreadable: {problem}\n"))
            .stderr("hint: [..]\n")
            .exit(20);
        scene
            .run(["gate", "--target", "shop/production", "--json"])
            .json(|verdict| assert_eq!(verdict["decision"], "unknown"))
            .stderr("hint: [..]\n")
            .exit(20);
        scene
            .run(["freeze", "take", "shop/staging", "--reason", "x"])
            .stderr("error: [..]\n...")
            .exit(20);
        assert_eq!(
            fs::read(&path).expect("read"),
            content.as_bytes(),
            "left as it is"
        );
    }
}

#[test]
fn of_many_processes_one_gets_the_freeze() {
    let scene = Scene::new();
    let started: Vec<_> = (0..16)
        .map(|i| {
            let name = format!("p{i}");
            let args = [
                "--as",
                &name,
                "freeze",
                "take",
                "shop/production",
                "--reason",
                "race",
            ];
            scene.command().args(args).spawn().expect("starts")
        })
        .collect();
    let mut codes: Vec<_> = started
        .into_iter()
        .map(|child| child.wait_with_output().expect("ends").status.code())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes[0], Some(0));
    assert_eq!(codes[1..], [Some(10); 15]);
}
