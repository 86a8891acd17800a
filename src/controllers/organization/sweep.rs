//! The sweep: the whole organization, read in bulk.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::pages::{pages, patiently};
use super::{Organization, Row};
use crate::cloud::{Account, ParentId, Result, Unit};
use crate::model::{AccountId, UnitPath};

/// The tags of an account of ours are read anew after so many sweeps: they cannot be listed in bulk.
const TAG_ROTATION: u64 = 20;
/// How soon a sweep that failed is tried again.
const SWEEP_AGAIN: Duration = Duration::from_secs(15);

/// How many units are read at the same time.
const PARENTS_AT_ONCE: usize = 4;

/// What is directly in a unit or the root.
struct Inside {
    path: UnitPath,
    id: ParentId,
    units: Vec<Unit>,
    accounts: Vec<Account>,
}

impl Organization {
    /// Makes sure that the view is not older than the moment of this call: one sweep serves all who ask meanwhile.
    ///
    /// # Errors
    /// AWS's: then the view is what it was.
    pub async fn refresh(&self) -> Result<()> {
        let asked_at = self.view().begun;
        let _one_at_a_time = self.sweeping.lock().await;
        {
            let view = self.view();
            // A sweep that began after we asked has ended while we waited.
            if view.done > asked_at {
                return Ok(());
            }
        }
        let number = {
            let mut view = self.view();
            view.begun += 1;
            view.begun
        };
        let span = tracing::debug_span!("sweep", number);
        let outcome = self.sweep(number).instrument(span).await;
        {
            let mut view = self.view();
            view.error = outcome.as_ref().err().cloned();
            match &outcome {
                Ok(changed) => view.changed.extend(changed.iter().cloned()),
                // It may be another organization by now.
                Err(_) => view.root = None,
            }
        }
        self.attempts.send_modify(|count| *count += 1);
        outcome.map(drop)
    }

    /// Reads the whole organization. Returns the accounts of which something has changed.
    async fn sweep(&self, number: u64) -> Result<Vec<AccountId>> {
        let asked = self.clock.now();
        let root = self.root().await?;
        let mut units = HashMap::from([(UnitPath::root(), root.clone())]);
        let mut level = vec![(UnitPath::root(), root.clone())];
        let mut rows = HashMap::new();
        while !level.is_empty() {
            // Pages follow one another, so one parent alone does not use up what AWS allows.
            let reads = level.into_iter().map(|(path, id)| self.read_in(path, id));
            let read: Vec<Inside> = futures::stream::iter(reads)
                .buffer_unordered(PARENTS_AT_ONCE)
                .try_collect()
                .await?;
            level = Vec::new();
            for inside in read {
                for unit in inside.units {
                    let path = inside.path.child(&unit.name);
                    units.insert(path.clone(), unit.id.clone());
                    level.push((path, unit.id));
                }
                for account in inside.accounts {
                    let row = Row {
                        parent: inside.id.clone(),
                        tags: None,
                        sweep: number,
                        tags_sweep: 0,
                        account,
                    };
                    rows.insert(row.account.id.clone(), row);
                }
            }
        }
        self.read_some_tags(&mut rows, number).await?;
        Ok(self.replace(root, units, rows, (number, asked)))
    }

    /// What is directly in a unit or the root.
    async fn read_in(&self, path: UnitPath, id: ParentId) -> Result<Inside> {
        let (units, accounts) = (&self.cloud.units, &self.cloud.accounts);
        let units = pages(|page| units.units_in(&id, page), |_| false).await?;
        let accounts = pages(|page| accounts.accounts_in(&id, page), |_| false).await?;
        Ok(Inside {
            path,
            id,
            units,
            accounts,
        })
    }

    async fn read_some_tags(&self, rows: &mut HashMap<AccountId, Row>, number: u64) -> Result<()> {
        for id in self.whose_tags_are_due(rows, number) {
            let tags = patiently(|| self.cloud.accounts.tags(&id)).await?;
            if let Some(row) = rows.get_mut(&id) {
                row.tags = Some(tags);
                row.tags_sweep = number;
            }
        }
        Ok(())
    }

    /// Those that were read longest ago, and no more in one sweep than keeps the turns: what was written or read
    /// lately is known. Accounts whose tags are not known are nobody's concern yet, or are looked into soon.
    fn whose_tags_are_due(&self, rows: &HashMap<AccountId, Row>, number: u64) -> Vec<AccountId> {
        let view = self.view();
        let known = |id: &AccountId| view.rows.get(id).filter(|row| row.tags.is_some());
        let ours = rows
            .keys()
            .filter_map(|id| Some((known(id)?.tags_sweep, id)));
        let mut ours: Vec<(u64, &AccountId)> = ours.collect();
        let turn = ours.len().div_ceil(TAG_ROTATION as usize);
        ours.retain(|(read, _)| read + TAG_ROTATION <= number);
        ours.sort_unstable();
        ours.into_iter()
            .take(turn)
            .map(|(_, id)| id.clone())
            .collect()
    }

    fn replace(
        &self,
        root: ParentId,
        mut units: HashMap<UnitPath, ParentId>,
        mut rows: HashMap<AccountId, Row>,
        (number, asked): (u64, Timestamp),
    ) -> Vec<AccountId> {
        let view = &mut *self.view();
        let mut changed = Vec::new();
        view.lately.forget_old(asked);
        for (path, id) in view.lately.units() {
            units.entry(path.clone()).or_insert_with(|| id.clone());
        }
        for (id, old) in &view.rows {
            if old.sweep > number {
                // Written by us while the sweep was under way: what the sweep saw may be older.
                rows.insert(id.clone(), old.clone());
            } else if let Some(new) = rows.get_mut(id) {
                if new.tags.is_none() {
                    new.tags = old.tags.clone();
                    new.tags_sweep = old.tags_sweep;
                }
                // Written by us before, and not shown yet.
                view.lately.correct(new, old);
                let same =
                    new.account == old.account && new.parent == old.parent && new.tags == old.tags;
                if !same {
                    changed.push(id.clone());
                }
            } else if view.lately.hides(id) {
                rows.insert(id.clone(), old.clone());
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

    /// Sweeps for ever, and asks for a pass over every object whose account has changed: whoever asked for the sweep that
    /// saw it, the next one sees no difference any more. `objects_of` gives namespace and name of the objects that these
    /// accounts concern; at the first sweep also of all that have none.
    pub async fn keep_swept(
        &self,
        every: Duration,
        objects_of: impl Fn(&[AccountId], bool) -> Vec<(String, String)>,
        stop: CancellationToken,
    ) {
        // Those that have no account yet waited for the first sweep.
        let mut first = true;
        let mut attempts = self.attempts.subscribe();
        loop {
            let pause = match self.refresh().await {
                Ok(()) => every,
                Err(error) => {
                    tracing::warn!(%error, "the organization could not be read");
                    SWEEP_AGAIN
                }
            };
            let next = tokio::time::sleep(pause);
            tokio::pin!(next);
            loop {
                let changed = std::mem::take(&mut self.view().changed);
                if !changed.is_empty() {
                    let mut concerned = objects_of(&changed, std::mem::take(&mut first));
                    concerned.sort_unstable();
                    for (namespace, name) in concerned {
                        self.trigger.fire(Some(&namespace), &name);
                    }
                }
                tokio::select! {
                    () = &mut next => break,
                    _ = attempts.changed() => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}
