//! What AWS's errors mean to us: the one place that knows.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_account::types::error::ValidationException;
use aws_sdk_organizations::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_organizations::types::error::{
    AccessDeniedForDependencyException, ConstraintViolationException, InvalidInputException,
};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;

use super::super::{CloudError, ErrorKind};
use super::constraint::constraint_kind;
use crate::causes::{causes, chain};

/// The class of an error of `operation`.
pub(super) fn classify<E>(operation: &'static str, error: SdkError<E>) -> CloudError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    // Every call may have to get credentials first. What goes wrong there is not this call's failure.
    if let Some(ours) = find::<CloudError>(&error) {
        return ours.clone();
    }
    if let Some(credentials) = find::<CredentialsError>(&error) {
        return classify_credentials(operation, credentials);
    }
    let unavailable =
        |code| CloudError::new(ErrorKind::Unavailable, operation, code, chain(&error));
    match &error {
        SdkError::TimeoutError(_) => unavailable("Timeout"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => unavailable("Timeout"),
        SdkError::DispatchFailure(_) => unavailable("NoAnswer"),
        SdkError::ResponseError(answer) if !answer.raw().status().is_success() => {
            unworded(operation, answer.raw().status().as_u16())
        }
        SdkError::ResponseError(_) => unavailable("BrokenAnswer"),
        SdkError::ServiceError(answer) => {
            let (error, status) = (answer.err(), answer.raw().status().as_u16());
            classify_answer(operation, error, status)
        }
        // Not sent at all.
        _ => CloudError::new(ErrorKind::Invalid, operation, "BadRequest", chain(&error)),
    }
}

fn classify_answer<E>(operation: &'static str, error: &E, status: u16) -> CloudError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let Some(code) = error.code() else {
        return unworded(operation, status);
    };
    let reason = reason(error);
    let kind = kind(operation, code, reason.as_deref(), status);
    let mut message = error.message().unwrap_or("AWS gives no reason").to_owned();
    if let Some(advice) = advice(operation, code) {
        message = format!("{message} ({advice})");
    }
    CloudError::new(kind, operation, code, message).with_reason(reason)
}

/// Not AWS's way of saying no: a proxy, or something that plays AWS and lacks the operation. The body would be a page of
/// HTML, which helps nobody in a condition.
fn unworded(operation: &'static str, status: u16) -> CloudError {
    let kind = match status {
        429 => ErrorKind::Throttled,
        401 | 403 => ErrorKind::Denied,
        500.. => ErrorKind::Unavailable,
        _ => ErrorKind::Unknown,
    };
    let message = format!("HTTP status {status} without an error that AWS would send");
    CloudError::new(kind, operation, format!("HTTP {status}"), message)
}

/// Without credentials nothing was sent.
fn classify_credentials(operation: &'static str, error: &CredentialsError) -> CloudError {
    // Base credentials by web identity, or by a profile that names a role.
    if let Some(SdkError::ServiceError(answer)) =
        find::<SdkError<AssumeRoleWithWebIdentityError>>(error)
    {
        let status = answer.raw().status().as_u16();
        return classify_answer("sts.AssumeRoleWithWebIdentity", answer.err(), status);
    }
    if let Some(SdkError::ServiceError(answer)) = find::<SdkError<AssumeRoleError>>(error) {
        return classify_answer(
            "sts.AssumeRole",
            answer.err(),
            answer.raw().status().as_u16(),
        );
    }
    let (kind, code) = match error {
        CredentialsError::CredentialsNotLoaded(_) => (ErrorKind::Denied, "NoCredentials"),
        CredentialsError::InvalidConfiguration(_) => (ErrorKind::Denied, "BadCredentials"),
        _ => (ErrorKind::Unavailable, "CredentialsUnavailable"),
    };
    let message = format!(
        "no AWS credentials: {} ({CREDENTIALS_ADVICE})",
        chain(error)
    );
    CloudError::new(kind, operation, code, message)
}

const CREDENTIALS_ADVICE: &str = "set AWS_PROFILE, or AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, or \
     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod or the instance a role";

/// The class of an error code. `reason` and `status` decide where the code alone does not.
fn kind(operation: &str, code: &str, reason: Option<&str>, status: u16) -> ErrorKind {
    use ErrorKind::{
        AlreadyExists, Conflict, Denied, Invalid, NotFound, Quota, Throttled, Unavailable, Unknown,
    };
    match code {
        "ConstraintViolationException" => constraint_kind(reason.unwrap_or_default()),

        // S3: it is in an archive class, and nothing but a restoration makes it readable.
        "InvalidObjectState" => Invalid,

        // Organizations sends it with HTTP 400.
        "TooManyRequestsException"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded" => Throttled,

        // The only conflict that Account Management documents here: the address is another account's.
        "ConflictException"
            if matches!(
                operation,
                "account.StartPrimaryEmailUpdate" | "account.AcceptPrimaryEmailUpdate"
            ) =>
        {
            AlreadyExists
        }
        // Finalizing takes up to an hour after an organization was made, and nothing was done meanwhile.
        "ConcurrentModificationException"
        | "ConcurrentModification"
        | "ConflictException"
        | "FinalizingOrganizationException"
        | "PolicyChangesInProgressException"
        // S3: two conditional writes to one key at once, or a bucket that is being changed.
        | "ConditionalRequestConflict"
        | "OperationAborted"
        | "EntityTemporarilyUnmodifiable"
        | "EntityTemporarilyUnmodifiableException" => Conflict,

        // MoveAccount: it is there already. CloseAccount: it is closed already.
        "DuplicateAccountException"
        | "AccountAlreadyClosedException"
        | "DuplicateOrganizationalUnitException"
        | "EntityAlreadyExists"
        | "EntityAlreadyExistsException"
        | "RepositoryAlreadyExistsException"
        | "ImageAlreadyExistsException"
        | "ImageTagAlreadyExistsException"
        // S3: the name is another account's. Secrets Manager: a secret, or a version with other content.
        | "BucketAlreadyExists"
        | "ResourceExistsException" => AlreadyExists,
        // S3, to a write with `If-None-Match: *`.
        "PreconditionFailed" => AlreadyExists,

        // Before what ends alike: nothing is missing but a key that can be used.
        "KMS.NotFoundException" => Invalid,
        "NoSuchEntity"
        | "NoSuchEntityException"
        | "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchTagSet"
        | "NoSuchBucketPolicy"
        | "NoSuchPublicAccessBlockConfiguration"
        | "OwnershipControlsNotFoundError"
        | "ServerSideEncryptionConfigurationNotFoundError" => NotFound,
        code if code.ends_with("NotFoundException") => NotFound,

        code if code.starts_with("AccessDenied") || credentials_refused(code) => Denied,
        "AWSOrganizationsNotInUseException"
        | "BlockedByOrganizationPolicyException"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "NotAuthorized"
        // Cognito; the latter is its web application firewall.
        | "NotAuthorizedException"
        | "ForbiddenException"
        | "OptInRequired"
        | "RegionDisabledException" => Denied,

        "LimitExceeded"
        | "LimitExceededException"
        | "ServiceQuotaExceededException"
        | "TooManyBuckets" => Quota,

        // Secrets Manager: there is no current version at the moment.
        "PreconditionNotMetException" => Conflict,

        "InvalidInputException"
        | "InvalidInput"
        | "InvalidParameterValue"
        | "InvalidParameterException"
        | "InvalidTagParameterException"
        | "TooManyTagsException"
        | "ImageDigestDoesNotMatchException"
        | "UnsupportedImageTypeException"
        // Images are deleted by people only; a key that AWS cannot use is one that must be named anew.
        | "RepositoryNotEmptyException"
        | "KmsException"
        | "InvalidAction"
        | "MissingParameter"
        | "ValidationException"
        | "ValidationError"
        | "MalformedPolicyDocument"
        | "MalformedPolicyDocumentException"
        | "PasswordPolicyViolation"
        | "PasswordPolicyViolationException"
        | "PackedPolicyTooLarge"
        | "PackedPolicyTooLargeException"
        | "SerializationException"
        | "InvalidRequest"
        | "InvalidArgument"
        | "InvalidBucketName"
        | "EntityTooLarge"
        | "BadDigest"
        | "InvalidTag"
        | "MalformedPolicy"
        // Secrets Manager: a secret that is to be deleted cannot be written to, among others.
        | "InvalidRequestException"
        | "EncryptionFailure"
        | "DecryptionFailure"
        | "KMS.DisabledException"
        | "KMS.InvalidStateException"
        | "KMS.KeyUnavailableException"
        // Cognito: of a client, or of a feature that the pool's plan has not.
        | "ScopeDoesNotExistException"
        | "InvalidOAuthFlowException"
        | "FeatureUnavailableInTierException"
        | "UnknownOperationException"
        | "UnsupportedAPIEndpointException" => Invalid,

        "ServiceException"
        | "ServerException"
        | "InternalServerException"
        | "InternalFailure"
        | "InternalError"
        | "InternalErrorException"
        | "InternalServerError"
        | "InternalServiceError"
        | "ServiceFailure"
        | "ServiceFailureException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "IDPCommunicationError" => Unavailable,

        _ if status >= 500 => Unavailable,
        _ => Unknown,
    }
}

/// Whether AWS does not take our credentials, as opposed to what we do with them.
fn credentials_refused(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "InvalidClientTokenIdException"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "InvalidIdentityToken"
            | "InvalidIdentityTokenException"
            | "IDPRejectedClaim"
            | "IDPRejectedClaimException"
    )
}

/// What to configure, where AWS's message leaves that to the reader.
fn advice(operation: &str, code: &str) -> Option<&'static str> {
    if credentials_refused(code) {
        return Some(CREDENTIALS_ADVICE);
    }
    match code {
        "AWSOrganizationsNotInUseException" => {
            Some("run with credentials of the organization's management account")
        }
        "NoSuchBucket" => Some("create the bucket, or name another one"),
        "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => Some("the bucket is in another region: name it"),
        "UnsupportedAPIEndpointException" => Some("check the home region"),
        "RegionDisabledException" => Some("activate STS in this region, or set another AWS_REGION"),
        "AccessDenied" | "AccessDeniedException" => {
            match operation.split_once('.').map(|(service, _)| service) {
                Some("account") => Some(
                    "allow it to the operator's role, and enable trusted access for Account Management \
                     in the organization",
                ),
                Some("organizations") => Some(
                    "allow it to the operator's role, which must be one of the management account",
                ),
                Some("ecr") => Some(
                    "allow it to the role through which the account is entered, and in the organization's service \
                     control policies",
                ),
                Some("s3") if operation.contains("Object") => Some(
                    "allow s3:PutObject, s3:GetObject and s3:ListBucket on the bucket to the operator's role",
                ),
                Some("s3" | "secretsmanager") => Some(
                    "allow it to the role through which the account is entered, and in the organization's service \
                     control policies",
                ),
                Some("cognito-idp") => Some(
                    "allow it on the user pool to the operator's role, or to the role through which the pool's account is \
                     entered, and in the organization's service control policies",
                ),
                Some("sts") => Some(
                    "the access role must exist in the account and trust the operator's role, and that \
                     must be allowed to assume it",
                ),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The typed reason, where the error has one.
fn reason(error: &(dyn Error + 'static)) -> Option<String> {
    let constraint = find::<ConstraintViolationException>(error)
        .and_then(|e| e.reason())
        .map(|reason| reason.as_str());
    let input = || {
        find::<InvalidInputException>(error)?
            .reason()
            .map(|reason| reason.as_str())
    };
    let dependency = || {
        find::<AccessDeniedForDependencyException>(error)?
            .reason()
            .map(|reason| reason.as_str())
    };
    let validation = || {
        find::<ValidationException>(error)?
            .reason()
            .map(|reason| reason.as_str())
    };
    constraint
        .or_else(input)
        .or_else(dependency)
        .or_else(validation)
        .map(str::to_owned)
}

/// The first error of this type among `error` and what caused it.
fn find<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    causes(error).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_class() {
        for (code, expected) in [
            ("TooManyRequestsException", ErrorKind::Throttled),
            ("Throttling", ErrorKind::Throttled),
            ("ConcurrentModificationException", ErrorKind::Conflict),
            ("FinalizingOrganizationException", ErrorKind::Conflict),
            ("ServiceException", ErrorKind::Unavailable),
            ("AccessDeniedException", ErrorKind::Denied),
            ("AccessDeniedForDependencyException", ErrorKind::Denied),
            ("AccessDenied", ErrorKind::Denied),
            ("ExpiredTokenException", ErrorKind::Denied),
            ("AWSOrganizationsNotInUseException", ErrorKind::Denied),
            ("AccountNotFoundException", ErrorKind::NotFound),
            ("CreateAccountStatusNotFoundException", ErrorKind::NotFound),
            ("NoSuchEntity", ErrorKind::NotFound),
            ("DuplicateAccountException", ErrorKind::AlreadyExists),
            ("AccountAlreadyClosedException", ErrorKind::AlreadyExists),
            (
                "DuplicateOrganizationalUnitException",
                ErrorKind::AlreadyExists,
            ),
            ("EntityAlreadyExists", ErrorKind::AlreadyExists),
            ("RepositoryAlreadyExistsException", ErrorKind::AlreadyExists),
            ("ImageTagAlreadyExistsException", ErrorKind::AlreadyExists),
            ("RepositoryNotEmptyException", ErrorKind::Invalid),
            ("RepositoryPolicyNotFoundException", ErrorKind::NotFound),
            ("LifecyclePolicyNotFoundException", ErrorKind::NotFound),
            ("InvalidParameterException", ErrorKind::Invalid),
            ("KmsException", ErrorKind::Invalid),
            ("ServerException", ErrorKind::Unavailable),
            ("LimitExceededException", ErrorKind::Quota),
            ("LimitExceeded", ErrorKind::Quota),
            ("InvalidInputException", ErrorKind::Invalid),
            ("ValidationException", ErrorKind::Invalid),
            ("NeverSeenException", ErrorKind::Unknown),
        ] {
            assert_eq!(
                kind("organizations.Any", code, None, 400),
                expected,
                "{code}"
            );
        }
        assert_eq!(
            kind("any.Any", "NeverSeenException", None, 503),
            ErrorKind::Unavailable
        );
    }

    #[test]
    fn an_address_that_is_taken_is_not_a_passing_conflict() {
        let of = |operation| kind(operation, "ConflictException", None, 409);
        assert_eq!(
            of("account.StartPrimaryEmailUpdate"),
            ErrorKind::AlreadyExists
        );
        assert_eq!(of("account.EnableRegion"), ErrorKind::Conflict);
        assert_eq!(of("organizations.CloseAccount"), ErrorKind::Conflict);
    }

    #[test]
    fn missing_credentials_say_what_to_configure() {
        let error = classify_credentials(
            "organizations.ListRoots",
            &CredentialsError::not_loaded_no_source(),
        );
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Denied, "NoCredentials")
        );
        assert!(error.message.contains("AWS_PROFILE"), "{}", error.message);
    }
}
