//! A bench that steps a runbook through by the machine's own rules, with scripted effects instead of a world.

use std::collections::{BTreeMap, VecDeque};

use runbook::clock::{Span, Timestamp};
use runbook::digest::Digest;
use runbook::execution::accept::{NotAccepted, accept};
use runbook::execution::event::{
    Artifact, AttemptFinished, AttemptStarted, Ending, Established, Event, Evidence, HistoryWork,
    Learned, Opened, Operator, Origin, Resumed, RunbookRef, Work,
};
use runbook::execution::gate::{FreezeReading, clear};
use runbook::execution::next::{HandOver, Next, Performance, next};
use runbook::execution::plan::Plan;
use runbook::execution::question::{Asked, Draft, DraftFound, Question};
use runbook::execution::state::{Illegal, State};
use runbook::execution::step::StepState;
use runbook::ids::{Field, Slug};
use runbook::runbook::model::{Runbook, Step};
use runbook::runbook::shipped;
use serde_json::{Value as Json, json};

/// Most calls of `next` between two rests; far above what any step needs.
const MOST: usize = 2000;

/// A runbook around these parts, with the standard steps where the law wants them.
pub(crate) fn small(preflight: &str, guards: &str, steps: &str, closing: &str) -> Runbook {
    let part = |name: &str, text: &str| match text.trim() {
        "" => String::new(),
        _ => format!("{name}:\n{text}\n"),
    };
    let text = format!(
        "format: runbook/v1\nid: small\ntitle: Small\nsummary: Small.\nowner: kettles\nreviewed: 2026-11-20\n\
         inputs:\n  boss: {{type: principal}}\n  patience: {{type: duration, default: 10s}}\n\
         freeze: {{scope: environment, lease: 60m}}\n{}{}\
         steps:\n  - use: standard/freeze\n  - use: standard/read-run\n  - use: standard/preflight\n{steps}\n\
         \x20 - use: standard/close-checks\n  - use: standard/close-run\n{}\
         outcomes:\n  - {{label: calm, when: facts.level < 80}}\n  - {{label: ended, when: 'true', success: false}}\n",
        part("preflight", preflight),
        part("guards", guards),
        part("closing", closing),
    );
    read("small.yaml", &text)
}

/// Reads a runbook that is right.
pub(crate) fn read(file: &str, text: &str) -> Runbook {
    shipped::read(file, text.as_bytes()).unwrap_or_else(|mistakes| {
        use runbook::runbook::diagnostic::{Paint, render};
        panic!("{}", render(&mistakes, file, text.as_bytes(), Paint::Plain))
    })
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

pub(crate) fn field(text: &str) -> Field {
    text.parse().expect("a field")
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// What the scripted world answers.
pub(crate) struct World {
    /// The run; unreadable where it is null.
    pub(crate) run: Json,
    /// What each fact turns out to be; a step with a fact that is not here fails.
    pub(crate) facts: BTreeMap<Field, Json>,
    /// How the next attempts at a step end; afterwards it is done.
    pub(crate) endings: BTreeMap<Slug, VecDeque<Ending>>,
    /// What the freeze reads as; ours where there is nothing.
    pub(crate) freeze: Option<FreezeReading>,
}

/// A walk under way.
pub(crate) struct Bench {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<(Timestamp, Event)>,
    pub(crate) world: World,
}

impl Bench {
    pub(crate) fn of(runbook: Runbook, inputs: &[(&str, Json)]) -> Self {
        let by_hand = BTreeMap::new();
        let plan = Plan::new(runbook, &by_hand);
        let now = time("2026-11-20T23:00:00Z");
        let opened = opened(plan.runbook(), inputs);
        let event = Event::Opened(Box::new(opened));
        let state = State::open(now, &event).expect("opens");
        let world = World {
            run: json!({
                "id": "r-1", "workspace": "shop", "environment": "production", "launched_by": "lee",
                "stages": [], "state": "failed",
            }),
            facts: BTreeMap::new(),
            endings: BTreeMap::new(),
            freeze: None,
        };
        Self {
            plan,
            state,
            now,
            events: vec![(now, event)],
            world,
        }
    }

    /// A small runbook with these steps, `boss` given, and `level` at 3.
    pub(crate) fn with(preflight: &str, guards: &str, steps: &str, closing: &str) -> Self {
        let runbook = small(preflight, guards, steps, closing);
        let mut bench = Self::of(
            runbook,
            &[("boss", json!("bo")), ("patience", json!("10s"))],
        );
        bench.find("level", json!(3));
        bench
    }

    pub(crate) fn find(&mut self, fact: &str, value: Json) {
        self.world.facts.insert(field(fact), value);
    }

    pub(crate) fn end(&mut self, step: &str, endings: &[Ending]) {
        let endings = endings.iter().cloned().collect();
        self.world.endings.insert(slug(step), endings);
    }

    pub(crate) fn step(&self, id: &str) -> StepState {
        self.state.step(&slug(id))
    }

    pub(crate) fn record(&mut self, event: Event) -> Result<(), Illegal> {
        self.now = self.now.plus(Span::from_millis(1));
        self.state.apply(self.now, &event)?;
        self.events.push((self.now, event));
        Ok(())
    }

    pub(crate) fn next(&self) -> Next {
        next(&self.plan, &self.state, self.now)
    }

    /// Goes on until a person is asked; none at the end. Time passes as it is slept.
    pub(crate) fn go(&mut self) -> Option<Question> {
        for _ in 0..MOST {
            match self.next() {
                Next::Record(event) => self.record(event).expect("what the machine says is legal"),
                Next::Perform(performance) => self.perform(&performance),
                Next::Ask(question) => return Some(question),
                Next::Sleep(until) => {
                    assert!(until > self.now, "slept without time passing");
                    self.now = until;
                }
                Next::HandOver(_) | Next::Finished => return None,
            }
        }
        panic!(
            "no rest after {MOST} calls; at {:?}",
            self.plan.position(&self.state).map(|(_, s)| &s.id)
        );
    }

    /// Goes on to the question that this step puts.
    pub(crate) fn asked(&mut self, step: &str) -> Asked {
        let question = self.go().expect("a question");
        assert_eq!(question.step.as_str(), step, "{:?}", question.asked);
        question.asked
    }

    /// Answers the question that is put now.
    pub(crate) fn answer(&mut self, draft: Draft) -> Result<(), NotAccepted> {
        let question = self.go().expect("a question");
        let event = accept(&self.plan, &self.state, &question, draft, self.now)?;
        self.record(event).expect("what was accepted is legal");
        Ok(())
    }

    pub(crate) fn say(&mut self, draft: Draft) {
        self.answer(draft).expect("an answer that is accepted");
    }

    /// Leaves and comes back.
    pub(crate) fn resume(&mut self) {
        let resumed = Resumed {
            operator: self.state.operator.clone(),
            host: "there".into(),
            by_hand: BTreeMap::new(),
            adopted: None,
        };
        self.record(Event::Resumed(resumed)).expect("resumes");
    }

    /// The intent, without its outcome.
    pub(crate) fn start(&mut self, p: &Performance) -> bool {
        let step = self.plan.step(&p.work_of).expect("a step").clone();
        let clearance = p.change.then(|| {
            let reading = self.world.freeze.clone().unwrap_or_else(|| self.ours());
            clear(&self.plan, &self.state, &step, &p.work, &reading, self.now)
        });
        let event = match clearance.transpose() {
            Ok(clearance) => Event::AttemptStarted(Box::new(AttemptStarted {
                step: p.step.clone(),
                work_of: p.work_of.clone(),
                attempt: p.attempt,
                work: p.work.clone(),
                clearance,
            })),
            Err(grounds) => Event::Refused {
                step: p.step.clone(),
                grounds,
            },
        };
        let started = matches!(event, Event::AttemptStarted(_));
        self.record(event).expect("an intent is legal");
        started
    }

    fn perform(&mut self, p: &Performance) {
        if !self.start(p) || p.work == Work::ByHand {
            return;
        }
        let step = self.plan.step(&p.work_of).expect("a step").clone();
        let known = step
            .facts
            .iter()
            .all(|f| self.world.facts.contains_key(&f.id) || is_of_run(f.id.as_str()));
        let unreadable = p.work == Work::History(HistoryWork::ReadRun) && self.world.run.is_null();
        let scripted = self
            .world
            .endings
            .get_mut(&step.id)
            .and_then(VecDeque::pop_front);
        let ending = scripted.unwrap_or(if known && !unreadable {
            done()
        } else {
            failed()
        });
        self.finish(p, &step, ending);
    }

    /// The execution that was handed over to has ended so.
    pub(crate) fn take_back(&mut self, to: &HandOver, ending: Ending) {
        let open = self.state.step(&to.step).open.expect("it was handed over");
        let step = self.plan.step(&to.step).expect("a step").clone();
        let performance = Performance {
            step: step.id.clone(),
            work_of: step.id.clone(),
            attempt: open.attempt,
            work: open.work,
            change: false,
        };
        self.finish(&performance, &step, ending);
    }

    /// The outcome of what was started last.
    pub(crate) fn finish(&mut self, p: &Performance, step: &Step, ending: Ending) {
        let is_done = matches!(ending, Ending::Done { .. });
        let value = |id: &Field| match self.world.facts.get(id) {
            Some(value) => value.clone(),
            None => json!("lee"),
        };
        let facts = step
            .facts
            .iter()
            .filter(|_| is_done)
            .map(|f| (f.id.clone(), value(&f.id)));
        let finished = AttemptFinished {
            step: p.step.clone(),
            work_of: p.work_of.clone(),
            attempt: p.attempt,
            facts: facts.collect(),
            evidence: evidence(step, Origin::Measured),
            learned: is_done.then(|| self.learned(&p.work)).flatten(),
            ending,
            took: Span::from_millis(1),
        };
        self.record(Event::AttemptFinished(Box::new(finished)))
            .expect("an outcome is legal");
    }

    fn learned(&self, work: &Work) -> Option<Learned> {
        let Work::History(work) = work else {
            return None;
        };
        match work {
            HistoryWork::TakeFreeze { scope, .. } | HistoryWork::RetakeFreeze { scope, .. } => {
                Some(Learned::Frozen {
                    id: "f-1".into(),
                    fence: 7,
                    scope: scope.clone(),
                })
            }
            HistoryWork::ReadRun => Some(Learned::Run {
                document: self.world.run.clone(),
            }),
            HistoryWork::ReadLogs => None,
            HistoryWork::PostComment { .. } => Some(Learned::Commented("c-1".into())),
            HistoryWork::PostViolation { .. } => Some(Learned::Told("c-2".into())),
            HistoryWork::MarkTarget { .. } => Some(Learned::Marked),
            HistoryWork::ReleaseFreeze { .. } => Some(Learned::Released),
        }
    }

    /// The freeze as it is while nobody interferes.
    pub(crate) fn ours(&self) -> FreezeReading {
        FreezeReading::Read {
            ours: self.state.freeze.as_ref().map(|f| (f.id.clone(), f.fence)),
            others: Vec::new(),
            ended: None,
        }
    }

    /// How often the step's own work was started.
    pub(crate) fn started(&self, id: &str) -> usize {
        let own = |event: &Event| matches!(event, Event::AttemptStarted(s) if s.step.as_str() == id && s.work_of == s.step);
        self.events.iter().filter(|(_, event)| own(event)).count()
    }
}

/// Facts of the standard steps, which the scripted run always has.
fn is_of_run(id: &str) -> bool {
    ["launched_by", "template_stack"].contains(&id)
}

pub(crate) fn done() -> Ending {
    Ending::Done {
        outcome: "ok".into(),
        code: None,
    }
}

pub(crate) fn failed() -> Ending {
    Ending::Failed {
        why: "it said no".into(),
        code: None,
    }
}

pub(crate) fn doubtful() -> Ending {
    Ending::Doubtful {
        why: "no answer".into(),
    }
}

pub(crate) fn evidence(step: &Step, origin: Origin) -> Vec<Evidence> {
    let item = |spec: &runbook::runbook::model::EvidenceSpec| Evidence {
        id: Some(spec.id.clone()),
        artifact: artifact(),
        origin,
    };
    step.evidence.iter().map(item).collect()
}

fn artifact() -> Artifact {
    Artifact {
        path: "artifacts/x.txt".into(),
        sha256: Digest::of("x"),
        size: 1,
        media_type: "text/plain".into(),
    }
}

/// What a person found: these facts, no evidence.
pub(crate) fn found(facts: &[(&str, Json)]) -> DraftFound {
    DraftFound {
        facts: facts.iter().map(|(id, v)| (field(id), v.clone())).collect(),
        evidence: Vec::new(),
    }
}

pub(crate) fn facts(of: &[(&str, Json)]) -> Draft {
    Draft::Facts(found(of))
}

pub(crate) fn again() -> Draft {
    Draft::Retry {
        reason: "it may work now".into(),
    }
}

fn opened(runbook: &Runbook, inputs: &[(&str, Json)]) -> Opened {
    Opened {
        id: "01938f00-0000-7000-8000-000000000001"
            .parse()
            .expect("an id"),
        tool: "runbook 0".into(),
        host: "here".into(),
        operator: Operator {
            name: "op".parse().expect("a name"),
            established: Established::OsUser,
        },
        runbook: RunbookRef {
            id: runbook.id.clone(),
            path: None,
            digest: runbook.digest(),
            files: Vec::new(),
        },
        profile: None,
        run_id: "r-1".parse().expect("a run id"),
        target: "shop/production".parse().expect("a target"),
        inputs: inputs
            .iter()
            .map(|(id, v)| (field(id), v.clone()))
            .collect(),
        by_hand: BTreeMap::new(),
        drill: None,
        handed_over: None,
    }
}
