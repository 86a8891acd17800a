//! The sweep: the whole organization, read in bulk.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Organization, Row};
use crate::cloud::{ParentId, Result};
use crate::model::{AccountId, UnitPath};

/// Every sweep reads the tags of one in so many of our accounts: tags cannot be listed in bulk.
const TAG_ROTATION: u64 = 20;
/// How soon a sweep that failed is tried again.
const SWEEP_AGAIN: Duration = Duration::from_secs(15);

impl Organization {
    /// Makes sure that the view is not older than the moment of this call: one sweep serves all who ask meanwhile.
    ///
    /// # Errors
    /// AWS's: then the view is what it was.
    pub async fn refresh(&self) -> Result<Vec<AccountId>> {
        let asked_at = self.view().begun;
        let _one_at_a_time = self.sweeping.lock().await;
        {
            let view = self.view();
            // A sweep that began after we asked has ended while we waited.
            if view.done > asked_at {
                return Ok(Vec::new());
            }
        }
        let number = {
            let mut view = self.view();
            view.begun += 1;
            view.begun
        };
        let outcome = self.sweep(number).await;
        let mut view = self.view();
        view.error = outcome.as_ref().err().cloned();
        outcome
    }

    /// Reads the whole organization. Returns the accounts of which something has changed.
    async fn sweep(&self, number: u64) -> Result<Vec<AccountId>> {
        let root = self.cloud.units.root().await?;
        let mut units = HashMap::from([(UnitPath::root(), root.clone())]);
        let mut open = vec![(UnitPath::root(), root.clone())];
        let mut rows = HashMap::new();
        while let Some((path, id)) = open.pop() {
            let mut page = None;
            loop {
                let answer = self.cloud.units.units_in(&id, page).await?;
                for unit in answer.items {
                    let child = path.child(&unit.name);
                    units.insert(child.clone(), unit.id.clone());
                    open.push((child, unit.id));
                }
                page = answer.next;
                if page.is_none() {
                    break;
                }
            }
            let mut page = None;
            loop {
                let answer = self.cloud.accounts.accounts_in(&id, page).await?;
                for account in answer.items {
                    let row = Row {
                        parent: id.clone(),
                        tags: None,
                        sweep: number,
                        account,
                    };
                    rows.insert(row.account.id.clone(), row);
                }
                page = answer.next;
                if page.is_none() {
                    break;
                }
            }
        }
        self.read_some_tags(&mut rows, number).await?;
        Ok(self.replace(root, units, rows, number))
    }

    async fn read_some_tags(&self, rows: &mut HashMap<AccountId, Row>, number: u64) -> Result<()> {
        let due: Vec<AccountId> = {
            let view = self.view();
            let ours = |id: &&AccountId| view.rows.get(*id).is_some_and(|row| row.tags.is_some());
            let turn = |id: &&AccountId| {
                crate::plan::revision::fnv1a(id.as_str().as_bytes()) % TAG_ROTATION
                    == number % TAG_ROTATION
            };
            rows.keys().filter(ours).filter(turn).cloned().collect()
        };
        for id in due {
            let tags = self.cloud.accounts.tags(&id).await?;
            if let Some(row) = rows.get_mut(&id) {
                row.tags = Some(tags);
            }
        }
        Ok(())
    }

    fn replace(
        &self,
        root: ParentId,
        units: HashMap<UnitPath, ParentId>,
        mut rows: HashMap<AccountId, Row>,
        number: u64,
    ) -> Vec<AccountId> {
        let mut view = self.view();
        let mut changed = Vec::new();
        for (id, old) in &view.rows {
            if old.sweep > number {
                // Written by us while the sweep was under way: what the sweep saw may be older.
                rows.insert(id.clone(), old.clone());
            } else if let Some(new) = rows.get_mut(id) {
                if new.tags.is_none() {
                    new.tags = old.tags.clone();
                }
                let same =
                    new.account == old.account && new.parent == old.parent && new.tags == old.tags;
                if !same {
                    changed.push(id.clone());
                }
            } else {
                changed.push(id.clone());
            }
        }
        changed.extend(
            rows.keys()
                .filter(|id| !view.rows.contains_key(*id))
                .cloned(),
        );
        view.by_email = rows
            .values()
            .map(|row| {
                (
                    row.account.email.to_ascii_lowercase(),
                    row.account.id.clone(),
                )
            })
            .collect();
        view.rows = rows;
        view.paths = units
            .iter()
            .map(|(path, id)| (id.clone(), path.clone()))
            .collect();
        view.units = units;
        view.root = Some(root);
        view.done = number;
        changed
    }

    /// Sweeps for ever, and asks for a pass over every object whose account has changed.
    pub async fn keep_swept(
        &self,
        every: Duration,
        objects_of: impl Fn(&[AccountId]) -> Vec<(String, String)>,
        stop: CancellationToken,
    ) {
        loop {
            let pause = match self.refresh().await {
                Ok(changed) => {
                    for (namespace, name) in objects_of(&changed) {
                        self.trigger.fire(Some(&namespace), &name);
                    }
                    every
                }
                Err(error) => {
                    tracing::warn!(%error, "the organization could not be read");
                    SWEEP_AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
