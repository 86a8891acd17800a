//! The bucket that OAuth credentials are delivered to: what it still lacks.

use super::account::show_tags;
use super::policy_document::PolicyDocument;
use crate::model::{BucketName, Owner, Region, Tags};

/// The bucket, as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredBucket {
    /// Its name.
    pub name: BucketName,
    /// Its region.
    pub region: Region,
    /// The KMS key that it is encrypted with by default; `None`: AWS's own for S3.
    pub kms_key: Option<String>,
    /// Whose it is.
    pub owner: Owner,
    /// Its policy.
    pub policy: PolicyDocument,
}

impl DesiredBucket {
    /// All that is demanded, as one text that is another one when a demand is.
    pub fn demands(&self) -> String {
        // Destructured so that a new field does not compile until it is handled here.
        let Self {
            name,
            region,
            kms_key,
            // Its tags are those of the account.
            owner: _,
            policy,
        } = self;
        format!("{name} {region} {kms_key:?} {}", policy.to_json())
    }
}

/// The bucket, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedBucket {
    /// Its tags.
    pub tags: Tags,
    /// Nothing in it can be made public.
    pub private: bool,
    /// Access control lists count for nothing in it.
    pub owner_enforced: bool,
    /// It is encrypted with KMS by default, once for the whole bucket; and with which key, if not with AWS's own.
    pub encryption: Option<Option<String>>,
    /// Its policy.
    pub policy: Option<String>,
}

/// One thing to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketChange {
    /// CreateBucket, with these tags from birth on.
    Create(Tags),
    /// PutBucketTagging: these, and no others.
    Tag(Tags),
    /// PutPublicAccessBlock.
    MakePrivate,
    /// PutBucketOwnershipControls.
    EnforceOwner,
    /// PutBucketEncryption, with this key; `None`: with AWS's own for S3.
    Encrypt(Option<String>),
    /// PutBucketPolicy.
    PutPolicy(String),
}

impl BucketChange {
    /// AWS's name for what would be done.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "CreateBucket",
            Self::Tag(_) => "PutBucketTagging",
            Self::MakePrivate => "PutPublicAccessBlock",
            Self::EnforceOwner => "PutBucketOwnershipControls",
            Self::Encrypt(_) => "PutBucketEncryption",
            Self::PutPolicy(_) => "PutBucketPolicy",
        }
    }

    /// What would be there.
    pub fn after(&self) -> String {
        match self {
            Self::Create(tags) | Self::Tag(tags) => show_tags(tags),
            Self::MakePrivate => "all public access blocked".to_owned(),
            Self::EnforceOwner => "BucketOwnerEnforced".to_owned(),
            Self::Encrypt(key) => show_key(key.as_deref()),
            Self::PutPolicy(policy) => policy.clone(),
        }
    }
}

fn show_key(key: Option<&str>) -> String {
    format!("aws:kms with {}", key.unwrap_or("alias/aws/s3"))
}

/// Whether a bucket in the account bears the uid of who wants it, or names the same object of an earlier life: an account that
/// is let go and adopted again under its name keeps its bucket, as it keeps all else. Any other is somebody else's, whatever
/// it is called.
pub fn is_ours(owner: &Owner, tags: &Tags) -> bool {
    Owner::of(tags).is_some_and(|seen| {
        let was = seen.reference == owner.reference && seen.cluster == owner.cluster;
        seen.uid == owner.uid || was
    })
}

/// The changes that make what was seen into what shall be, in their order, each with what is there now. Nothing for a
/// bucket that is not ours.
pub fn changes(
    desired: &DesiredBucket,
    seen: Option<&ObservedBucket>,
) -> Vec<(BucketChange, Option<String>)> {
    let tags = desired.owner.tags();
    let Some(seen) = seen else {
        // All of it: not every store that plays S3 makes a bucket as S3 does.
        let all = [
            BucketChange::Create(tags.clone()),
            BucketChange::Tag(tags),
            BucketChange::MakePrivate,
            BucketChange::EnforceOwner,
            BucketChange::Encrypt(desired.kms_key.clone()),
            BucketChange::PutPolicy(desired.policy.to_json()),
        ];
        return all.map(|change| (change, None)).into();
    };
    let mut plan = Vec::new();
    if !is_ours(&desired.owner, &seen.tags) {
        return plan;
    }
    if tags
        .iter()
        .any(|(key, value)| seen.tags.get(key) != Some(value))
    {
        // What others have put there stays: PutBucketTagging replaces all of them.
        let mut all = seen.tags.clone();
        all.extend(tags);
        plan.push((BucketChange::Tag(all), Some(show_tags(&seen.tags))));
    }
    if !seen.private {
        let before = "not all public access is blocked".to_owned();
        plan.push((BucketChange::MakePrivate, Some(before)));
    }
    if !seen.owner_enforced {
        let before = "access control lists count".to_owned();
        plan.push((BucketChange::EnforceOwner, Some(before)));
    }
    if seen.encryption.as_ref() != Some(&desired.kms_key) {
        let before = match &seen.encryption {
            Some(key) => show_key(key.as_deref()),
            None => "not by KMS with a bucket key".to_owned(),
        };
        plan.push((BucketChange::Encrypt(desired.kms_key.clone()), Some(before)));
    }
    let says_so = |text: &String| desired.policy.says_the_same_as(text);
    if !seen.policy.as_ref().is_some_and(says_so) {
        let change = BucketChange::PutPolicy(desired.policy.to_json());
        plan.push((change, seen.policy.clone()));
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::super::bucket_policy;
    use super::*;

    fn desired() -> DesiredBucket {
        let (account, name) = (
            "111122223333".parse().unwrap(),
            "acme-mint".parse().unwrap(),
        );
        let role = "Access".parse().unwrap();
        let policy = bucket_policy::policy("aws", &account, &name, &role);
        DesiredBucket {
            name,
            region: "eu-central-1".parse().unwrap(),
            kms_key: None,
            owner: Owner {
                reference: "TeamAccount/team-a/test".into(),
                uid: "u1".into(),
                cluster: "c".into(),
            },
            policy,
        }
    }

    fn settled(desired: &DesiredBucket) -> ObservedBucket {
        ObservedBucket {
            tags: desired.owner.tags(),
            private: true,
            owner_enforced: true,
            encryption: Some(None),
            policy: Some(desired.policy.to_json()),
        }
    }

    fn actions(desired: &DesiredBucket, seen: Option<&ObservedBucket>) -> Vec<&'static str> {
        let changes = changes(desired, seen);
        changes.iter().map(|(change, _)| change.action()).collect()
    }

    #[test]
    fn a_bucket_that_is_missing_is_made_with_everything() {
        assert_eq!(
            actions(&desired(), None),
            [
                "CreateBucket",
                "PutBucketTagging",
                "PutPublicAccessBlock",
                "PutBucketOwnershipControls",
                "PutBucketEncryption",
                "PutBucketPolicy"
            ]
        );
    }

    #[test]
    fn each_difference_is_mended_by_itself_and_tags_of_others_stay() {
        let wanted = desired();
        assert_eq!(actions(&wanted, Some(&settled(&wanted))), [""; 0]);
        let with = |change: fn(&mut ObservedBucket)| {
            let mut seen = settled(&wanted);
            change(&mut seen);
            actions(&wanted, Some(&seen))
        };
        assert_eq!(with(|seen| seen.private = false), ["PutPublicAccessBlock"]);
        assert_eq!(
            with(|seen| seen.owner_enforced = false),
            ["PutBucketOwnershipControls"]
        );
        for encryption in [None, Some(Some("arn:aws:kms:x:1:key/2".to_owned()))] {
            let mut seen = settled(&wanted);
            seen.encryption = encryption;
            assert_eq!(actions(&wanted, Some(&seen)), ["PutBucketEncryption"]);
        }
        assert_eq!(with(|seen| seen.policy = None), ["PutBucketPolicy"]);
        let weaker = |seen: &mut ObservedBucket| {
            seen.policy = seen
                .policy
                .take()
                .map(|text| text.replace("NotResource", "Resource"));
        };
        assert_eq!(with(weaker), ["PutBucketPolicy"]);

        let mut seen = settled(&wanted);
        seen.tags.insert("cost".into(), "1".into());
        assert_eq!(actions(&wanted, Some(&seen)), [""; 0]);
        seen.tags.insert("bailiwick.dev/owner".into(), "x".into());
        let plan = changes(&wanted, Some(&seen));
        assert!(matches!(&plan[..], [(BucketChange::Tag(tags), _)] if tags.len() == 4));
    }

    #[test]
    fn a_bucket_of_an_earlier_life_of_the_object_is_taken_on_and_no_other() {
        let wanted = desired();
        let mut seen = settled(&wanted);
        seen.tags
            .insert("bailiwick.dev/uid".into(), "before".into());
        let plan = changes(&wanted, Some(&seen));
        assert!(
            matches!(&plan[..], [(BucketChange::Tag(tags), _)] if tags["bailiwick.dev/uid"] == wanted.owner.uid)
        );
        for (tag, other) in [("owner", "TeamAccount/team-b/test"), ("cluster", "other")] {
            let mut theirs = seen.clone();
            theirs
                .tags
                .insert(format!("bailiwick.dev/{tag}"), other.into());
            assert_eq!(changes(&wanted, Some(&theirs)), [], "{tag}");
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let wanted = desired();
        for tags in [
            Tags::new(),
            Tags::from([("bailiwick.dev/uid".into(), "u2".into())]),
        ] {
            let seen = ObservedBucket {
                tags,
                private: false,
                owner_enforced: false,
                encryption: None,
                policy: None,
            };
            assert!(!is_ours(&wanted.owner, &seen.tags));
            assert_eq!(changes(&wanted, Some(&seen)), []);
        }
    }
}
