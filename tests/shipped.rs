//! Every shipped document parses.

use runbook::runbook::diagnostic::{Paint, render};
use runbook::runbook::library::Library;
use runbook::runbook::shipped::{RUNBOOKS, STANDARD, read};

#[test]
fn the_shipped_library_parses() {
    if let Err(mistakes) = Library::parse(STANDARD.file, STANDARD.text.as_bytes()) {
        panic!(
            "{}",
            render(
                &mistakes,
                STANDARD.file,
                STANDARD.text.as_bytes(),
                Paint::Plain
            )
        );
    }
}

#[test]
fn every_shipped_runbook_parses() {
    for shipped in RUNBOOKS {
        if let Err(mistakes) = read(shipped.file, shipped.text.as_bytes()) {
            panic!(
                "{}",
                render(
                    &mistakes,
                    shipped.file,
                    shipped.text.as_bytes(),
                    Paint::Plain
                )
            );
        }
    }
}
