//! The ways in which programs write a value down.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::SHORTEST;

/// Columns after which programs wrap base64: `base64(1)` and MIME, and PEM.
const WRAPS: [usize; 2] = [76, 64];

/// All spellings of `value` that are looked for, each at least [`SHORTEST`] bytes long.
pub(super) fn of(value: &str) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    add(value, &mut all);
    if value.contains('\n') {
        add(&value.replace("\r\n", "\n").replace('\n', "\r\n"), &mut all);
        add(&value.replace("\r\n", "\n"), &mut all);
        let lines = value.lines().map(str::trim);
        // The armour lines of a key are the same in every key, and in certificates, which are no secrets.
        for line in lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----")) {
            add(line, &mut all);
        }
    }
    all
}

fn add(value: &str, all: &mut BTreeSet<Vec<u8>>) {
    let bytes = value.as_bytes();
    let texts = [
        value.to_owned(),
        hex(bytes, "0123456789abcdef"),
        hex(bytes, "0123456789ABCDEF"),
    ];
    let texts = texts
        .into_iter()
        .chain(url(value))
        .chain(json(value))
        .chain(xml(value))
        .chain(shell(value))
        .chain(base64(bytes));
    all.extend(texts.map(String::into_bytes));
}

fn hex(bytes: &[u8], digits: &str) -> String {
    let digits = digits.as_bytes();
    let pairs = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    pairs.map(|d| char::from(digits[usize::from(d)])).collect()
}

/// Percent-encoded as RFC 3986 wants it, as JavaScript does it, as forms do it, each with both cases of hex digits.
fn url(value: &str) -> impl Iterator<Item = String> {
    let kinds: [(&str, &str); 4] = [
        ("-._~", "%20"),
        ("-._~!'()*", "%20"),
        ("-._*", "+"),
        ("-._~/:", "%20"),
    ];
    let escape = |(kept, space): (&str, &str), case: fn(u8) -> String| {
        value.bytes().fold(String::new(), |mut out, byte| {
            match byte {
                b' ' => out.push_str(space),
                _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => {
                    out.push(byte.into());
                }
                _ => out.push_str(&case(byte)),
            }
            out
        })
    };
    let upper: fn(u8) -> String = |byte| format!("%{byte:02X}");
    let lower: fn(u8) -> String = |byte| format!("%{byte:02x}");
    let both = kinds.map(|kind| [escape(kind, upper), escape(kind, lower)]);
    both.into_iter().flatten()
}

/// Inside a JSON string, without the quotes: plain, with `\/`, with `\u003c` for HTML's sake, and in ASCII only.
fn json(value: &str) -> [String; 4] {
    let quoted = serde_json::Value::from(value).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let slashes = plain.replace('/', "\\/");
    let html = plain
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e");
    let ascii = plain.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a string takes all text");
            }
        }
        out
    });
    [plain, slashes, html, ascii]
}

/// As XML or HTML text: quotes left alone, and escaped in the three ways that are in use.
fn xml(value: &str) -> [String; 4] {
    let text = value
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let quotes = |double: &str, single: &str| text.replace('"', double).replace('\'', single);
    [
        quotes("&quot;", "&apos;"),
        quotes("&quot;", "&#x27;"),
        quotes("&#34;", "&#39;"),
        text,
    ]
}

/// As shells print it: inside single quotes, quoted in the two usual ways, and with backslashes.
fn shell(value: &str) -> [String; 3] {
    let safe = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    let backslashes = value.chars().fold(String::new(), |mut out, c| {
        if !safe(c) {
            out.push('\\');
        }
        out.push(c);
        out
    });
    [
        value.replace('\'', r"'\''"),
        value.replace('\'', r#"'"'"'"#),
        backslashes,
    ]
}

/// The base64 characters that the value alone decides, wherever it stands in what was encoded: after 0, 1 or 2 bytes of a
/// group of three. Both alphabets; whole, and wrapped when the encoded text starts with the value.
fn base64(bytes: &[u8]) -> Vec<String> {
    let alphabets = ["+/", "-_"].map(|last| {
        ('A'..='Z')
            .chain('a'..='z')
            .chain('0'..='9')
            .chain(last.chars())
            .collect::<Vec<char>>()
    });
    let mut all = Vec::new();
    for alphabet in &alphabets {
        for before in 0..3 {
            let bit = |index: usize| {
                let byte = bytes[index / 8 - before];
                usize::from(byte >> (7 - index % 8) & 1)
            };
            let first = (8 * before).div_ceil(6);
            let end = 8 * (before + bytes.len()) / 6;
            let sextet =
                |at: usize| (6 * at..6 * at + 6).fold(0, |sum, index| sum << 1 | bit(index));
            all.push(
                (first..end)
                    .map(|at| alphabet[sextet(at)])
                    .collect::<String>(),
            );
        }
    }
    let whole = all[0].clone();
    for columns in WRAPS.into_iter().filter(|columns| whole.len() > *columns) {
        let mut rest = whole.as_str();
        while rest.len() > columns {
            let (line, after) = rest.split_at(columns);
            all.push(line.to_owned());
            rest = after;
        }
        // A shorter end would be found everywhere.
        if rest.len() >= 8 {
            all.push(rest.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(value: &str, text: &str) -> bool {
        let found =
            |spelling: &Vec<u8>| text.contains(std::str::from_utf8(spelling).expect("text"));
        of(value).iter().any(found)
    }

    #[test]
    fn what_common_programs_print_is_among_the_spellings() {
        let value = r#"p'a"s&<w> é/1"#;
        for text in [
            r#"p'a"s&<w> é/1"#,
            "cCdhInMmPHc+IMOpLzE=",              // printf %s … | base64
            "eHAnYSJzJjx3PiDDqS8x",              // with `x` before
            "eHhwJ2EicyY8dz4gw6kvMQ==",          // with `xx` before
            "7027612273263c773e20c3a92f31",      // xxd -p
            "p%27a%22s%26%3Cw%3E%20%C3%A9%2F1",  // Python quote(safe='')
            "p%27a%22s%26%3Cw%3E+%C3%A9%2F1",    // Python quote_plus
            "p'a%22s%26%3Cw%3E%20%C3%A9%2F1",    // encodeURIComponent
            r#"p'a\"s&<w> é/1"#,                 // jq
            r#"p'a\"s&<w> \u00e9/1"#,            // Python json.dumps
            r#"p'a\"s\u0026\u003cw\u003e é/1"#,  // Go encoding/json
            "p&#39;a&#34;s&amp;&lt;w&gt; é/1",   // Go encoding/xml
            "p&#x27;a&quot;s&amp;&lt;w&gt; é/1", // Python html.escape
            r#"'p'\''a"s&<w> é/1'"#,             // bash set -x
            r#"'p'"'"'a"s&<w> é/1'"#,            // Python shlex.quote
            r#"p\'a\"s\&\<w\>\ é/1"#,            // bash printf %q
        ] {
            assert!(spelled(value, text), "{text}");
        }
        assert!(!spelled(value, "an ordinary line about passwords"));
    }

    #[test]
    fn no_spelling_is_shorter_than_the_shortest_value() {
        for value in [
            "abcdef",
            "ab\ncdefgh\ni",
            &"x".repeat(58),
            &"y".repeat(57 * 2 + 1),
        ] {
            assert!(of(value).iter().all(|s| s.len() >= SHORTEST), "{value}");
        }
    }

    #[test]
    fn the_lines_of_a_key_are_looked_for_but_not_its_armour() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIGEAgEAMBAGByqGSM49\nAgEGBSuBBAAKBG0wawIB\n-----END PRIVATE KEY-----\n";
        assert!(spelled(key, "MIGEAgEAMBAGByqGSM49"));
        assert!(!spelled(key, "-----BEGIN PRIVATE KEY-----"));
    }
}
