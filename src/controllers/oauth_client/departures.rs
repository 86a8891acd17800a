//! How many clients may be removed in an hour: a wave of deletions that nobody meant is noticed before it is over. Where
//! several namespaces wait, those come first of which the fewest went: no team's wave holds up the others.
//!
//! Who was let go lately is in a ConfigMap of the operator's namespace, written before the first of it is removed: objects
//! that are gone say nothing any more, and whoever restarts the operator, or kills it again and again, begins no new hour.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use tokio::sync::Mutex;

use super::work::until_then;
use super::{OAuthClients, reasons};
use crate::api::OAuthClient;
use crate::engine::conditions;
use crate::engine::reasons::CONFLICT;
use crate::engine::record::Record;
use crate::engine::{Failure, FailureKind};

/// An hour.
const HOUR: Duration = Duration::from_secs(3600);
/// How soon one asks again who has let others go first.
const NEXT_TURN: Duration = Duration::from_secs(60);
/// The ConfigMap, and the one key in it.
const NAME: &str = "bailiwick-credential-removals";
const KEY: &str = "lately.json";

/// Who went lately, and how many may.
pub struct Departures {
    pub(super) limit: usize,
    api: Api<ConfigMap>,
    /// As it is written; `None`: it must be read.
    written: Mutex<Option<Lately>>,
}

/// Those who were let go within the last hour, as `<namespace>/<uid>`, and since when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lately {
    gone: Vec<(Timestamp, String)>,
    /// Under which it is written; `None`: it never was.
    resource_version: Option<String>,
}

/// What becomes of one who wants to go.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It was let go before, and goes on.
    GoesOn,
    /// There is room for it, if it is entered.
    Goes,
    /// When there will be room.
    Waits(Duration),
}

impl Lately {
    /// What becomes of this one, while those wait, each called as in the list.
    fn judge(&mut self, limit: usize, who: &str, waiting: &[String], now: Timestamp) -> Verdict {
        let end = |since: Timestamp| since.checked_add(HOUR).unwrap_or(since);
        self.gone.retain(|(since, _)| end(*since) > now);
        if self.has(who) {
            return Verdict::GoesOn;
        }
        let room = limit.saturating_sub(self.gone.len());
        if room > self.before(namespace_of(who), waiting) {
            return Verdict::Goes;
        }
        if room > 0 {
            return Verdict::Waits(NEXT_TURN);
        }
        // With a smaller limit than before, more than the first must be an hour ago.
        let over = self.gone.len() - limit;
        let mut ends: Vec<Timestamp> = self.gone.iter().map(|(since, _)| end(*since)).collect();
        ends.sort_unstable();
        let at = ends.get(over);
        Verdict::Waits(at.map_or(HOUR, |at| until_then(now, *at)))
    }

    fn has(&self, who: &str) -> bool {
        self.gone.iter().any(|(_, admitted)| admitted == who)
    }

    /// How many of other namespaces come before the next of this one: until as many of theirs went.
    fn before(&self, namespace: &str, waiting: &[String]) -> usize {
        let went = |of: &str| {
            let gone = self.gone.iter();
            gone.filter(|(_, who)| namespace_of(who) == of).count()
        };
        let ours = went(namespace);
        let mut others: BTreeMap<&str, usize> = BTreeMap::new();
        for who in waiting.iter().filter(|who| !self.has(who)) {
            *others.entry(namespace_of(who)).or_default() += 1;
        }
        let others = others.into_iter();
        others
            .map(|(of, wait)| ours.saturating_sub(went(of)).min(wait))
            .sum()
    }
}

fn called(object: &OAuthClient) -> String {
    let namespace = object.namespace().unwrap_or_default();
    format!("{namespace}/{}", object.uid().unwrap_or_default())
}

fn namespace_of(who: &str) -> &str {
    who.split_once('/').map_or("", |(namespace, _)| namespace)
}

impl OAuthClients {
    /// Whether this one may be removed now, and goes on if it was let go before. `Err`: when it is to ask again.
    pub(super) async fn admit(
        &self,
        object: &OAuthClient,
        record: &Record<OAuthClient>,
    ) -> Result<Result<(), Duration>, Failure> {
        // Whoever waits for something else is told something else, and holds up nobody here.
        let waiting = self.caches.clients.each(|client: &OAuthClient| {
            let conditions = &client.status.as_ref()?.conditions;
            let ready = conditions::find(conditions, conditions::READY)?;
            (ready.reason == reasons::REMOVALS_LIMITED).then(|| called(client))
        });
        let who = called(object);
        self.departures.admit(record, &who, &waiting).await
    }
}

impl Departures {
    /// So many in an hour, remembered in that namespace.
    pub fn new(limit: usize, client: Client, namespace: &str) -> Self {
        Self {
            limit,
            api: Api::namespaced(client, namespace),
            written: Mutex::default(),
        }
    }

    async fn admit(
        &self,
        record: &Record<OAuthClient>,
        who: &str,
        waiting: &[String],
    ) -> Result<Result<(), Duration>, Failure> {
        let mut written = self.written.lock().await;
        let mut lately = match written.take() {
            Some(lately) => lately,
            None => self.read().await?,
        };
        let verdict = lately.judge(self.limit, who, waiting, record.now);
        if verdict == Verdict::Goes {
            lately.gone.push((record.now, who.to_owned()));
            record.may_write_in_cluster()?;
            // If that fails it is not known what is there, and read again.
            self.write(&mut lately).await?;
        }
        *written = Some(lately);
        Ok(match verdict {
            Verdict::GoesOn | Verdict::Goes => Ok(()),
            Verdict::Waits(after) => Err(after),
        })
    }

    async fn read(&self) -> Result<Lately, Failure> {
        let Some(found) = self.api.get_opt(NAME).await? else {
            return Ok(Lately::default());
        };
        let text = found.data.as_ref().and_then(|data| data.get(KEY));
        let gone = text.map_or(Ok(Vec::new()), |text| serde_json::from_str(text));
        let gone = gone.map_err(|error| {
            let message = format!(
                "ConfigMap {NAME} in the operator's namespace says which clients were removed within the last hour, and cannot \
                 be read ({error}): delete it; nothing is removed until then"
            );
            Failure::new(FailureKind::Terminal, reasons::REMOVALS_LIMITED, message)
        })?;
        Ok(Lately {
            gone,
            resource_version: found.metadata.resource_version,
        })
    }

    async fn write(&self, lately: &mut Lately) -> Result<(), Failure> {
        let text = serde_json::to_string(&lately.gone).unwrap_or_default();
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(NAME.to_owned()),
                resource_version: lately.resource_version.clone(),
                ..ObjectMeta::default()
            },
            data: Some([(KEY.to_owned(), text)].into()),
            ..ConfigMap::default()
        };
        let params = PostParams::default();
        let answer = match lately.resource_version {
            None => self.api.create(&params, &map).await,
            Some(_) => self.api.replace(NAME, &params, &map).await,
        };
        match answer {
            Ok(map) => {
                lately.resource_version = map.metadata.resource_version;
                Ok(())
            }
            Err(kube::Error::Api(status))
                if status.is_already_exists() || status.is_not_found() || status.is_conflict() =>
            {
                let message = format!("ConfigMap {NAME} has changed meanwhile");
                Err(Failure::new(FailureKind::Conflict, CONFLICT, message))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_go_in_an_hour_and_one_that_may_goes_on() {
        let mut lately = Lately::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut admit = |limit, uid: &str, second| {
            let verdict = lately.judge(limit, uid, &[], at(second));
            if verdict == Verdict::Goes {
                lately.gone.push((at(second), uid.to_owned()));
            }
            verdict
        };
        let waits = |seconds: u64| Verdict::Waits(Duration::from_secs(seconds + 1));
        assert_eq!(admit(2, "a", 0), Verdict::Goes);
        assert_eq!(admit(2, "b", 60), Verdict::Goes);
        assert_eq!(admit(2, "c", 120), waits(3600 - 120));
        assert_eq!(admit(1, "c", 120), waits(3660 - 120));
        assert_eq!(admit(0, "c", 120), Verdict::Waits(HOUR));
        assert_eq!(admit(2, "a", 130), Verdict::GoesOn);
        assert_eq!(admit(2, "c", 3600), Verdict::Goes);
        assert_eq!(admit(2, "d", 3600), waits(60));
        assert_eq!(admit(2, "a", 3600), waits(60));
    }
    #[test]
    fn of_those_that_wait_the_namespaces_come_first_of_which_fewer_went() {
        let mut lately = Lately::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut admit = |who: &str, waiting: &[&str], second| {
            let waiting: Vec<String> = waiting.iter().map(|one| (*one).to_owned()).collect();
            let verdict = lately.judge(4, who, &waiting, at(second));
            if verdict == Verdict::Goes {
                lately.gone.push((at(second), who.to_owned()));
            }
            verdict
        };
        // Alone it may have all.
        assert_eq!(admit("a/1", &[], 0), Verdict::Goes);
        assert_eq!(admit("a/2", &["a/3"], 0), Verdict::Goes);
        // One that waits is kept room for; two would be, but none of them goes before that many of its own went.
        assert_eq!(admit("a/3", &["b/1"], 0), Verdict::Goes);
        assert_eq!(admit("a/4", &["b/1"], 0), Verdict::Waits(NEXT_TURN));
        assert_eq!(admit("b/1", &["a/4"], 0), Verdict::Goes);
        // An hour later they take turns.
        let waiting = ["a/4", "a/5", "a/6", "a/7", "b/2", "b/3", "b/4", "c/1"];
        assert_eq!(admit("a/4", &waiting, 3600), Verdict::Goes);
        assert_eq!(admit("a/5", &waiting, 3600), Verdict::Goes);
        assert_eq!(admit("a/6", &waiting, 3600), Verdict::Waits(NEXT_TURN));
        assert_eq!(admit("b/2", &waiting, 3600), Verdict::Goes);
        assert_eq!(admit("b/3", &waiting, 3600), Verdict::Waits(NEXT_TURN));
        assert_eq!(admit("c/1", &waiting, 3600), Verdict::Goes);
        assert!(matches!(admit("a/6", &waiting, 3600), Verdict::Waits(after) if after >= HOUR));
    }
}
