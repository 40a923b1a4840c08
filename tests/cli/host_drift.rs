//! `host-upgrade`: commands beside the steps are drift of the host, and do-nots hold for them as well.

use crate::fixture::{put, say};
use crate::scene::Scene;

const ANSWERS: &str = include_str!("../../runbooks/drills/host-upgrade-deadline.answers.yaml");

/// A host that was upgraded and uncordoned, right before what is left to record.
fn upgraded() -> Scene {
    let scene = Scene::new();
    let (before, after) = ANSWERS
        .split_once("impact-window:")
        .expect("it is recorded when there was less room");
    put(&scene, "answers.yaml", before);
    say(&scene, "drill host-upgrade-deadline --answers answers.yaml").exit(15);
    let window = "
  facts: {impact_from: '2026-11-20T23:00:00Z', impact_until: '2026-11-20T23:30:00Z'}
prevent-repeat:";
    let (_, rest) = after.split_once("prevent-repeat:").expect("a follow-up");
    put(&scene, "rest.yaml", format!("impact-window:{window}{rest}"));
    scene
}

#[test]
fn a_command_that_changed_the_host_is_accounted_for_before_it_closes() {
    let scene = upgraded();
    say(&scene, "exec -- touch /etc/motd")
        .says("ad hoc: $ touch /etc/motd")
        .exit(1);
    say(&scene, "resume --answers rest.yaml")
        .says("step `record-decision` cannot go on by itself: guard no-unrecorded-drift")
        .says("\"effect\":\"change\"")
        .exit(14);
    put(
        &scene,
        "accounted.yaml",
        "record-decision: {on_failure: back, reason: a file was made by hand}
hand-records:
  facts: {hand_records: ['motd: a mistake, taken back'], drift_reference: TICKET-92}
  evidence: {drift_difference: '+'}
impact-window: {facts: {impact_from: '2026-11-20T23:00:00Z', impact_until: '2026-11-20T23:30:00Z'}}
prevent-repeat: {facts: {follow_up: ask before, follow_up_owner: drill-lee}}
",
    );
    say(&scene, "resume --answers accounted.yaml")
        .says("Closed. outcome: drain-enforced")
        .exit(0);
}

#[test]
fn what_only_looks_is_no_drift() {
    let scene = upgraded();
    say(&scene, "exec -- cat /etc/motd")
        .says("ad hoc: $ cat /etc/motd")
        .exit(1);
    say(&scene, "resume --answers rest.yaml")
        .says("Closed. outcome: drain-enforced")
        .exit(0);
}

#[test]
fn what_kills_shrinks_a_group_or_edits_the_host_is_refused_by_the_name_of_its_guard() {
    let scene = upgraded();
    for (command, guard) in [
        ("ssh h-drill-3 vi /etc/sysctl.conf", "no-unrecorded-drift"),
        (
            "ssh h-drill-3 sudo apt-get install x",
            "no-unrecorded-drift",
        ),
        ("kubectl drain h-drill-3 --force", "no-kill-as-drain"),
        ("ssh h-drill-3 systemctl stop kubelet", "no-kill-as-drain"),
        ("nomad node drain -enable -force 8f", "no-kill-as-drain"),
        ("etcdctl member remove 8e9e", "no-drain-below-quorum"),
        (
            "nats stream cluster peer-remove S n1",
            "no-drain-below-quorum",
        ),
        (
            "kubectl uncordon h-drill-3",
            "no-uncordon-before-postchecks",
        ),
    ] {
        say(&scene, &format!("exec -- {command}"))
            .says(&format!("guard {guard}"))
            .exit(14);
    }
    // What was refused did not happen, and so it is no drift.
    say(&scene, "resume --answers rest.yaml")
        .says("Closed. outcome: drain-enforced")
        .exit(0);
}
