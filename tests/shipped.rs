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
        match read(shipped.file, shipped.text.as_bytes()) {
            Ok(runbook) => {
                assert_eq!(runbook.id.as_str(), shipped.name());
                assert_eq!(
                    runbook.title,
                    shipped.title(),
                    "the head alone says the same"
                );
            }
            Err(mistakes) => panic!(
                "{}",
                render(
                    &mistakes,
                    shipped.file,
                    shipped.text.as_bytes(),
                    Paint::Plain
                )
            ),
        }
    }
}
