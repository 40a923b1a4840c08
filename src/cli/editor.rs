//! Reading a line from the person: with editing where the terminal can, plainly where it cannot.
//!
//! Lines and signals are waited for at once, so lines are read on a thread of their own.

use std::io::{BufRead as _, Write as _};
use std::sync::mpsc;

use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::effects::signals::{Heard, Signals};

/// Ends the mode in which the terminal marks what is pasted; an editor that is left does not do that itself.
const PASTE_UNMARKED: &str = "\x1b[?2004l";

/// What reads lines.
pub(crate) struct Editor {
    prompts: Prompts,
    events: mpsc::Receiver<Waited>,
    signals: Signals,
}

/// Who shows the prompt.
enum Prompts {
    /// The editor of a terminal that moves its cursor; with the modes that the terminal had before.
    Rich(mpsc::Sender<String>, Option<Termios>),
    /// Ourselves, on a serial line, an editor's shell, anything that only prints.
    Plain,
}

/// What came instead of, or as, a line.
pub(crate) enum Came {
    /// A line.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// The end of input, a terminal that cannot be read any more, or a signal to leave.
    End(String),
}

/// What a prompt waits for.
enum Waited {
    Typed(Came),
    /// A signal came; which one, and whether it still stands, the signals say.
    Signal,
}

impl Editor {
    /// An editor for the terminal of this process.
    ///
    /// # Errors
    /// Where the terminal cannot be used.
    pub(crate) fn new(signals: Signals) -> Result<Self, ReadlineError> {
        let (waited, events) = mpsc::channel();
        let signalled = waited.clone();
        // Whoever waits no more needs no waking.
        signals.wake(move || drop(signalled.send(Waited::Signal)));
        // These are the ones that `rustyline` reads without editing; Ctrl-C is a signal there, not a key.
        let plain = std::env::var("TERM")
            .is_ok_and(|term| matches!(term.as_str(), "dumb" | "cons25" | "emacs"));
        let prompts = if plain {
            read_plainly(waited);
            Prompts::Plain
        } else {
            let modes = tcgetattr(std::io::stdin()).ok();
            Prompts::Rich(read_richly(DefaultEditor::new()?, waited), modes)
        };
        Ok(Self {
            prompts,
            events,
            signals,
        })
    }

    /// The next line.
    pub(crate) fn line(&mut self, prompt: &str) -> Came {
        if let Some(heard @ Heard::Leave(_)) = self.signals.heard() {
            return Came::End(heard.reason());
        }
        // What was typed before the question was there answers nothing. Where it cannot be dropped, it is no terminal.
        let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
        match &self.prompts {
            // Where the editor is gone, nobody answers, and that is the end of input.
            Prompts::Rich(prompts, _) => drop(prompts.send(prompt.to_owned())),
            Prompts::Plain => {
                // A prompt that cannot be shown is noticed when nothing is answered.
                let _ = write!(anstream::stderr().lock(), "{prompt}");
                let _ = std::io::stderr().flush();
            }
        }
        loop {
            match self.events.recv() {
                Ok(Waited::Typed(came)) => return came,
                Err(_) => return Came::End("end of input".into()),
                Ok(Waited::Signal) => match (self.signals.take(), &self.prompts) {
                    (Some(heard @ Heard::Leave(_)), _) => {
                        self.restore();
                        return Came::End(heard.reason());
                    }
                    (Some(Heard::Interrupt), Prompts::Plain) => return Came::Interrupt,
                    // While it edits, Ctrl-C is a key; what came before is answered by the prompt itself.
                    (Some(Heard::Interrupt), Prompts::Rich(..)) | (None, _) => {}
                },
            }
        }
    }

    /// Gives the terminal back as it was, although the editor still reads.
    fn restore(&self) {
        if let Prompts::Rich(_, Some(modes)) = &self.prompts {
            // A terminal that is gone needs nothing back.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, modes);
            let _ = writeln!(std::io::stderr().lock(), "{PASTE_UNMARKED}");
        }
    }
}

/// Edits a line for every prompt that comes.
fn read_richly(mut editor: DefaultEditor, waited: mpsc::Sender<Waited>) -> mpsc::Sender<String> {
    let (sender, prompts) = mpsc::channel::<String>();
    std::thread::spawn(move || {
        for prompt in prompts {
            let came = match editor.readline(&prompt) {
                Ok(line) => Came::Line(line),
                Err(ReadlineError::Interrupted) => Came::Interrupt,
                Err(ReadlineError::Eof) => Came::End("end of input".into()),
                Err(why) => Came::End(format!("the terminal cannot be read: {why}")),
            };
            if waited.send(Waited::Typed(came)).is_err() {
                return;
            }
        }
    });
    sender
}

/// Reads lines, prompt or not.
fn read_plainly(waited: mpsc::Sender<Waited>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let came = match line {
                Ok(line) => Came::Line(line),
                Err(why) => Came::End(format!("the terminal cannot be read: {why}")),
            };
            if waited.send(Waited::Typed(came)).is_err() {
                return;
            }
        }
        let _ = waited.send(Waited::Typed(Came::End("end of input".into())));
    });
}
