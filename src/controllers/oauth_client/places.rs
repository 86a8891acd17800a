//! Act: bringing versions to the places, all at once, and looking after what is there.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::destination::{Bundle, Destination};
use super::entries::{Content, at, declare, forget, holds, name, received, trouble_at};
use super::reasons;
use super::work::{Stop, Work};
use crate::api::{DeliverySpec, DestinationStatus};
use crate::engine::{Failure, FailureKind, Outcome};
use crate::model::Secret;
use crate::plan::rotation::{self, Auth, Cause, Step};

/// How long a place may take; it is tried again.
const PATIENCE: Duration = Duration::from_secs(15);

/// A place, opened.
type Opened = Arc<dyn Destination>;

/// What is in the way at a place: why, what of it a person is told, and whether it may mend itself.
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) mends: bool,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self {
            reason: reasons::DELIVERY_FAILED,
            mends: failure.kind != FailureKind::Terminal,
            message: failure.message,
        }
    }
}

impl Work<'_> {
    pub(super) async fn open(&self, delivery: &DeliverySpec) -> Result<Opened, Refusal> {
        let opening = self.controller.destinations.open(self.object, delivery);
        match patiently(opening).await? {
            Ok(opened) => Ok(opened),
            Err(Outcome::Waiting { message, .. }) => Err(Refusal {
                reason: reasons::DELIVERY_FAILED,
                message,
                mends: true,
            }),
            Err(Outcome::Blocked { message, .. }) => Err(Refusal {
                reason: reasons::DELIVERY_FAILED,
                message,
                mends: false,
            }),
            Err(Outcome::Settled { .. } | Outcome::Begun { .. } | Outcome::Released) => {
                Err(Refusal {
                    reason: reasons::DELIVERY_FAILED,
                    message: "the place is not there".to_owned(),
                    mends: true,
                })
            }
        }
    }

    /// Asks every place whether it will take what comes, before anything is made. Where nothing is in use any more the
    /// places that do must not wait for those that do not.
    pub(super) async fn preflight(&mut self, cause: Cause) -> Result<(), Stop> {
        let places = &self.desired()?.places;
        places.iter().for_each(|it| name(self.record, it));
        let asking = places.iter().map(|delivery| async {
            let opened = self.open(delivery).await?;
            patiently(opened.check()).await?;
            Ok::<_, Refusal>(opened.location())
        });
        let answers = join_all(asking).await;
        let (current, now) = (self.known.current(), self.record.now);
        let urgent = rotation::is_urgent(cause, current, self.server_ends(), now);
        let some = answers.iter().any(Result::is_ok);
        let mut refusals = Vec::new();
        for (delivery, answer) in places.iter().zip(answers) {
            match answer {
                Ok(location) => declare(self.record, delivery, location),
                Err(refusal) => {
                    trouble_at(self.record, &delivery.name, Some(&refusal));
                    refusals.push((delivery.name.as_str(), refusal));
                }
            }
        }
        match stop(&refusals) {
            Some(stop) if !(urgent && some) => Err(stop),
            _ => Ok(()),
        }
    }

    /// Brings the new version to all places that do not hold it; then it is tried again.
    pub(super) async fn deliver(&mut self) -> Result<(), Stop> {
        let Some(number) = self.known.pending().map(|pending| pending.number) else {
            return Ok(());
        };
        if let Err(stop) = self.bring(number).await
            && (stop.is_final() || !self.may_pass_over(number))
        {
            return Err(stop);
        }
        if let Some(open) = &mut self.known.open {
            open.step = Step::Test;
        }
        self.save().await
    }

    /// When the server ends the version in use, if it does.
    fn server_ends(&self) -> Option<Timestamp> {
        let current = self.known.current()?;
        self.kept.registration(current.number)?.secret_expires
    }

    /// Whether a place that refuses may be left behind: some hold the new version, and the one before it is of no use.
    fn may_pass_over(&self, number: i64) -> bool {
        let Some(open) = &self.known.open else {
            return false;
        };
        let mut places = self.record.status.destinations.iter();
        let (current, now) = (self.known.current(), self.record.now);
        // A scope can be taken back while it is under way for another reason.
        let withdrawn = self.desired.map(|desired| &desired.wanted.withdrawn);
        let cause = match withdrawn.is_some_and(|scopes| !scopes.is_empty()) {
            true => Cause::Withdrawn,
            false => open.cause,
        };
        places.any(|place| place.version == Some(number) && place.receipt.is_some())
            && rotation::may_pass_over(cause, current, self.server_ends(), now)
    }

    /// Brings a version to all places that are declared and do not hold it. What was brought is recorded even if another
    /// place refuses: that one alone is tried again, with the same version.
    async fn bring(&mut self, number: i64) -> Result<(), Stop> {
        let desired = self.desired()?;
        let version = self.known.version(number);
        let Some(content) = version.map(|version| Content::of(version, desired)) else {
            return Ok(());
        };
        let places = &desired.places;
        places.iter().for_each(|it| name(self.record, it));
        let wanted = std::slice::from_ref(&content);
        let lacking: Vec<_> = places
            .iter()
            .filter(|delivery| !holds(self.record, delivery, wanted))
            .cloned()
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let Some(bundle) = self.bundle(number)? else {
            self.seen.lost = Some(self.record.now);
            return Ok(());
        };
        self.record.may_write()?;
        let opening = lacking.iter().map(|delivery| self.open(delivery));
        let opened = join_all(opening).await;
        // Whatever is written to is known before, so that it can be cleaned.
        for (delivery, opened) in lacking.iter().zip(&opened) {
            if let Ok(opened) = opened {
                declare(self.record, delivery, opened.location());
            }
        }
        self.save().await?;
        let bundle = &bundle;
        let putting = opened
            .into_iter()
            .map(|opened| async move { Ok::<_, Refusal>(patiently(opened?.put(bundle)).await?) });
        let answers = join_all(putting).await;
        let mut refusals = Vec::new();
        for (delivery, answer) in lacking.iter().zip(answers) {
            match answer {
                Ok(receipt) => received(self.record, &delivery.name, &content, receipt),
                Err(refusal) => {
                    trouble_at(self.record, &delivery.name, Some(&refusal));
                    refusals.push((delivery.name.as_str(), refusal));
                }
            }
        }
        self.save().await?;
        stop(&refusals).map_or(Ok(()), Err)
    }

    /// Looks after the places while no delivery is open: what was added gets the version in use, what was removed is
    /// cleaned, and with `look`, what somebody else has changed is written again.
    pub(super) async fn maintain(&mut self, look: bool) -> Result<(), Stop> {
        let delivering = self
            .known
            .open
            .as_ref()
            .is_some_and(|open| open.step > Step::Create);
        if !delivering && let Some(current) = self.known.current().map(|current| current.number) {
            if look {
                self.look().await?;
            }
            self.bring(current).await?;
        }
        self.clean().await
    }

    /// Whether what is there is what was written.
    async fn look(&mut self) -> Result<(), Stop> {
        let written: Vec<_> = self.record.status.destinations.clone();
        let declared = &self.desired()?.places;
        let mine = written
            .into_iter()
            .filter(|place| place.receipt.is_some() && declared.contains(&place.delivery));
        let looking = mine.map(|place| async {
            let seen = match self.open(&place.delivery).await {
                Ok(opened) => patiently(opened.look()).await.map_err(Refusal::from),
                Err(refusal) => Err(refusal),
            };
            (place, seen)
        });
        let looked = join_all(looking).await;
        let (mut refusals, mut repaired) = (Vec::new(), Vec::new());
        for (place, seen) in looked {
            match seen {
                Ok(seen) if seen.as_ref().map(|it| &it.0) == place.receipt.as_ref() => {
                    trouble_at(self.record, &place.name, None);
                    self.date(&place);
                }
                Ok(seen) => {
                    let what = match seen {
                        Some(_) => "somebody else has written to",
                        None => "somebody has removed what was at",
                    };
                    repaired.push(format!("{what} {}", place.location));
                    forget(self.record, &place.name);
                }
                Err(refusal) => refusals.push((place.name, refusal)),
            }
        }
        // One event for all: the API server keeps one of a kind.
        if !repaired.is_empty() {
            let message = format!("{}; it is written again", repaired.join(", "));
            self.record.warn(reasons::DELIVERY_REPAIRED, message);
        }
        // One that cannot be looked at hides nothing of the others, and is no reason to call what it holds missing.
        for (name, refusal) in refusals {
            tracing::info!(
                place = name,
                why = refusal.message,
                "a place could not be looked at"
            );
        }
        Ok(())
    }

    /// What was written before contents had a revision is taken for right where it is replaced anyhow in a while, and
    /// written once more where it never is.
    fn date(&mut self, place: &DestinationStatus) {
        let version = place.version.and_then(|number| self.known.version(number));
        let Some((version, desired)) = version.zip(self.desired) else {
            return;
        };
        let revision = match version.auth.ages() {
            true => Content::of(version, desired).revision,
            false => String::new(),
        };
        if let Some(place) = at(self.record, &place.name) {
            place.content.get_or_insert(revision);
        }
    }

    /// What is delivered of a version. `None`: it is not kept any more.
    fn bundle(&self, number: i64) -> Result<Option<Bundle>, Stop> {
        let desired = self.desired()?;
        let kept = self.kept.entries.get(&number);
        let version = self.known.version(number);
        let (Some(entry), Some(version)) = (kept, version) else {
            return Ok(None);
        };
        let (Some(registration), Some(user_json)) = (&entry.registration, self.user_json(number))
        else {
            return Ok(None);
        };
        let method = super::known::at_server(version.auth).name();
        let secret = registration.secret.as_ref();
        let secret =
            secret.filter(|_| matches!(version.auth, Auth::SecretBasic | Auth::SecretPost));
        let not_after = version.expires.filter(|_| version.auth.ages());
        let not_after = not_after.map(|at| at.to_string());
        let mut client = json!({
            "client_id": registration.client_id,
            "client_secret": secret.map(Secret::reveal),
            "version": number,
            "not_after": not_after,
            "issuer": desired.issuer,
            "token_endpoint": desired.token_endpoint,
            "token_endpoint_auth_method": method,
            "user_json": version.user,
        });
        if let Some(key) = &entry.key {
            client["key_id"] = json!(key.id);
            client["private_key"] = json!(key.pem.reveal());
        }
        if let Some(subject) = self.subject(number) {
            super::workload::describe(&mut client, &subject, &desired.audience);
        }
        Ok(Some(Bundle {
            version: number,
            client_json: Secret::new(client.to_string()),
            user_json,
            not_after,
        }))
    }

    /// `user.json` of that version, in the layout that mint had. The outer `None`: it must have one, and its password is
    /// not kept any more.
    fn user_json(&self, number: i64) -> Option<Option<Secret>> {
        if !self.known.version(number)?.user {
            return Some(None);
        }
        let user = self.service_user(number)?;
        let content = json!({
            "application_username": user.username,
            "application_password": user.password.reveal(),
        });
        Some(Some(Secret::new(content.to_string())))
    }
}

/// All refusals in one sentence.
pub(super) fn stop(refusals: &[(&str, Refusal)]) -> Option<Stop> {
    let (_, first) = refusals.first()?;
    let told: Vec<String> = refusals
        .iter()
        .map(|(name, refusal)| format!("{name}: {}", refusal.message))
        .collect();
    let message = told.join("; ");
    Some(if refusals.iter().any(|(_, refusal)| refusal.mends) {
        Stop::Failed(Failure::new(FailureKind::Transient, first.reason, message))
    } else {
        Stop::Ended(Outcome::blocked(first.reason, message))
    })
}

/// A place that hangs holds up nobody for long.
pub(super) async fn patiently<T>(
    asking: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no answer within {} s", PATIENCE.as_secs());
            Err(Failure::new(
                FailureKind::Transient,
                reasons::DELIVERY_FAILED,
                message,
            ))
        })
}
