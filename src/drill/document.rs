//! Reading the documents of drills: one YAML document, strictly, with the place of a mistake.

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why a document of a drill cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It does not parse, or holds something that does not belong there.
    #[error("{0}")]
    Yaml(Box<serde_yaml::Error>),
    /// It is of another format.
    #[error("the format `{found}` is not read here; this tool reads `{wanted}`")]
    Format {
        /// The format that it says it has.
        found: String,
        /// The format that was expected.
        wanted: &'static str,
    },
    /// It parses, and does not hold together.
    #[error("{place}: {what}")]
    Wrong {
        /// Where in the document.
        place: String,
        /// What is wrong there.
        what: String,
    },
}

impl DocumentError {
    pub(super) fn wrong(place: &str, what: impl Into<String>) -> Self {
        Self::Wrong {
            place: place.to_owned(),
            what: what.into(),
        }
    }
}

/// Reads a document of this format.
pub(super) fn read<T: DeserializeOwned>(
    text: &str,
    format: &'static str,
) -> Result<T, DocumentError> {
    /// What a document of any format says about itself.
    #[derive(Deserialize)]
    struct About {
        format: String,
    }
    let About { format: found } = yaml(text)?;
    if found != format {
        return Err(DocumentError::Format {
            found,
            wanted: format,
        });
    }
    yaml(text)
}

/// Reads YAML of any form.
pub(super) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, DocumentError> {
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::Error,
        merge_keys: serde_yaml::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
    };
    serde_yaml::from_str_with_options(text, options)
        .map_err(|error| DocumentError::Yaml(error.into()))
}
