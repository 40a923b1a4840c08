//! Runs a command: no shell, no terminal, no secret in its arguments, no end that is lost.
//!
//! The command leads a process group of its own. When its time is up or the operator stops it, the whole group is asked to
//! end (SIGTERM), and made to after the grace (SIGKILL). A command that ends by itself may leave others of its group running:
//! starting a daemon is lawful. What they print after the command's end is not waited for.
//!
//! Memory does not grow with the output: `runbook exec -- sh -c 'yes | head -c 200M'` under `/usr/bin/time -v` shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::intake::Intake;
use super::live::{Live, Source, Splitter};
use super::stop::Stop;
use crate::clock::Span;
use crate::redact::Redactor;

mod group;

use group::Group;

pub use super::intake::Taken;

/// How much of the output is kept to take facts from, in bytes. Facts are read from JSON documents and status lines; what is
/// larger is evidence.
pub const KEPT: usize = 1024 * 1024;

/// How long the output is still read when the command has ended and another process holds it open.
const DRAIN: Duration = Duration::from_secs(1);

/// Read at once, in bytes: what a pipe holds on Linux.
const PIECE: usize = 64 * 1024;

/// What of our own environment a command gets, besides `LC_*`: where things are, who asks, and in which language. None of
/// these is a credential. A proxy is passed only when its address holds no user and password.
pub const PASSED_ENV: [&str; 25] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "KUBECONFIG",
    "DOCKER_HOST",
    "AWS_PROFILE",
    "AWS_REGION",
    "NO_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
];

/// What to run.
#[derive(Debug, Clone)]
pub struct CommandSpec {
    /// The program and its arguments, each passed as it is; not empty, and no element holds a secret.
    pub argv: Vec<String>,
    /// Environment variables to set.
    pub env: BTreeMap<String, String>,
    /// Names of variables of our own environment that hold secrets, and that the command gets.
    pub secrets: BTreeSet<String>,
    /// Where to run it; absent means where we are.
    pub cwd: Option<PathBuf>,
    /// How long it may run.
    pub timeout: Span,
    /// How long it may take to end once it was asked to.
    pub grace: Span,
}

/// Where the masked output goes.
pub struct Sinks<'a> {
    /// Takes standard output, byte for byte.
    pub stdout: &'a mut (dyn Write + Send),
    /// Takes standard error, byte for byte.
    pub stderr: &'a mut (dyn Write + Send),
    /// Takes both as lines for the screen.
    pub live: Option<Live>,
}

/// What became of a command.
#[derive(Debug)]
pub struct CommandEnding {
    /// How it ended.
    pub ended: Ended,
    /// How long it took, from before the start until its output was read.
    pub took: Span,
    /// Standard output.
    pub stdout: Taken,
    /// Standard error; its start is not kept.
    pub stderr: Taken,
    /// Another process held the output open after the command's end; what it prints later is not recorded.
    pub output_cut: bool,
    /// Something of the process group is alive although it was killed: it belongs to another user, or hangs in the kernel.
    pub survivors: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, which we did not send.
    Signalled(i32),
    /// Its time was up. What it had done until then is not known.
    TimedOut,
    /// The operator stopped it. What it had done until then is not known.
    Stopped,
    /// It was never started, for this reason.
    NotStarted(String),
}

/// Runs the command to its end. Needs a tokio runtime with its drivers enabled; dropped on the way, it kills the group.
///
/// The values of `spec.secrets` are masked only if they are registered in `redactor`.
pub async fn run(
    spec: &CommandSpec,
    redactor: &Redactor,
    sinks: Sinks<'_>,
    mut stop: Stop,
) -> CommandEnding {
    let begun = Instant::now();
    let mut stdout = Output::new(redactor, sinks.stdout, KEPT, Source::Stdout, &sinks.live);
    let mut stderr = Output::new(redactor, sinks.stderr, 0, Source::Stderr, &sinks.live);
    let mut output_cut = false;
    let mut survivors = false;
    let ended = match start(spec, redactor, &stop) {
        Err(why) => Ended::NotStarted(redactor.text(&why)),
        Ok((mut child, group)) => {
            let pipes = (child.stdout.take(), child.stderr.take());
            let reading = async {
                tokio::join!(stdout.read(pipes.0), stderr.read(pipes.1));
            };
            let leading = lead(&mut child, group, spec, &mut stop);
            tokio::pin!(reading, leading);
            let mut all_read = false;
            let (ended, alive) = loop {
                tokio::select! {
                    biased;
                    end = &mut leading => break end,
                    () = &mut reading, if !all_read => all_read = true,
                }
            };
            survivors = alive;
            output_cut = !all_read && timeout(DRAIN, reading).await.is_err();
            ended
        }
    };
    CommandEnding {
        ended,
        stdout: stdout.end(),
        stderr: stderr.end(),
        took: Span::from_millis(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)),
        output_cut,
        survivors,
    }
}

/// Where the program `name` is: looked for in `PATH`, or, when it has a `/`, from `cwd`. Absent when it is not there or may
/// not be executed.
#[must_use]
pub fn find_tool(name: &str, cwd: Option<&Path>) -> Option<PathBuf> {
    let here = cwd.unwrap_or(Path::new(""));
    if name.contains('/') {
        return Some(here.join(name)).filter(|path| executable(path));
    }
    let path = std::env::var_os("PATH")?;
    find_in(name, here, &path)
}

fn find_in(name: &str, here: &Path, path: &OsStr) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    let mut places = std::env::split_paths(path).map(|dir| here.join(dir).join(name));
    places.find(|path| executable(path))
}

fn executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Starts the command, or says why not; in both cases nothing secret is in its arguments.
fn start(spec: &CommandSpec, redactor: &Redactor, stop: &Stop) -> Result<(Child, Group), String> {
    let Some((program, args)) = spec.argv.split_first() else {
        return Err("the command is empty".to_owned());
    };
    if stop.asked() {
        return Err("it was stopped before it was started".to_owned());
    }
    for (index, arg) in spec.argv.iter().enumerate() {
        if let Some(name) = redactor.finds(arg) {
            return Err(format!(
                "element {index} of the command holds the value of the secret `{name}`, and every user of this \
                 machine can read the arguments of a process; pass it as an environment variable"
            ));
        }
    }
    let secrets = secrets(spec, |name| std::env::var_os(name))?;
    if let Some(cwd) = spec.cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
        return Err(format!("its directory `{}` is not there", cwd.display()));
    }
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, value)| is_passed(name, value)))
        .envs(&spec.env)
        .envs(secrets)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    let child = command
        .spawn()
        .map_err(|e| format!("`{program}` could not be started: {e}"))?;
    let group = Group::led_by(&child).ok_or("it ended before it began")?;
    Ok((child, group))
}

fn secrets(
    spec: &CommandSpec,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<(&String, OsString)>, String> {
    let mut values = Vec::new();
    for name in &spec.secrets {
        let value = environment(name).filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| {
            format!("the environment variable `{name}` is not set, and the command needs the secret in it")
        })?;
        values.push((name, value));
    }
    Ok(values)
}

fn is_passed(name: &OsStr, value: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return false;
    };
    let proxy_with_password =
        name.to_ascii_lowercase().ends_with("_proxy") && value.as_encoded_bytes().contains(&b'@');
    (PASSED_ENV.contains(&name) || name.starts_with("LC_")) && !proxy_with_password
}

/// Waits for the end of the command, or brings it about. Also tells whether anything of the group outlives that.
async fn lead(
    child: &mut Child,
    mut group: Group,
    spec: &CommandSpec,
    stop: &mut Stop,
) -> (Ended, bool) {
    let why = tokio::select! {
        biased;
        status = child.wait() => {
            group.leave();
            return (by_itself(status), false);
        }
        () = stop.wait() => Ended::Stopped,
        () = sleep(spec.timeout.as_std()) => Ended::TimedOut,
    };
    let alive = group.end(child, spec.grace.as_std()).await;
    (why, alive)
}

fn by_itself(status: std::io::Result<ExitStatus>) -> Ended {
    match status.map(|status| (status.code(), status.signal())) {
        Ok((Some(code), _)) => Ended::Exited(code),
        Ok((None, Some(signal))) => Ended::Signalled(signal),
        // The kernel gives one of the two, and waits for our own child do not fail. If they do, nothing is known: no code
        // that a runbook lists as good must come of it.
        Ok((None, None)) | Err(_) => Ended::Signalled(0),
    }
}

/// One of the two streams.
struct Output<'a> {
    intake: Intake<'a>,
    lines: Option<Splitter>,
}

impl<'a> Output<'a> {
    fn new(
        redactor: &Redactor,
        sink: &'a mut (dyn Write + Send),
        keep: usize,
        source: Source,
        live: &Option<Live>,
    ) -> Self {
        let splitter = |live: &Live| Splitter::new(live.clone(), source, redactor.clone());
        Self {
            intake: Intake::new(redactor, sink, keep),
            lines: live.as_ref().map(splitter),
        }
    }

    /// Reads until the pipe ends. Dropped on the way, it has lost nothing that was read.
    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(mut pipe) = pipe else { return };
        let mut piece = vec![0; PIECE];
        // A pipe that cannot be read has no more to say.
        while let Ok(len @ 1..) = pipe.read(&mut piece).await {
            let masked = self.intake.take(&piece[..len]);
            if let Some(lines) = &mut self.lines {
                lines.take(&masked);
            }
        }
    }

    fn end(mut self) -> Taken {
        let masked = self.intake.end();
        if let Some(lines) = &mut self.lines {
            lines.take(&masked);
            lines.end();
        }
        self.intake.taken()
    }
}

#[cfg(test)]
mod tests;
