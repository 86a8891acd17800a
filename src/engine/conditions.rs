//! Conditions: set in one way, and summarised in one place.
//!
//! kstatus reads `Ready`, `Reconciling` and `Stalled`: `Ready` is always there; the other two only while they apply,
//! never both.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::outcome::{Failure, FailureKind, Outcome};
use super::reasons;

/// The summary of all others.
pub const READY: &str = "Ready";
/// Work is under way.
pub const RECONCILING: &str = "Reconciling";
/// Nothing will happen until a person changes something.
pub const STALLED: &str = "Stalled";

/// After how many failures in a row an object that was Ready stops being so: a throttled look at an account that is
/// in order says nothing about the account.
const FAILURES_UNTIL_NOT_READY: u32 = 5;

/// A condition's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// `True`.
    True,
    /// `False`.
    False,
    /// `Unknown`.
    Unknown,
}

impl Truth {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Sets one condition; the transition time moves only if the value does.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    truth: Truth,
    (reason, message): (&str, &str),
    (generation, now): (i64, Timestamp),
) {
    let message: String = message.chars().take(2000).collect();
    let fresh = Condition {
        type_: type_.to_owned(),
        status: truth.as_str().to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: Time(now),
    };
    match conditions
        .iter_mut()
        .find(|condition| condition.type_ == type_)
    {
        Some(old) if old.status == fresh.status => {
            let since = old.last_transition_time.clone();
            *old = Condition {
                last_transition_time: since,
                ..fresh
            };
        }
        Some(old) => *old = fresh,
        None => conditions.push(fresh),
    }
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// Whether the condition is there and True.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Derives Ready, Reconciling and Stalled from how a pass ended. `failures`: how many passes in a row have failed,
/// this one included.
pub fn summarise(
    conditions: &mut Vec<Condition>,
    end: &Result<Outcome, Failure>,
    failures: u32,
    (generation, now): (i64, Timestamp),
) {
    let at = (generation, now);
    let (ready, also, reason, message): (Truth, Option<&str>, &str, &str) = match end {
        Ok(Outcome::Settled { .. }) => (
            Truth::True,
            None,
            reasons::READY,
            "everything is as declared",
        ),
        Ok(Outcome::Released) => (
            Truth::False,
            Some(RECONCILING),
            reasons::RELEASED,
            "nothing outside is managed any more",
        ),
        Ok(Outcome::Begun { .. }) => return,
        Ok(Outcome::Waiting {
            reason, message, ..
        }) => (Truth::False, Some(RECONCILING), reason, message),
        Ok(Outcome::Blocked { reason, message }) => (Truth::False, Some(STALLED), reason, message),
        Err(failure) => match failure.kind {
            FailureKind::Conflict => return,
            FailureKind::Transient => {
                let settled = find(conditions, READY).is_some_and(|ready| {
                    ready.status == "True" && ready.observed_generation == Some(generation)
                });
                if settled && failures < FAILURES_UNTIL_NOT_READY {
                    return;
                }
                (
                    Truth::False,
                    Some(RECONCILING),
                    failure.label,
                    &failure.message,
                )
            }
            FailureKind::Terminal | FailureKind::Bug => {
                (Truth::False, Some(STALLED), failure.label, &failure.message)
            }
        },
    };
    set(conditions, READY, ready, (reason, message), at);
    for type_ in [RECONCILING, STALLED] {
        if also == Some(type_) {
            set(conditions, type_, Truth::True, (reason, message), at);
        } else {
            remove(conditions, type_);
        }
    }
    conditions.sort_by_key(|condition| rank(&condition.type_));
}

/// Ready first: that is what people look for; the others in the order in which they were reached.
fn rank(type_: &str) -> u8 {
    match type_ {
        READY => 0,
        RECONCILING | STALLED => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn types(conditions: &[Condition]) -> Vec<(&str, &str)> {
        conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status.as_str()))
            .collect()
    }

    #[test]
    fn the_summary_is_what_kstatus_expects() {
        let mut conditions = Vec::new();
        let waiting = Ok(Outcome::waiting(
            "Creating",
            "AWS is at it",
            Duration::from_secs(1),
        ));
        summarise(&mut conditions, &waiting, 0, (1, at(10)));
        assert_eq!(
            types(&conditions),
            [("Ready", "False"), ("Reconciling", "True")]
        );
        summarise(
            &mut conditions,
            &Ok(Outcome::blocked("Bad", "mend it")),
            0,
            (1, at(20)),
        );
        assert_eq!(
            types(&conditions),
            [("Ready", "False"), ("Stalled", "True")]
        );
        assert_eq!(
            conditions[0].last_transition_time.0,
            at(10),
            "Ready was False before and still is"
        );
        summarise(
            &mut conditions,
            &Ok(Outcome::Settled { resync: None }),
            0,
            (2, at(30)),
        );
        assert_eq!(types(&conditions), [("Ready", "True")]);
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        assert_eq!(conditions[0].observed_generation, Some(2));
    }

    #[test]
    fn one_throttled_look_does_not_make_a_settled_object_unready() {
        let mut conditions = Vec::new();
        summarise(
            &mut conditions,
            &Ok(Outcome::Settled { resync: None }),
            0,
            (1, at(0)),
        );
        let before = conditions.clone();
        let throttled = Err(Failure::new(
            FailureKind::Transient,
            "AwsThrottled",
            "slow down",
        ));
        summarise(&mut conditions, &throttled, 1, (1, at(5)));
        assert_eq!(conditions, before);
        summarise(&mut conditions, &throttled, 5, (1, at(6)));
        assert_eq!(
            types(&conditions),
            [("Ready", "False"), ("Reconciling", "True")]
        );
    }
}
