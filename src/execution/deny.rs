//! Deny patterns: what a guard refuses to launch.
//!
//! A pattern sees only what goes through this tool, word by word. Another terminal, a script that does the same, or a
//! button in a web page it cannot see; that is what a guard's `ensure` is for.

/// Whether argv matches a pattern: words, `*` within a word for any characters, `...` for any number of words.
///
/// The program matches by its last path component too, so `/usr/bin/kubectl` is `kubectl`. A pattern matches a prefix
/// of argv: words after its last one do not save a command. Only a word of the pattern that begins with `!` does: where
/// any word of argv matches the rest of it, the command passes. `fly deploy !*@sha256:*` lets a deployment by digest
/// through and nothing else.
#[must_use]
pub fn command_is_denied(argv: &[String], pattern: &str) -> bool {
    let (saving, words): (Vec<&str>, Vec<&str>) =
        pattern.split_whitespace().partition(|w| w.starts_with('!'));
    let is_saved = |word: &str| saving.iter().any(|glob| glob_matches(word, &glob[1..]));
    let Some((program, rest)) = argv.split_first() else {
        return false;
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    let bare: Vec<&str> = std::iter::once(name)
        .chain(rest.iter().map(String::as_str))
        .collect();
    prefix_matches(&bare, &words) && !argv.iter().any(|word| is_saved(word))
}

/// Whether a request matches a pattern: a method or `*`, a space, a path in which `*` is any characters.
///
/// The path is compared as a server understands it, whichever way it is spelled: percent-encoding undone, `.` and `..`
/// resolved, doubled slashes taken as one, upper case as lower case.
#[must_use]
pub fn request_is_denied(method: &str, path: &str, pattern: &str) -> bool {
    let Some((wanted, glob)) = pattern.split_once(' ') else {
        return false;
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let glob = glob.trim().to_lowercase();
    (wanted == "*" || wanted.eq_ignore_ascii_case(method))
        && (glob_matches(&path.to_lowercase(), &glob) || glob_matches(&plain(path), &glob))
}

/// The path in its plainest spelling.
fn plain(path: &str) -> String {
    let mut text = path.to_owned();
    // Something on the way may decode what was encoded twice. Every round makes it shorter, so this ends.
    while let Some(decoded) = decoded(&text) {
        text = decoded;
    }
    text.retain(|c| !c.is_control());
    let mut segments = Vec::new();
    for segment in text.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/")).to_lowercase()
}

/// The text with one round of percent-encoding undone; none where there is nothing to undo.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let hex = hex.filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let code = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    (out.len() < bytes.len()).then(|| String::from_utf8_lossy(&out).into_owned())
}

fn prefix_matches(argv: &[&str], pattern: &[&str]) -> bool {
    match (pattern, argv) {
        ([], _) => true,
        (["...", rest @ ..], _) => {
            (0..=argv.len()).any(|skipped| prefix_matches(&argv[skipped..], rest))
        }
        ([word, rest @ ..], [first, others @ ..]) => {
            glob_matches(first, word) && prefix_matches(others, rest)
        }
        (_, []) => false,
    }
}

/// `*` stands for any characters, none included. Linear in the text for each star.
fn glob_matches(text: &str, glob: &str) -> bool {
    let parts: Vec<&str> = glob.split('*').collect();
    let [first, middle @ .., last] = &parts[..] else {
        return text == glob;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_pattern_catches_its_command_and_lets_the_near_miss_pass() {
        let table = [
            ("git push origin main", "git push origin main", true),
            ("git push ... main", "git push --force origin main", true),
            ("git push ... *main", "git push heroku HEAD:main", true),
            ("git push ...", "git log main", false),
            (
                "kubectl rollout restart ...",
                "/usr/local/bin/kubectl rollout restart deploy/x",
                true,
            ),
            (
                "kubectl rollout restart ...",
                "kubectl rollout undo deploy/x --to-revision=41",
                false,
            ),
            (
                "kubectl ... rollout restart",
                "kubectl -n shop rollout restart deploy/x",
                true,
            ),
            ("docker build ...", "docker pull app", false),
            ("docker build", "docker build -t app .", true),
            (
                "ansible-playbook ... --start-at-task *",
                "ansible-playbook site.yml --start-at-task deploy",
                true,
            ),
            ("fly deploy !*@sha256:*", "fly deploy --remote-only", true),
            (
                "fly deploy !*@sha256:*",
                "fly deploy --image app:latest",
                true,
            ),
            (
                "fly deploy !*@sha256:*",
                "fly deploy --image app@sha256:600d",
                false,
            ),
        ];
        for (pattern, line, denied) in table {
            assert_eq!(
                command_is_denied(&argv(line), pattern),
                denied,
                "{pattern} / {line}"
            );
        }
        assert!(!command_is_denied(&[], "git"));
    }

    #[test]
    fn a_request_pattern_looks_at_method_and_path() {
        let table = [
            (
                "PUT /edges/*/routes*",
                "PUT",
                "/edges/fra1/routes/web?x=1",
                true,
            ),
            (
                "PUT /edges/*/routes*",
                "GET",
                "/edges/fra1/routes/web",
                false,
            ),
            ("* /edges/*", "delete", "/edges/fra1", true),
            ("PUT /edges/*", "PUT", "/operations", false),
            ("PUT", "PUT", "/operations", false),
            ("PUT /edges/*", "PUT", "/%65dges/fra1", true),
            ("PUT /edges/*", "PUT", "/%2565dges/fra1", true),
            ("PUT /edges/*", "PUT", "//x/../EDGES/fra1", true),
            ("PUT /edges/*", "PUT", "/x/%2e%2E/edges/fra1", true),
            ("PUT /edges/*", "PUT", "/x/..\\edges\\fra1", true),
            ("PUT /edges/*", "PUT", "/edges/../operations", true),
            ("PUT /edges/*", "PUT", "/operations/100%", false),
        ];
        for (pattern, method, path, denied) in table {
            assert_eq!(
                request_is_denied(method, path, pattern),
                denied,
                "{pattern} / {method} {path}"
            );
        }
    }
}
