//! A scene: a place of its own with files in it, where the program is run and all that it says is compared.
//!
//! Nothing of the surroundings gets in: the environment is cleared, home and state lie in the scene. Expectations may
//! hold `[..]` for any text within a line and `...` for any lines; the scene's own path reads `[SCENE]`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A place of its own.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Scene {
    /// An empty place, where `alice` is the operator.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("work")).expect("a work directory");
        Self {
            dir,
            env: Vec::new(),
        }
    }

    /// Puts a file into the working directory.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().expect("lies in a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
        self
    }

    /// Sets a variable for every run; `RUNBOOK_OPERATOR` changes who acts.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the program, without anything on standard input.
    pub(crate) fn run<const N: usize>(&self, args: [&str; N]) -> Outcome {
        self.run_with_input(args, "")
    }

    /// Runs the program with this on standard input.
    pub(crate) fn run_with_input<const N: usize>(&self, args: [&str; N], input: &str) -> Outcome {
        let mut child = self
            .command()
            .args(args)
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A program that does not read its input may have closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("the program writes UTF-8");
            text.replace(&self.dir.path().display().to_string(), "[SCENE]")
        };
        Outcome {
            told: format!("runbook {}", args.join(" ")),
            code: output.status.code(),
            stdout: Some(text(output.stdout)),
            stderr: Some(text(output.stderr)),
        }
    }

    /// The program in this place, not started: for tests that start many at once.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runbook"));
        command
            .current_dir(self.work())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("RUNBOOK_HOME", self.home())
            .env("RUNBOOK_OPERATOR", "alice")
            .env("NO_COLOR", "1")
            .env("TZ", "UTC")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The state directory of the program; made by its first write.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The directory that the program is run in.
    pub(crate) fn work(&self) -> PathBuf {
        self.path().join("work")
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// What the program said and how it ended. What a test does not mention must be empty.
#[must_use = "finish with `exit`, which compares what was not mentioned"]
pub(crate) struct Outcome {
    told: String,
    code: Option<i32>,
    stdout: Option<String>,
    stderr: Option<String>,
}

impl Outcome {
    /// Compares standard output.
    #[track_caller]
    pub(crate) fn stdout(mut self, expected: &str) -> Self {
        let actual = self.stdout.take().expect("stdout is compared once");
        self.compare("stdout", &actual, expected);
        self
    }

    /// Compares standard error.
    #[track_caller]
    pub(crate) fn stderr(mut self, expected: &str) -> Self {
        let actual = self.stderr.take().expect("stderr is compared once");
        self.compare("stderr", &actual, expected);
        self
    }

    /// Looks into standard output, which must be one JSON document.
    #[track_caller]
    pub(crate) fn json(mut self, look: impl FnOnce(&Value)) -> Self {
        let actual = self.stdout.take().expect("stdout is compared once");
        match serde_json::from_str(&actual) {
            Ok(value) => look(&value),
            Err(error) => panic!("{}: stdout is not JSON: {error}\n{actual}", self.told),
        }
        self
    }

    /// Compares the exit code, and what was not mentioned with nothing.
    #[track_caller]
    pub(crate) fn exit(mut self, expected: i32) {
        for (name, stream) in [
            ("stderr", self.stderr.take()),
            ("stdout", self.stdout.take()),
        ] {
            if let Some(actual) = stream {
                self.compare(name, &actual, "");
            }
        }
        assert_eq!(self.code, Some(expected), "{}: exit code", self.told);
    }

    #[track_caller]
    fn compare(&self, name: &str, actual: &str, expected: &str) {
        let told = format!("{} ({name}, exit {:?})", self.told, self.code);
        // A backslash here is an escape to be seen, never a path of another system.
        let compared = snapbox::Assert::new().normalize_paths(false).try_eq(
            Some(&told),
            snapbox::Data::text(actual),
            snapbox::Data::text(expected),
        );
        if let Err(difference) = compared {
            panic!("{difference}");
        }
    }
}
