//! Where what is in the bucket.

use std::fmt::Write;

/// Where a cluster's records are in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: String,
}

/// What a key says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The kind.
    pub kind: String,
    /// The object's uid.
    pub uid: String,
    /// The number of the record.
    pub sequence: u64,
}

impl Layout {
    /// Below `prefix`, in a folder of the cluster's name.
    pub fn new(prefix: &str, cluster: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let between = if prefix.is_empty() { "" } else { "/" };
        Self {
            root: format!("{prefix}{between}{}", escape(cluster)),
        }
    }

    /// The key of a record.
    pub fn key(&self, kind: &str, uid: &str, sequence: u64) -> String {
        format!("{}{sequence:010}.json", self.chain(kind, uid))
    }

    /// What the keys of one object's records begin with.
    pub fn chain(&self, kind: &str, uid: &str) -> String {
        format!("{}{uid}/", self.kind(kind))
    }

    /// What the keys of one kind's records begin with.
    pub fn kind(&self, kind: &str) -> String {
        format!("{}/{kind}/", self.root)
    }

    /// What all keys of the cluster begin with.
    pub fn all(&self) -> String {
        format!("{}/", self.root)
    }

    /// The key of a part of the index of heads.
    pub fn heads(&self, shard: u8) -> String {
        format!("{}/heads/{shard:02x}.json", self.root)
    }

    /// What a key says; `None` if it is not a record's.
    pub fn place(&self, key: &str) -> Option<Place> {
        let mut parts = key.strip_prefix(&self.all())?.split('/');
        let (kind, uid, file) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = file.strip_suffix(".json")?;
        let sequence = digits.parse().ok()?;
        let place = Place {
            kind: kind.to_owned(),
            uid: uid.to_owned(),
            sequence,
        };
        (parts.next().is_none() && self.key(kind, uid, sequence) == key).then_some(place)
    }
}

/// A cluster's name as one part of a key.
fn escape(name: &str) -> String {
    name.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let layout = Layout::new("/audit/journal/", "eu/one");
        let key = layout.key("Release", "0a-1", 7);
        assert_eq!(key, "audit/journal/eu%2Fone/Release/0a-1/0000000007.json");
        let place = layout.place(&key).unwrap();
        assert_eq!(
            (place.kind.as_str(), place.uid.as_str(), place.sequence),
            ("Release", "0a-1", 7)
        );
        for other in [
            layout.heads(3).as_str(),
            "audit/journal/eu%2Fone/Release/0a-1/7.json",
            "audit/journal/eu%2Fone/Release/0a-1/0000000007.json/x",
            "audit/journal/other/Release/0a-1/0000000007.json",
            "Release/0a-1/0000000007.json",
        ] {
            assert_eq!(layout.place(other), None, "{other}");
        }
        assert_eq!(
            Layout::new("", "c").key("T", "u", 1),
            "c/T/u/0000000001.json"
        );
    }
}
