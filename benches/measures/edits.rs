//! P10: objects are edited, and how long it takes until their status says Ready of the edit; and how much of that was
//! waiting for AWS, as the operator's log tells it.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use bailiwick::api::TeamAccount;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::population::{Place, is_ready};
use crate::{Problem, seconds};

/// No further edit begins after so long: on a slow emulator there are fewer, and the figure says how many.
const EDITING: Duration = Duration::from_secs(60);

/// With these the operator's log tells of every call to AWS, and for which object.
pub const LOGGED: [&str; 4] = [
    "--log-format",
    "json",
    "--log-filter",
    "info,bailiwick::cloud::governed=debug",
];

/// A change of the spec.
#[derive(Debug, Clone, Copy)]
pub enum Edit {
    /// Demands nothing else of the account.
    Purpose(&'static str),
    /// Demands another password policy: the account is looked into, and changed.
    PasswordLength(u8),
}

impl Edit {
    fn patch(self) -> Value {
        match self {
            Self::Purpose(purpose) => json!({ "spec": { "purpose": purpose } }),
            Self::PasswordLength(length) => {
                json!({ "spec": { "overrides": { "passwordPolicy": { "minimumLength": length } } } })
            }
        }
    }
}

/// One edit, from before the request to the status that is about it.
#[derive(Debug, Clone)]
pub struct Edited {
    place: Place,
    began: SystemTime,
    took: Duration,
}

impl Edited {
    /// How long it took, in seconds.
    pub fn seconds(&self) -> f64 {
        seconds(self.took)
    }

    /// How much of it was neither waiting for a budget nor for AWS's answer, in seconds.
    pub fn own(&self, calls: &[Call]) -> f64 {
        let (start, end) = (self.began, self.began + self.took);
        let mut spans: Vec<(SystemTime, SystemTime)> = calls
            .iter()
            .filter(|call| call.place == self.place && call.start < end && call.end > start)
            .map(|call| (call.start.max(start), call.end.min(end)))
            .collect();
        spans.sort_unstable();
        // Calls that are under way together are waited for once.
        let (mut waited, mut until) = (Duration::ZERO, start);
        for (from, to) in spans {
            waited += to.duration_since(from.max(until)).unwrap_or_default();
            until = until.max(to);
        }
        seconds(self.took.saturating_sub(waited))
    }
}

/// Edits objects, so many at once.
pub async fn edit(
    client: &Client,
    places: impl Iterator<Item = Place>,
    edit: Edit,
    at_once: usize,
) -> Result<Vec<Edited>, Problem> {
    let end = Instant::now() + EDITING;
    futures::stream::iter(places.take_while(|_| Instant::now() < end))
        .map(|place| one(client, place, edit))
        .buffer_unordered(at_once)
        .try_collect()
        .await
}

async fn one(client: &Client, place: Place, edit: Edit) -> Result<Edited, Problem> {
    let api: Api<TeamAccount> = Api::namespaced(client.clone(), &place.namespace());
    let fields = format!("metadata.name={}", place.name);
    // From now on, and not from the object's version: that may be older than what the API server remembers.
    let mut changes = api
        .watch(&WatchParams::default().fields(&fields), "0")
        .await?
        .boxed();
    let (began, clock) = (SystemTime::now(), Instant::now());
    let answer = api
        .patch(
            &place.name,
            &PatchParams::default(),
            &Patch::Merge(edit.patch()),
        )
        .await?;
    let noticed = async {
        while let Some(change) = changes.try_next().await? {
            if let WatchEvent::Modified(object) = change
                && object.metadata.generation == answer.metadata.generation
                && is_ready(&serde_json::to_value(&object)?)
            {
                return Ok(clock.elapsed());
            }
        }
        Err::<_, Problem>("the watch ended".into())
    };
    let took = tokio::time::timeout(Duration::from_secs(60), noticed).await??;
    Ok(Edited { place, began, took })
}

/// A call to AWS in a pass over an account.
#[derive(Debug, Clone)]
pub struct Call {
    place: Place,
    start: SystemTime,
    end: SystemTime,
}

/// The calls that a log tells of.
pub fn calls(log: &Path) -> Result<Vec<Call>, Problem> {
    let text = std::fs::read_to_string(log)?;
    Ok(text.lines().filter_map(call).collect())
}

fn call(line: &str) -> Option<Call> {
    let line: Value = serde_json::from_str(line).ok()?;
    // Wide numbers stand there as text.
    let millis = |field: &str| match &line[field] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let spans = line["spans"].as_array()?;
    let pass = spans.iter().find(|span| span["name"] == "pass")?;
    let end: Timestamp = line["timestamp"].as_str()?.parse().ok()?;
    let end = SystemTime::from(end);
    Some(Call {
        place: Place {
            team: pass["namespace"]
                .as_str()?
                .strip_prefix("team-")?
                .to_owned(),
            name: pass["object"].as_str()?.to_owned(),
        },
        start: end - Duration::from_millis(millis("waited_ms")? + millis("took_ms")?),
        end,
    })
}
