//! Tags, and the ones that say whose a resource is.

use std::collections::BTreeMap;

/// Tags of an AWS resource, by key.
pub type Tags = BTreeMap<String, String>;

/// Which object a resource belongs to: `<kind>/<namespace>/<name>`, for people.
pub const TAG_OWNER: &str = "bailiwick.dev/owner";
/// The uid of that object: what ownership is decided by, since a name can be used again.
pub const TAG_UID: &str = "bailiwick.dev/uid";
/// The cluster that the object lives in.
pub const TAG_CLUSTER: &str = "bailiwick.dev/cluster";
/// When the account was put into quarantine (RFC 3339, UTC). On the account itself, so that the waiting time
/// survives the object and the operator.
pub const TAG_QUARANTINED_AT: &str = "bailiwick.dev/quarantined-at";

/// The object that owns a resource outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `<kind>/<namespace>/<name>`.
    pub reference: String,
    /// The object's `metadata.uid`.
    pub uid: String,
    /// The cluster's name, as the operator is configured.
    pub cluster: String,
}

impl Owner {
    /// The ownership tags that every resource of this owner bears.
    pub fn tags(&self) -> Tags {
        Tags::from([
            (TAG_OWNER.to_owned(), self.reference.clone()),
            (TAG_UID.to_owned(), self.uid.clone()),
            (TAG_CLUSTER.to_owned(), self.cluster.clone()),
        ])
    }

    /// Reads the owner from a resource's tags; `None` where the uid is missing: then nobody has claimed it.
    pub fn of(tags: &Tags) -> Option<Self> {
        let text = |key: &str| tags.get(key).cloned().unwrap_or_default();
        let uid = tags.get(TAG_UID)?.clone();
        Some(Self {
            reference: text(TAG_OWNER),
            uid,
            cluster: text(TAG_CLUSTER),
        })
    }
}
