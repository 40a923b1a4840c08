//! What durability costs: our append against a bare write and `fdatasync` of the same bytes, turn by turn in one run, so
//! that a busy machine slows both. Prints medians and their ratio. Run with `cargo bench --bench journal`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::{Duration, Instant};

use runbook::execution::event::Event;
use runbook::ids::ExecutionId;
use runbook::journal::{Entry, Store, scan};

const ROUNDS: usize = 2000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In the build directory, because the temporary one may be memory, where a sync costs nothing.
    let dir = tempfile::tempdir_in(std::env::current_exe()?.parent().ok_or("no directory")?)?;
    let store = Store::open(&dir.path().join("home"))?;
    let id = ExecutionId::generate();
    let mut journal = store.create(id)?;
    let actor = "alice".parse()?;
    let event = Event::NoteAdded {
        text: "x".repeat(100),
    };

    let mut bare_file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.path().join("bare"))?;
    reserve(&bare_file);
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let entries = journal.append(&actor, &event)?;
        ours.push(begin.elapsed());

        let line = entries.last().map_or("", Entry::line);
        let bytes = format!("{line}\n").into_bytes();
        let begin = Instant::now();
        bare_file.write_all(&bytes)?;
        bare_file.sync_data()?;
        bare.push(begin.elapsed());
    }
    let (ours, bare) = (median(ours), median(bare));
    println!(
        "append: {ours:?}; bare write and fdatasync: {bare:?}; ratio {:.2} (goal: at most 1.3)",
        ours.as_secs_f64() / bare.as_secs_f64()
    );

    let bytes = std::fs::read(
        dir.path()
            .join(format!("home/executions/{id}/data/journal.jsonl")),
    )?;
    let (mut reading, mut hashing) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let begin = Instant::now();
        std::hint::black_box(scan(&bytes, id));
        reading.push(begin.elapsed());
        let begin = Instant::now();
        std::hint::black_box(runbook::digest::Digest::of(&bytes));
        hashing.push(begin.elapsed());
    }
    let (reading, hashing) = (median(reading), median(hashing));
    println!(
        "read {ROUNDS} entries: {reading:?}; SHA-256 of the same bytes: {hashing:?}; ratio {:.2} (goal: at most 4)",
        reading.as_secs_f64() / hashing.as_secs_f64()
    );
    Ok(())
}

/// The same reserve as a journal has, so that only our work differs.
fn reserve(file: &File) {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 1024 * 1024)
    {
        eprintln!("no room reserved: {error}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
