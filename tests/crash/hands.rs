//! The real hands, one effect or one reading of which goes wrong.

use runbook::clock::Timestamp;
use runbook::effects::hands::{Hands, Performed, Task};
use runbook::effects::system::System;
use runbook::execution::event::Ending;
use runbook::execution::found::CameBack;
use runbook::execution::gate::FreezeReading;
use runbook::history::model::{Holder, Release};
use runbook::history::{FreezeRef, Released, Take, Taken};

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    /// The effect of this number, from zero, ends otherwise.
    Effect(usize, Ends),
    /// The reading of the freeze of this number, from zero, finds something else.
    Freeze(usize, Finds),
}

/// How an effect ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Ends {
    /// It is known that it did not succeed.
    Failed,
    /// It is known that nothing was performed.
    NotPerformed,
    /// It was performed, and the answer was lost.
    AnswerLost,
    /// It was not performed, and nobody knows that.
    NeverArrived,
}

/// What a reading of the freeze finds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Finds {
    /// The run history cannot be read.
    Unreadable,
    /// No freeze of ours.
    Nothing,
    /// Our freeze with another fence.
    OtherFence,
    /// Ours, and one of somebody else.
    OthersToo,
    /// Somebody released it in this moment; the reading is the real one, and it stays that way.
    Released,
    /// Somebody released it and took it over in this moment; the reading is the real one, and it stays that way.
    TakenOver,
}

pub(super) struct FaultyHands {
    pub(super) system: System,
    pub(super) fault: Option<Fault>,
    pub(super) effects: usize,
    pub(super) readings: usize,
}

impl Hands for FaultyHands {
    async fn read_freeze(&mut self) -> FreezeReading {
        let number = self.readings;
        self.readings += 1;
        let finds = match self.fault {
            Some(Fault::Freeze(nth, finds)) if nth == number => finds,
            _ => return self.system.read_freeze().await,
        };
        match finds {
            Finds::Unreadable => FreezeReading::Unreadable {
                why: "the disk is gone".into(),
            },
            Finds::Nothing => FreezeReading::Read {
                ours: None,
                others: Vec::new(),
                ended: None,
            },
            Finds::OtherFence => match self.system.read_freeze().await {
                FreezeReading::Read {
                    ours,
                    others,
                    ended,
                } => FreezeReading::Read {
                    ours: ours.map(|(id, fence)| (id, fence + 1)),
                    others,
                    ended,
                },
                unreadable => unreadable,
            },
            Finds::OthersToo => match self.system.read_freeze().await {
                FreezeReading::Read { ours, ended, .. } => FreezeReading::Read {
                    ours,
                    others: vec!["shop is frozen by mallory".into()],
                    ended,
                },
                unreadable => unreadable,
            },
            Finds::Released | Finds::TakenOver => {
                self.meddle(finds).await;
                self.system.read_freeze().await
            }
        }
    }

    async fn perform(&mut self, task: Task<'_>) -> Performed {
        let number = self.effects;
        self.effects += 1;
        let ends = match self.fault {
            Some(Fault::Effect(nth, ends)) if nth == number => ends,
            _ => return self.system.perform(task).await,
        };
        let why = "as the test wants it".to_owned();
        let evidence = match ends {
            Ends::AnswerLost => self.system.perform(task).await.evidence,
            Ends::Failed | Ends::NotPerformed | Ends::NeverArrived => Vec::new(),
        };
        Performed {
            ending: match ends {
                Ends::Failed => Ending::Failed { why, code: Some(1) },
                Ends::NotPerformed => Ending::NotPerformed { why },
                Ends::AnswerLost | Ends::NeverArrived => Ending::Doubtful { why },
            },
            came_back: CameBack::default(),
            evidence,
            learned: None,
        }
    }
}

impl FaultyHands {
    /// Somebody else ends our freeze, and takes one where that is wanted.
    async fn meddle(&self, finds: Finds) {
        let ours = &self.system.history;
        let frozen = ours.history.covering(&ours.target).await.expect("reads");
        let freeze = frozen.first().expect("a freeze");
        let mallory = "mallory".parse().expect("a name");
        let at = Timestamp::now();
        let release = Release {
            by: mallory,
            reason: freeze.reason.clone(),
            at,
            execution: None,
        };
        let which = FreezeRef::Id(freeze.id);
        let released = ours.history.release(&which, freeze.fence, &release).await;
        assert!(matches!(released, Ok(Released::Now(_))), "{released:?}");
        if finds == Finds::TakenOver {
            let take = Take {
                scope: freeze.scope.clone(),
                reason: freeze.reason.clone(),
                holder: Holder {
                    principal: release.by,
                    execution: None,
                    host: "elsewhere".into(),
                },
                run: None,
                lease: None,
                at,
            };
            let taken = ours.history.take(take).await;
            assert!(matches!(taken, Ok(Taken::Now(_))), "{taken:?}");
        }
    }
}
