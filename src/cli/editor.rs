//! Reading a line from the person: with editing where the terminal can, plainly where it cannot.

use std::io::{BufRead as _, Write as _};
use std::sync::mpsc;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

/// What reads lines.
pub(crate) enum Editor {
    /// A terminal that moves its cursor.
    Rich(Box<DefaultEditor>),
    /// A serial line, an editor's shell, anything that only prints.
    Plain(mpsc::Receiver<Came>),
}

/// What came instead of, or as, a line.
pub(crate) enum Came {
    /// A line.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// The end of input, or a terminal that cannot be read any more.
    End(String),
}

impl Editor {
    /// An editor for the terminal of this process.
    ///
    /// # Errors
    /// Where the terminal cannot be used.
    pub(crate) fn new() -> Result<Self, ReadlineError> {
        // These are the ones that `rustyline` reads without editing; Ctrl-C is a signal there, not a key.
        let plain = std::env::var("TERM")
            .is_ok_and(|term| matches!(term.as_str(), "dumb" | "cons25" | "emacs"));
        if plain {
            Ok(Self::Plain(plain_lines()))
        } else {
            Ok(Self::Rich(Box::new(DefaultEditor::new()?)))
        }
    }

    /// The next line.
    pub(crate) fn line(&mut self, prompt: &str) -> Came {
        match self {
            Self::Rich(editor) => match editor.readline(prompt) {
                Ok(line) => Came::Line(line),
                Err(ReadlineError::Interrupted) => Came::Interrupt,
                Err(ReadlineError::Eof) => Came::End("end of input".into()),
                Err(why) => Came::End(format!("the terminal cannot be read: {why}")),
            },
            Self::Plain(lines) => {
                // A prompt that cannot be shown is noticed when nothing is answered.
                let _ = write!(anstream::stderr().lock(), "{prompt}");
                let _ = std::io::stderr().flush();
                lines
                    .recv()
                    .unwrap_or_else(|_| Came::End("end of input".into()))
            }
        }
    }
}

/// Lines and interrupts in the order in which they come. Both are waited for at once, so each has a thread.
fn plain_lines() -> mpsc::Receiver<Came> {
    let (lines, receiver) = mpsc::channel();
    let interrupts = lines.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let came = match line {
                Ok(line) => Came::Line(line),
                Err(why) => Came::End(format!("the terminal cannot be read: {why}")),
            };
            if lines.send(came).is_err() {
                return;
            }
        }
        let _ = lines.send(Came::End("end of input".into()));
    });
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        else {
            return;
        };
        while runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            if interrupts.send(Came::Interrupt).is_err() {
                return;
            }
        }
    });
    receiver
}
