//! The list of classes that the admission policies read, as it really is: one watch of one ConfigMap. Whatever the status
//! of a class says, what counts is what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use tokio::sync::watch;

use crate::engine::leader::Leadership;
use crate::engine::{Failure, FailureKind, reasons};

/// The ConfigMap: one key for each class, its regions as the value.
pub const CLASS_LIST: &str = "bailiwick-account-classes";

/// How long a pass waits until the list has been read for the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon it is tried again to make a list that is missing.
const MAKE_AGAIN: Duration = Duration::from_secs(15);

/// What is in the list.
pub(super) type Entries = BTreeMap<String, String>;

/// The list as its watch has seen it last.
#[derive(Clone)]
pub struct ClassList(watch::Receiver<Option<Entries>>);

impl ClassList {
    /// The list, and the watch that keeps it: an endless stream that yields whenever the list is not what it was, and
    /// makes one where there is none.
    pub fn watched(
        client: &Client,
        namespace: &str,
        leadership: Leadership,
    ) -> (Self, impl Stream<Item = ()> + use<>) {
        let (sender, receiver) = watch::channel(None);
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let changes = watcher::watch_object(api.clone(), CLASS_LIST)
            .default_backoff()
            .filter_map(move |seen| {
                let missing = matches!(seen, Ok(None)).then(|| (api.clone(), leadership.clone()));
                let changed = match seen {
                    Ok(found) => enter(&sender, found.and_then(|list| list.data)),
                    Err(error) => {
                        tracing::debug!(%error, "the list of classes cannot be watched");
                        false
                    }
                };
                async move {
                    if let Some((api, leadership)) = missing {
                        make(&api, &leadership).await;
                    }
                    changed.then_some(())
                }
            });
        (Self(receiver), changes)
    }

    /// What is in the list.
    ///
    /// # Errors
    /// Transient, if it could not be read yet.
    pub async fn entries(&self) -> Result<Entries, Failure> {
        let mut receiver = self.0.clone();
        let known = tokio::time::timeout(PATIENCE, receiver.wait_for(Option::is_some)).await;
        match known {
            Ok(Ok(entries)) => Ok(entries.clone().unwrap_or_default()),
            _ => Err(Failure::new(
                FailureKind::Transient,
                reasons::CLUSTER_UNAVAILABLE,
                format!(
                    "ConfigMap {CLASS_LIST} in the operator's namespace cannot be watched: the operator's Role there \
                     must allow it to get, list and watch that ConfigMap"
                ),
            )),
        }
    }
}

/// The list with these entries.
pub(super) fn list_of(entries: Entries) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(CLASS_LIST.to_owned()),
            ..ObjectMeta::default()
        },
        data: Some(entries),
        ..ConfigMap::default()
    }
}

/// Makes the list that is missing, empty, before there is any class: where a policy finds no list the API server refuses
/// in words that name neither field nor cause; where it is empty the policy says that there are no classes.
async fn make(api: &Api<ConfigMap>, leadership: &Leadership) {
    while leadership.guard().is_ok() {
        let list = list_of(Entries::new());
        match api.create(&PostParams::default(), &list).await {
            Ok(_) => return,
            Err(kube::Error::Api(status)) if status.is_already_exists() => return,
            Err(error) => {
                tracing::warn!(%error, "ConfigMap {CLASS_LIST} cannot be made; it is tried again")
            }
        }
        tokio::time::sleep(MAKE_AGAIN).await;
    }
}

/// Whether it is not what it was.
fn enter(sender: &watch::Sender<Option<Entries>>, found: Option<Entries>) -> bool {
    let found = Some(found.unwrap_or_default());
    sender.send_if_modified(|known| {
        let differs = *known != found;
        *known = found;
        differs
    })
}

/// What must be patched for `name` to be in the list with `value`, and for what is no class's to be out of it. `None`:
/// nothing.
pub(super) fn amendment(
    entries: &Entries,
    (name, value): (&str, &str),
    is_class: impl Fn(&str) -> bool,
) -> Option<BTreeMap<String, Option<String>>> {
    let foreign = entries.keys().filter(|key| *key != name && !is_class(key));
    let mut patch: BTreeMap<_, _> = foreign.map(|key| (key.clone(), None)).collect();
    if entries.get(name).map(String::as_str) != Some(value) {
        patch.insert(name.to_owned(), Some(value.to_owned()));
    }
    (!patch.is_empty()).then_some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_amended_only_where_it_differs() {
        let entries = |all: &[(&str, &str)]| -> Entries {
            let all = all.iter();
            all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let ours = ("test", "eu-central-1");
        let is_class = |name: &str| name == "test" || name == "live";
        let right = entries(&[ours, ("live", "any")]);
        assert_eq!(amendment(&right, ours, is_class), None);
        let wrong = entries(&[("test", "us-east-1"), ("gone", "us-east-1")]);
        let patch = amendment(&wrong, ours, is_class).unwrap();
        assert_eq!(patch["test"].as_deref(), Some("eu-central-1"));
        assert_eq!(patch["gone"], None);
        assert_eq!(amendment(&Entries::new(), ours, is_class).unwrap().len(), 1);
    }
}
