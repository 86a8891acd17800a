//! The host side: fetches an application's credentials from its account's bucket into a directory.
//!
//! | module | what |
//! |---|---|
//! | [`content`] | whether what was fetched may replace what is there; pure |
//! | [`directory`] | the directory: both files at once, or none |
//! | [`settings`] | the files that berry was configured by; pure |
//!
//! The only code of bailiwick that reads credentials from a bucket. It runs on hosts, with their rights, and never in the
//! operator.

pub mod content;
pub mod directory;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use crate::cloud::storage::Bucket;
use crate::cloud::{CloudError, ErrorKind};
use crate::model::Secret;
use content::Files;
use directory::Directory;

/// Why a round did not bring what it should. What was there before is there still.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// We may not read it; S3 says so, too, of what is not there to whom may not list.
    #[error("{0}; or the key does not exist: without s3:ListBucket S3 does not tell the two apart")]
    Denied(CloudError),
    /// There is no such bucket.
    #[error("{0}")]
    NoBucket(CloudError),
    /// There is no `client.json` for this application.
    #[error("there is no {0} in the bucket: has anything been delivered there?")]
    NoKey(String),
    /// What is there cannot be used.
    #[error("{key} is not taken over: {why}")]
    Invalid {
        /// Which file.
        key: String,
        /// What is wrong with it; nothing of what is in it.
        why: String,
    },
    /// S3 did not answer, or not with sense.
    #[error("{0}")]
    Unreachable(CloudError),
    /// The directory cannot be written.
    #[error("{0}")]
    Disk(String),
}

impl Trouble {
    fn from_cloud(error: CloudError) -> Self {
        match error.kind {
            ErrorKind::Denied => Self::Denied(error),
            ErrorKind::NotFound => Self::NoBucket(error),
            _ => Self::Unreachable(error),
        }
    }
}

/// What a round brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// What is in the bucket is what is here.
    Unchanged,
    /// Other credentials are in place now.
    Switched,
}

/// Fetches the credentials of one application once.
pub struct Fetcher {
    /// Where from.
    pub bucket: Arc<dyn Bucket>,
    /// Whose.
    pub application: String,
    /// Where to.
    pub directory: Directory,
}

impl Fetcher {
    /// One round.
    ///
    /// # Errors
    /// See [`Trouble`]; then nothing was changed.
    pub async fn round(&self) -> Result<Round, Trouble> {
        let here = self.directory.read().map_err(disk)?;
        // While somebody writes both files, what is fetched may be of two versions: fetched again until it stands still.
        let mut fetched = self.fetch(here.as_ref()).await?;
        for _ in 0..3 {
            if fetched.user.is_none() || here.as_ref() == Some(&fetched) {
                break;
            }
            let again = self.fetch(here.as_ref()).await?;
            if again == fetched {
                break;
            }
            fetched = again;
        }
        if here.as_ref() == Some(&fetched) {
            return Ok(Round::Unchanged);
        }
        self.directory.switch(&fetched).map_err(disk)?;
        Ok(Round::Switched)
    }

    async fn fetch(&self, here: Option<&Files>) -> Result<Files, Trouble> {
        let client = self.get("client.json").await?;
        let client = client.ok_or_else(|| Trouble::NoKey(self.key("client.json")))?;
        self.checked("client.json", content::client(client.reveal()))?;
        let user = match self.get("user.json").await {
            // A host that may read files and not list them is told this of a file that is not there.
            Err(Trouble::Denied(_))
                if here.is_none_or(|files| files.user.is_none())
                    || content::is_without_user(client.reveal()) =>
            {
                None
            }
            user => user?,
        };
        if let Some(user) = &user {
            self.checked("user.json", content::user(user.reveal()))?;
        }
        Ok(Files { client, user })
    }

    async fn get(&self, name: &str) -> Result<Option<Secret>, Trouble> {
        let got = self.bucket.get(&self.key(name)).await;
        let Some(bytes) = got.map_err(Trouble::from_cloud)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes);
        let text = text.map_err(|_| self.invalid(name, "it is not UTF-8"))?;
        Ok(Some(Secret::new(text)))
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.application)
    }

    fn checked(&self, name: &str, answer: Result<(), &'static str>) -> Result<(), Trouble> {
        answer.map_err(|why| self.invalid(name, why))
    }

    fn invalid(&self, name: &str, why: &str) -> Trouble {
        Trouble::Invalid {
            key: self.key(name),
            why: why.to_owned(),
        }
    }
}

fn disk(error: directory::DirectoryError) -> Trouble {
    Trouble::Disk(error.to_string())
}

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(5);

/// How long until the next round, after so many failures in a row: the interval, or less while something is wrong, doubled
/// each time. `chance`, from 0 to 1, spreads hosts that began at once over a quarter of it.
pub fn pause(interval: Duration, failures: u32, chance: f64) -> Duration {
    let whole = match failures {
        0 => interval,
        some => interval.min(FIRST.saturating_mul(1 << (some - 1).min(16))),
    };
    whole.mul_f64(0.875 + chance.clamp(0.0, 1.0) / 4.0)
}

const LAST_SUCCESS: &str = "bailiwick_agent_last_success_timestamp_seconds";

/// What is counted, as Prometheus' text format has it. `success` is when the last round succeeded that did.
pub fn metrics(application: &str, success: Option<i64>, failures: u32) -> String {
    let mut text = String::new();
    if let Some(at) = success {
        text.push_str(&format!(
            "# HELP {LAST_SUCCESS} When the credentials were last known to be the bucket's.\n\
             # TYPE {LAST_SUCCESS} gauge\n\
             {LAST_SUCCESS}{{application=\"{application}\"}} {at}\n"
        ));
    }
    text.push_str(&format!(
        "# HELP bailiwick_agent_failures How many rounds in a row have failed.\n\
         # TYPE bailiwick_agent_failures gauge\n\
         bailiwick_agent_failures{{application=\"{application}\"}} {failures}\n"
    ));
    text
}

/// When a round last succeeded, by what [`metrics`] has written for that application: whoever is started anew goes on from
/// there.
pub fn last_success(application: &str, text: &str) -> Option<i64> {
    let name = format!("{LAST_SUCCESS}{{application=\"{application}\"}} ");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&name));
    values.next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_known_from_what_was_written() {
        let text = metrics("api", Some(1_800_000_000), 0);
        assert_eq!(last_success("api", &text), Some(1_800_000_000));
        assert_eq!(last_success("web", &text), None);
        assert_eq!(last_success("api", &metrics("api", None, 3)), None);
        let broken = text.replace("1800000000", "soon");
        assert_eq!(last_success("api", &broken), None);
        assert_eq!(last_success("api", ""), None);
    }

    #[test]
    fn pauses_grow_with_failures_up_to_the_interval_and_are_spread() {
        let minutes = Duration::from_secs(120);
        let seconds = |failures, chance| pause(minutes, failures, chance).as_secs_f64();
        assert_eq!(
            [seconds(0, 0.0), seconds(0, 0.5), seconds(0, 1.0)],
            [105.0, 120.0, 135.0]
        );
        let growing: Vec<f64> = (1..8).map(|failures| seconds(failures, 0.5)).collect();
        assert_eq!(growing, [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0]);
        assert_eq!(seconds(u32::MAX, 0.5), 120.0);
    }
}
