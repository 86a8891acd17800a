//! Which pass a log line belongs to: every pass has an id, in the form of OpenTelemetry's trace ids.

use std::fmt;

use k8s_openapi::jiff::Timestamp;

use crate::plan::revision::fnv1a;

/// The id of one pass: 128 bits, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

impl TraceId {
    /// An id for the `number`th pass of this process, over the object `uid`, begun at `now`. Derived and not random, so
    /// that a run that is repeated logs the same ids.
    pub fn derived(uid: &str, now: Timestamp, number: u64) -> Self {
        let half = |which: &str| {
            let what = format!("{which}/{uid}/{}/{number}", now.as_nanosecond());
            u128::from(fnv1a(what.as_bytes()))
        };
        Self(half("high") << 64 | half("low"))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Says by which trace id a span goes outside of this process, if it goes by any.
pub type TraceOf = fn(&tracing::Span) -> Option<TraceId>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_by_object_time_and_number_and_are_the_same_in_a_repetition() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = TraceId::derived("a", at(1), 1);
        assert_eq!(first, TraceId::derived("a", at(1), 1));
        for other in [("b", 1, 1), ("a", 2, 1), ("a", 1, 2)] {
            assert_ne!(first, TraceId::derived(other.0, at(other.1), other.2));
        }
        assert_eq!(first.to_string().len(), 32);
        assert_eq!(TraceId(1).to_string(), format!("{:032}", 1));
    }
}
