//! Places in memory: they may refuse, hang, be away, and be written to by somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bailiwick::api::{DeliverySpec, OAuthClient};
use bailiwick::controllers::oauth_client::destination::{
    Bundle, Destination, Destinations, Receipt,
};
use bailiwick::controllers::oauth_client::reasons;
use bailiwick::engine::{Failure, FailureKind, Outcome};
use bailiwick::identity::simulated::Verdict;
use kube::ResourceExt;

use super::world::Life;

#[derive(Default)]
struct State {
    content: BTreeMap<String, (String, u64)>,
    users: BTreeMap<String, String>,
    written: u64,
    writes: BTreeMap<String, u64>,
    looks: u64,
    denied: BTreeSet<String>,
    away: BTreeSet<String>,
    hanging: BTreeSet<String>,
    lost_accounts: BTreeSet<String>,
}

/// All places; clones share everything.
#[derive(Clone, Default)]
pub struct Places(Arc<Mutex<State>>);

impl Places {
    fn set(of: &mut BTreeSet<String>, place: &str, on: bool) {
        if on {
            of.insert(place.to_owned());
        } else {
            of.remove(place);
        }
    }

    pub fn deny(&self, place: &str, on: bool) {
        Self::set(&mut self.0.lock().unwrap().denied, place, on);
    }

    pub fn set_away(&self, place: &str, on: bool) {
        Self::set(&mut self.0.lock().unwrap().away, place, on);
    }

    /// The TeamAccount of that name is deleted.
    pub fn lose_account(&self, account: &str) {
        Self::set(&mut self.0.lock().unwrap().lost_accounts, account, true);
    }

    pub fn hang(&self, place: &str, on: bool) {
        Self::set(&mut self.0.lock().unwrap().hanging, place, on);
    }

    /// Somebody else writes there.
    pub fn overwrite(&self, place: &str, content: &str) {
        let mut state = self.0.lock().unwrap();
        state.written += 1;
        let written = state.written;
        state
            .content
            .insert(place.to_owned(), (content.to_owned(), written));
    }

    /// Somebody else removes what is there.
    pub fn clear(&self, place: &str) {
        self.0.lock().unwrap().content.remove(place);
    }

    /// What is there.
    pub fn content(&self, place: &str) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.content.get(place).map(|(content, _)| content.clone())
    }

    /// The `user.json` that is there.
    pub fn user(&self, place: &str) -> Option<String> {
        self.0.lock().unwrap().users.get(place).cloned()
    }

    /// Every `user.json` that is anywhere.
    pub fn users(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap().users.clone()
    }

    /// All that is anywhere.
    pub fn all(&self) -> Vec<(String, String)> {
        let state = self.0.lock().unwrap();
        let all = state.content.iter();
        all.map(|(place, (content, _))| (place.clone(), content.clone()))
            .collect()
    }

    pub fn writes(&self, place: &str) -> u64 {
        self.0
            .lock()
            .unwrap()
            .writes
            .get(place)
            .copied()
            .unwrap_or(0)
    }

    pub fn looks(&self) -> u64 {
        self.0.lock().unwrap().looks
    }
}

/// Places as one operator has them.
pub struct Delivering {
    pub places: Places,
    pub life: Arc<Life>,
}

#[async_trait]
impl Destinations for Delivering {
    async fn open(
        &self,
        client: &OAuthClient,
        delivery: &DeliverySpec,
    ) -> Result<Result<Arc<dyn Destination>, Outcome>, Failure> {
        let namespace = client.namespace().unwrap();
        let application = &client.spec.application;
        let location = match (&delivery.secret, &delivery.s3, &delivery.secrets_manager) {
            (Some(secret), ..) => format!("secret {namespace}/{}", secret.name),
            (_, Some(s3), _) => format!("s3://{}/{application}", s3.account),
            (.., Some(managed)) => {
                let name = managed.secret_name.clone();
                let name = name.unwrap_or_else(|| format!("{application}/oauth-client"));
                format!("arn:aws:secretsmanager:{}:secret:{name}", managed.account)
            }
            _ => {
                return Ok(Err(Outcome::blocked(
                    reasons::DELIVERY_FAILED,
                    "no such place",
                )));
            }
        };
        Ok(Ok(Arc::new(Place {
            places: self.places.clone(),
            life: self.life.clone(),
            location,
        })))
    }

    fn is_out_of_reach(&self, _client: &OAuthClient, delivery: &DeliverySpec) -> bool {
        let state = self.places.0.lock().unwrap();
        let account = delivery.s3.as_ref().map(|s3| &s3.account);
        account.is_some_and(|account| state.lost_accounts.contains(account))
    }
}

struct Place {
    places: Places,
    life: Arc<Life>,
    location: String,
}

impl Place {
    fn failure(&self, kind: FailureKind, what: &str) -> Failure {
        let message = format!("{}: {what}", self.location);
        Failure::new(kind, reasons::DELIVERY_FAILED, message)
    }

    async fn reached(&self) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let (hangs, away, denied) = {
            let state = self.places.0.lock().unwrap();
            let in_it = |set: &BTreeSet<String>| set.contains(&self.location);
            (
                in_it(&state.hanging),
                in_it(&state.away),
                in_it(&state.denied),
            )
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        if away {
            return Err(self.failure(FailureKind::Transient, "no answer"));
        }
        if denied {
            return Err(self.failure(FailureKind::Terminal, "the role may not write there"));
        }
        Ok(())
    }

    /// A write, with what befalls the operator around it.
    async fn write<T>(
        &self,
        what: &str,
        work: impl FnOnce(&mut State) -> T + Send,
    ) -> Result<T, Failure> {
        self.reached().await?;
        self.struck(what, true).await?;
        let done = {
            let mut state = self.places.0.lock().unwrap();
            *state.writes.entry(self.location.clone()).or_default() += 1;
            work(&mut state)
        };
        self.struck(what, false).await?;
        Ok(done)
    }

    async fn struck(&self, what: &str, before: bool) -> Result<(), Failure> {
        match self.life.rule(Some(what.to_owned()), before) {
            Verdict::Continue => Ok(()),
            Verdict::Hang => std::future::pending().await,
            Verdict::LoseReply => Err(self.failure(FailureKind::Transient, "no answer")),
        }
    }
}

#[async_trait]
impl Destination for Place {
    fn location(&self) -> String {
        self.location.clone()
    }

    async fn check(&self) -> Result<(), Failure> {
        self.reached().await
    }

    async fn put(&self, bundle: &Bundle) -> Result<Receipt, Failure> {
        let content = bundle.client_json.reveal().to_owned();
        let user = bundle.user_json.as_ref();
        let user = user.map(|user| user.reveal().to_owned());
        // A bucket takes one file after the other, a Secret both at once.
        let (at_once, later) = match self.location.starts_with("s3://") {
            true => (None, user),
            false => (user, None),
        };
        let location = self.location.clone();
        let receipt = self.write("put", move |state| {
            state.written += 1;
            let written = state.written;
            match (at_once, bundle.user_json.is_some()) {
                (Some(user), _) => drop(state.users.insert(location.clone(), user)),
                (None, true) => {}
                (None, false) => drop(state.users.remove(&location)),
            }
            state.content.insert(location, (content, written));
            Receipt(written.to_string())
        });
        let receipt = receipt.await?;
        if let Some(user) = later {
            let location = self.location.clone();
            self.write("put user.json", move |state| {
                state.users.insert(location, user);
            })
            .await?;
        }
        Ok(receipt)
    }

    async fn look(&self) -> Result<Option<Receipt>, Failure> {
        self.reached().await?;
        let mut state = self.places.0.lock().unwrap();
        state.looks += 1;
        let found = state.content.get(&self.location);
        Ok(found.map(|(_, written)| Receipt(written.to_string())))
    }

    async fn remove(&self) -> Result<(), Failure> {
        let location = self.location.clone();
        self.write("clean", move |state| {
            state.content.remove(&location);
            state.users.remove(&location);
        })
        .await
    }
}
