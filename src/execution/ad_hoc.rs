//! Ad-hoc commands: what an operator runs beside the steps. They go through the same do-nots, and what they print is
//! kept.
//!
//! What is not known to be a read is a change: it needs the freeze, a preflight that was judged with nothing in the way,
//! and every guard that stands before all changes. How long ago the preflight was judged does not matter here, unlike for
//! a step: a command that an operator cannot run in this tool is run in another window, where nothing is kept. After it,
//! everything is measured anew.

use serde_json::{Value as Json, json};

use crate::clock::{Span, Timestamp};
use crate::ids::Slug;
use crate::runbook::model::{Action, Command, Effect, Necessity, Phase, Step};

use super::event::{Ending, Work};

/// The longest an ad-hoc command may take.
const TIMEOUT: Span = Span::from_secs(3600);

/// Programs that only look, whatever their words.
const LOOKS: [&str; 19] = [
    "cat", "cut", "df", "dig", "du", "free", "grep", "head", "host", "id", "jq", "ls", "netstat",
    "ps", "stat", "tail", "uname", "uptime", "wc",
];

/// Programs that only look with this as their first word.
const LOOKS_WITH: [(&str, &[&str]); 6] = [
    (
        "kubectl",
        &[
            "api-resources",
            "cluster-info",
            "describe",
            "explain",
            "get",
            "logs",
            "top",
            "version",
        ],
    ),
    (
        "docker",
        &["images", "inspect", "logs", "ps", "stats", "top", "version"],
    ),
    (
        "podman",
        &["images", "inspect", "logs", "ps", "stats", "top", "version"],
    ),
    (
        "git",
        &["blame", "diff", "log", "rev-parse", "show", "status"],
    ),
    ("helm", &["get", "history", "list", "status"]),
    (
        "systemctl",
        &[
            "cat",
            "is-active",
            "is-enabled",
            "is-failed",
            "list-units",
            "show",
            "status",
        ],
    ),
];

/// One ad-hoc command of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct AdHoc {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What it may have done.
    pub effect: Effect,
    /// When it was begun.
    pub at: Timestamp,
    /// How it ended; absent while it is under way, or where that was never recorded.
    pub ending: Option<Ending>,
    /// What somebody found out about it, where its ending did not tell.
    pub settled: Option<String>,
}

impl AdHoc {
    /// Whether nobody knows what it has changed.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        let told = matches!(
            self.ending,
            Some(Ending::Done { .. } | Ending::Failed { .. } | Ending::NotPerformed { .. })
        );
        self.effect == Effect::Change && !told && self.settled.is_none()
    }

    /// As expressions read it, in `execution.ad_hoc`.
    pub(super) fn about(&self) -> Json {
        let code = match &self.ending {
            Some(Ending::Done { code, .. }) => *code,
            _ => None,
        };
        json!({
            "argv": self.argv,
            "effect": match self.effect {
                Effect::Read => "read",
                Effect::Change => "change",
            },
            "at": self.at,
            "exit_code": code,
            "ended": match &self.ending {
                Some(Ending::Done { .. }) => "done",
                Some(Ending::Failed { .. }) => "failed",
                Some(Ending::NotPerformed { .. }) => "not-performed",
                Some(Ending::Doubtful { .. }) | None if self.settled.is_some() => "settled",
                Some(Ending::Doubtful { .. }) | None => "in-doubt",
            },
        })
    }
}

/// The words of a line that an operator typed: its own where no shell is needed to read it, else those of a shell that is
/// given the line.
#[must_use]
pub fn argv(line: &str) -> Vec<String> {
    let plain = |c: char| c.is_alphanumeric() || c.is_whitespace() || "-_./:=,@%+".contains(c);
    if line.chars().all(plain) {
        line.split_whitespace().map(str::to_owned).collect()
    } else {
        vec!["sh".into(), "-c".into(), line.trim().into()]
    }
}

/// What the command may do: a read only where it is known to be one.
#[must_use]
pub fn effect(argv: &[String]) -> Effect {
    let Some((program, words)) = argv.split_first() else {
        return Effect::Change;
    };
    let first = words.first().map_or("", String::as_str);
    let with = LOOKS_WITH.iter().find(|(name, _)| name == program);
    let looks = LOOKS.contains(&program.as_str())
        || with.is_some_and(|(_, verbs)| verbs.contains(&first) && !writes(words));
    if looks { Effect::Read } else { Effect::Change }
}

/// Whether a word may name a file to write into.
fn writes(words: &[String]) -> bool {
    let mut words = words.iter();
    words.any(|word| word.starts_with("--output") || word == "-o" || word.starts_with("--raw"))
}

/// The work, and the step that it is performed as: every exit code is an outcome.
#[must_use]
pub fn performed_as(argv: &[String]) -> Option<(Step, Work)> {
    let (program, _) = argv.split_first()?;
    let ended = |code| (code, if code == 0 { "ok" } else { "not ok" }.to_owned());
    let step = Step {
        id: "ad-hoc".parse::<Slug>().ok()?,
        phase: Phase::Act,
        title: "Ad-hoc command".into(),
        instruction: None,
        effect: effect(argv),
        when: None,
        action: Action::Command(Command {
            program: program.clone(),
            arguments: Vec::new(),
            environment: std::collections::BTreeMap::new(),
            exit_codes: (0..=255).map(ended).collect(),
        }),
        facts: Vec::new(),
        evidence: Vec::new(),
        confirm: None,
        approve: None,
        timeout: TIMEOUT,
        attempts: 1,
        expect: None,
        verify: None,
        on_failure: None,
        necessity: Necessity::Skippable,
    };
    let work = Work::Command {
        argv: argv.to_vec(),
        environment: std::collections::BTreeMap::new(),
        secrets: Vec::new(),
    };
    Some((step, work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_look_is_a_read() {
        let reads = [
            "ls -l /var",
            "kubectl get pods",
            "git log -3",
            "systemctl status sshd",
            "tail -n 100 app.log",
        ];
        let changes = [
            "rm -rf build",
            "kubectl delete pod x",
            "kubectl -n shop get pods",
            "kubectl get --raw /x",
            "git push",
            "git diff --output=x",
            "systemctl restart sshd",
            "ls | xargs rm",
            "cat 'a b'",
            "cat a > b",
            "find . -delete",
            "date -s 12:00",
            "ss -K dst 10.0.0.1",
            "lsof -D b",
            "./ls",
            "",
        ];
        for line in reads {
            assert_eq!(effect(&argv(line)), Effect::Read, "{line}");
        }
        for line in changes {
            assert_eq!(effect(&argv(line)), Effect::Change, "{line}");
        }
    }
}
