//! The console of a person: line by line, so that scrollback, ssh, tmux and a serial line all work.
//!
//! Words that begin with a colon are for the tool, at every prompt: `:help`, `:note TEXT`, `:pause`, `:cannot REASON`,
//! `:abort REASON`, `:why`. Everything else answers the question. Ctrl-C at a prompt explains itself once and then pauses; the end of
//! input pauses, and so does a signal to leave. None of them answers anything.

use std::collections::BTreeMap;

use rustyline::error::ReadlineError;
use serde_json::Value as Json;

use crate::clock::Span;
use crate::effects::console::{Console, Given, Reply};
use crate::effects::signals::Signals;
use crate::execution::ad_hoc::argv;
use crate::execution::event::Event;
use crate::execution::found::wanted;
use crate::execution::plan::Plan;
use crate::execution::question::{Asked, Draft, DraftFound, Question, Way};
use crate::execution::state::State;
use crate::ids::{Field, Slug};
use crate::report;
use crate::report::text::{BAD, FAINT, styled};
use crate::runbook::model::{EvidenceSpec, FactSpec, Input, Step};

use super::editor::{Came, Editor};
use super::narrator::Narrator;

/// A person at a terminal.
pub(crate) struct Terminal {
    editor: Editor,
    narrator: Narrator,
    /// Whether the last thing told was why a step cannot go on.
    told_failure: bool,
    /// What was already typed for the question under way, so that a remark in between loses nothing.
    typed: (Option<Slug>, BTreeMap<Field, Json>, BTreeMap<Field, Given>),
}

/// What a prompt gave instead of text.
enum Left {
    /// A reply of its own.
    Reply(Reply),
}

type Typed<T> = Result<T, Left>;

impl Terminal {
    /// A console on the terminal of this process.
    ///
    /// # Errors
    /// Where the terminal cannot be used.
    pub(crate) fn new(signals: Signals) -> Result<Self, ReadlineError> {
        Ok(Self {
            editor: Editor::new(signals)?,
            narrator: Narrator::default(),
            told_failure: false,
            typed: Default::default(),
        })
    }

    /// Asks for an input; nothing where the person leaves.
    pub(crate) fn input(&mut self, input: &Input) -> Option<Json> {
        let words = input.prompt.clone().unwrap_or_else(|| input.id.to_string());
        let wanted = if input.one_of.is_empty() {
            input.kind.wanted()
        } else {
            input.one_of.join(" | ")
        };
        loop {
            let asked = format!("{words} {}", styled(FAINT, &format!("[{wanted}]")));
            let line = match self.line(&asked) {
                Ok(line) => line,
                Err(Left::Reply(Reply::AdHoc(_) | Reply::Note(_))) => {
                    self.narrator
                        .say("  Not yet: the execution begins after this.");
                    continue;
                }
                Err(Left::Reply(_)) => return None,
            };
            match input.kind.read(&line) {
                Ok(value)
                    if input.one_of.is_empty() || input.one_of.iter().any(|one| value == **one) =>
                {
                    return Some(value);
                }
                Ok(_) => self.narrator.say(&format!(
                    "  `{line}` is not one of {}.",
                    input.one_of.join(", ")
                )),
                Err(why) => self.narrator.say(&format!("  `{line}` {why}.")),
            }
        }
    }

    /// Asks until there is text, or the person leaves.
    fn line(&mut self, prompt: &str) -> Typed<String> {
        let mut interrupted = false;
        loop {
            match self.editor.line(&format!("  {prompt} > ")) {
                Came::Line(line) => {
                    interrupted = false;
                    let line = line.trim().to_owned();
                    if let Some(command) = line.strip_prefix('!') {
                        return Err(Left::Reply(Reply::AdHoc(argv(command))));
                    }
                    match line
                        .split_once(char::is_whitespace)
                        .map_or((line.as_str(), ""), |(a, b)| (a, b.trim()))
                    {
                        ("", _) => {}
                        ("?" | ":help" | ":h", _) => self.help(),
                        (":note", "") => self
                            .narrator
                            .say("  Write the remark after it: `:note TEXT`"),
                        (":note", text) => return Err(Left::Reply(Reply::Note(text.to_owned()))),
                        (":pause" | ":quit" | ":q", _) => {
                            return Err(pause("the operator paused it"));
                        }
                        (":abort", reason) => return self.abort(reason),
                        (":cannot", "") => {
                            self.narrator.say("  Write why after it: `:cannot REASON`");
                        }
                        (":cannot", reason) => {
                            let reason = reason.to_owned();
                            return Err(Left::Reply(Reply::Answer {
                                draft: Draft::NotDone { reason },
                                given: Vec::new(),
                            }));
                        }
                        (":why", _) => return Err(Left::Reply(Reply::Note(String::new()))),
                        (word, _) if word.starts_with(':') => {
                            self.narrator.say(&format!(
                                "  There is no `{word}`; `:help` lists what there is."
                            ));
                        }
                        _ => return Ok(line),
                    }
                }
                Came::Interrupt if !interrupted => {
                    interrupted = true;
                    self.narrator.say("  Nothing was answered. `:pause` leaves for now, `:abort` ends it; Ctrl-C again pauses.");
                }
                Came::Interrupt => return Err(pause("interrupted")),
                Came::End(why) => return Err(pause(&why)),
            }
        }
    }

    fn help(&mut self) {
        self.narrator.say(
            "  :note TEXT      remark something, on the record\n  !COMMAND        run a command beside the steps: guarded, and kept as evidence\n  :pause          leave for now; `runbook resume` goes on\n  \
             :cannot REASON  what is to be done by hand cannot be done\n  \
             :abort REASON   end the execution; the freeze stays\n  Ctrl-C          stops a command that is under way",
        );
    }

    fn abort<T>(&mut self, reason: &str) -> Typed<T> {
        let reason = match reason {
            "" => self.line("Why is it aborted?")?,
            given => given.to_owned(),
        };
        Err(Left::Reply(Reply::Abort { reason }))
    }

    fn answer(&mut self, plan: &Plan, state: &State, question: &Question) -> Typed<Reply> {
        let draft = match &question.asked {
            Asked::ByHand { work_of } => return self.by_hand(plan, state, work_of),
            Asked::Choose { offered, .. } => self.choose(offered)?,
            Asked::Confirm { expected, .. } => {
                Draft::Confirm(self.line(&format!("Type `{expected}` to go on"))?)
            }
            Asked::Approve { by, .. } => self.approve(by.as_str())?,
            Asked::Acknowledge { .. } => Draft::Acknowledge {
                reason: self.line("Why is this acceptable (or `:abort`)?")?,
            },
            Asked::Failed { ways, .. } => return self.failed(plan, state, question, ways),
            Asked::Beside { .. } => Draft::Settled {
                reason: self.line("What came of it, and how is that known?")?,
            },
            Asked::InDoubt { .. } => return self.in_doubt(plan, state, question),
        };
        Ok(Reply::Answer {
            draft,
            given: Vec::new(),
        })
    }

    fn choose(&mut self, offered: &[Slug]) -> Typed<Draft> {
        let option = loop {
            let line = self.line("Number or name")?;
            let numbered = line
                .parse::<usize>()
                .ok()
                .and_then(|n| offered.get(n.checked_sub(1)?));
            match numbered.or_else(|| offered.iter().find(|o| o.as_str() == line)) {
                Some(option) => break option.clone(),
                None => self
                    .narrator
                    .say(&format!("  `{line}` cannot be chosen here.")),
            }
        };
        let reason = self.line(&format!("Why {option}?"))?;
        Ok(Draft::Choose { option, reason })
    }

    fn approve(&mut self, by: &str) -> Typed<Draft> {
        loop {
            let line = self.line(&format!(
                "{by} types the own name to approve, or `reject REASON`"
            ))?;
            if let Some(reason) = line.strip_prefix("reject") {
                let reason = match reason.trim() {
                    "" => self.line("Why is it rejected?")?,
                    given => given.to_owned(),
                };
                if let Ok(by) = by.parse() {
                    return Ok(Draft::Reject { by, reason });
                }
            }
            match line.parse() {
                Ok(by) => return Ok(Draft::Approve { by }),
                Err(why) => self.narrator.say(&format!("  `{line}` {why}")),
            }
        }
    }

    fn failed(
        &mut self,
        plan: &Plan,
        state: &State,
        question: &Question,
        ways: &[Way],
    ) -> Typed<Reply> {
        let mut menu: Vec<(char, String)> = ways.iter().map(report::question::way).collect();
        menu.push(('p', "pause: leave for now, and resume later".into()));
        menu.push(('a', "abort: end the execution; the freeze stays".into()));
        for (key, words) in &menu {
            self.narrator.say(&format!("    {key}  {words}"));
        }
        loop {
            let line = self.line("What now?")?;
            let key = line.chars().next().unwrap_or(' ');
            let way = ways
                .iter()
                .find(|w| report::question::way(w).0 == key && line.len() == 1);
            let draft = match (way, line.as_str()) {
                (Some(Way::Retry), _) => Draft::Retry {
                    reason: self.line("What makes another try worth it?")?,
                },
                (Some(Way::FreezeAgain), _) => Draft::FreezeAgain {
                    reason: self.line("Why is it right to go on?")?,
                },
                (Some(Way::LookAgain), _) => Draft::LookAgain,
                (Some(Way::Skip), _) => Draft::Skip {
                    reason: self.line("Why is it left out?")?,
                },
                (Some(Way::BackTo(_)), _) => Draft::BackTo {
                    reason: self.line("Why go back?")?,
                },
                (Some(Way::DoneByHand), _) => return self.done_by_hand(plan, state, question),
                (None, "p") => return Err(pause("the operator paused it")),
                (None, "a") => return self.abort(""),
                (None, _) => {
                    self.narrator.say(&format!("  `{line}` is none of these."));
                    continue;
                }
            };
            return Ok(Reply::Answer {
                draft,
                given: Vec::new(),
            });
        }
    }

    fn in_doubt(&mut self, plan: &Plan, state: &State, question: &Question) -> Typed<Reply> {
        let verify = plan.step(&question.step).and_then(|s| s.verify.as_ref());
        let look = if verify.is_some() {
            ", `look` to read it back once more"
        } else {
            ""
        };
        loop {
            match self
                .line(&format!(
                    "Did it take effect? `yes`, `no`{look}, or `:pause`"
                ))?
                .as_str()
            {
                "yes" => return self.done_by_hand(plan, state, question),
                "look" if verify.is_some() => {
                    return Ok(Reply::Answer {
                        draft: Draft::LookAgain,
                        given: Vec::new(),
                    });
                }
                "no" => {
                    let reason = self.line("How is that known?")?;
                    return Ok(Reply::Answer {
                        draft: Draft::NotDone { reason },
                        given: Vec::new(),
                    });
                }
                other => self.narrator.say(&format!(
                    "  `{other}` is neither; write `yes` or `no` in full."
                )),
            }
        }
    }

    fn done_by_hand(&mut self, plan: &Plan, state: &State, question: &Question) -> Typed<Reply> {
        let Some(step) = plan.step(&question.step) else {
            return Err(pause("the step is gone"));
        };
        let (facts, evidence) = wanted(state, step);
        let (found, given) = self.found(step, &facts, &evidence)?;
        let reason = self.line("How was it done, and how is that known?")?;
        self.typed = Default::default();
        Ok(Reply::Answer {
            draft: Draft::DoneByHand { found, reason },
            given,
        })
    }

    fn by_hand(&mut self, plan: &Plan, state: &State, work_of: &Slug) -> Typed<Reply> {
        let Some(step) = plan.step(work_of) else {
            return Err(pause("the step is gone"));
        };
        let (facts, evidence) = wanted(state, step);
        if facts.is_empty() && evidence.is_empty() {
            loop {
                match self.line("Type `done` when it is done")?.as_str() {
                    "done" => break,
                    other => self.narrator.say(&format!("  `{other}` is not `done`.")),
                }
            }
        }
        let (found, given) = self.found(step, &facts, &evidence)?;
        self.typed = Default::default();
        Ok(Reply::Answer {
            draft: Draft::Facts(found),
            given,
        })
    }

    fn found(
        &mut self,
        step: &Step,
        facts: &[&FactSpec],
        evidence: &[&EvidenceSpec],
    ) -> Typed<(DraftFound, Vec<(Field, Given)>)> {
        if self.typed.0.as_ref() != Some(&step.id) {
            self.typed = (Some(step.id.clone()), BTreeMap::new(), BTreeMap::new());
        }
        for spec in facts {
            while !self.typed.1.contains_key(&spec.id) {
                let line = self.line(&fact_prompt(spec))?;
                match spec.kind.read(&line) {
                    Ok(value) if is_listed(spec, &value) => {
                        self.typed.1.insert(spec.id.clone(), value);
                    }
                    Ok(_) => self.narrator.say(&format!(
                        "  `{line}` is not one of {}.",
                        spec.one_of.join(", ")
                    )),
                    Err(why) => self.narrator.say(&format!("  `{line}` {why}.")),
                }
            }
        }
        for spec in evidence {
            while !self.typed.2.contains_key(&spec.id) {
                let line = self.line(&format!("evidence {}: text, or `@FILE`", spec.id))?;
                let given = match line.strip_prefix('@') {
                    Some(path) if !std::path::Path::new(path).is_file() => {
                        self.narrator
                            .say(&format!("  `{path}` is not a file that can be read."));
                        continue;
                    }
                    Some(path) => Given::File(path.into()),
                    None => Given::Text(line),
                };
                self.typed.2.insert(spec.id.clone(), given);
            }
        }
        let facts = self.typed.1.clone();
        Ok((
            DraftFound {
                facts,
                evidence: Vec::new(),
            },
            self.typed.2.clone().into_iter().collect(),
        ))
    }
}

impl Console for Terminal {
    fn recorded(&mut self, plan: &Plan, state: &State, event: &Event) {
        self.told_failure = matches!(
            event,
            Event::Refused { .. } | Event::StepJudged { .. } | Event::AttemptFinished(_)
        );
        self.narrator.recorded(plan, state, event);
        if matches!(event, Event::Opened(_) | Event::Resumed(_)) {
            let drill = match state.opened.drill {
                Some(_) => " You play everybody whose name comes up.",
                None => "",
            };
            self.narrator.say(&format!(
                "`?` at any prompt lists what else can be typed.{drill}"
            ));
        }
    }

    fn live(&mut self, line: &str) {
        self.narrator.live(line);
    }

    fn elapsed(&mut self, span: Span) {
        self.narrator.elapsed(span);
    }

    fn ask(&mut self, plan: &Plan, state: &State, question: &Question) -> Reply {
        self.narrator.head(plan, state);
        loop {
            if matches!(question.asked, Asked::Failed { .. }) && self.told_failure {
                self.narrator.say("  This step cannot go on by itself.");
            } else {
                let put = report::question::put(plan, state, question);
                if !put.is_empty() {
                    self.narrator.say(&put);
                }
            }
            match self.answer(plan, state, question) {
                // `:why` comes as an empty remark: the question is put again, with all that stands around it.
                Err(Left::Reply(Reply::Note(text))) if text.is_empty() => {
                    if let Some((number, step)) = plan.position(state) {
                        self.narrator
                            .say(&report::step::head(plan, state, number, step));
                    }
                }
                Ok(reply) | Err(Left::Reply(reply)) => return reply,
            }
        }
    }

    fn not_accepted(&mut self, why: &str) {
        self.typed = Default::default();
        self.narrator.say(&format!(
            "  {} {}",
            styled(BAD, "not accepted:"),
            report::text::harmless(why)
        ));
    }
}

fn pause(reason: &str) -> Left {
    Left::Reply(Reply::Pause {
        reason: reason.into(),
    })
}

fn fact_prompt(spec: &FactSpec) -> String {
    let words = spec.prompt.clone().unwrap_or_else(|| spec.id.to_string());
    let unit = spec
        .unit
        .as_ref()
        .map_or(String::new(), |unit| format!(", {unit}"));
    let wanted = if spec.one_of.is_empty() {
        spec.kind.wanted()
    } else {
        spec.one_of.join(" | ")
    };
    format!("{words} {}", styled(FAINT, &format!("[{wanted}{unit}]")))
}

fn is_listed(spec: &FactSpec, value: &Json) -> bool {
    spec.one_of.is_empty()
        || value
            .as_str()
            .is_some_and(|v| spec.one_of.iter().any(|one| one == v))
}
