//! The program as its users see it: one file per feature, each test a scene.

mod freeze;
mod history;
mod scene;
