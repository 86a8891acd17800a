//! The files that berry was configured by: `/etc/taupage.yaml`, and a file of keys by application.

use serde::Deserialize;

use crate::model::Secret;

/// What of `/etc/taupage.yaml` concerns credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Taupage {
    /// Whose credentials.
    pub application_id: Option<String>,
    /// From which bucket.
    pub mint_bucket: Option<String>,
}

/// Reads the file's text; fields that it does not know are others' business.
///
/// # Errors
/// What is wrong with it.
pub fn taupage(text: &str) -> Result<Taupage, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}

/// A key of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// The key of an application in a file with lines `application:key:secret`; lines that begin with `#` say nothing.
pub fn key_of(application: &str, text: &str) -> Option<Key> {
    text.lines().map(str::trim).find_map(|line| {
        let mut fields = line.splitn(3, ':').map(str::trim);
        let (name, id, secret) = (fields.next()?, fields.next()?, fields.next()?);
        let usable =
            !line.starts_with('#') && name == application && !id.is_empty() && !secret.is_empty();
        usable.then(|| Key {
            id: id.to_owned(),
            secret: Secret::new(secret),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn berrys_files_are_read() {
        let text = "application_id: api\nmint_bucket: acme-mint\nports:\n  8080: 8080\n";
        let read = taupage(text).unwrap();
        assert_eq!(
            (read.application_id.as_deref(), read.mint_bucket.as_deref()),
            (Some("api"), Some("acme-mint"))
        );
        assert_eq!(taupage("runtime: Docker\n").unwrap(), Taupage::default());
        assert!(taupage("a: [").is_err());

        let keys = "# api:AKIAOLD:x\nother:AKIA1:s1\n api : AKIA2 : s/2:+ \napi:AKIA3:s3\n";
        let key = key_of("api", keys).unwrap();
        assert_eq!((key.id.as_str(), key.secret.reveal()), ("AKIA2", "s/2:+"));
        assert_eq!(key_of("nobody", keys), None);
        assert_eq!(key_of("api", "api:AKIA\napi::x"), None);
    }
}
