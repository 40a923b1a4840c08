//! Globs, in which `*` stands for any characters: whether one matches a text, and whether two can match the same.

/// `*` stands for any characters, none included. Linear in the text for each star.
pub(super) fn glob_matches(text: &str, glob: &str) -> bool {
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

/// Whether some text matches both. Of the two, `*` stands for any characters in each.
pub(super) fn globs_meet(left: &str, right: &str) -> bool {
    let right: Vec<char> = right.chars().collect();
    // `reached[j]`: what was read of the left so far can be spelled as the first `j` of the right.
    let mut reached = vec![false; right.len() + 1];
    reached[0] = true;
    open_stars(&mut reached, &right);
    for c in left.chars() {
        let mut next = vec![false; right.len() + 1];
        for j in (0..=right.len()).filter(|&j| reached[j]) {
            match (c, right.get(j)) {
                ('*', _) => next[j..].fill(true),
                (_, Some('*')) => next[j] = true,
                (_, Some(&other)) if other == c => next[j + 1] = true,
                _ => {}
            }
        }
        open_stars(&mut next, &right);
        reached = next;
    }
    reached[right.len()]
}

/// A star may stand for nothing.
fn open_stars(reached: &mut [bool], right: &[char]) {
    for j in 0..right.len() {
        if reached[j] && right[j] == '*' {
            reached[j + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_globs_meet_where_a_text_fits_both() {
        for (left, right, expected) in [
            ("main", "*main", true),
            ("HEAD:*", "*main", true),
            ("v*", "*main", true),
            ("deploy/*", "rollout", false),
            ("*", "x", true),
            ("*", "", true),
            ("a*b", "b*", false),
            ("--force", "--force*", true),
            ("", "", true),
            ("x", "", false),
        ] {
            assert_eq!(globs_meet(left, right), expected, "{left} {right}");
            assert_eq!(globs_meet(right, left), expected, "{right} {left}");
        }
    }
}
