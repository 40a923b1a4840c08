//! What a crash, a lost line, a torn line, a failed effect and a lost freeze may do to an execution: nothing that is
//! performed twice, nothing that passes for done, nothing that cannot be taken up again.
//!
//! Every shipped runbook is walked once to its end, and its whole folder (journal, artifacts, run history, world) is kept
//! at every entry. Each of these is what a crash at that entry leaves behind; the tests break it further and go on.

mod crash {
    mod cases;
    mod cuts;
    mod desk;
    mod faults;
    mod folder;
    mod hands;
    mod machine;
    mod scene;
    mod torn;
    mod wander;
}
