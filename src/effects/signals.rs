//! What is asked of the tool from outside: Ctrl-C stops what is under way, SIGTERM and SIGHUP make the tool leave.
//!
//! A thread listens, so that a signal is heard whatever else waits. What was heard is kept until somebody takes it: a
//! Ctrl-C between two steps is not lost.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Ctrl-C (SIGINT): stop what is under way.
    Interrupt,
    /// Leave, because this signal came; it stays asked for.
    Leave(&'static str),
}

impl Heard {
    /// Why the tool leaves because of it, for people.
    #[must_use]
    pub fn reason(self) -> String {
        match self {
            Self::Interrupt => "interrupted".into(),
            Self::Leave(name) => format!("the tool was told to end ({name})"),
        }
    }
}

/// What was asked from outside and not taken yet; cheap to clone, all clones tell the same. The default never hears
/// anything: the signals keep the meaning that the system gives them.
#[derive(Clone, Default)]
pub struct Signals(Arc<Asked>);

#[derive(Default)]
struct Asked {
    heard: watch::Sender<Option<Heard>>,
    wakes: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

impl Signals {
    /// Listens from now on, to the end of the process. A signal that was ignored when the process began (`nohup`) stays
    /// ignored.
    ///
    /// # Errors
    /// Where the system does not let us listen.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self::default();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let ears = Ears::open(&runtime)?;
        let heard = signals.clone();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || runtime.block_on(ears.listen(&heard)))?;
        Ok(signals)
    }

    /// What was asked and not taken yet.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        *self.0.heard.borrow()
    }

    /// Takes what was asked. A Ctrl-C is taken once; being told to leave is told to everybody.
    #[must_use]
    pub fn take(&self) -> Option<Heard> {
        let mut taken = None;
        self.0.heard.send_if_modified(|heard| {
            taken = *heard;
            if *heard == Some(Heard::Interrupt) {
                *heard = None;
            }
            false
        });
        taken
    }

    /// Waits until something is asked, and does not take it.
    pub async fn wait(&self) -> Heard {
        let mut heard = self.0.heard.subscribe();
        match heard.wait_for(Option::is_some).await.map(|heard| *heard) {
            Ok(Some(heard)) => heard,
            // The sender is ours, so the channel does not close.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Calls this whenever a signal comes, for who waits for something else as well.
    pub fn wake(&self, call: impl Fn() + Send + 'static) {
        let mut wakes = self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.push(Box::new(call));
    }

    fn hear(&self, new: Heard) {
        self.0.heard.send_modify(|heard| {
            // A Ctrl-C after it does not take back that the tool must leave.
            if !matches!(heard, Some(Heard::Leave(_))) {
                *heard = Some(new);
            }
        });
        let wakes = self.0.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        wakes.iter().for_each(|wake| wake());
    }
}

/// The signals listened to; absent where one is ignored.
struct Ears {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Ears {
    /// From here on the system tells us of the signals, and does nothing else about them.
    fn open(runtime: &Runtime) -> std::io::Result<Self> {
        let _context = runtime.enter();
        let open = |kind: SignalKind| {
            let listened = (!is_ignored(kind)).then(|| signal(kind));
            listened.transpose()
        };
        Ok(Self {
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
            hangup: open(SignalKind::hangup())?,
        })
    }

    async fn listen(mut self, signals: &Signals) {
        loop {
            let heard = tokio::select! {
                () = next(&mut self.interrupt) => Heard::Interrupt,
                () = next(&mut self.terminate) => Heard::Leave("SIGTERM"),
                () = next(&mut self.hangup) => Heard::Leave("SIGHUP"),
            };
            signals.hear(heard);
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Whether the process was started with the signal ignored. Where the system does not say, it was not.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupt_is_taken_once_and_leaving_stays_asked_for() {
        let signals = Signals::default();
        assert_eq!(signals.take(), None);
        signals.hear(Heard::Interrupt);
        assert_eq!(signals.wait().await, Heard::Interrupt);
        assert_eq!(signals.heard(), Some(Heard::Interrupt));
        assert_eq!(signals.clone().take(), Some(Heard::Interrupt));
        assert_eq!(signals.take(), None);
        signals.hear(Heard::Leave("SIGTERM"));
        signals.hear(Heard::Interrupt);
        assert_eq!(signals.take(), Some(Heard::Leave("SIGTERM")));
        assert_eq!(signals.wait().await, Heard::Leave("SIGTERM"));
    }
}
