//! What a registry says in headers: how it wants to be told who asks, and when to come back. Pure.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// How a registry wants to be told who asks (RFC 9110, section 11.6.1; RFC 6750, section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password in every request.
    Basic,
    /// A token, to be had elsewhere.
    Bearer {
        /// Where.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
}

impl Challenge {
    /// The challenge that we can meet; a token rather than a password, which then travels less.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        let values = headers.get_all(WWW_AUTHENTICATE).iter();
        for (scheme, parameters) in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenges)
        {
            let parameter = |name: &str| {
                let found = parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                let service = parameter("service");
                return Some(Self::Bearer { realm, service });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
        }
        basic
    }
}

type Parameters = Vec<(String, String)>;

/// The challenges in one header: `Scheme key=value, key="quoted value", Scheme …`.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    for item in split_outside_quotes(header) {
        let item = item.trim();
        // A new scheme stands before the first of its parameters, or alone.
        let (scheme, rest) = match item.split_once(' ') {
            Some((word, rest)) if !word.contains('=') => (Some(word), rest.trim()),
            _ if !item.contains('=') => (Some(item), ""),
            _ => (None, item),
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_empty()) {
            found.push((scheme.to_owned(), Vec::new()));
        }
        if let (Some((_, parameters)), Some((key, value))) =
            (found.last_mut(), rest.split_once('='))
        {
            parameters.push((key.trim().to_owned(), unquoted(value.trim())));
        }
    }
    found
}

fn split_outside_quotes(text: &str) -> Vec<&str> {
    let (mut items, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                items.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&text[start..]);
    items
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' {
            characters.next()
        } else {
            Some(c)
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap());
        }
        Challenge::read(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.into(),
            service: service.map(str::to_owned),
        })
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        for (values, expected) in [
            (
                &[
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                ][..],
                bearer("https://auth.docker.io/token", Some("registry.docker.io")),
            ),
            (
                &[
                    r#"Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#,
                ][..],
                Some(Challenge::Basic),
            ),
            (&["Basic"][..], Some(Challenge::Basic)),
            (&["basic realm=x"][..], Some(Challenge::Basic)),
            (
                &[r#"Basic realm="x", Bearer realm="https://y/t""#][..],
                bearer("https://y/t", None),
            ),
            (
                &[r#"Basic realm="x""#, r#"BEARER REALM="https://y/t""#][..],
                bearer("https://y/t", None),
            ),
            (
                &[r#"Bearer service="s" , realm=https://y/t"#][..],
                bearer("https://y/t", Some("s")),
            ),
            (
                &[r#"Bearer realm="https://y/a\"b,c""#][..],
                bearer("https://y/a\"b,c", None),
            ),
            (&[r#"Bearer service="s""#][..], None),
            (&["Negotiate"][..], None),
            (&[""][..], None),
            (&[][..], None),
        ] {
            assert_eq!(read(values), expected, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in "[ -~]{0,60}") {
            read(&[&text]);
        }
    }
}
