//! Names that mean nothing, mean something else, or are read too early.

use super::scene::{BREW, read, refused};

#[test]
fn ids_are_given_once() {
    refused(&[
        (
            "id: calm",
            "id: «stage-known",
            "two checks are called `stage-known`",
        ),
        (
            "id: no-descaler",
            "id: «no-refill-blind",
            "two guards are called `no-refill-blind`",
        ),
        (
            "  - use: standard/impact\n",
            "  - use: standard/impact\n    id: «look\n",
            "two steps are called `look`",
        ),
        (
            "litres: {type: number}",
            "«level: {type: number}",
            "fact `level` has the type `number` here and `integer` elsewhere",
        ),
        (
            "leaks: {from: stdout}",
            "«photo: {from: stdout}",
            "evidence `photo` has the media type `text/plain` here",
        ),
    ]);
}

#[test]
fn steps_that_are_named_exist_and_fit() {
    refused(&[
        (
            "before: [choose-remedy]",
            "before: [«chose-remedy]",
            "there is no step `chose-remedy`",
        ),
        (
            "    instead: Drain.\n    deny:",
            "    instead: Drain.\n    during: [«look-again]\n    require: 'true'\n    deny:",
            "`look-again` does not wait, so nothing can be watched during it",
        ),
        (
            "    instead: Drain.\n    deny:",
            "    instead: Drain.\n    during: «[settle]\n    deny:",
            "`during` watches nothing",
        ),
        (
            "drain: {title: Drain}",
            "drain: {title: Drain, guards: [«no-refil-blind]}",
            "there is no guard `no-refil-blind`",
        ),
        (
            "drain: {title: Drain}",
            "drain: {title: Drain, guards: [«no-descaler]}",
            "`no-descaler` requires nothing, so it keeps no option closed",
        ),
        (
            "drain: {title: Drain}",
            "drain: {title: Drain, guards: [no-refill-blind, «no-refill-blind]}",
            "`guards` names `no-refill-blind` twice",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: [read-level, «list-leeks]",
            "there is no step `list-leeks`",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: [read-level, «read-level]",
            "`repeat` names `read-level` twice",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: [read-level, list-leaks, «drain]",
            "`drain` may change the target",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: [read-level, list-leaks, «settle]",
            "`settle` cannot be read again",
        ),
        (
            "repeat: [read-level, list-leaks]",
            "repeat: [read-level, list-leaks, «freeze]",
            "`freeze` cannot be read again",
        ),
        (
            "read: [scope]",
            "read: [«choose-remedy]",
            "`choose-remedy` cannot be read again",
        ),
        (
            "on_failure: choose-remedy",
            "on_failure: «settle",
            "`settle` is not an earlier step",
        ),
        (
            "on_failure: choose-remedy",
            "on_failure: «refill",
            "`refill` is not an earlier step",
        ),
        (
            "on_failure: choose-remedy",
            "on_failure: «nowhere",
            "there is no step `nowhere`",
        ),
    ]);
}

#[test]
fn what_is_used_exists() {
    refused(&[
        (
            "  - use: standard/impact\n",
            "  - use: «standrad/impact\n",
            "there is no library `standrad`",
        ),
        (
            "  - use: standard/impact\n",
            "  - use: «impact\n",
            "`use` must be a library and an item",
        ),
        (
            "  - use: standard/impact\n",
            "  - use: «standard/impakt\n",
            "library `standard` has no step `impakt`",
        ),
        (
            "  - use: standard/somebody-asked\n",
            "  - use: «standard/freeze\n",
            "library `standard` has no check `freeze`",
        ),
        (
            "    when: facts.warm\n",
            "    when: facts.warm\n    «timeout: 5m\n",
            "a `use` of a step may not set `timeout`",
        ),
    ]);
}

#[test]
fn names_in_expressions_mean_something() {
    refused(&[
        (
            "owner: inputs.brewer",
            "owner: «inputs.brower",
            "there is no input `brower`",
        ),
        (
            "fail_when: facts.leaking",
            "fail_when: «facts.leeking",
            "no step produces the fact `leeking`",
        ),
        (
            "confirm: target.environment",
            "confirm: «tarket.environment",
            "there is nothing called `tarket`",
        ),
        (
            "confirm: target.environment",
            "confirm: size(«facts) == 0",
            "`facts` must be followed by a name",
        ),
        (
            "    expect: facts.level > 10 &&",
            "    expect: «exit_code == 0 &&",
            "`exit_code` means nothing here",
        ),
        (
            "from: \"facts.warm &&",
            "from: \"«body.warm &&",
            "`body` means nothing here",
        ),
        (
            "fresh('level_document', ",
            "fresh(«'level_dokument', ",
            "no step produces a fact or evidence `level_dokument`",
        ),
        (
            "when: decisions.choose_remedy == 'drain'",
            "when: «decisions.chose_remedy == 'drain'",
            "there is no `choose` step `chose_remedy`",
        ),
        (
            "'Level is ${facts.level}'",
            "'Level is ${«facts.lewel}'",
            "no step produces the fact `lewel`",
        ),
        (
            "'--run=${run.id}'",
            "'--run=${«runn.id}'",
            "there is nothing called `runn`",
        ),
    ]);
}

#[test]
fn a_wrong_expression_is_pointed_into() {
    refused(&[(
        "until: facts.level < 80",
        "until: facts.level < «)",
        "`until` is not an expression: ",
    )]);
    let block = BREW.replace(
        "    confirm: target.environment\n",
        "    confirm: |\n      target.environment ==\n      tarket.environment\n",
    );
    let found = read(&block).expect_err("a name that means nothing");
    assert_eq!(
        found[0].place.column, 7,
        "a block of text is pointed at as a whole"
    );
}

#[test]
fn nothing_is_read_before_it_is_produced() {
    refused(&[
        (
            "    when: facts.warm\n",
            "    when: «facts.level > 3\n",
            "no earlier step produces the fact `level`",
        ),
        (
            "    title: Look at it\n",
            "    title: Look at it\n    when: «facts.warm\n",
            "no earlier step produces the fact `warm`",
        ),
        (
            "    title: Look at it\n",
            "    title: Look at it\n    when: «decisions.choose_remedy == 'x'\n",
            "no earlier step decides `choose_remedy`",
        ),
        (
            "drain: {title: Drain}",
            "drain: {title: Drain, when: «facts.litres > 0}",
            "no earlier step produces the fact `litres`",
        ),
        (
            "    expect: facts.stage != null\n",
            "    expect: «facts.leaking\n",
            "no earlier step produces the fact `leaking`",
        ),
        (
            "&& facts.level < 90",
            "&& «facts.litres < 90",
            "no earlier step produces the fact `litres`",
        ),
        (
            "ensure: facts.level >= 0",
            "ensure: «facts.litres >= 0",
            "no earlier step produces the fact `litres`",
        ),
        (
            "from: outcome == 'gone'",
            "from: «facts.leaking",
            "no earlier step produces the fact `leaking`",
        ),
    ]);
}

#[test]
fn what_a_guard_ensures_may_be_produced_by_the_step_it_follows() {
    let ensured = |after: &str| {
        let ensure = format!("    after: [{after}]\n    ensure: facts.litres >= 0");
        read(&BREW.replace("    ensure: facts.level >= 0", &ensure))
    };
    assert!(ensured("drain").is_ok());
    let found = ensured("refill, drain").expect_err("refill comes first");
    assert_eq!(
        found[0].message,
        "no earlier step produces the fact `litres`"
    );
    let found = ensured("drian").expect_err("there is no such step");
    assert_eq!(found[0].message, "there is no step `drian`");
}

#[test]
fn what_a_check_or_a_guard_reads_first_counts_as_produced() {
    let early = BREW.replace(
        "    read: [scope]\n    expect: facts.stage",
        "    read: [read-level]\n    expect: facts.level",
    );
    assert!(read(&early).is_ok());
}

#[test]
fn a_step_that_cannot_be_read_does_not_make_others_wrong() {
    // Without its id, every name of the step is unknown; only the missing id is reported.
    refused(&[(
        "  - id: read-level\n    phase: truth\n",
        "  - «phase: truth\n",
        "the step has no `id`",
    )]);
}

#[test]
fn names_that_are_nearly_right_are_helped() {
    let found =
        read(&BREW.replace("owner: inputs.brewer", "owner: inputs.brower")).expect_err("wrong");
    assert_eq!(found[0].help.as_deref(), Some("did you mean `brewer`?"));
    let found = read(&BREW.replace("  - use: standard/impact\n    title: Say who waits for tea\n    when: facts.warm\n", "").replace("read: [scope]", "read: [impact]"))
        .expect_err("wrong");
    assert!(
        found.iter().any(|f| f.help.as_deref()
            == Some("a library has one: add `use: standard/impact` to the steps")),
        "{found:?}"
    );
}

#[test]
fn machines_get_the_same_with_places() {
    let found = read(&BREW.replace("id: list-leaks", "id: look")).expect_err("wrong");
    let json = serde_json::to_value(&found[0]).expect("a mistake is JSON");
    assert_eq!(json["message"], "two steps are called `look`");
    assert_eq!(json["place"]["line"], 80);
    assert_eq!(json["place"]["column"], 9);
    assert_eq!(json["related"][0]["place"]["line"], 53);
    assert_eq!(json["help"], serde_json::Value::Null);
}
