//! Programs that hang, spill, fork and die, and what is made of them.

use super::*;
use crate::effects::live::{self, Line};
use crate::effects::stop::{Stopper, stop};

/// Far longer than any of these commands takes, unless something is wrong.
const LONG: Span = Span::from_secs(60);

/// Set by cargo, longer than six bytes, and not among what is passed: as good as a secret.
const SECRET: &str = "CARGO_MANIFEST_DIR";

fn spec(argv: &[&str]) -> CommandSpec {
    CommandSpec {
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        env: BTreeMap::new(),
        secrets: BTreeSet::new(),
        cwd: None,
        timeout: LONG,
        grace: LONG,
    }
}

fn sh(script: &str) -> CommandSpec {
    spec(&["sh", "-c", script])
}

fn secret() -> (String, Redactor) {
    let value = std::env::var(SECRET).expect("cargo sets it");
    let (redactor, refused) = Redactor::new([("TOKEN", &value)]);
    assert_eq!(refused, []);
    (value, redactor)
}

/// A sink that asks for a stop as soon as something is written to it: by then the command is known to run.
struct StopAtFirst(Stopper);

impl Write for StopAtFirst {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.stop();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn run_with(
    spec: &CommandSpec,
    redactor: &Redactor,
    stdout: &mut (dyn Write + Send),
    stop: Stop,
) -> CommandEnding {
    let sinks = Sinks {
        stdout,
        stderr: &mut std::io::sink(),
        live: None,
    };
    run(spec, redactor, sinks, stop).await
}

async fn ran(spec: &CommandSpec) -> CommandEnding {
    let (_stopper, stop) = stop();
    run_with(spec, &Redactor::default(), &mut Vec::new(), stop).await
}

fn not_started(ending: &CommandEnding) -> &str {
    match &ending.ended {
        Ended::NotStarted(why) => why,
        other => panic!("it was started: {other:?}"),
    }
}

fn text(taken: &Taken) -> &str {
    std::str::from_utf8(&taken.start).expect("text")
}

#[tokio::test]
async fn the_exit_code_is_kept() {
    for code in [0, 1, 42, 255] {
        let ending = ran(&sh(&format!("exit {code}"))).await;
        assert_eq!(ending.ended, Ended::Exited(code));
    }
    assert_eq!(ran(&sh("kill -KILL $$")).await.ended, Ended::Signalled(9));
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let (_stopper, stop) = stop();
    let mut lost = sh("true");
    lost.cwd = Some("/no/such/place".into());
    let mut poor = sh("true");
    poor.secrets = ["RUNBOOK_TEST_NOT_SET".to_owned()].into();
    for (spec, told) in [
        (spec(&[]), "empty"),
        (
            spec(&["no-such-tool-here"]),
            "`no-such-tool-here` could not be started: No such file",
        ),
        (spec(&["/"]), "Permission denied"),
        (spec(&["sh", "a\0b"]), "nul byte"),
        (lost, "`/no/such/place` is not there"),
        (poor, "`RUNBOOK_TEST_NOT_SET` is not set"),
    ] {
        let mut out = Vec::new();
        let ending = run_with(&spec, &Redactor::default(), &mut out, stop.clone()).await;
        assert!(not_started(&ending).contains(told), "{ending:?}");
    }
}

#[tokio::test]
async fn a_secret_among_the_arguments_is_never_started() {
    let (value, redactor) = secret();
    let dir = tempfile::tempdir().expect("a directory");
    let made = dir.path().join("made");
    let script = "touch \"$0\"";
    let argument = format!("--token={value}");
    let (_stopper, stop) = stop();
    let spec = spec(&["sh", "-c", script, made.to_str().expect("text"), &argument]);
    let ending = run_with(&spec, &redactor, &mut Vec::new(), stop).await;
    let why = not_started(&ending);
    assert!(
        why.contains("element 4") && why.contains("`TOKEN`"),
        "{why}"
    );
    assert!(!why.contains(&value) && !made.exists());
}

#[tokio::test]
async fn a_stop_that_came_before_starts_nothing() {
    let (stopper, stop) = stop();
    stopper.stop();
    let ending = run_with(&sh("true"), &Redactor::default(), &mut Vec::new(), stop).await;
    assert!(not_started(&ending).contains("stopped before"));
}

#[tokio::test]
async fn the_environment_is_what_was_listed_and_nothing_else() {
    let mut spec = sh("env");
    spec.env.insert("GIVEN".to_owned(), "a b; $(c)".to_owned());
    let ending = ran(&spec).await;
    let names: Vec<&str> = text(&ending.stdout)
        .lines()
        .filter_map(|line| line.split('=').next())
        // The shell's own.
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    assert!(text(&ending.stdout).contains("GIVEN=a b; $(c)\n"));
    for name in &names {
        let listed = PASSED_ENV.contains(name) || name.starts_with("LC_") || *name == "GIVEN";
        assert!(listed, "{name}");
    }
    assert!(names.contains(&"PATH") && !names.contains(&SECRET));
}

#[test]
fn a_proxy_with_a_password_is_not_passed() {
    let passed = |name: &str, value: &str| is_passed(OsStr::new(name), OsStr::new(value));
    assert!(passed("HTTPS_PROXY", "http://proxy:3128"));
    assert!(!passed("https_proxy", "http://me:pw@proxy:3128"));
    assert!(passed("LC_ALL", "C") && !passed("AWS_SECRET_ACCESS_KEY", "x"));
}

#[tokio::test]
async fn a_secret_printed_in_pieces_is_masked_in_the_record_and_on_the_screen() {
    let (value, redactor) = secret();
    let mut spec = sh(r#"
        rest=${CARGO_MANIFEST_DIR#?????}; printf %s "is ${CARGO_MANIFEST_DIR%"$rest"}"; printf '%s\n' "$rest"
        printf '\033[1m%s\033[0m%s\n' "${CARGO_MANIFEST_DIR%"$rest"}" "$rest" >&2
    "#);
    spec.secrets.insert(SECRET.to_owned());
    let (live, mut lines) = live::channel(10);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let sinks = Sinks {
        stdout: &mut out,
        stderr: &mut err,
        live: Some(live),
    };
    let (_stopper, stop) = stop();
    let ending = run(&spec, &redactor, sinks, stop).await;
    assert_eq!(ending.ended, Ended::Exited(0));
    assert_eq!(String::from_utf8_lossy(&out), "is [REDACTED:TOKEN]\n");
    assert_eq!(text(&ending.stdout), "is [REDACTED:TOKEN]\n");
    assert_eq!(ending.stdout.redactions, [("TOKEN".to_owned(), 1)].into());
    assert!(!String::from_utf8_lossy(&err).contains(&value));
    let mut shown = Vec::new();
    while let Ok(Line { text, .. }) = lines.try_recv() {
        shown.push(text);
    }
    shown.sort();
    assert_eq!(shown, ["[REDACTED:TOKEN]", "is [REDACTED:TOKEN]"]);
}

#[tokio::test]
async fn binary_output_is_kept_byte_for_byte() {
    let all: Vec<u8> = (0..=255).collect();
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("all"), &all).expect("a file");
    let mut spec = spec(&["cat", "all", "all"]);
    spec.cwd = Some(dir.path().to_owned());
    let (_stopper, stop) = stop();
    let mut out = Vec::new();
    let ending = run_with(&spec, &secret().1, &mut out, stop).await;
    assert_eq!((ending.ended, out), (Ended::Exited(0), all.repeat(2)));
}

#[tokio::test]
async fn of_a_flood_only_the_start_is_kept_in_memory() {
    let (live, lines) = live::channel(10);
    let sinks = Sinks {
        stdout: &mut std::io::sink(),
        stderr: &mut std::io::sink(),
        live: Some(live.clone()),
    };
    let (_stopper, stop) = stop();
    let flood = sh("yes | head -c 8000000; yes | head -c 1000000 >&2");
    let ending = run(&flood, &Redactor::default(), sinks, stop).await;
    assert_eq!(ending.ended, Ended::Exited(0));
    assert_eq!(
        (ending.stdout.bytes, ending.stdout.start.len()),
        (8_000_000, KEPT)
    );
    assert!(ending.stdout.longer && ending.stderr.longer && !ending.output_cut);
    assert_eq!((lines.len(), live.dropped()), (10, 4_500_000 - 10));
}

#[tokio::test]
async fn time_that_is_up_ends_the_whole_group() {
    let mut spec = sh("sleep 1000 & sleep 1000; echo never");
    spec.timeout = Span::from_millis(100);
    let ending = ran(&spec).await;
    assert_eq!(ending.ended, Ended::TimedOut);
    // `sleep` holds the output open, so the read would still go on if it were alive.
    assert!(!ending.survivors && !ending.output_cut);
    assert!(ending.took >= spec.timeout && ending.took < LONG);
}

#[tokio::test]
async fn what_ignores_the_request_to_end_is_killed_after_the_grace() {
    let mut spec = sh("trap '' TERM; echo ready; while :; do sleep 1000; done");
    spec.grace = Span::from_millis(100);
    let (stopper, stop) = stop();
    let ending = run_with(&spec, &Redactor::default(), &mut StopAtFirst(stopper), stop).await;
    assert_eq!(ending.ended, Ended::Stopped);
    assert!(!ending.survivors && !ending.output_cut);
    assert!(ending.took < Span::from_secs(30));
}

#[tokio::test]
async fn what_a_command_says_while_it_ends_is_recorded() {
    let spec =
        sh("trap 'echo lock released; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    let (stopper, stop) = stop();
    let ending = run_with(&spec, &Redactor::default(), &mut StopAtFirst(stopper), stop).await;
    assert_eq!(ending.ended, Ended::Stopped);
    assert_eq!(text(&ending.stdout), "ready\nlock released\n");
}

#[tokio::test]
async fn others_of_the_group_have_the_grace_too_when_the_leader_is_gone() {
    let spec = sh(
        "(trap 'sleep 0.2; echo lock released; exit' TERM; echo ready; while :; do sleep 0.01; done) & sleep 1000",
    );
    let (stopper, stop) = stop();
    let ending = run_with(&spec, &Redactor::default(), &mut StopAtFirst(stopper), stop).await;
    assert_eq!(ending.ended, Ended::Stopped);
    assert_eq!(text(&ending.stdout), "ready\nlock released\n");
}

#[tokio::test]
async fn a_process_that_holds_the_output_open_does_not_hold_us() {
    // In the group, which a command that ends by itself may leave behind.
    let ending = ran(&sh("sleep 20 & echo $!; exit 7")).await;
    assert_eq!(ending.ended, Ended::Exited(7));
    assert!(ending.output_cut && ending.took < Span::from_secs(15));
    kill(text(&ending.stdout));

    // Out of the group, where the end of the group does not reach it.
    let mut spec = sh("setsid sh -c 'echo $$; exec sleep 20' & sleep 1000");
    spec.grace = Span::from_millis(100);
    let (stopper, stop) = stop();
    let ending = run_with(&spec, &Redactor::default(), &mut StopAtFirst(stopper), stop).await;
    assert_eq!(ending.ended, Ended::Stopped);
    assert!(ending.output_cut && ending.took < Span::from_secs(15));
    kill(text(&ending.stdout));
}

fn kill(pid: &str) {
    let pid = pid
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let pid = pid.expect("the number of a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it was alive");
}

#[tokio::test]
async fn a_full_disk_loses_neither_the_end_nor_the_start_of_the_output() {
    let (_stopper, stop) = stop();
    let flood = sh("echo first; yes | head -c 1000000; exit 5");
    let ending = run_with(&flood, &Redactor::default(), &mut Full, stop).await;
    assert_eq!(ending.ended, Ended::Exited(5));
    let failure = ending.stdout.sink_failure.expect("it is told");
    assert_eq!(failure.kind(), std::io::ErrorKind::StorageFull);
    assert!(ending.stdout.start.starts_with(b"first\n"));
    assert!(ending.stderr.sink_failure.is_none());
}

#[tokio::test]
async fn a_run_that_is_given_up_kills_the_group() {
    let dir = tempfile::tempdir().expect("a directory");
    let pipe = dir.path().join("pipe");
    // Both ends of the pipe are held by the group; once nobody else holds it, reading it ends.
    let script = "trap '' TERM; mkfifo \"$0\"; echo ready; sleep 20 >\"$0\" & wait; sleep 1000";
    let spec = spec(&["sh", "-c", script, pipe.to_str().expect("text")]);
    let (stopper, mut seen) = stop();
    let (_nobody, never) = stop();
    let mut sink = StopAtFirst(stopper);
    let redactor = Redactor::default();
    let reader = {
        let running = run_with(&spec, &redactor, &mut sink, never);
        tokio::pin!(running);
        tokio::select! {
            ending = &mut running => panic!("it ended: {ending:?}"),
            () = seen.wait() => {}
        }
        // Opening waits until the other end is open, too.
        std::fs::File::open(&pipe).expect("the pipe")
    };
    let begun = Instant::now();
    let rest = std::io::read_to_string(reader).expect("the end of the pipe");
    assert_eq!(rest, "");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "it slept to its end"
    );
}

#[test]
fn tools_are_found_as_the_system_finds_them() {
    assert!(find_tool("sh", None).is_some_and(|path| path.ends_with("sh")));
    assert_eq!(find_tool("no-such-tool-here", None), None);
    assert_eq!(find_tool("", None), None);
    let dir = tempfile::tempdir().expect("a directory");
    let tool = dir.path().join("tool");
    std::fs::write(&tool, "#!/bin/sh\n").expect("a file");
    let found = || find_tool("./tool", Some(dir.path()));
    assert_eq!(found(), None, "it may not be executed");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    assert_eq!(found().map(|path| path.exists()), Some(true));
    assert_eq!(find_tool("./tool", None), None, "it is not here");
    assert_eq!(find_tool("/", None), None, "a directory is no tool");
    assert_eq!(
        find_in("tool", dir.path(), OsStr::new("/none:.")),
        Some(dir.path().join("./tool"))
    );
}
