//! The journal through its public interface: directories, drivers, crashes, and full disks.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use runbook::digest::Digest;
use runbook::execution::event::{Artifact, Event};
use runbook::ids::{ExecutionId, Principal};
use runbook::journal::{
    AppendError, AsideError, Entry, Journal, MAX_LINE, Store, StoreError, Tail,
};

struct Scene {
    dir: tempfile::TempDir,
    store: Store,
    id: ExecutionId,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(&dir.path().join("state/runbook")).expect("opens");
        Self {
            dir,
            store,
            id: ExecutionId::generate(),
        }
    }

    /// A scene with an execution of so many notes, and its driver gone.
    fn with_notes(count: usize) -> Self {
        let scene = Self::new();
        let mut journal = scene.store.create(scene.id).expect("creates");
        for number in 0..count {
            append(&mut journal, &format!("note {number}"));
        }
        scene
    }

    fn execution(&self) -> PathBuf {
        let executions = self.dir.path().join("state/runbook/executions");
        executions.join(self.id.to_string())
    }

    fn file(&self) -> PathBuf {
        self.execution().join("data/journal.jsonl")
    }

    /// Adds bytes to the journal behind everyone's back.
    fn scribble(&self, bytes: &[u8]) {
        OpenOptions::new()
            .append(true)
            .open(self.file())
            .and_then(|mut file| file.write_all(bytes))
            .expect("writes");
    }

    fn whole(&self) -> Vec<Entry> {
        let reading = self.store.read(self.id).expect("reads");
        assert_eq!(reading.tail, Tail::Whole);
        reading.entries
    }
}

fn alice() -> Principal {
    "alice".parse().expect("name")
}

fn note(text: &str) -> Event {
    Event::NoteAdded { text: text.into() }
}

fn append(journal: &mut Journal, text: &str) -> Vec<Entry> {
    journal.append(&alice(), &note(text)).expect("appends")
}

fn texts(entries: &[Entry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match serde_json::to_value(&entry.event) {
            Ok(value) => value["data"]["text"].as_str().expect("a note").to_owned(),
            Err(error) => panic!("{error}"),
        })
        .collect()
}

fn aside(store: &Store, id: ExecutionId, text: &str) -> Result<Entry, AsideError<String>> {
    store.append_aside(id, &"bob".parse().expect("name"), |_| Ok(note(text)))
}

fn modes_below(path: &Path, into: &mut Vec<(PathBuf, u32)>) {
    let meta = fs::symlink_metadata(path).expect("exists");
    into.push((path.to_owned(), meta.permissions().mode() & 0o777));
    if meta.is_dir() {
        for item in fs::read_dir(path).expect("lists") {
            modes_below(&item.expect("lists").path(), into);
        }
    }
}

#[test]
fn an_execution_is_private_and_read_back_as_it_was_written() {
    let scene = Scene::new();
    let mut journal = scene.store.create(scene.id).expect("creates");
    journal.keep("runbook/x.yaml", b"a: 1\n").expect("keeps");
    let mut written = append(&mut journal, "one");
    let mut out = journal
        .artifacts()
        .begin("step.stdout.txt")
        .expect("begins");
    out.write_all(b"output").expect("writes");
    let artifact = out.commit("text/plain").expect("commits");
    written.extend(append(&mut journal, "two"));
    assert_eq!(scene.whole(), written);
    assert_eq!(scene.store.ids().expect("lists"), [scene.id]);

    let mut modes = Vec::new();
    modes_below(&scene.dir.path().join("state"), &mut modes);
    assert!(modes.len() >= 12, "{modes:?}");
    for (path, mode) in modes {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, wanted, "{}", path.display());
    }
    assert_eq!(artifact.path, "artifacts/000001-step.stdout.txt");
    assert_eq!(artifact.sha256, Digest::of("output"));
    assert_eq!(artifact.size, 6);
    let bytes = fs::read(journal.artifacts().path_of(&artifact)).expect("reads");
    assert_eq!(bytes, b"output");
    let times: Vec<u64> = written.iter().map(|entry| entry.mono_ns).collect();
    assert!(times.is_sorted() && times[0] < times[1]);
}

#[test]
fn documents_are_kept_once_and_only_where_they_belong() {
    let scene = Scene::new();
    let journal = scene.store.create(scene.id).expect("creates");
    journal.keep("runbook/x.yaml", b"a: 1\n").expect("keeps");
    journal.keep("runbook/x.yaml", b"a: 1\n").expect("the same");
    assert!(matches!(
        journal.keep("runbook/x.yaml", b"a: 2\n"),
        Err(StoreError::KeptOtherwise(_))
    ));
    assert_eq!(
        scene.store.kept(scene.id, "runbook/x.yaml").expect("kept"),
        b"a: 1\n"
    );
    for bad in [
        "x.yaml",
        "journal.jsonl",
        "runbook/",
        "runbook/../journal.jsonl",
        "runbook/..",
        "runbook/a/b",
        "/etc/passwd",
        "runbook//etc/passwd",
        "runbook/.hidden",
        "runbook/é",
        "artifacts/x",
    ] {
        let kept = journal.keep(bad, b"x");
        assert!(matches!(kept, Err(StoreError::Document(_))), "{bad}");
        let read = scene.store.kept(scene.id, bad);
        assert!(matches!(read, Err(StoreError::Document(_))), "{bad}");
    }
}

#[test]
fn a_state_directory_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    Store::open(&home).expect("opens");
    for path in [home.clone(), home.join("executions")] {
        for mode in [0o770, 0o707, 0o1777, 0o720] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("sets");
            let error = Store::open(&home).expect_err("others can write");
            let text = error.to_string();
            assert!(
                text.contains("can be written by others") && text.contains("chmod go-w"),
                "{text}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("sets");
        Store::open(&home).expect("others can only look");
    }
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writes");
    assert!(Store::open(&file).is_err());
}

#[test]
fn a_directory_of_another_user_is_refused_by_root_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = dir.path().join("home");
    Store::open(&home).expect("opens");
    // Only root can give it away; the rule itself is tested beside `check_trust` for everyone.
    if std::os::unix::fs::chown(home.join("executions"), Some(12345), None).is_ok() {
        let text = Store::open(&home).expect_err("not ours").to_string();
        assert!(text.contains("belongs to user 12345"), "{text}");
    } else {
        fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).expect("sets");
        assert!(Store::open(&home).is_err());
    }
}

#[test]
fn an_execution_exists_once_and_whole() {
    let scene = Scene::with_notes(1);
    assert!(matches!(
        scene.store.create(scene.id),
        Err(StoreError::Exists(id)) if id == scene.id
    ));
    assert_eq!(scene.whole().len(), 1);
    fs::create_dir(scene.execution().with_file_name("strange")).expect("makes");
    fs::create_dir(
        scene
            .execution()
            .with_file_name(format!(".new-{}", ExecutionId::generate())),
    )
    .expect("makes");
    assert_eq!(scene.store.ids().expect("lists"), [scene.id]);
    let other = ExecutionId::generate();
    assert!(matches!(
        scene.store.read(other),
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        scene.store.drive(other),
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        aside(&scene.store, other, "x"),
        Err(AsideError::Store(StoreError::NotFound { .. }))
    ));
}

#[test]
fn one_process_drives_and_the_other_is_told_which() {
    let scene = Scene::new();
    let first = scene.store.create(scene.id).expect("creates");
    let pid = std::process::id();
    let refused = scene.store.drive(scene.id).expect_err("driven");
    assert!(matches!(refused, StoreError::Driven { pid: Some(p), .. } if p == pid));
    drop(first);
    let (second, _, recovery) = scene.store.drive(scene.id).expect("free again");
    assert!(recovery.is_nothing());
    assert!(scene.store.drive(scene.id).is_err());
    drop(second);
}

#[test]
fn a_note_from_elsewhere_comes_with_the_next_append_of_the_driver() {
    let scene = Scene::new();
    let mut journal = scene.store.create(scene.id).expect("creates");
    append(&mut journal, "a");
    aside(&scene.store, scene.id, "b").expect("appends");
    aside(&scene.store, scene.id, "c").expect("appends");
    let entries = append(&mut journal, "d");
    assert_eq!(texts(&entries), ["b", "c", "d"]);
    assert_eq!(entries[0].actor.as_str(), "bob");
    aside(&scene.store, scene.id, "e").expect("appends");
    assert_eq!(texts(&journal.catch_up().expect("reads")), ["e"]);
    assert!(journal.catch_up().expect("reads").is_empty());
    assert_eq!(texts(&append(&mut journal, "f")), ["f"]);
    assert_eq!(texts(&scene.whole()), ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn who_adds_from_elsewhere_sees_everything_and_may_decide_against_it() {
    let scene = Scene::with_notes(2);
    let refused = scene.store.append_aside(scene.id, &alice(), |entries| {
        assert_eq!(texts(entries), ["note 0", "note 1"]);
        Err("it has ended")
    });
    assert!(matches!(refused, Err(AsideError::Refused("it has ended"))));
    assert_eq!(scene.whole().len(), 2);
}

#[test]
fn eight_writers_make_one_chain() {
    let scene = Scene::with_notes(0);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let scene = &scene;
            scope.spawn(move || {
                for number in 0..50 {
                    let text = format!("{writer}/{number}");
                    aside(&scene.store, scene.id, &text).expect("appends");
                }
            });
        }
    });
    let entries = scene.whole();
    assert_eq!(entries.len(), 400);
    for writer in 0..8 {
        let own = format!("{writer}/");
        let of_writer: Vec<String> = texts(&entries)
            .into_iter()
            .filter(|text| text.starts_with(&own))
            .collect();
        let in_order: Vec<String> = (0..50).map(|n| format!("{writer}/{n}")).collect();
        assert_eq!(of_writer, in_order);
    }
}

#[test]
fn a_torn_end_is_kept_then_cut_wherever_it_was_torn() {
    let scene = Scene::with_notes(3);
    let bytes = fs::read(scene.file()).expect("reads");
    let before = scene.whole();
    let last = before[2].line().len() + 1;
    let whole = bytes.len() - last;
    for torn in 1..last {
        fs::write(scene.file(), &bytes[..whole + torn]).expect("writes");
        let (mut journal, entries, recovery) = scene.store.drive(scene.id).expect("drives");
        assert_eq!(entries, before[..2], "torn at {torn}");
        let kept = recovery.torn.expect("was torn");
        assert_eq!(recovery.offset, whole as u64);
        let path = journal.artifacts().path_of(&kept);
        assert_eq!(fs::read(&path).expect("kept"), &bytes[whole..whole + torn]);
        assert_eq!(kept.sha256, Digest::of(&bytes[whole..whole + torn]));
        assert_eq!(fs::metadata(scene.file()).expect("is").len(), whole as u64);
        append(&mut journal, "after");
        assert_eq!(texts(&scene.whole()), ["note 0", "note 1", "after"]);
        fs::remove_file(path).expect("removes");
    }
}

#[test]
fn a_damaged_journal_is_read_to_the_damage_and_never_written() {
    let scene = Scene::with_notes(5);
    let mut bytes = fs::read(scene.file()).expect("reads");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(scene.file(), &bytes).expect("writes");

    let reading = scene.store.read(scene.id).expect("reads");
    assert!(matches!(reading.tail, Tail::Damaged { line: 3, .. }));
    assert_eq!(reading.entries.len(), 2);
    let error = scene.store.drive(scene.id).expect_err("damaged");
    assert!(error.to_string().contains("line 3, at byte"), "{error}");
    assert!(matches!(
        aside(&scene.store, scene.id, "x"),
        Err(AsideError::Append(AppendError::Changed { .. }))
    ));
    assert_eq!(fs::read(scene.file()).expect("reads"), bytes);
}

#[test]
fn a_live_driver_notices_that_its_journal_was_changed() {
    let scene = Scene::new();
    let mut journal = scene.store.create(scene.id).expect("creates");
    append(&mut journal, "a");
    append(&mut journal, "b");
    let bytes = fs::read(scene.file()).expect("reads");

    // A line that repeats one, a torn one, and one that is gone.
    let a_line = bytes.iter().position(|b| *b == b'\n').expect("a line") + 1;
    for (added, what) in [
        (&bytes[..a_line], "has number 0"),
        (b"{\"v\":", "incomplete"),
    ] {
        scene.scribble(added);
        let error = journal.append(&alice(), &note("c")).expect_err("changed");
        assert!(error.to_string().contains(what), "{error}");
        fs::write(scene.file(), &bytes).expect("writes");
    }
    fs::write(scene.file(), &bytes[..a_line]).expect("writes");
    let error = journal.append(&alice(), &note("c")).expect_err("cut");
    assert!(error.to_string().contains("was cut"), "{error}");

    fs::write(scene.file(), &bytes).expect("writes");
    append(&mut journal, "c");
    assert_eq!(texts(&scene.whole()), ["a", "b", "c"]);
}

/// What a later version would have written at the end: a sound line of a type that is not known here.
fn line_of_a_newer_version(after: &Entry) -> String {
    let line = after.line().replace("note.added", "note.sung").replace(
        &format!("\"seq\":{}", after.seq),
        &format!("\"seq\":{}", after.seq + 1),
    );
    let body = &line[..line.len() - 75 - 74];
    let body = format!("{body},\"prev\":\"{}\"", after.hash);
    let hash = Digest::of(format!("{body}}}"));
    format!("{body},\"hash\":\"{hash}\"}}\n")
}

#[test]
fn nothing_is_written_after_what_a_newer_version_wrote() {
    let scene = Scene::new();
    let mut journal = scene.store.create(scene.id).expect("creates");
    let entries = append(&mut journal, "a");
    scene.scribble(line_of_a_newer_version(&entries[0]).as_bytes());
    let bytes = fs::read(scene.file()).expect("reads");

    let reading = scene.store.read(scene.id).expect("reads");
    assert_eq!(
        reading.tail,
        Tail::Newer {
            line: 2,
            what: "note.sung".into(),
            verified: 1
        }
    );
    let driver = journal.append(&alice(), &note("b"));
    assert!(matches!(driver, Err(AppendError::Newer { line: 2, .. })));
    assert!(matches!(
        aside(&scene.store, scene.id, "b"),
        Err(AsideError::Append(AppendError::Newer { .. }))
    ));
    drop(journal);
    let resumed = scene.store.drive(scene.id).expect_err("newer");
    assert!(matches!(resumed, StoreError::Newer { line: 2, .. }));
    assert_eq!(fs::read(scene.file()).expect("reads"), bytes);
}

#[test]
fn an_event_that_does_not_fit_is_refused_before_anything_is_written() {
    let scene = Scene::new();
    let mut journal = scene.store.create(scene.id).expect("creates");
    let overhead = append(&mut journal, "")[0].line().len() + 1;
    // Numbers and times vary in length by a few characters.
    append(&mut journal, &"x".repeat(MAX_LINE - overhead - 20));
    let before = fs::metadata(scene.file()).expect("is").len();
    for size in [MAX_LINE - overhead + 20, MAX_LINE, 1 << 20] {
        let error = journal
            .append(&alice(), &note(&"x".repeat(size)))
            .expect_err("too big");
        assert!(matches!(error, AppendError::TooBig { .. }));
    }
    assert_eq!(fs::metadata(scene.file()).expect("is").len(), before);
    append(&mut journal, "fits");
    assert_eq!(scene.whole().len(), 3);
}

#[test]
fn artifacts_of_one_step_are_committed_together_and_numbered_on() {
    let scene = Scene::new();
    let journal = scene.store.create(scene.id).expect("creates");
    let artifacts = journal.artifacts();
    let mut out = artifacts.begin("probe.stdout.txt").expect("begins");
    let mut err = artifacts.begin("probe.stderr.txt").expect("begins");
    let mut same = artifacts.begin("probe.stdout.txt").expect("begins");
    let empty = artifacts.begin("probe.empty.txt").expect("begins");
    let task = std::thread::spawn(move || {
        for piece in ["a", "b", "c"] {
            out.write_all(piece.as_bytes()).expect("writes");
        }
        out
    });
    err.write_all(b"e").expect("writes");
    same.write_all(b"s").expect("writes");
    assert_eq!(empty.size(), 0);
    empty.discard();
    let out = task.join().expect("ends");
    let committed = artifacts
        .commit_all(vec![
            (out, "text/plain"),
            (err, "text/plain"),
            (same, "text/plain"),
        ])
        .expect("commits");
    let paths: Vec<&str> = committed.iter().map(|a| a.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "artifacts/000001-probe.stdout.txt",
            "artifacts/000002-probe.stderr.txt",
            "artifacts/000003-probe.stdout.txt"
        ]
    );
    assert_eq!(committed[0].sha256, Digest::of("abc"));
    drop(artifacts.begin("dropped").expect("begins"));
    let private = fs::read_dir(scene.execution().join("private")).expect("lists");
    assert_eq!(private.count(), 2, "only the locks");

    drop(journal);
    let (journal, _, recovery) = scene.store.drive(scene.id).expect("drives");
    // No entry names them yet, so the driver is told.
    assert_eq!(recovery.unfinished.len(), 3);
    let next = journal.artifacts().begin("x").expect("begins");
    let next = next.commit("text/plain").expect("commits");
    assert_eq!(next.path, "artifacts/000004-x");
    // Another terminal counts for itself; names still never collide.
    let elsewhere = scene.store.artifacts(scene.id).expect("opens");
    let one = journal.artifacts().begin("y").expect("begins");
    let other = elsewhere.begin("y").expect("begins");
    let one = one.commit("text/plain").expect("commits");
    let other = other.commit("text/plain").expect("commits");
    assert_ne!(one.path, other.path);
    for bad in ["", "a/b", "..", ".x", "a b", "é", "a\n", &"x".repeat(201)] {
        assert!(journal.artifacts().begin(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_path_in_an_artifact_cannot_lead_elsewhere() {
    let scene = Scene::new();
    let journal = scene.store.create(scene.id).expect("creates");
    for path in [
        "artifacts/../../private/driver.lock",
        "/etc/passwd",
        "..",
        "",
    ] {
        let artifact = Artifact {
            path: path.into(),
            sha256: Digest::ZERO,
            size: 0,
            media_type: String::new(),
        };
        let found = journal.artifacts().path_of(&artifact);
        let dir = scene.execution().join("data/artifacts");
        assert!(
            found.starts_with(&dir) && !path_has_parent(&found),
            "{path}"
        );
    }
}

fn path_has_parent(path: &Path) -> bool {
    path.components()
        .any(|part| part == std::path::Component::ParentDir)
}

#[test]
fn what_a_crash_cut_short_is_kept_and_told_until_an_entry_names_it() {
    let scene = Scene::with_notes(1);
    let private = scene.execution().join("private");
    fs::write(private.join("000007-step.stdout.txt.part"), "half of").expect("writes");
    fs::write(private.join("000008-step.stderr.txt.part"), "").expect("writes");
    let elsewhere = scene.store.artifacts(scene.id).expect("opens");
    let mut alive = elsewhere.begin("attached.png").expect("begins");
    alive.write_all(b"still").expect("writes");

    let (mut journal, _, recovery) = scene.store.drive(scene.id).expect("drives");
    assert!(recovery.torn.is_none());
    let [partial] = &recovery.unfinished[..] else {
        panic!("{recovery:?}");
    };
    assert_eq!(partial.path, "artifacts/000007-step.stdout.txt.partial");
    assert_eq!(partial.sha256, Digest::of("half of"));
    // What is still being written was left alone.
    let attached = alive.commit("image/png").expect("commits");
    assert_eq!(attached.path, "artifacts/000009-attached.png");

    drop(journal);
    let (again, _, recovery) = scene.store.drive(scene.id).expect("drives");
    assert_eq!(recovery.unfinished.len(), 2);
    journal = again;
    // Only a whole string in an entry counts as its name.
    append(&mut journal, &partial.path);
    append(&mut journal, &format!("see \"{}\"", attached.path));
    drop(journal);
    let (_, _, recovery) = scene.store.drive(scene.id).expect("drives");
    let paths: Vec<&str> = recovery
        .unfinished
        .iter()
        .map(|a| a.path.as_str())
        .collect();
    assert_eq!(paths, [attached.path.as_str()]);
}

#[test]
fn reading_while_a_line_is_being_written_is_not_an_error() {
    let scene = Scene::with_notes(2);
    scene.scribble(b"{\"v\":1,\"exec");
    let reading = scene.store.read(scene.id).expect("reads");
    assert_eq!(reading.entries.len(), 2);
    assert!(matches!(&reading.tail, Tail::Torn { bytes, .. } if bytes == b"{\"v\":1,\"exec"));
}

const FULL_DISK_HOME: &str = "RUNBOOK_TEST_FULL_DISK_HOME";

/// Files that may not grow stand in for a full disk: the system cuts the write short, then refuses the rest.
#[test]
fn a_full_disk_takes_nothing_back_that_was_acknowledged() {
    if let Some(home) = std::env::var_os(FULL_DISK_HOME) {
        return fill(Path::new(&home));
    }
    let scene = Scene::with_notes(0);
    let test = "a_full_disk_takes_nothing_back_that_was_acknowledged";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("a path"))
        .args(["--exact", test, "--nocapture"])
        .env(FULL_DISK_HOME, scene.dir.path().join("state/runbook"))
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let (_, rest) = said.split_once("acknowledged ").expect("a number");
    let acknowledged: usize = rest
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a number");
    let entries = scene.whole();
    assert!(acknowledged > 2);
    assert_eq!(entries.len(), acknowledged);
    let (mut journal, _, recovery) = scene.store.drive(scene.id).expect("drives");
    assert!(recovery.is_nothing());
    append(&mut journal, "there is room again");
}

/// In the process whose files may not grow: appends until that fails, then a smaller one that still fits.
fn fill(home: &Path) {
    let store = Store::open(home).expect("opens");
    let id = store.ids().expect("lists")[0];
    let (mut journal, _, _) = store.drive(id).expect("drives");
    let mut acknowledged = 0;
    let failure = loop {
        match journal.append(&alice(), &note(&"x".repeat(700))) {
            Ok(entries) => acknowledged += entries.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(failure, AppendError::File(_)), "{failure:?}");
    // The part that was written is gone, and the journal is still open.
    let again = journal.append(&alice(), &note(&"x".repeat(700)));
    assert!(matches!(again, Err(AppendError::File(_))), "{again:?}");
    while journal.append(&alice(), &note("")).is_ok() {
        acknowledged += 1;
    }
    let reading = store.read(id).expect("reads");
    assert_eq!(reading.tail, Tail::Whole);
    assert_eq!(reading.entries.len(), acknowledged);
    println!("acknowledged {acknowledged} ");
}
