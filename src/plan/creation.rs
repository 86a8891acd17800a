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
/// ConstraintViolationException). Those that no call of ours can meet fall to the platform team, by name.
pub fn constraint(reason: &str) -> Verdict {
    match reason {
        "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED"
        | "CLOSE_ACCOUNT_QUOTA_EXCEEDED"
        | "CLOSE_ACCOUNT_REQUESTS_LIMIT_EXCEEDED"
        | "WAIT_PERIOD_ACTIVE"
        | "ACCOUNT_CREATION_NOT_COMPLETE"
        | "CREATE_ORGANIZATION_IN_BILLING_MODE_UNSUPPORTED_REGION"
        | "ORGANIZATION_IS_ALREADY_PENDING_CHANGES"
        | "POLICY_TYPE_ENABLED_FOR_THIS_SERVICE" => Verdict::Retry,
        "ACCOUNT_NUMBER_LIMIT_EXCEEDED" => failure("ACCOUNT_LIMIT_EXCEEDED"),
        "OU_NUMBER_LIMIT_EXCEEDED" => Verdict::Person(
            "the organization has as many organizational units as it may: the platform team must remove unused ones",
        ),
        "OU_DEPTH_LIMIT_EXCEEDED" => Verdict::Spec(
            "organizational units nest five levels deep at most: shorten organizationalUnitPath",
        ),
        "MAX_TAG_LIMIT_EXCEEDED" => Verdict::Spec(
            "an account bears 50 tags at most: remove some from the class or the overrides",
        ),
        "TAG_POLICY_VIOLATION" => Verdict::Spec(
            "a tag breaks a tag policy of the organization: correct spec.tags of the class or the overrides",
        ),
        "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"
        | "CANNOT_CLOSE_DELEGATED_ADMINISTRATOR_OF_ORG" => Verdict::Person(
            "the account is a delegated administrator: the platform team must deregister it first",
        ),
        "CANNOT_CLOSE_MANAGEMENT_ACCOUNT" => Verdict::Spec(
            "the organization's management account is not closed: set deletionPolicy to Retain",
        ),
        "MASTER_ACCOUNT_MISSING_CONTACT_INFO"
        | "MASTER_ACCOUNT_MISSING_BUSINESS_LICENSE"
        | "MASTER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED"
        | "MASTER_ACCOUNT_ADDRESS_DOES_NOT_MATCH_MARKETPLACE"
        | "MASTER_ACCOUNT_NOT_GOVCLOUD_ENABLED"
        | "EMAIL_VERIFICATION_CODE_EXPIRED"
        | "INVALID_PAYMENT_INSTRUMENT"
        | "MEMBER_ACCOUNT_PAYMENT_INSTRUMENT_REQUIRED" => Verdict::Person(
            "the owner of the management account must complete its contact, licence or payment data in the AWS \
             billing console",
        ),
        _ => Verdict::Person(
            "the organization's rules stand against it: the platform team should look the reason up in the \
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
