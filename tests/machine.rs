//! The machine, without a world: every rule of it, and attempts to break each.

#[path = "machine/accepting.rs"]
mod accepting;
#[path = "machine/bench.rs"]
mod bench;
#[path = "machine/clearance.rs"]
mod clearance;
#[path = "machine/course.rs"]
mod course;
#[path = "machine/menu.rs"]
mod menu;
#[path = "machine/unknown.rs"]
mod unknown;
#[path = "machine/walk.rs"]
mod walk;
