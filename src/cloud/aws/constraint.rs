//! What Organizations' constraints ask for: to wait, for a person, or for a different request.

use super::super::ErrorKind;

/// The class of a ConstraintViolationException, by its `Reason` (Organizations API Reference). A reason that AWS has
/// added since is a limit, most likely; it is certain that nothing was done.
pub fn constraint_kind(reason: &str) -> ErrorKind {
    known_constraint(reason).unwrap_or(ErrorKind::Quota)
}

fn known_constraint(reason: &str) -> Option<ErrorKind> {
    let kind = match reason {
        // Comes to pass by itself, soon.
        "ACCOUNT_CREATION_NOT_COMPLETE"
        | "TRANSFER_RESPONSIBILITY_SOURCE_DELETION_IN_PROGRESS"
        | "TRANSFER_RESPONSIBILITY_TARGET_DELETION_IN_PROGRESS" => ErrorKind::Conflict,

        // Too many at a time: closures under way, and calls.
        "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED" => ErrorKind::Throttled,

        // A limit that somebody has to have raised, or that takes a day, or a month.
        "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED"
        | "ACCOUNT_NUMBER_LIMIT_EXCEEDED"
        | "ALL_FEATURES_MIGRATION_ORGANIZATION_SIZE_LIMIT_EXCEEDED"
        | "CLOSE_ACCOUNT_QUOTA_EXCEEDED"
        | "HANDSHAKE_RATE_LIMIT_EXCEEDED"
        | "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED"
        | "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"
        | "OU_NUMBER_LIMIT_EXCEEDED"
        | "POLICY_NUMBER_LIMIT_EXCEEDED"
        | "RESPONSIBILITY_TRANSFER_MAX_INBOUND_QUOTA_VIOLATION"
        | "RESPONSIBILITY_TRANSFER_MAX_LEVEL_VIOLATION"
        | "RESPONSIBILITY_TRANSFER_MAX_OUTBOUND_QUOTA_VIOLATION"
        | "RESPONSIBILITY_TRANSFER_MAX_TRANSFERS_QUOTA_VIOLATION"
        | "WAIT_PERIOD_ACTIVE" => ErrorKind::Quota,

        // The organization, or the account that pays for it, is not in the state for it: somebody has to put that
        // in order, and then the same request succeeds.
        "ACCOUNT_CANNOT_LEAVE_WITHOUT_EULA"
        | "ACCOUNT_CANNOT_LEAVE_WITHOUT_PHONE_VERIFICATION"
        | "ACTIVE_RESPONSIBILITY_TRANSFER_PROCESS"
        | "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"
        | "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"
        | "INVALID_PAYMENT_INSTRUMENT"
        | "MASTER_ACCOUNT_ADDRESS_DOES_NOT_MATCH_MARKETPLACE"
        | "MASTER_ACCOUNT_MISSING_BUSINESS_LICENSE"
        | "MASTER_ACCOUNT_MISSING_CONTACT_INFO"
        | "MASTER_ACCOUNT_NOT_GOVCLOUD_ENABLED"
        | "MASTER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED"
        | "MEMBER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED"
        | "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"
        | "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE"
        | "SERVICE_ACCESS_NOT_ENABLED"
        | "TRANSFER_RESPONSIBILITY_UPDATE_NOT_ALLOWED"
        | "UNMET_BILLING_PREREQUISITE"
        | "UNSUPPORTED_PRICING" => ErrorKind::Denied,

        // Will not succeed as it is asked.
        "ACCOUNT_CANNOT_LEAVE_ORGANIZATION"
        | "ACCOUNT_NOT_ACTIVE_FOR_TRANSFER_RESPONSIBILITY"
        | "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"
        | "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"
        | "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR"
        | "CREATE_ORGANIZATION_IN_BILLING_MODE_UNSUPPORTED_REGION"
        | "EMAIL_VERIFICATION_CODE_EXPIRED"
        | "MAX_TAG_LIMIT_EXCEEDED"
        | "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"
        | "OU_DEPTH_LIMIT_EXCEEDED"
        | "POLICY_CONTENT_LIMIT_EXCEEDED"
        | "TAG_POLICY_VIOLATION" => ErrorKind::Invalid,

        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use aws_sdk_organizations::types::ConstraintViolationExceptionReason;

    use super::*;

    #[test]
    fn every_constraint_that_the_sdk_knows_has_a_class() {
        let values = ConstraintViolationExceptionReason::values();
        assert!(values.len() >= 48);
        for reason in values {
            assert!(
                known_constraint(reason).is_some(),
                "{reason} is in no class"
            );
        }
    }

    #[test]
    fn constraints_ask_for_what_helps() {
        for (reason, kind) in [
            ("ACCOUNT_NUMBER_LIMIT_EXCEEDED", ErrorKind::Quota),
            ("CLOSE_ACCOUNT_QUOTA_EXCEEDED", ErrorKind::Quota),
            (
                "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED",
                ErrorKind::Throttled,
            ),
            ("ACCOUNT_CREATION_NOT_COMPLETE", ErrorKind::Conflict),
            ("MASTER_ACCOUNT_MISSING_CONTACT_INFO", ErrorKind::Denied),
            ("TAG_POLICY_VIOLATION", ErrorKind::Invalid),
            ("SOMETHING_NEW", ErrorKind::Quota),
        ] {
            assert_eq!(constraint_kind(reason), kind, "{reason}");
        }
    }
}
