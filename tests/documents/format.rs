//! The format's keys, one mistake each.

use super::scene::{STANDARD, compare, refused};
use runbook::runbook::library::Library;

#[test]
fn the_head_says_what_the_document_is() {
    refused(&[
        ("format: runbook/v1\n", "«", "the document has no `format`"),
        (
            "format: runbook/v1",
            "format: «runbook/v2",
            "the format `runbook/v2` is not read here",
        ),
        (
            "format: runbook/v1",
            "format: «runbook-library/v1",
            "the format `runbook-library/v1` is not read here",
        ),
        (
            "id: stuck-brew",
            "id: «Stuck Brew",
            "`id`: `Stuck Brew` may hold only lowercase letters",
        ),
        (
            "owner: kettles\n",
            "«ownr: kettles\nowner: kettles\n",
            "the document has an unknown key `ownr`",
        ),
        (
            "freeze: {scope: environment, lease: 60m}",
            "freeze: «{scope: environment}",
            "`freeze` has no `lease`",
        ),
    ]);
}

#[test]
fn inputs_and_secrets() {
    refused(&[
        (
            "type: duration, default: 15m",
            "type: duration, default: «15",
            "`default`: `15` is not a duration like",
        ),
        (
            "default: 2}",
            "default: «4}",
            "`default`: `4` is not one of `1`, `2`, `3`",
        ),
        (
            "one_of: [1, 2, 3]",
            "one_of: [1, 2, «two]",
            "`one_of`: `two` is not a whole number",
        ),
        (
            "one_of: [1, 2, 3]",
            "one_of: [1, 2, «2]",
            "`one_of` names `2` twice",
        ),
        (
            "warm: {type: boolean,",
            "warm: {type: boolean, one_of: «['true'],",
            "`one_of` makes no sense for `boolean`",
        ),
        (
            "KETTLE_TOKEN: T",
            "«KETTLE-TOKEN: T",
            "`KETTLE-TOKEN` is not the name of an environment variable",
        ),
    ]);
}

#[test]
fn checks_and_guards() {
    refused(&[
        (
            "  - id: stage-known\n    title: The stage is known\n",
            "  - id: stage-known\n    «titel: The stage is known\n    title: x\n",
            "check `stage-known` has an unknown key `titel`",
        ),
        (
            "  - id: stage-known\n    title: The stage is known\n",
            "  - «id: stage-known\n",
            "check `stage-known` has no `title`",
        ),
        (
            "id: no-descaler",
            "id: «descaler",
            "the id of a guard begins with `no-`",
        ),
        (
            "    ensure: facts.level >= 0\n    override: never\n",
            "    ensure: facts.level >= 0\n    override: «approved\n",
            "`override` must be one of `never`, not `approved`",
        ),
        (
            "    deny:\n      commands: ['kettle ... --descale', 'rm -rf *']\n      requests: ['DELETE /kettles/*', '* /descale']\n",
            "    deny: «{}\n",
            "`deny` refuses nothing",
        ),
        (
            "  - id: no-descaler\n    do_not: Pour descaler\n    because: People drink this.\n    instead: Drain.\n    deny:\n      commands: ['kettle ... --descale', 'rm -rf *']\n      requests: ['DELETE /kettles/*', '* /descale']\n",
            "  - id: «no-descaler\n    do_not: Pour descaler\n    because: People drink this.\n    instead: Drain.\n",
            "guard `no-descaler` measures nothing",
        ),
        ("'rm -rf *'", "«' '", "`commands` is empty"),
        (
            "'rm -rf *'",
            "«'... -rf *'",
            "the pattern `... -rf *` begins with `...`, but a command begins with its program; it can never match",
        ),
        (
            "'rm -rf *'",
            "«'curl ... | sh'",
            "the pattern `curl ... | sh` has the shell's `|`",
        ),
        (
            "'rm -rf *'",
            "«'!rm'",
            "the pattern `!rm` begins with what saves a command",
        ),
        (
            "'rm -rf *'",
            "«'./rm -rf *'",
            "the pattern `./rm -rf *` begins with a path",
        ),
        (
            "'* /descale'",
            "«'FETCH /descale'",
            "`FETCH /descale` is not a method and a path",
        ),
        (
            "label: recovered",
            "label: «Recovered",
            "`label`: `Recovered` may hold only",
        ),
        (
            "label: not-trusted, when: \"true\"",
            "label: not-trusted, when: «facts.warm",
            "the last outcome must always hold",
        ),
        (
            "label: not-trusted, when: \"true\"",
            "label: not-trusted, when: «true",
            "`when` must be an expression, not the boolean",
        ),
        (
            "  - {label: not-trusted",
            "  - «{label: recovered",
            "two outcomes are called `recovered`",
        ),
    ]);
}

#[test]
fn a_step_is_done_in_one_way() {
    refused(&[
        (
            "    repeat: [read-level, list-leaks]\n",
            "    repeat: [read-level, list-leaks]\n    «history: read-logs\n",
            "step `look-again` has both `repeat` and `history`",
        ),
        (
            "    repeat: [read-level, list-leaks]\n",
            "    repeat: [read-level, list-leaks]\n    «env: {A: b}\n",
            "`env` belongs to `command`, which step `look-again` does not have",
        ),
        (
            "command: [kettle, leaks",
            "command: [«'${facts.colour}', leaks",
            "a program's name is never substituted",
        ),
        (
            "{0: dry, 3: leaking}",
            "{0: dry, «256: leaking}",
            "`exit_codes`: `256` is not a number from 0 to 255",
        ),
        (
            "{0: dry, 3: leaking}",
            "{0: dry, 3: «Leaking}",
            "`3`: `Leaking` may hold only",
        ),
        (
            "env: {KETTLE:",
            "env: {«KET-TLE:",
            "`KET-TLE` is not the name of an environment variable",
        ),
        (
            "post: /kettles/fill",
            "post: «kettles/fill",
            "the path `kettles/fill` must begin with one `/`",
        ),
        (
            "post: /kettles/fill",
            "post: «//evil.example",
            "the path `//evil.example` must begin with one `/`",
        ),
        (
            "      endpoint: kettle\n      post: /kettles/fill",
            "      «endpoint: kettle\n      put: /a\n      post: /kettles/fill",
            "the request has more than one method",
        ),
        (
            "      endpoint: kettle\n      post: /kettles/fill\n",
            "      «endpoint: kettle\n",
            "the request has no method",
        ),
        (
            "get: '/kettles/${run.id}/level',",
            "get: '/kettles/${run.id}/level', body: «{},",
            "a `get` or `head` request has no body",
        ),
        (
            "        refill: {title: Refill, when: '!facts.leaking', choose_when: It is only empty.}\n        drain: {title: Drain}\n",
            "        «{}\n",
            "`options` is empty",
        ),
        (
            "        drain: {title: Drain}",
            "        «Drain: {title: Drain}",
            "the id of an option: `Drain` may hold only",
        ),
        (
            "    history: {post-comment: 'Level is ${facts.level}'}",
            "    history: «post-comment",
            "`post-comment` has no text",
        ),
        (
            "    history: {post-comment: 'Level is ${facts.level}'}",
            "    history: «mark-trustd",
            "`history` must be one of",
        ),
    ]);
}

#[test]
fn facts_and_evidence_fit_how_the_step_is_done() {
    refused(&[
        (
            "level: {type: integer, unit: percent, from: body.level}",
            "«level: {type: integer, unit: percent}",
            "fact `level` has no `from`, and step `read-level` is automated",
        ),
        (
            "level_document: {from: body}",
            "level_document: {from: «stdout}",
            "evidence `level_document` cannot come from there in step `read-level`",
        ),
        (
            "leaks: {from: stdout}",
            "leaks: {from: «body}",
            "evidence `leaks` cannot come from there in step `list-leaks`",
        ),
        (
            "leaks: {from: stdout}",
            "«leaks: {}",
            "evidence `leaks` has no `from`, and step `list-leaks` is automated",
        ),
        (
            "photo: {media_type: image/png}",
            "photo: {from: «body}",
            "evidence `photo` cannot come from there in step `look`",
        ),
        (
            "photo: {media_type: image/png}",
            "photo: {media_type: «png}",
            "`png` is not a media type",
        ),
        (
            "    timeout: 20m\n",
            "    timeout: 20m\n    evidence: {calm: {from: «body}}\n",
            "evidence `calm` cannot come from there in step `settle`",
        ),
        (
            "litres: {type: number}",
            "litres: {type: number, «form: x}",
            "fact `litres` has an unknown key `form`",
        ),
        (
            "warm: {type: boolean, prompt",
            "«Warm: {type: boolean, prompt",
            "the id of a fact: `Warm` may hold only",
        ),
    ]);
}

#[test]
fn effects_and_attempts_are_not_contradicted() {
    refused(&[
        (
            "    repeat: [read-level, list-leaks]\n",
            "    repeat: [read-level, list-leaks]\n    effect: «change\n",
            "step `look-again` changes nothing in the target by itself",
        ),
        (
            "    idempotent: true\n    attempts: 2\n",
            "    attempts: «2\n",
            "step `refill` is a change, and is not known to be harmless",
        ),
        (
            "    idempotent: true\n    attempts: 2\n",
            "    idempotent: false\n    attempts: «2\n",
            "step `refill` is a change, and is not known to be harmless",
        ),
        (
            "      litres: {type: number}\n",
            "      litres: {type: number}\n    attempts: «1\n",
            "step `drain` is done by a person",
        ),
    ]);
}

#[test]
fn libraries_are_held_to_the_same_format() {
    let cases = [
        (
            "format: runbook-library/v1",
            "format: «runbook/v1",
            "the format `runbook/v1` is not read here",
        ),
        (
            "id: standard",
            "«ids: standard\nid: standard",
            "the document has an unknown key `ids`",
        ),
        (
            "  - id: scope\n",
            "  - id: «freeze\n",
            "two steps are called `freeze`",
        ),
        (
            "    history: take-freeze\n",
            "    history: take-freeze\n    effect: «change\n",
            "step `freeze` changes nothing",
        ),
        (
            "checks:\n",
            "checks:\n  - «use: other/x\n",
            "a library cannot take items from a library",
        ),
        (
            "id: no-blind-change",
            "id: «blind-change",
            "the id of a guard begins with `no-`",
        ),
        (
            "    severity: block\n",
            "    severity: «blok\n",
            "`severity` must be one of",
        ),
    ];
    let failures: String = cases
        .iter()
        .map(|(old, new, message)| {
            assert!(STANDARD.contains(old), "{old}");
            let text = STANDARD.replacen(old, new, 1);
            compare(&text, message, |text| {
                Library::parse("standard.yaml", text.as_bytes()).map(drop)
            })
        })
        .collect();
    assert!(failures.is_empty(), "{failures}");
}
