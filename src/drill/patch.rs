//! JSON Merge Patch (RFC 7396): how the world changes.

use serde_json::{Map, Value as Json};

/// Merges a patch into a map: a member that is `null` goes, a map is merged into what is there, everything else replaces
/// it. A list is replaced as a whole.
pub(super) fn merge(target: &mut Map<String, Json>, patch: Map<String, Json>) {
    for (name, value) in patch {
        match value {
            Json::Null => {
                target.remove(&name);
            }
            Json::Object(below) => {
                let place = target.entry(name).or_insert(Json::Null);
                if !place.is_object() {
                    *place = Json::Object(Map::new());
                }
                if let Json::Object(place) = place {
                    merge(place, below);
                }
            }
            other => {
                target.insert(name, other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_examples_of_the_rfc_are_merged_as_it_says() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ] {
            let (Json::Object(mut into), Json::Object(with)) = (target.clone(), patch.clone())
            else {
                panic!("only maps are merged here");
            };
            merge(&mut into, with);
            assert_eq!(Json::Object(into), expected, "{target} with {patch}");
        }
    }
}
