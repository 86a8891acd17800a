//! From our words into the SDK's, and back.

use aws_sdk_ecr::error::BuildError;
use aws_sdk_ecr::types::builders::ImageIdentifierBuilder;
use aws_sdk_ecr::types::{
    AuthorizationData, EncryptionConfiguration, EncryptionType, ImageIdentifier,
    ImageScanningConfiguration, ImageTagMutability, ImageTagMutabilityExclusionFilter,
    ImageTagMutabilityExclusionFilterType, Tag,
};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::super::{CloudError, ErrorKind, RegistryToken, Repository, Result};
use super::super::{odd_answer, timestamp};
use crate::model::{Encryption, Secret, TagMutability, Tags};

pub(super) fn by() -> ImageIdentifierBuilder {
    ImageIdentifier::builder()
}

pub(super) fn scanned() -> ImageScanningConfiguration {
    ImageScanningConfiguration::builder()
        .scan_on_push(true)
        .build()
}

/// User and password, which AWS gives as the base64 of both with a colon between. What is odd about them is not said: it
/// would be a part of the secret.
pub(super) fn token_from_aws(given: &AuthorizationData) -> Result<RegistryToken> {
    let odd = || odd_answer("ecr.GetAuthorizationToken", "token");
    let text = given.authorization_token().ok_or_else(odd)?;
    let pair = String::from_utf8(STANDARD.decode(text).map_err(|_| odd())?).map_err(|_| odd())?;
    let (user, password) = pair.split_once(':').ok_or_else(odd)?;
    Ok(RegistryToken {
        user: user.to_owned(),
        password: Secret::new(password),
        expires: timestamp(given.expires_at()),
    })
}

fn unbuildable(operation: &'static str, error: &BuildError) -> CloudError {
    CloudError::new(
        ErrorKind::Invalid,
        operation,
        "BadRequest",
        error.to_string(),
    )
}

pub(super) fn tags_to_aws(operation: &'static str, tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter()
        .map(|(key, value)| {
            let tag = Tag::builder().key(key).value(value).build();
            tag.map_err(|error| unbuildable(operation, &error))
        })
        .collect()
}

pub(super) type Mutability = (
    ImageTagMutability,
    Option<Vec<ImageTagMutabilityExclusionFilter>>,
);

pub(super) fn mutability_to_aws(
    operation: &'static str,
    mutability: &TagMutability,
) -> Result<Mutability> {
    match mutability {
        TagMutability::Immutable => Ok((ImageTagMutability::Immutable, None)),
        TagMutability::ImmutableExcept(patterns) => {
            let filter = |pattern: &String| {
                ImageTagMutabilityExclusionFilter::builder()
                    .filter_type(ImageTagMutabilityExclusionFilterType::Wildcard)
                    .filter(pattern)
                    .build()
                    .map_err(|error| unbuildable(operation, &error))
            };
            let filters = patterns.iter().map(filter).collect::<Result<_>>()?;
            Ok((ImageTagMutability::ImmutableWithExclusion, Some(filters)))
        }
        TagMutability::Other(word) => Ok((ImageTagMutability::from(word.as_str()), None)),
    }
}

pub(super) fn encryption_to_aws(
    operation: &'static str,
    encryption: &Encryption,
) -> Result<EncryptionConfiguration> {
    let builder = EncryptionConfiguration::builder();
    let builder = match encryption {
        Encryption::Aes256 => builder.encryption_type(EncryptionType::Aes256),
        Encryption::Kms(key) => builder.encryption_type(EncryptionType::Kms).kms_key(key),
        Encryption::Other(word) => builder.encryption_type(EncryptionType::from(word.as_str())),
    };
    builder
        .build()
        .map_err(|error| unbuildable(operation, &error))
}

pub(super) fn repository_from_aws(
    operation: &'static str,
    repository: &aws_sdk_ecr::types::Repository,
) -> Result<Repository> {
    let lacks = |what| odd_answer(operation, what);
    let filters = repository.image_tag_mutability_exclusion_filters();
    let patterns = filters.iter().map(|filter| filter.filter().to_owned());
    let mutability = match repository.image_tag_mutability() {
        Some(ImageTagMutability::Immutable) => TagMutability::Immutable,
        Some(ImageTagMutability::ImmutableWithExclusion) => {
            TagMutability::except(patterns.collect())
        }
        Some(other) => TagMutability::Other(other.as_str().to_owned()),
        // AWS's own default where nothing was said.
        None => TagMutability::Other(ImageTagMutability::Mutable.as_str().to_owned()),
    };
    let encryption = match repository.encryption_configuration() {
        None => Encryption::Aes256,
        Some(encryption) => match encryption.encryption_type() {
            EncryptionType::Aes256 => Encryption::Aes256,
            EncryptionType::Kms => {
                Encryption::Kms(encryption.kms_key().unwrap_or_default().to_owned())
            }
            other => Encryption::Other(other.as_str().to_owned()),
        },
    };
    Ok(Repository {
        arn: repository
            .repository_arn()
            .ok_or_else(|| lacks("ARN"))?
            .to_owned(),
        uri: repository
            .repository_uri()
            .ok_or_else(|| lacks("URI"))?
            .to_owned(),
        created: timestamp(repository.created_at()),
        mutability,
        scan_on_push: repository
            .image_scanning_configuration()
            .is_some_and(ImageScanningConfiguration::scan_on_push),
        encryption,
    })
}
