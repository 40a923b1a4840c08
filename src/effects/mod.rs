//! The hands: what reaches the world, and the seams to it.

pub mod answers;
pub mod console;
pub mod hands;
