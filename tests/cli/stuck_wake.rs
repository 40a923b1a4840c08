//! `stuck-wake`: its do-nots hold for commands beside the steps as well.

use crate::fixture::{put, ran, say};
use crate::scene::Scene;

const ANSWERS: &str = include_str!("../../runbooks/drills/stuck-wake.answers.yaml");

#[test]
fn starting_in_a_loop_and_calling_it_hot_by_hand_is_refused_by_the_name_of_its_guard() {
    let scene = Scene::new();
    let (before, _) = ANSWERS
        .split_once("classify-stage:")
        .expect("the stage is classified");
    put(&scene, "answers.yaml", before);
    say(&scene, "drill stuck-wake --answers answers.yaml").exit(15);
    for (command, guard) in [
        ("kubectl scale deploy/invoices --replicas=50", "no-stampede"),
        ("fly scale count 20", "no-stampede"),
        ("xargs -P50 curl", "no-stampede"),
        ("hey -n 1000 https://invoices.example.com", "no-stampede"),
        ("nomad deployment promote 8f", "no-hot-before-ready"),
        (
            "curl -X PUT http://nomad:4646/v1/deployment/allocation-health/8f",
            "no-hot-before-ready",
        ),
        (
            "kubectl label pod invoices-1 ready=true",
            "no-hot-before-ready",
        ),
    ] {
        say(&scene, &format!("exec -- {command}"))
            .says(&format!("guard {guard}"))
            .exit(14);
    }
    // One request, one copy, and a look are none of that.
    for command in [
        "curl -I https://invoices.example.com",
        "kubectl scale deploy/invoices --replicas=1",
        "kubectl describe pod invoices-1",
        "nomad alloc status 8f",
    ] {
        say(&scene, &format!("exec -- {command}"))
            .says("not performed a drill runs no programs")
            .exit(1);
    }
    let looped = [
        "exec",
        "--",
        "sh",
        "-c",
        "while true; do curl -s https://invoices.example.com; done",
    ];
    ran(&scene, &looped).says("guard no-stampede").exit(14);
}
