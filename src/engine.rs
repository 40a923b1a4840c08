//! The loop: ask the machine what comes next, write the intent, perform it, write the outcome.
//!
//! All control flow of an execution is here. Whatever ends this process, at any point, the journal holds every intent
//! whose effect may have reached the world, and every outcome that was shown.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Span, Timestamp};
use crate::effects::console::{Console, Given, Reply};
use crate::effects::hands::{Hands, Performed, Task};
use crate::effects::live;
use crate::effects::signals::{Heard, Signals};
use crate::effects::stop::stop;
use crate::execution::accept::accept;
use crate::execution::ad_hoc;
use crate::execution::event::{
    AttemptFinished, AttemptStarted, Ending, Event, Evidence, Ground, Origin, StepVerdict, Work,
};
use crate::execution::found::{CameBack, extract};
use crate::execution::gate;
use crate::execution::next::{HandOver, Next, Performance, next};
use crate::execution::plan::Plan;
use crate::execution::question::{Draft, Question};
use crate::execution::state::{Illegal, Standing, State};
use crate::ids::{Field, Principal, Slug};
use crate::journal::{AppendError, Journal};
use crate::redact::Redactor;
use crate::runbook::model::{Effect, Step};

/// Largest file that a person may give as evidence: 64 MiB; a screenshot or a log excerpt is far below.
const LARGEST_GIVEN: u64 = 64 << 20;
/// Lines that wait for the screen before further ones are dropped from it; the record has them all.
const LINES: usize = 256;
/// Between two signs that work is still under way.
const TICK: Duration = Duration::from_secs(1);

/// Why the loop cannot go on. The execution can be resumed once the cause is gone.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An event could not be made durable, so nothing further is performed.
    #[error("the journal cannot be written, so nothing more is performed")]
    Journal(#[from] AppendError),
    /// The machine asked for something that cannot follow: a bug.
    #[error("the machine contradicts itself")]
    Contradiction(#[from] Illegal),
    /// An event cannot be written without a secret in it.
    #[error("an event would have held a secret that cannot be masked")]
    Secret,
}

/// How the loop came to rest.
#[derive(Debug, Clone, PartialEq)]
pub enum Rest {
    /// The execution ended for good.
    Ended,
    /// It was paused; it can be resumed.
    Paused,
    /// It waits for the end of another execution, which may still have to begin.
    HandedOver(HandOver),
    /// It needs an answer that nobody here can give; it can be resumed.
    NeedsPerson {
        /// The question.
        question: Box<Question>,
        /// What would be needed.
        needs: String,
    },
}

/// How an execution ended that was handed over to.
#[derive(Debug, Clone, PartialEq)]
pub enum OtherEnd {
    /// It closed.
    Closed {
        /// With this outcome.
        outcome: Slug,
        /// Whether that counts as a success.
        success: bool,
    },
    /// It was aborted.
    Aborted {
        /// Which, and why.
        why: String,
    },
}

/// What came of an ad-hoc command.
#[derive(Debug, Clone, PartialEq)]
pub enum AdHocRest {
    /// It was run, and ended so.
    Ended(Ending),
    /// It was refused on these grounds, which are on record.
    Refused(Vec<Ground>),
    /// It was not even judged, or could not be recorded; nothing was run.
    NotBegun(String),
}

/// Whether an event was recorded as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Whole,
    Instead,
}

/// An execution as it is taken up.
pub struct TakenUp {
    /// What is stepped through.
    pub plan: Plan,
    /// What its journal says.
    pub state: State,
    /// Where it is recorded.
    pub journal: Journal,
    /// Masks its secrets.
    pub redactor: Redactor,
    /// Who acts from here on, and signs every entry.
    pub actor: Principal,
}

/// One execution under way in this process.
pub struct Engine<C, H> {
    plan: Plan,
    state: State,
    journal: Journal,
    redactor: Redactor,
    actor: Principal,
    console: C,
    hands: H,
    signals: Signals,
}

impl<C: Console, H: Hands> Engine<C, H> {
    /// Takes up an execution.
    pub fn new(taken_up: TakenUp, console: C, hands: H, signals: Signals) -> Self {
        let TakenUp {
            plan,
            state,
            journal,
            redactor,
            actor,
        } = taken_up;
        Self {
            plan,
            state,
            journal,
            redactor,
            actor,
            console,
            hands,
            signals,
        }
    }

    /// What is stepped through.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is stepped through, what is true now, and the console, for what is handed over.
    pub fn at_the_desk(&mut self) -> (&Plan, &State, &mut C) {
        (&self.plan, &self.state, &mut self.console)
    }

    /// What is true now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Goes on until the execution ends, is paused, or needs somebody.
    ///
    /// # Errors
    /// [`EngineError`]; everything recorded before it stays recorded.
    pub async fn run(&mut self) -> Result<Rest, EngineError> {
        loop {
            if let Some(rest) = self.advance().await? {
                return Ok(rest);
            }
        }
    }

    /// Goes on by one thing.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn advance(&mut self) -> Result<Option<Rest>, EngineError> {
        let open = self.state.standing == Standing::Open;
        if let Some(heard) = open.then(|| self.signals.take()).flatten() {
            return self.pause(heard.reason()).map(Some);
        }
        match next(&self.plan, &self.state, Timestamp::now()) {
            Next::Record(event) => self.record(event)?,
            Next::Perform(performance) => self.perform(performance).await?,
            Next::Ask(question) => return self.ask(&question).await,
            Next::Sleep(until) => self.sleep(until).await?,
            Next::HandOver(hand_over) => return Ok(Some(Rest::HandedOver(hand_over))),
            Next::Finished => return Ok(Some(Rest::Ended)),
        }
        Ok(None)
    }

    /// Makes an event durable, then true, then seen; in this order.
    ///
    /// # Errors
    /// [`EngineError`]; the event is then not recorded.
    pub fn record(&mut self, event: Event) -> Result<(), EngineError> {
        let event = self.without_secrets(event)?;
        self.state.clone().apply(Timestamp::now(), &event)?;
        for entry in self.journal.append(&self.actor, &event)? {
            self.state.apply(entry.time, &entry.event)?;
            self.console.recorded(&self.plan, &self.state, &entry.event);
        }
        Ok(())
    }

    /// Records an event, or what stands for it where it does not fit into the journal: an execution must not come to its
    /// end at a value that is merely long.
    fn record_or(
        &mut self,
        event: Event,
        instead: impl FnOnce(String) -> Event,
    ) -> Result<Fit, EngineError> {
        match self.record(event) {
            Ok(()) => Ok(Fit::Whole),
            Err(EngineError::Journal(why @ AppendError::TooBig { .. })) => {
                self.record(instead(why.to_string())).map(|()| Fit::Instead)
            }
            Err(error) => Err(error),
        }
    }

    /// Masks registered secrets wherever they stand in the event.
    fn without_secrets(&self, event: Event) -> Result<Event, EngineError> {
        let text = serde_json::to_string(&event).map_err(|_| EngineError::Secret)?;
        let masked = self.redactor.text(&text);
        if masked == text {
            return Ok(event);
        }
        serde_json::from_str(&masked).map_err(|_| EngineError::Secret)
    }

    async fn perform(&mut self, performance: Performance) -> Result<(), EngineError> {
        let Performance {
            step,
            work_of,
            attempt,
            work,
            change,
        } = performance;
        let Some(of) = self.plan.step(&work_of).cloned() else {
            let why = format!("the runbook has no step `{work_of}`");
            return Err(EngineError::Contradiction(Illegal {
                what: "attempt.started",
                why,
            }));
        };
        let change = change || gate::needs_clearance(&of);
        let clearance = if change {
            let reading = self.hands.read_freeze().await;
            match gate::clear(
                &self.plan,
                &self.state,
                &of,
                &work,
                &reading,
                Timestamp::now(),
            ) {
                Ok(clearance) => Some(clearance),
                Err(grounds) => return self.record(Event::Refused { step, grounds }),
            }
        } else {
            None
        };
        if self.signals.heard().is_some() {
            // Nothing is begun any more; whoever advances next hears it.
            return Ok(());
        }
        let fence = clearance.as_ref().map(|c| c.fence);
        let started = AttemptStarted {
            step: step.clone(),
            work_of: work_of.clone(),
            attempt,
            work,
            clearance,
        };
        let work = started.work.clone();
        let refused_step = step.clone();
        let fit = self.record_or(Event::AttemptStarted(Box::new(started)), |why| {
            let what = "what exactly to perform".into();
            Event::Refused {
                step: refused_step,
                grounds: vec![Ground::Unknown { what, why }],
            }
        })?;
        if fit == Fit::Instead || matches!(work, Work::ByHand | Work::HandOver { .. }) {
            return Ok(());
        }
        let began = Instant::now();
        let performed = self.watch(&of, &work, attempt, fence).await;
        let took =
            Span::from_millis(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let (ending, facts) = self.outcome(&of, performed.ending, &performed.came_back, change);
        let finished = AttemptFinished {
            step,
            work_of,
            attempt,
            ending,
            facts,
            evidence: performed.evidence,
            learned: performed.learned,
            took,
        };
        let mut without = AttemptFinished {
            facts: std::collections::BTreeMap::new(),
            learned: None,
            ..finished.clone()
        };
        self.record_or(Event::AttemptFinished(Box::new(finished)), |why| {
            let why = format!("what it found out could not be recorded: {why}");
            without.ending = if change {
                Ending::Doubtful { why }
            } else {
                Ending::Failed { why, code: None }
            };
            Event::AttemptFinished(Box::new(without))
        })
        .map(drop)
    }

    /// Runs an ad-hoc command, unless something stands against it.
    ///
    /// # Errors
    /// [`EngineError`]; the command is then not run, or it is on record that it was begun.
    pub async fn ad_hoc(&mut self, argv: Vec<String>) -> Result<AdHocRest, EngineError> {
        let Some((step, work)) = ad_hoc::performed_as(&argv) else {
            return Ok(AdHocRest::NotBegun("there is no command".into()));
        };
        let reading = self.hands.read_freeze().await;
        if let Some(heard) = self.signals.heard() {
            return Ok(AdHocRest::NotBegun(heard.reason()));
        }
        let judged = (&work, step.effect);
        let clearance =
            gate::clear_ad_hoc(&self.plan, &self.state, judged, &reading, Timestamp::now());
        let (event, rest) = match clearance {
            Ok(clearance) => (Event::AdHocStarted { argv, clearance }, None),
            Err(grounds) => {
                let refused = Some(AdHocRest::Refused(grounds.clone()));
                (Event::AdHocRefused { argv, grounds }, refused)
            }
        };
        match self.record(event) {
            // What is not on record is not run.
            Err(EngineError::Journal(why @ AppendError::TooBig { .. })) => {
                return Ok(AdHocRest::NotBegun(why.to_string()));
            }
            recorded => recorded?,
        }
        match rest {
            Some(rest) => Ok(rest),
            None => self.run_ad_hoc(&step, &work).await.map(AdHocRest::Ended),
        }
    }

    /// Runs the ad-hoc command whose intent is on record.
    async fn run_ad_hoc(&mut self, step: &Step, work: &Work) -> Result<Ending, EngineError> {
        let held = self.state.freeze.as_ref().map(|freeze| freeze.fence);
        let fence = held.filter(|_| step.effect == Effect::Change);
        let number = u32::try_from(self.state.ad_hoc.len()).unwrap_or(u32::MAX);
        let began = Instant::now();
        let performed = match &self.state.opened.drill {
            Some(_) => Performed::not_performed("a drill runs no programs"),
            None => self.watch(step, work, number, fence).await,
        };
        let took =
            Span::from_millis(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        let ending = performed.ending;
        self.record(Event::AdHocFinished {
            ending: ending.clone(),
            evidence: performed.evidence,
            took,
        })?;
        Ok(ending)
    }

    /// Records how the execution ended that the step under way had handed over to.
    ///
    /// # Errors
    /// [`EngineError`]; also where nothing is waited for.
    pub fn take_back(&mut self, ended: OtherEnd) -> Result<(), EngineError> {
        let nothing = || Illegal {
            what: "attempt.finished",
            why: "nothing was handed over".into(),
        };
        let position = self.plan.position(&self.state);
        let step = position.map(|(_, step)| step.clone()).ok_or_else(nothing)?;
        let open = self.state.step(&step.id).open.ok_or_else(nothing)?;
        let failed = |why: String| Ending::Failed { why, code: None };
        let (ending, outcome) = match ended {
            // What is no success passes only where the step says what it expects.
            OtherEnd::Closed {
                outcome,
                success: false,
            } if step.expect.is_none() => {
                let why = format!("it closed as `{outcome}`, which is no success");
                (failed(why), String::new())
            }
            OtherEnd::Closed { outcome, .. } => {
                let (outcome, code) = (outcome.to_string(), None);
                let done = Ending::Done {
                    outcome: outcome.clone(),
                    code,
                };
                (done, outcome)
            }
            OtherEnd::Aborted { why } => (failed(why), String::new()),
        };
        let came_back = CameBack {
            outcome,
            ..CameBack::default()
        };
        let (ending, facts) = self.outcome(&step, ending, &came_back, false);
        let finished = AttemptFinished {
            step: step.id.clone(),
            work_of: step.id,
            attempt: open.attempt,
            ending,
            facts,
            evidence: Vec::new(),
            learned: None,
            took: Timestamp::now().since(open.since),
        };
        self.record(Event::AttemptFinished(Box::new(finished)))
    }

    /// Performs work while showing what it prints. Ctrl-C stops it, and so does being told to leave.
    async fn watch(
        &mut self,
        step: &Step,
        work: &Work,
        attempt: u32,
        fence: Option<u64>,
    ) -> Performed {
        let (live, mut lines) = live::channel(LINES);
        let (stopper, stop) = stop();
        let task = Task {
            step,
            work,
            attempt,
            timeout: step.timeout,
            fence,
            artifacts: self.journal.artifacts(),
            live,
            stop,
        };
        let began = Instant::now();
        let mut tick = tokio::time::interval(TICK);
        let performing = self.hands.perform(task);
        let signals = self.signals.clone();
        tokio::pin!(performing);
        let mut stopping = false;
        let performed = loop {
            tokio::select! {
                biased;
                _ = signals.wait(), if !stopping => {
                    stopping = true;
                    stopper.stop();
                }
                Some(line) = lines.recv() => self.console.live(&line.text),
                performed = &mut performing => break performed,
                _ = tick.tick() => {
                    let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    self.console.elapsed(Span::from_millis(elapsed));
                }
            }
        };
        while let Ok(line) = lines.try_recv() {
            self.console.live(&line.text);
        }
        // However often it was pressed, what it stopped has heard it. What came to its end is not stopped any more: then the
        // next effect is.
        if stopping && !matches!(performed.ending, Ending::Done { .. }) {
            let _ = signals.take();
        }
        performed
    }

    /// The facts of what came back. A change that answered, but not so that it can be understood, is in doubt.
    fn outcome(
        &self,
        step: &Step,
        ending: Ending,
        came_back: &CameBack,
        change: bool,
    ) -> (Ending, std::collections::BTreeMap<Field, serde_json::Value>) {
        let none = std::collections::BTreeMap::new();
        let Ending::Done { code, .. } = ending else {
            return (ending, none);
        };
        match extract(&self.plan, &self.state, step, came_back, Timestamp::now()) {
            Ok(facts) => (ending, facts),
            Err(why) if change => (
                Ending::Doubtful {
                    why: format!("it answered, but {why}"),
                },
                none,
            ),
            Err(why) => (Ending::Failed { why, code }, none),
        }
    }

    async fn ask(&mut self, question: &Question) -> Result<Option<Rest>, EngineError> {
        match self.console.ask(&self.plan, &self.state, question) {
            Reply::Answer { draft, given } => {
                let event = self.keep(question, draft, given).and_then(|draft| {
                    accept(&self.plan, &self.state, question, draft, Timestamp::now())
                        .map_err(|why| why.to_string())
                });
                match event {
                    Ok(event) => self.record_answer(event)?,
                    Err(why) => self.console.not_accepted(&why),
                }
                Ok(None)
            }
            Reply::Note(text) => self.record_answer(Event::NoteAdded { text }).map(|()| None),
            Reply::AdHoc(argv) => {
                if let AdHocRest::NotBegun(why) = self.ad_hoc(argv).await? {
                    self.console.not_accepted(&why);
                }
                Ok(None)
            }
            Reply::Pause { reason } => self.pause(reason).map(Some),
            Reply::Abort { reason } => {
                self.record(Event::Aborted { reason })?;
                Ok(Some(Rest::Ended))
            }
            Reply::Nobody { needs } => {
                self.record(Event::Paused {
                    reason: format!("nobody to answer: {needs}"),
                })?;
                Ok(Some(Rest::NeedsPerson {
                    question: Box::new(question.clone()),
                    needs,
                }))
            }
        }
    }

    fn pause(&mut self, reason: String) -> Result<Rest, EngineError> {
        self.record(Event::Paused { reason })?;
        Ok(Rest::Paused)
    }

    /// Records what a person said, unless it is too long.
    fn record_answer(&mut self, event: Event) -> Result<(), EngineError> {
        match self.record(event) {
            Err(EngineError::Journal(why @ AppendError::TooBig { .. })) => {
                self.console.not_accepted(&why.to_string());
                Ok(())
            }
            done => done,
        }
    }

    /// Keeps the evidence that a person gave and puts it into the answer.
    fn keep(
        &self,
        question: &Question,
        mut draft: Draft,
        given: Vec<(Field, Given)>,
    ) -> Result<Draft, String> {
        let found = match &mut draft {
            Draft::Facts(found) | Draft::DoneByHand { found, .. } => found,
            _ if given.is_empty() => return Ok(draft),
            _ => return Err("evidence does not belong to this answer".into()),
        };
        for (id, given) in given {
            let media_type = self.media_type(&id, &given);
            let artifact =
                self.copy(&format!("{}.{id}.txt", question.step), &given, &media_type)?;
            found.evidence.push(Evidence {
                id: Some(id),
                artifact,
                origin: Origin::Attested,
            });
        }
        Ok(draft)
    }

    fn media_type(&self, id: &Field, given: &Given) -> String {
        let mut specs = self.plan.runbook().steps.iter().flat_map(|s| &s.evidence);
        match (given, specs.find(|e| e.id == *id)) {
            (Given::Text(_), _) | (_, None) => "text/plain".into(),
            (Given::File(_), Some(spec)) => spec.media_type.clone(),
        }
    }

    fn copy(
        &self,
        name: &str,
        given: &Given,
        media_type: &str,
    ) -> Result<crate::execution::event::Artifact, String> {
        let bytes = match given {
            Given::Text(text) if text.trim().is_empty() => {
                return Err("evidence may not be empty".into());
            }
            Given::Text(text) => text.clone().into_bytes(),
            Given::File(path) => read_regular(path)?,
        };
        let cannot = |why: &dyn std::fmt::Display| format!("the evidence cannot be kept: {why}");
        let mut writer = self
            .journal
            .artifacts()
            .begin(name)
            .map_err(|why| cannot(&why))?;
        writer
            .write_all(&self.redactor.bytes(&bytes))
            .map_err(|why| cannot(&why))?;
        writer.commit(media_type).map_err(|why| cannot(&why))
    }

    async fn sleep(&mut self, until: Timestamp) -> Result<(), EngineError> {
        let span = until.since(Timestamp::now()).as_std();
        let heard = tokio::select! {
            () = tokio::time::sleep(span) => return Ok(()),
            heard = self.signals.wait() => heard,
        };
        let position = self.plan.position(&self.state);
        let (Heard::Interrupt, Some((_, step))) = (heard, position) else {
            return Ok(());
        };
        let _ = self.signals.take();
        let step = step.id.clone();
        let why = "the operator stopped the waiting".into();
        self.record(Event::StepJudged {
            step,
            verdict: StepVerdict::Failed { why },
            guards: Vec::new(),
        })
    }
}

fn read_regular(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let about =
        std::fs::metadata(path).map_err(|why| format!("`{shown}` cannot be read: {why}"))?;
    if !about.is_file() {
        return Err(format!("`{shown}` is not a regular file"));
    }
    if about.len() > LARGEST_GIVEN {
        return Err(format!("`{shown}` is larger than 64 MiB"));
    }
    std::fs::read(path).map_err(|why| format!("`{shown}` cannot be read: {why}"))
}
