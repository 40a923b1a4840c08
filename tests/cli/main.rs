//! The program as its users see it: one file per feature, each test a scene.

mod bad_deploy;
mod before_anything;
mod commands;
mod comments;
mod coverage;
mod denied;
mod disturbed;
mod drills;
mod every_execution;
mod exec;
mod fixture;
mod freeze;
mod hand_over;
mod history;
mod incident;
mod incompatible;
mod interrupted;
mod large_run;
mod lost_freeze;
mod luck;
mod partial_deployment;
mod requests;
mod room;
mod rows;
mod scene;
mod verbs;
