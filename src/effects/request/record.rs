//! What of a request may be written down.

/// Headers whose values are never recorded, in lower case.
pub const NEVER_RECORDED: [&str; 10] = [
    "authorization",
    "cookie",
    "private-token",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
    "x-vault-token",
];

/// Query keys whose values are credentials, in lower case.
const SECRET_KEYS: [&str; 12] = [
    "access_token",
    "api_key",
    "apikey",
    "client_secret",
    "code",
    "key",
    "password",
    "sig",
    "signature",
    "token",
    "x-amz-security-token",
    "x-amz-signature",
];

/// Stands for what is not recorded.
const MASK: &str = "REDACTED";

/// Whether the value of this header may be recorded.
#[must_use]
pub fn is_recordable(header: &str) -> bool {
    !NEVER_RECORDED.contains(&header.to_ascii_lowercase().as_str())
}

/// The address without its user and password, and without the values of query keys that carry credentials. What cannot be
/// read as an address is taken for a path with a query.
#[must_use]
pub fn recordable_url(url: &str) -> String {
    let (before, fragment) = match url.split_once('#') {
        Some((before, fragment)) => (before, format!("#{}", masked_pairs(fragment))),
        None => (url, String::new()),
    };
    let (place, query) = match before.split_once('?') {
        Some((place, query)) => (place, format!("?{}", masked_pairs(query))),
        None => (before, String::new()),
    };
    format!("{}{query}{fragment}", without_user(place))
}

/// Works on the text, since parsing would rewrite an address that is evidence. What the user part ends with is the last `@`
/// before the path; a backslash starts the path as well, as browsers and the URL standard have it.
fn without_user(place: &str) -> String {
    let Some(slashes) = place.find("//") else {
        return place.to_owned();
    };
    let (scheme, rest) = place.split_at(slashes + 2);
    let authority = rest.find(['/', '\\']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}{MASK}{}", &rest[at..]),
        None => place.to_owned(),
    }
}

fn masked_pairs(query: &str) -> String {
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if is_secret(key) => format!("{key}={MASK}"),
        _ => pair.to_owned(),
    });
    masked.collect::<Vec<String>>().join("&")
}

fn is_secret(key: &str) -> bool {
    SECRET_KEYS.contains(
        &key.to_ascii_lowercase()
            .replace("%2d", "-")
            .replace("%5f", "_")
            .as_str(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_not_recorded() {
        for (url, recorded) in [
            ("https://me:pw@host/a?b=c", "https://REDACTED@host/a?b=c"),
            ("https://me:p@w@host", "https://REDACTED@host"),
            ("//me@host/a", "//REDACTED@host/a"),
            (
                "https://host/a@b?Token=x&y=1&X-Amz-Signature=z",
                "https://host/a@b?Token=REDACTED&y=1&X-Amz-Signature=REDACTED",
            ),
            (
                "/login#access_token=abc&state=1",
                "/login#access_token=REDACTED&state=1",
            ),
            ("/a?access%5Ftoken=1", "/a?access%5Ftoken=REDACTED"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(recordable_url(url), recorded);
        }
    }

    #[test]
    fn headers_that_carry_credentials_are_not_recorded() {
        for header in [
            "Authorization",
            "proxy-authorization",
            "COOKIE",
            "Set-Cookie",
            "X-Api-Key",
        ] {
            assert!(!is_recordable(header), "{header}");
        }
        assert!(is_recordable("Content-Type"));
    }
}
