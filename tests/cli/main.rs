//! The program as its users see it: one file per feature, each test a scene.

mod bad_deploy;
mod coverage;
mod every_execution;
mod freeze;
mod history;
mod incident;
mod partial_deployment;
mod scene;
