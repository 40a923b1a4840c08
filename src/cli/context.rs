//! What the typed words mean here: where things are kept, who acts, where words go.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::execution::event::{Established, Operator};
use crate::history::History;
use crate::ids::Principal;
use crate::journal::Store;

use super::args::Args;
use crate::report::text::harmless;

use super::error::{CliError, Exit};

/// Where we are and who we are.
pub(crate) struct Here {
    /// The state directory. Need not exist yet.
    pub(crate) home: PathBuf,
    /// Who acts.
    pub(crate) operator: Principal,
    /// How that is known.
    established: Established,
    /// The name of this machine, for people.
    pub(crate) host: String,
    /// Where words go.
    pub(crate) out: Out,
}

impl Here {
    pub(crate) fn find(args: &Args) -> Result<Self, CliError> {
        Ok(Self {
            home: home()?,
            operator: args.operator.clone().unwrap_or_else(os_user),
            established: args
                .operator
                .as_ref()
                .map_or(Established::OsUser, |_| Established::Claimed),
            host: host(),
            out: Out,
        })
    }

    /// Who acts, with how that is known.
    pub(crate) fn operator(&self) -> Operator {
        Operator {
            name: self.operator.clone(),
            established: self.established,
        }
    }

    /// Now, by the wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Where the run history is kept.
    pub(crate) fn history_path(&self) -> PathBuf {
        self.home.join("history.db")
    }

    /// Refuses a state directory in which somebody else could exchange the run history: whatever it then says about
    /// freezes is unknown.
    pub(crate) fn trusted(&self) -> Result<(), CliError> {
        Store::check(&self.home).map_err(|error| CliError::from_error(Exit::Unknown, &error))
    }

    /// The run history; an empty one is made when there is none. For verbs that write.
    pub(crate) async fn history(&self) -> Result<History, CliError> {
        self.trusted()?;
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.home)
            .map_err(|error| {
                let message = format!(
                    "failed to create the state directory `{}`",
                    self.home.display()
                );
                CliError::new(Exit::Unknown, message).caused_by(&error)
            })?;
        Ok(History::open(&self.history_path()).await?)
    }

    /// The run history; none there is an error. For verbs that read.
    pub(crate) async fn existing_history(&self) -> Result<History, CliError> {
        self.trusted()?;
        Ok(History::open_existing(&self.history_path()).await?)
    }
}

/// `$RUNBOOK_HOME`, else the platform's directory for state.
fn home() -> Result<PathBuf, CliError> {
    if let Some(home) = std::env::var_os("RUNBOOK_HOME").filter(|home| !home.is_empty()) {
        return Ok(PathBuf::from(home));
    }
    let base = etcetera::choose_base_strategy().map_err(|error| {
        CliError::new(Exit::Unknown, "cannot tell where the run history is kept")
            .caused_by(&error)
            .hint("set `RUNBOOK_HOME` to the state directory")
    })?;
    let state = base.state_dir().unwrap_or_else(|| base.data_dir());
    Ok(state.join("runbook"))
}

/// The name that the operating system has for the user of this process. `$USER` is not asked: anybody can set it.
fn os_user() -> Principal {
    let uid = rustix::process::getuid().as_raw();
    let named = in_passwd(uid).or_else(|| {
        // Users that a directory service knows are not in the file.
        let output = std::process::Command::new("id").arg("-un").output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    });
    named.unwrap_or_else(|| {
        format!("uid:{uid}")
            .parse()
            .expect("`uid:` and digits are a name")
    })
}

fn in_passwd(uid: u32) -> Option<Principal> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut users = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|user| user.get(2).and_then(|id| id.parse().ok()) == Some(uid))?;
    user.first()?.parse().ok()
}

fn host() -> String {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let from_files = files.iter().find_map(|file| fs::read_to_string(file).ok());
    let name = from_files
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name = harmless(name.trim());
    if name.is_empty() {
        "an unnamed host".to_owned()
    } else {
        name
    }
}

/// Where words go: stdout is data, stderr is talk.
pub(crate) struct Out;

impl Out {
    /// Writes a line of data.
    pub(crate) fn data(&mut self, line: impl fmt::Display) -> Result<(), CliError> {
        match writeln!(anstream::stdout().lock(), "{line}") {
            // A reader that has gone wants no more, and what was found out stays what it is.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| lost(&error)),
        }
    }

    /// Writes one JSON document of data.
    pub(crate) fn json<T: Serialize>(&mut self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| CliError::new(Exit::Bug, "failed to write JSON").caused_by(&error))?;
        self.data(text)
    }

    /// Writes one line of JSON, for data without an end in sight.
    pub(crate) fn json_line<T: Serialize>(&mut self, value: &T) -> Result<(), CliError> {
        let text = serde_json::to_string(value)
            .map_err(|error| CliError::new(Exit::Bug, "failed to write JSON").caused_by(&error))?;
        self.data(text)
    }

    /// Says something to the person. A person who does not listen stops nothing.
    pub(crate) fn talk(&mut self, line: impl fmt::Display) {
        let _ = writeln!(anstream::stderr().lock(), "{line}");
    }
}

fn lost(error: &io::Error) -> CliError {
    CliError::new(Exit::Failed, "failed to write to standard output").caused_by(error)
}
