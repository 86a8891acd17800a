//! When an application that was set inactive loses its rights: announced first, carried out after its grace period.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// A retirement that was announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retirement {
    /// When it was seen that the application is inactive.
    pub announced_at: Timestamp,
    /// When it takes effect.
    pub effective_at: Timestamp,
    /// Whether it has.
    pub effective: bool,
}

/// The retirement of an application, and whether it has been announced, has taken effect, or been called off by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The application is active, and was.
    Active,
    /// It was announced now.
    Announced(Retirement),
    /// It was announced before, and its time has not come.
    Waiting(Retirement),
    /// Its time has come now.
    Effected(Retirement),
    /// It took effect before.
    Retired(Retirement),
    /// The application is active again, before it took effect or (`true`) after.
    CalledOff(bool),
}

/// What becomes of an application. A period that is changed before its end counts from the announcement.
pub fn step(active: bool, period: Duration, before: Option<Retirement>, now: Timestamp) -> Step {
    if active {
        return before.map_or(Step::Active, |before| Step::CalledOff(before.effective));
    }
    let announced_at = before.map_or(now, |before| before.announced_at);
    if let Some(before) = before.filter(|before| before.effective) {
        return Step::Retired(before);
    }
    let effective_at = announced_at.checked_add(period).unwrap_or(announced_at);
    let after = Retirement {
        announced_at,
        effective_at,
        effective: now >= effective_at,
    };
    match (before, after.effective) {
        (None, _) => Step::Announced(Retirement {
            effective: false,
            ..after
        }),
        (Some(_), false) => Step::Waiting(after),
        (Some(_), true) => Step::Effected(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn retirement(announced: i64, effective_at: i64, effective: bool) -> Retirement {
        Retirement {
            announced_at: at(announced),
            effective_at: at(effective_at),
            effective,
        }
    }

    #[test]
    fn it_is_announced_waits_and_takes_effect() {
        let announced = retirement(100, 86_500, false);
        assert_eq!(step(true, DAY, None, at(100)), Step::Active);
        assert_eq!(step(false, DAY, None, at(100)), Step::Announced(announced));
        assert_eq!(
            step(false, DAY, Some(announced), at(86_499)),
            Step::Waiting(announced)
        );
        let effected = retirement(100, 86_500, true);
        assert_eq!(
            step(false, DAY, Some(announced), at(86_500)),
            Step::Effected(effected)
        );
        assert_eq!(
            step(false, 2 * DAY, Some(effected), at(90_000)),
            Step::Retired(effected),
            "what has taken effect is not undone by a longer period"
        );
    }

    #[test]
    fn it_is_called_off_and_its_period_changed() {
        let announced = retirement(100, 86_500, false);
        assert_eq!(
            step(true, DAY, Some(announced), at(200)),
            Step::CalledOff(false)
        );
        assert_eq!(
            step(true, DAY, Some(retirement(100, 86_500, true)), at(90_000)),
            Step::CalledOff(true)
        );
        assert_eq!(
            step(false, 2 * DAY, Some(announced), at(86_500)),
            Step::Waiting(retirement(100, 172_900, false))
        );
        assert_eq!(
            step(false, Duration::from_secs(60), Some(announced), at(200)),
            Step::Effected(retirement(100, 160, true)),
            "a shorter period counts from the announcement"
        );
        assert_eq!(
            step(false, Duration::ZERO, None, at(100)),
            Step::Announced(retirement(100, 100, false)),
            "nothing takes effect that has not been announced before"
        );
    }
}
