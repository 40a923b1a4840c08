//! Documents right and wrong: what is accepted, and what is said about the rest, at which line and column.

mod documents {
    mod accepted;
    mod format;
    mod hostile;
    mod misfits;
    mod names;
    mod order;
    mod profiles;
    mod scene;
    mod yaml;
}
