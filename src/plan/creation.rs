//! Creating an account exactly once: what a failed or refused creation means, and which request is ours.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// What to do about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Try again later by ourselves.
    Retry,
    /// A person outside must do something: who and what.
    Person(&'static str),
    /// The object must be changed: which field and how.
    Spec(&'static str),
    /// The e-mail address belongs to an account already: look whose.
    EmailTaken,
}

/// What a failure reason of CreateAccount means (Organizations API Reference, CreateAccountStatus).
pub fn failure(reason: &str) -> Verdict {
    match reason {
        "EMAIL_ALREADY_EXISTS" => Verdict::EmailTaken,
        "CONCURRENT_ACCOUNT_MODIFICATION" | "INTERNAL_FAILURE" | "PENDING_BUSINESS_VALIDATION" => {
            Verdict::Retry
        }
        "INVALID_EMAIL" => Verdict::Spec(
            "AWS refuses the e-mail address: set spec.email, or the class's emailTemplate, to one that can receive mail",
        ),
        "INVALID_ADDRESS" => Verdict::Person(
            "the owner of the management account must correct its postal address in the AWS billing console",
        ),
        "ACCOUNT_LIMIT_EXCEEDED" => Verdict::Person(
            "the organization has as many accounts as it may: the platform team must ask AWS Support for a higher limit \
             (Service Quotas, AWS Organizations, default maximum number of accounts)",
        ),
        "GOVCLOUD_ACCOUNT_ALREADY_EXISTS" => Verdict::Person(
            "the account in AWS GovCloud exists already: the platform team must sort this out with AWS Support",
        ),
        "MISSING_PAYMENT_INSTRUMENT" | "INVALID_PAYMENT_INSTRUMENT" => Verdict::Person(
            "the owner of the management account must register a valid payment method in the AWS billing console",
        ),
        "MISSING_BUSINESS_VALIDATION"
        | "FAILED_BUSINESS_VALIDATION"
        | "UNKNOWN_BUSINESS_VALIDATION"
        | "INVALID_IDENTITY_FOR_BUSINESS_VALIDATION" => Verdict::Person(
            "AWS must validate the company first: the owner of the management account finds the case in AWS Support",
        ),
        "UPDATE_EXISTING_RESOURCE_POLICY_WITH_TAGS_NOT_SUPPORTED" => Verdict::Person(
            "the organization's resource policy forbids tags at creation: the platform team must change that policy",
        ),
        _ => Verdict::Person(
            "AWS gives a reason that this version does not know: the platform team should look it up in the \
             Organizations API Reference (CreateAccountStatus); it is tried again when the object changes",
        ),
    }
}

/// What the typed reason of a ConstraintViolationException means for an account's life (Organizations API Reference,
/// ConstraintViolationException): who must do what. Also for those that no call of ours is known to meet.
pub fn constraint(reason: &str) -> Verdict {
    match reason {
        // By itself, within the minute, the day or the month.
        "ACCOUNT_CREATION_NOT_COMPLETE"
        | "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED"
        | "CLOSE_ACCOUNT_QUOTA_EXCEEDED"
        | "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED"
        | "HANDSHAKE_RATE_LIMIT_EXCEEDED"
        | "TRANSFER_RESPONSIBILITY_SOURCE_DELETION_IN_PROGRESS"
        | "TRANSFER_RESPONSIBILITY_TARGET_DELETION_IN_PROGRESS"
        | "WAIT_PERIOD_ACTIVE" => Verdict::Retry,

        // Whoever declares.
        "OU_DEPTH_LIMIT_EXCEEDED" => Verdict::Spec(
            "organizational units nest five levels deep at most: shorten organizationalUnitPath",
        ),
        "MAX_TAG_LIMIT_EXCEEDED" => Verdict::Spec(
            "an account bears 50 tags at most: remove some from the class or the overrides",
        ),
        "TAG_POLICY_VIOLATION" => Verdict::Spec(
            "a tag breaks a tag policy of the organization: correct spec.tags of the class or the overrides",
        ),
        "CANNOT_CLOSE_MANAGEMENT_ACCOUNT" => Verdict::Spec(
            "the organization's management account is not closed: set deletionPolicy to Retain",
        ),

        // The platform team.
        "ACCOUNT_NUMBER_LIMIT_EXCEEDED" => failure("ACCOUNT_LIMIT_EXCEEDED"),
        "OU_NUMBER_LIMIT_EXCEEDED" => Verdict::Person(
            "the organization has as many organizational units as it may: the platform team must remove unused ones",
        ),
        "CANNOT_CLOSE_DELEGATED_ADMINISTRATOR_OF_ORG"
        | "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG" => Verdict::Person(
            "the account is a delegated administrator: the platform team must deregister it first",
        ),
        "CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"
        | "CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR"
        | "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"
        | "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED" => Verdict::Person(
            "the delegated administrators of a service stand against it: the platform team must correct which accounts are \
             registered (AWS Organizations, ListDelegatedAdministrators)",
        ),
        "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"
        | "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"
        | "POLICY_CONTENT_LIMIT_EXCEEDED"
        | "POLICY_NUMBER_LIMIT_EXCEEDED"
        | "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE" => Verdict::Person(
            "the organization's policies stand against it: the platform team must change which are attached, or how large \
             they are (AWS Organizations, policies)",
        ),
        "SERVICE_ACCESS_NOT_ENABLED" => Verdict::Person(
            "trusted access is lacking: the platform team must enable it for the service in the organization (for contacts, \
             names, regions and e-mail addresses that is AWS Account Management, account.amazonaws.com)",
        ),

        // The owner of the management account.
        "ALL_FEATURES_MIGRATION_ORGANIZATION_SIZE_LIMIT_EXCEEDED"
        | "CREATE_ORGANIZATION_IN_BILLING_MODE_UNSUPPORTED_REGION"
        | "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE" => Verdict::Person(
            "the organization does not have all features: the owner of the management account must enable them (AWS \
             Organizations, settings), with AWS Support if AWS refuses",
        ),
        "MASTER_ACCOUNT_ADDRESS_DOES_NOT_MATCH_MARKETPLACE"
        | "MASTER_ACCOUNT_MISSING_BUSINESS_LICENSE"
        | "MASTER_ACCOUNT_MISSING_CONTACT_INFO"
        | "MASTER_ACCOUNT_NOT_GOVCLOUD_ENABLED"
        | "MASTER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED" => Verdict::Person(
            "the owner of the management account must complete its contact, licence or payment data in the AWS \
             billing console",
        ),
        "ACCOUNT_CANNOT_LEAVE_ORGANIZATION" => Verdict::Person(
            "the management account does not leave its organization: the owner of the management account must delete the \
             organization instead, if that is what is wanted",
        ),
        "ACCOUNT_NOT_ACTIVE_FOR_TRANSFER_RESPONSIBILITY"
        | "ACTIVE_RESPONSIBILITY_TRANSFER_PROCESS"
        | "RESPONSIBILITY_TRANSFER_MAX_INBOUND_QUOTA_VIOLATION"
        | "RESPONSIBILITY_TRANSFER_MAX_LEVEL_VIOLATION"
        | "RESPONSIBILITY_TRANSFER_MAX_OUTBOUND_QUOTA_VIOLATION"
        | "RESPONSIBILITY_TRANSFER_MAX_TRANSFERS_QUOTA_VIOLATION"
        | "TRANSFER_RESPONSIBILITY_UPDATE_NOT_ALLOWED"
        | "UNMET_BILLING_PREREQUISITE"
        | "UNSUPPORTED_PRICING" => Verdict::Person(
            "a transfer of who pays stands against it: the owner of the management account must bring it to its end, or \
             withdraw it, in the AWS billing console",
        ),

        // Whoever has the account's own root user.
        "ACCOUNT_CANNOT_LEAVE_WITHOUT_EULA"
        | "ACCOUNT_CANNOT_LEAVE_WITHOUT_PHONE_VERIFICATION"
        | "INVALID_PAYMENT_INSTRUMENT"
        | "MEMBER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED" => Verdict::Person(
            "the account itself lacks something: whoever reads its root e-mail must sign in as its root user, and register a \
             valid payment method, a verified telephone number, or its consent to AWS's terms",
        ),
        "EMAIL_VERIFICATION_CODE_EXPIRED" => Verdict::Person(
            "the code for the e-mail address has expired: whoever reads that mailbox must ask for another one (the \
             annotation bailiwick.dev/email-confirmation-code: resend) and give that",
        ),
        _ => Verdict::Person(
            "AWS gives a reason that this version does not know: the platform team should look it up in the \
             Organizations API Reference (ConstraintViolationException)",
        ),
    }
}

/// How a constraint that stood against CreateAccount is recorded.
const CONSTRAINT: &str = "constraint:";
/// How an input that CreateAccount refused is recorded.
const INPUT: &str = "input:";

/// The word by which a refusal of CreateAccount itself is recorded, beside the reasons of requests that failed later.
pub fn refusal(reason: &str, is_input: bool) -> String {
    let kind = if is_input { INPUT } else { CONSTRAINT };
    format!("{kind}{reason}")
}

/// What a recorded failure asks for, whichever of both it is.
pub fn recorded(word: &str) -> Verdict {
    if let Some(reason) = word.strip_prefix(CONSTRAINT) {
        return constraint(reason);
    }
    if word.starts_with(INPUT) {
        return Verdict::Spec(
            "AWS takes a value for invalid: correct spec.email, spec.accountName, the tags, or the class's templates",
        );
    }
    failure(word)
}

/// What tells one creation from another: what was written down before the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent<'a> {
    /// The account's name that is asked for.
    pub account_name: &'a str,
    /// When the intent was recorded, by our clock.
    pub started_at: Timestamp,
}

/// How far AWS's clock and ours may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(300);

/// Whether a request that AWS remembers can be the one of this intent: the same name, and not from before. AWS shows
/// no e-mail address in requests, so this finds candidates; the account itself, found by e-mail, is the proof.
pub fn may_be_ours(intent: &Intent<'_>, name: &str, requested: Option<Timestamp>) -> bool {
    let earliest = intent
        .started_at
        .saturating_sub(SKEW)
        .unwrap_or(intent.started_at);
    intent.account_name == name && requested.is_none_or(|at| at >= earliest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_reason_has_a_verdict() {
        let table = [
            ("EMAIL_ALREADY_EXISTS", "taken"),
            ("CONCURRENT_ACCOUNT_MODIFICATION", "retry"),
            ("INTERNAL_FAILURE", "retry"),
            ("PENDING_BUSINESS_VALIDATION", "retry"),
            ("INVALID_EMAIL", "spec"),
            ("INVALID_ADDRESS", "person"),
            ("ACCOUNT_LIMIT_EXCEEDED", "person"),
            ("GOVCLOUD_ACCOUNT_ALREADY_EXISTS", "person"),
            ("MISSING_PAYMENT_INSTRUMENT", "person"),
            ("INVALID_PAYMENT_INSTRUMENT", "person"),
            ("MISSING_BUSINESS_VALIDATION", "person"),
            ("FAILED_BUSINESS_VALIDATION", "person"),
            ("UNKNOWN_BUSINESS_VALIDATION", "person"),
            ("INVALID_IDENTITY_FOR_BUSINESS_VALIDATION", "person"),
            (
                "UPDATE_EXISTING_RESOURCE_POLICY_WITH_TAGS_NOT_SUPPORTED",
                "person",
            ),
            ("SOMETHING_NEW", "person"),
        ];
        for (reason, expected) in table {
            let found = match failure(reason) {
                Verdict::Retry => "retry",
                Verdict::Person(_) => "person",
                Verdict::Spec(_) => "spec",
                Verdict::EmailTaken => "taken",
            };
            assert_eq!(found, expected, "{reason}");
        }
    }

    #[test]
    fn a_close_quota_is_waited_for_and_a_tag_policy_is_the_specs() {
        assert_eq!(constraint("CLOSE_ACCOUNT_QUOTA_EXCEEDED"), Verdict::Retry);
        assert!(matches!(
            constraint("TAG_POLICY_VIOLATION"),
            Verdict::Spec(_)
        ));
        assert!(matches!(
            constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED"),
            Verdict::Person(_)
        ));
        assert!(matches!(constraint("NEVER_SEEN"), Verdict::Person(_)));
    }

    #[test]
    fn what_was_recorded_is_judged_by_what_it_was() {
        assert_eq!(
            recorded(&refusal("WAIT_PERIOD_ACTIVE", false)),
            Verdict::Retry
        );
        assert!(matches!(
            recorded(&refusal("INVALID_PATTERN", true)),
            Verdict::Spec(_)
        ));
        assert_eq!(recorded("EMAIL_ALREADY_EXISTS"), Verdict::EmailTaken);
    }

    #[test]
    fn a_request_from_before_the_intent_is_not_ours() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let intent = Intent {
            account_name: "a-test",
            started_at: at(10_000),
        };
        assert!(may_be_ours(&intent, "a-test", Some(at(10_001))));
        assert!(
            may_be_ours(&intent, "a-test", Some(at(9_800))),
            "clocks differ"
        );
        assert!(!may_be_ours(&intent, "a-test", Some(at(9_000))));
        assert!(!may_be_ours(&intent, "b-test", Some(at(10_001))));
    }
}
