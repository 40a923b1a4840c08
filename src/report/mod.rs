//! The voice (pure): what people read. Meaning is in the words; colour only helps the eye.

pub mod event;
pub mod question;
pub mod step;
pub mod text;
