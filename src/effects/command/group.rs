//! The process group of a command: asked to end, then made to.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout_at};

/// How long a killed group may take to be gone. The kernel needs no time; a process that hangs in it never goes.
const KILLED: Duration = Duration::from_secs(2);

/// How often to look whether a group is gone; nothing tells when processes that are not our children end.
const LOOK: Duration = Duration::from_millis(10);

/// A process group that is killed when this is dropped, unless it was left alone or ended before.
pub(super) struct Group {
    id: Option<Pid>,
}

impl Group {
    /// The group that this child leads; absent when the child was waited for already.
    pub(super) fn led_by(child: &Child) -> Option<Self> {
        let id = Pid::from_raw(i32::try_from(child.id()?).ok()?)?;
        Some(Self { id: Some(id) })
    }

    /// Leaves what is alive of the group alone.
    pub(super) fn leave(&mut self) {
        self.id = None;
    }

    /// Asks the group to end, and kills after `grace` what is left of it. Tells whether anything is alive even so.
    pub(super) async fn end(mut self, child: &mut Child, grace: Duration) -> bool {
        self.signal(Signal::TERM);
        // A process that waits for the terminal is suspended, and would not hear it.
        self.signal(Signal::CONT);
        let mut gone = self.gone_by(child, Instant::now() + grace).await;
        if !gone {
            self.signal(Signal::KILL);
            gone = self.gone_by(child, Instant::now() + KILLED).await;
        }
        self.leave();
        !gone
    }

    /// Whether the leader and all others ended before `deadline`.
    ///
    /// The number of a group is not given away while the group has a member; so once it is seen empty, nothing is sent to it.
    async fn gone_by(&mut self, child: &mut Child, deadline: Instant) -> bool {
        if timeout_at(deadline, child.wait()).await.is_err() {
            return false;
        }
        while self.alive() {
            if Instant::now() >= deadline {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.id {
            // It fails when nobody is there any more, or when all belong to another user; `alive` tells which.
            let _ = kill_process_group(id, signal);
        }
    }

    fn alive(&self) -> bool {
        let Some(id) = self.id else { return false };
        match test_kill_process_group(id) {
            Err(rustix::io::Errno::SRCH) => false,
            Ok(()) | Err(_) => !only_dead(id).unwrap_or(false),
        }
    }
}
impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Whether all members of the group have ended and merely nobody has waited for them, as in a container whose first process
/// does not. Absent where there is no `/proc` to tell.
fn only_dead(group: Pid) -> Option<bool> {
    let group = group.as_raw_nonzero().to_string();
    let mut looked = 0;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        // After the name, which is in parentheses and may hold anything: state, parent, group.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, fields)) = stat.rsplit_once(") ") else {
            continue;
        };
        looked += 1;
        let mut fields = fields.split(' ');
        let state = fields.next();
        if fields.nth(1) == Some(group.as_str()) && !matches!(state, Some("Z" | "X")) {
            return Some(false);
        }
    }
    (looked > 0).then_some(true)
}
