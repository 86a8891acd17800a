//! What AWS says when it refuses: codes, typed reasons, and the class that the edge gives them.

use crate::cloud::aws::constraint_kind;
use crate::cloud::{CloudError, ErrorKind};

/// Every reason with which a creation request can end FAILED (Organizations API Reference,
/// CreateAccountStatus, `FailureReason`).
pub const CREATION_FAILURES: &[&str] = &[
    "ACCOUNT_LIMIT_EXCEEDED",
    "CONCURRENT_ACCOUNT_MODIFICATION",
    "EMAIL_ALREADY_EXISTS",
    "FAILED_BUSINESS_VALIDATION",
    "GOVCLOUD_ACCOUNT_ALREADY_EXISTS",
    "INTERNAL_FAILURE",
    "INVALID_ADDRESS",
    "INVALID_EMAIL",
    "INVALID_IDENTITY_FOR_BUSINESS_VALIDATION",
    "INVALID_PAYMENT_INSTRUMENT",
    "MISSING_BUSINESS_VALIDATION",
    "MISSING_PAYMENT_INSTRUMENT",
    "PENDING_BUSINESS_VALIDATION",
    "UNKNOWN_BUSINESS_VALIDATION",
    "UPDATE_EXISTING_RESOURCE_POLICY_WITH_TAGS_NOT_SUPPORTED",
];

/// Every reason of a ConstraintViolationException (Organizations API Reference,
/// ConstraintViolationException, `Reason`).
pub const CONSTRAINT_VIOLATIONS: &[&str] = &[
    "ACCOUNT_CANNOT_LEAVE_ORGANIZATION",
    "ACCOUNT_CANNOT_LEAVE_WITHOUT_EULA",
    "ACCOUNT_CANNOT_LEAVE_WITHOUT_PHONE_VERIFICATION",
    "ACCOUNT_CREATION_NOT_COMPLETE",
    "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED",
    "ACCOUNT_NOT_ACTIVE_FOR_TRANSFER_RESPONSIBILITY",
    "ACCOUNT_NUMBER_LIMIT_EXCEEDED",
    "ACTIVE_RESPONSIBILITY_TRANSFER_PROCESS",
    "ALL_FEATURES_MIGRATION_ORGANIZATION_SIZE_LIMIT_EXCEEDED",
    "CANNOT_CLOSE_MANAGEMENT_ACCOUNT",
    "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR",
    "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR",
    "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG",
    "CLOSE_ACCOUNT_QUOTA_EXCEEDED",
    "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED",
    "CREATE_ORGANIZATION_IN_BILLING_MODE_UNSUPPORTED_REGION",
    "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE",
    "EMAIL_VERIFICATION_CODE_EXPIRED",
    "HANDSHAKE_RATE_LIMIT_EXCEEDED",
    "INVALID_PAYMENT_INSTRUMENT",
    "MASTER_ACCOUNT_ADDRESS_DOES_NOT_MATCH_MARKETPLACE",
    "MASTER_ACCOUNT_MISSING_BUSINESS_LICENSE",
    "MASTER_ACCOUNT_MISSING_CONTACT_INFO",
    "MASTER_ACCOUNT_NOT_GOVCLOUD_ENABLED",
    "MASTER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED",
    "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED",
    "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
    "MAX_TAG_LIMIT_EXCEEDED",
    "MEMBER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED",
    "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
    "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE",
    "OU_DEPTH_LIMIT_EXCEEDED",
    "OU_NUMBER_LIMIT_EXCEEDED",
    "POLICY_CONTENT_LIMIT_EXCEEDED",
    "POLICY_NUMBER_LIMIT_EXCEEDED",
    "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE",
    "RESPONSIBILITY_TRANSFER_MAX_INBOUND_QUOTA_VIOLATION",
    "RESPONSIBILITY_TRANSFER_MAX_LEVEL_VIOLATION",
    "RESPONSIBILITY_TRANSFER_MAX_OUTBOUND_QUOTA_VIOLATION",
    "RESPONSIBILITY_TRANSFER_MAX_TRANSFERS_QUOTA_VIOLATION",
    "SERVICE_ACCESS_NOT_ENABLED",
    "TAG_POLICY_VIOLATION",
    "TRANSFER_RESPONSIBILITY_SOURCE_DELETION_IN_PROGRESS",
    "TRANSFER_RESPONSIBILITY_TARGET_DELETION_IN_PROGRESS",
    "TRANSFER_RESPONSIBILITY_UPDATE_NOT_ALLOWED",
    "UNMET_BILLING_PREREQUISITE",
    "UNSUPPORTED_PRICING",
    "WAIT_PERIOD_ACTIVE",
];

/// A refusal of `operation` with AWS's `code`, classified as the edge does.
pub fn refused(operation: &'static str, code: &str, message: impl Into<String>) -> CloudError {
    let kind = match code {
        "AccountNotFoundException"
        | "NoSuchBucket"
        | "ChildNotFoundException"
        | "CreateAccountStatusNotFoundException"
        | "DestinationParentNotFoundException"
        | "NoSuchEntity"
        | "ParentNotFoundException"
        | "LayersNotFoundException"
        | "RepositoryNotFoundException"
        | "ResourceNotFoundException"
        | "SourceParentNotFoundException"
        | "TargetNotFoundException" => ErrorKind::NotFound,
        "AccountAlreadyClosedException"
        | "DuplicateAccountException"
        | "DuplicateOrganizationalUnitException"
        | "EntityAlreadyExists"
        | "ImageAlreadyExistsException"
        | "ImageTagAlreadyExistsException"
        | "PreconditionFailed"
        | "BucketAlreadyExists"
        | "ResourceExistsException"
        | "RepositoryAlreadyExistsException" => ErrorKind::AlreadyExists,
        // Account Management: the address is another account's.
        "ConflictException" if operation.ends_with("PrimaryEmailUpdate") => {
            ErrorKind::AlreadyExists
        }
        "ConcurrentModification"
        | "ConcurrentModificationException"
        | "ConflictException"
        | "FinalizingOrganizationException" => ErrorKind::Conflict,
        "Throttling" | "ThrottlingException" | "TooManyRequestsException" => ErrorKind::Throttled,
        "AccessDenied" | "AccessDeniedException" => ErrorKind::Denied,
        "InvalidInputException"
        | "InvalidParameterException"
        | "InvalidRequestException"
        | "ScopeDoesNotExistException"
        | "UnknownOperationException"
        | "MalformedPolicy"
        | "KmsException"
        | "RepositoryNotEmptyException"
        | "ValidationError"
        | "ValidationException" => ErrorKind::Invalid,
        "LimitExceeded" | "LimitExceededException" => ErrorKind::Quota,
        "InternalServerException" | "ServerException" | "ServiceException" | "ServiceFailure" => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Unknown,
    };
    CloudError::new(kind, operation, code, message)
}

/// A ConstraintViolationException with its typed reason, of the class that the adapter gives it.
pub fn violated(operation: &'static str, reason: &str) -> CloudError {
    let message = "You have exceeded a limit, or the request violates a constraint.";
    CloudError::new(
        constraint_kind(reason),
        operation,
        "ConstraintViolationException",
        message,
    )
    .with_reason(Some(reason.to_owned()))
}

/// An InvalidInputException with its typed reason.
pub fn invalid_input(operation: &'static str, reason: &str) -> CloudError {
    refused(
        operation,
        "InvalidInputException",
        "You specified an invalid value.",
    )
    .with_reason(Some(reason.to_owned()))
}

/// The throttle of the service: each protocol has its own word.
pub fn throttled(operation: &'static str) -> CloudError {
    let code = match operation.split('.').next() {
        Some("organizations" | "account") => "TooManyRequestsException",
        Some("iam") => "Throttling",
        _ => "ThrottlingException",
    };
    refused(operation, code, "Rate exceeded")
}

/// The service is not able to answer: no effect.
pub fn out_of_order(operation: &'static str) -> CloudError {
    let code = match operation.split('.').next() {
        Some("organizations") => "ServiceException",
        Some("account") => "InternalServerException",
        Some("ecr") => "ServerException",
        _ => "ServiceFailure",
    };
    refused(
        operation,
        code,
        "The service cannot complete the request at the moment.",
    )
}

/// The caller saw no answer. What happened, it cannot know.
pub fn no_answer(operation: &'static str) -> CloudError {
    CloudError::new(
        ErrorKind::Unavailable,
        operation,
        "Timeout",
        "no answer in time",
    )
}
