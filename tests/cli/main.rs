//! The program as its users see it: one file per feature, each test a scene.

mod commands;
mod fixture;
mod freeze;
mod history;
mod interrupted;
mod luck;
mod requests;
mod room;
mod scene;
mod verbs;
