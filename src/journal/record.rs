//! One record: what it says, its bytes, and where it is kept.

use std::fmt::Write;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What a record's fields mean; another number means others.
pub const VERSION: u32 = 1;

/// A SHA-256, in small hexadecimal digits: what `sha256sum` prints.
pub type Hash = String;

/// The SHA-256 of these bytes.
pub fn sha256(bytes: &[u8]) -> Hash {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
pub enum Operation {
    /// The object is new.
    Created,
    /// Its spec was changed once.
    Changed,
    /// It is being deleted, or has been.
    Deleted,
    /// Its spec was changed and nobody watched: `unseen` says which generations the record stands for.
    Gap,
}

/// How it is known who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Evidence {
    /// The admission policy's stamp of who made the object.
    CreatedBy,
    /// The admission policy's stamp of who changed the spec last.
    ChangedBy,
    /// The same, for the last of several changes; who made the others is not known.
    ChangedByOfLast,
    /// The object bears no stamp: the cluster does not serve the policy, or it is not installed.
    NotStamped,
    /// Kubernetes keeps nobody's name with a deletion; only an audit log would know.
    DeletionIsNotStamped,
}

/// How it is known when it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeSource {
    /// The object's creation time.
    Created,
    /// The newest time at which a field of the spec was set, by the API server's own account.
    ManagedFields,
    /// The object's deletion time.
    Deletion,
    /// Only when it was seen is known.
    Observed,
}

/// The generations that a gap stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// The first one.
    pub from: i64,
    /// The last one, the one that `after` shows.
    pub to: i64,
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// The cluster.
    pub cluster: String,
    /// The object's kind.
    pub kind: String,
    /// Its namespace, if its kind has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its uid: an object that was deleted and made again is another one.
    pub uid: String,
    /// The number of this record among those of the object, from 1 on.
    pub sequence: u64,
    /// What happened.
    pub operation: Operation,
    /// The generation of the spec, where it is known. What the deletion itself adds to it is not counted.
    pub generation: Option<i64>,
    /// For a gap: which generations.
    pub unseen: Option<Unseen>,
    /// Who did it, as the API server authenticated them; null: not known.
    pub who: Option<String>,
    /// How that is known, or why not.
    pub who_from: Evidence,
    /// When it was done.
    pub at: Timestamp,
    /// How that is known.
    pub at_from: TimeSource,
    /// When the operator saw it.
    pub observed_at: Timestamp,
    /// The spec before; null if there was none, or if it is not known.
    pub before: Option<Value>,
    /// Only there, and true, if it is not known what was before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before_unknown: bool,
    /// The spec after; null if there is none any more.
    pub after: Option<Value>,
    /// What a reader must know besides.
    pub note: Option<String>,
    /// The SHA-256 of the bytes of the record before this one; null for the first.
    pub previous: Option<Hash>,
}

/// What cannot be a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The end is not what all records end with.
    #[error("it does not end with its own hash")]
    NotARecord,
    /// The content and its hash do not go together.
    #[error("its content has the SHA-256 {is}, but it says {says}")]
    Altered {
        /// What the content has.
        is: Hash,
        /// What the record says.
        says: Hash,
    },
    /// The hash is right and the content is none of ours.
    #[error("its content is not a record of version {VERSION}: {0}")]
    Foreign(String),
}

const HASH_FIELD: &str = ",\"hash\":\"";
const HASH_END: &str = "\"}";

impl Record {
    /// The bytes that are kept: JSON on one line, the fields in the order of [`Record`] and those inside a spec sorted,
    /// and at the end a field `hash` with the SHA-256 of everything else.
    ///
    /// # Errors
    /// Only if a spec cannot be written as JSON, which was read from JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut sorted = self.clone();
        sorted.before = sorted.before.map(sort);
        sorted.after = sorted.after.map(sort);
        let content = serde_json::to_string(&sorted)?;
        let hash = sha256(content.as_bytes());
        let open = content.strip_suffix('}').unwrap_or(&content);
        Ok(format!("{open}{HASH_FIELD}{hash}{HASH_END}").into_bytes())
    }

    /// Reads a record, and checks it against its own hash.
    ///
    /// # Errors
    /// If so much as one bit of it was changed.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotARecord)?;
        let (open, says) = text
            .strip_suffix(HASH_END)
            .and_then(|text| text.rsplit_once(HASH_FIELD))
            .ok_or(Unreadable::NotARecord)?;
        let content = format!("{open}}}");
        let is = sha256(content.as_bytes());
        if is != says {
            let says = says.to_owned();
            return Err(Unreadable::Altered { is, says });
        }
        let record: Self = serde_json::from_str(&content)
            .map_err(|error| Unreadable::Foreign(error.to_string()))?;
        if record.version != VERSION {
            let version = record.version;
            return Err(Unreadable::Foreign(format!("it has version {version}")));
        }
        Ok(record)
    }
}

/// The same with the fields of every object in alphabetical order.
fn sort(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields
                .into_iter()
                .map(|(name, value)| (name, sort(value)))
                .collect()
        }
        Value::Array(items) => items.into_iter().map(sort).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn record() -> Record {
        let time: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        Record {
            version: VERSION,
            cluster: "test".to_owned(),
            kind: "Release".to_owned(),
            namespace: Some("team-shop".to_owned()),
            name: "shop-1".to_owned(),
            uid: "u-1".to_owned(),
            sequence: 2,
            operation: Operation::Changed,
            generation: Some(2),
            unseen: None,
            who: Some("oidc:jane".to_owned()),
            who_from: Evidence::ChangedBy,
            at: time,
            at_from: TimeSource::ManagedFields,
            observed_at: time,
            before_unknown: false,
            before: Some(json!({"b": 1, "a": {"d": [1.1, null], "c": "\",\"hash\":\""}})),
            after: Some(json!({"a": {"c": "ü"}})),
            note: None,
            previous: Some(sha256(b"one")),
        }
    }

    #[test]
    fn the_bytes_are_what_anybody_can_check() {
        let bytes = String::from_utf8(record().to_bytes().unwrap()).unwrap();
        insta::assert_snapshot!(bytes, @r##"{"version":1,"cluster":"test","kind":"Release","namespace":"team-shop","name":"shop-1","uid":"u-1","sequence":2,"operation":"Changed","generation":2,"unseen":null,"who":"oidc:jane","whoFrom":"ChangedBy","at":"2026-01-02T03:04:05.678Z","atFrom":"ManagedFields","observedAt":"2026-01-02T03:04:05.678Z","before":{"a":{"c":"\",\"hash\":\"","d":[1.1,null]},"b":1},"after":{"a":{"c":"ü"}},"note":null,"previous":"7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed","hash":"af7a684fcdd86e690665d75f75003c12894533d4dd072ce5ec3a7a075a0deae8"}"##);
        assert_eq!(Record::from_bytes(bytes.as_bytes()).unwrap(), record());
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn every_bit_counts() {
        let bytes = record().to_bytes().unwrap();
        for position in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[position / 8] ^= 1 << (position % 8);
            assert!(Record::from_bytes(&changed).is_err(), "bit {position}");
        }
        for length in 0..bytes.len() {
            assert!(Record::from_bytes(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [bytes.as_slice(), b" "].concat();
        assert_eq!(Record::from_bytes(&longer), Err(Unreadable::NotARecord));
    }

    #[test]
    fn what_is_not_known_is_said_and_nothing_else_looks_different() {
        let unknown = Record {
            before: None,
            before_unknown: true,
            ..record()
        };
        let text = String::from_utf8(unknown.to_bytes().unwrap()).unwrap();
        assert!(
            text.contains(r#""before":null,"beforeUnknown":true,"after""#),
            "{text}"
        );
        assert_eq!(Record::from_bytes(text.as_bytes()).unwrap(), unknown);
    }

    #[test]
    fn a_record_of_another_version_is_not_guessed_at() {
        let later = Record {
            version: 2,
            ..record()
        };
        let error = Record::from_bytes(&later.to_bytes().unwrap()).unwrap_err();
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    fn spec() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,6}", inner, 0..4)
                    .prop_map(|fields| fields.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(before in spec(), after in spec(), name in ".{0,20}") {
            let written = Record { before: Some(before), after: Some(after), name, ..record() };
            let bytes = written.to_bytes().unwrap();
            let read = Record::from_bytes(&bytes).unwrap();
            prop_assert_eq!(read.to_bytes().unwrap(), bytes);
        }

        #[test]
        fn the_order_of_fields_does_not_count(fields in prop::collection::vec(("[a-z]{1,4}", any::<i64>()), 0..6)) {
            let mut names = std::collections::BTreeMap::new();
            names.extend(fields);
            let forwards: Value = names.clone().into_iter().map(|(n, v)| (n, Value::from(v))).collect();
            let backwards: Value = names.into_iter().rev().map(|(n, v)| (n, Value::from(v))).collect();
            let of = |spec| Record { after: Some(spec), ..record() }.to_bytes().unwrap();
            prop_assert_eq!(of(forwards), of(backwards));
        }
    }
}
