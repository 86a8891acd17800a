//! The account's credentials bucket: what it shall be, what there is, and making it so. It is never deleted.

use kube::ResourceExt;

use super::reasons;
use super::validate::{Refusal, invalid, parse};
use crate::api::{AccountClass, TeamAccount};
use crate::cloud::credentials::{BucketEncryption, BucketPlace};
use crate::cloud::{CloudError, ErrorKind, MemberAccount};
use crate::engine::{Failure, Outcome};
use crate::model::{AccountId, BucketName, Owner, Region, RoleName};
use crate::plan::account::DesiredAccount;
use crate::plan::bucket_policy;
use crate::plan::credentials_bucket::{BucketChange, DesiredBucket, ObservedBucket, is_ours};
use crate::plan::naming;

/// What the class and the account want; `None`: no bucket. One that was recorded keeps its name and its region: credentials
/// are in it, and readers know it. `id`: the account's.
pub(super) fn desired(
    object: &TeamAccount,
    class: &AccountClass,
    values: &[(&str, &str); 3],
    regions: &[Region],
    owner: &Owner,
    id: &AccountId,
) -> Result<Option<DesiredBucket>, Refusal> {
    let overrides = object.spec.overrides.as_ref();
    let own = overrides.and_then(|overrides| overrides.credentials_bucket.clone());
    let own = own.unwrap_or_default();
    let of_class = class.spec.credentials_bucket.as_ref();
    let template = own.name.as_ref();
    let Some(template) = template.or(of_class.map(|bucket| &bucket.name_template)) else {
        return Ok(None);
    };
    let field = |what: &str| match own.name {
        Some(_) => format!("spec.overrides.credentialsBucket.{what}"),
        None => format!(
            "AccountClass {}: spec.credentialsBucket.{what}",
            class.name_any()
        ),
    };
    let recorded = object.status.as_ref();
    let kept = recorded.and_then(|status| status.credentials_bucket.as_ref());
    let region: Region = match kept {
        Some(kept) => parse(&kept.region, "status.credentialsBucket.region")?,
        None => region(object, class, regions)?,
    };
    let [team, account, purpose] = *values;
    let values = [
        team,
        account,
        purpose,
        ("account.id", id.as_str()),
        ("region", region.as_str()),
    ];
    let fill = |template: &str, what: &str| {
        naming::render(template, &values).map_err(|error| invalid(&field(what), error))
    };
    let name: BucketName = match kept {
        Some(kept) => parse(&kept.bucket, "status.credentialsBucket.bucket")?,
        None => parse(&fill(template, "nameTemplate")?, &field("nameTemplate"))?,
    };
    let key = own.kms_key_arn.as_ref();
    let key = key.or(of_class.and_then(|bucket| bucket.kms_key_arn.as_ref()));
    let role: RoleName = parse(&class.spec.access_role_name, "accessRoleName")?;
    Ok(Some(DesiredBucket {
        kms_key: key.map(|key| fill(key, "kmsKeyArn")).transpose()?,
        owner: owner.clone(),
        policy: bucket_policy::policy(region.partition(), id, &name, &role),
        name,
        region,
    }))
}

/// Where a bucket that is yet to be made belongs.
fn region(
    object: &TeamAccount,
    class: &AccountClass,
    regions: &[Region],
) -> Result<Region, Refusal> {
    let overrides = object.spec.overrides.as_ref();
    let own = overrides.and_then(|overrides| overrides.credentials_bucket.as_ref());
    let own = own.and_then(|bucket| bucket.region.as_ref());
    let of_class = class.spec.credentials_bucket.as_ref();
    let named = own.or(of_class.and_then(|bucket| bucket.region.as_ref()));
    let field = "spec.overrides.credentialsBucket.region";
    match named {
        Some(name) => {
            let region: Region = parse(name, field)?;
            if regions.contains(&region) {
                return Ok(region);
            }
            let message = format!(
                "{name:?} is not one of the account's regions: name one of them there, or add it to spec.regions"
            );
            Err(invalid(field, message))
        }
        None => regions.first().copied().ok_or_else(|| {
            let message = "the account has no regions: name them in spec.regions of its class";
            invalid(field, message)
        }),
    }
}

fn place(bucket: &DesiredBucket) -> BucketPlace {
    BucketPlace {
        name: bucket.name.clone(),
        region: bucket.region,
    }
}

/// What there is. `Err`: the name is taken.
pub(super) async fn gather(
    member: &dyn MemberAccount,
    bucket: &DesiredBucket,
) -> Result<Result<Option<ObservedBucket>, Outcome>, Failure> {
    let port = member.credentials_bucket(&place(bucket));
    let state = match port.state(&|tags| is_ours(&bucket.owner, tags)).await {
        Err(error) if error.kind == ErrorKind::Denied => {
            return Ok(Err(taken(bucket, &error.to_string())));
        }
        state => state?,
    };
    let seen = state.map(|state| ObservedBucket {
        tags: state.tags,
        private: state.private,
        owner_enforced: state.owner_enforced,
        encryption: state
            .encryption
            .filter(|encryption| encryption.bucket_key)
            .map(|encryption| encryption.key),
        policy: state.policy,
    });
    if let Some(seen) = &seen
        && !is_ours(&bucket.owner, &seen.tags)
    {
        let why = "there is one in this account without this object's tags";
        return Ok(Err(taken(bucket, why)));
    }
    Ok(Ok(seen))
}

fn taken(bucket: &DesiredBucket, why: &str) -> Outcome {
    let message = format!(
        "credentials bucket {} cannot be had, and is not taken over: {why}; choose another name in \
         spec.overrides.credentialsBucket.name or the class's credentialsBucket.nameTemplate",
        bucket.name
    );
    Outcome::blocked(reasons::BUCKET_TAKEN, message)
}

/// Makes one change.
pub(super) async fn apply(
    member: &dyn MemberAccount,
    desired: &DesiredAccount,
    change: &BucketChange,
) -> Result<Option<Outcome>, CloudError> {
    let Some(bucket) = &desired.credentials_bucket else {
        return Ok(None);
    };
    let port = member.credentials_bucket(&place(bucket));
    match change {
        BucketChange::Create(tags) => match port.create(tags).await {
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                return Ok(Some(taken(bucket, &error.to_string())));
            }
            other => other?,
        },
        BucketChange::Tag(tags) => port.put_tags(tags).await?,
        BucketChange::MakePrivate => port.make_private().await?,
        BucketChange::EnforceOwner => port.enforce_owner().await?,
        BucketChange::Encrypt(key) => {
            let encryption = BucketEncryption {
                key: key.clone(),
                bucket_key: true,
            };
            port.put_encryption(&encryption).await?;
        }
        BucketChange::PutPolicy(policy) => port.put_policy(policy).await?,
    }
    Ok(None)
}
