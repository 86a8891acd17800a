//! What a test sees of repositories and does to them past the ports. Nothing here counts as a call.

use std::collections::BTreeSet;

use super::super::SimulatedCloud;
use super::{CREATE, DESCRIBE, ImageRecord, RepositoryRecord, expiry};
use crate::cloud::NewRepository;
use crate::model::{AccountId, Encryption, Region, RepositoryName, TagMutability, Tags};

impl SimulatedCloud {
    /// All repositories of an account, by region and name.
    pub fn repositories(&self, account: &AccountId) -> Vec<RepositoryRecord> {
        let world = self.world();
        let here = world
            .repositories
            .iter()
            .filter(|((id, ..), _)| id == account);
        here.map(|(_, repository)| repository.clone()).collect()
    }

    /// The repository of this ARN.
    pub fn repository(&self, arn: &str) -> Option<RepositoryRecord> {
        self.world().by_arn(DESCRIBE, arn).ok().cloned()
    }

    /// Somebody makes a repository at the console, with AWS's defaults. Its ARN.
    pub fn add_repository(
        &self,
        account: &AccountId,
        region: Region,
        name: &RepositoryName,
        tags: Tags,
    ) -> String {
        let mut world = self.world();
        let key = (account.clone(), region, name.clone());
        let new = NewRepository {
            name: name.clone(),
            mutability: TagMutability::Other("MUTABLE".to_owned()),
            encryption: Encryption::Aes256,
            tags,
        };
        let Ok(made) = world.create_repository(&key, &new) else {
            panic!("there is a repository {name} already")
        };
        if let Ok(repository) = world.repository(CREATE, &key) {
            repository.shown.scan_on_push = false;
        }
        made.arn
    }

    /// Somebody changes a repository, or pushes an image.
    #[track_caller]
    pub fn edit_repository(&self, arn: &str, change: impl FnOnce(&mut RepositoryRecord)) {
        let mut world = self.world();
        match world.by_arn(DESCRIBE, arn) {
            Ok(repository) => change(repository),
            Err(error) => panic!("{error}"),
        }
    }

    /// Somebody pushes an image with this digest and these tags.
    #[track_caller]
    pub fn push_image(&self, arn: &str, digest: &str, tags: &[&str]) {
        let pushed = self.now();
        self.edit_repository(arn, |repository| {
            let image = ImageRecord {
                manifest: format!("manifest of {digest}"),
                pushed,
                tags: BTreeSet::new(),
            };
            let image = repository.images.entry(digest.to_owned()).or_insert(image);
            image.tags.extend(tags.iter().map(|tag| (*tag).to_owned()));
        });
    }

    /// Somebody deletes the repository with everything in it.
    pub fn delete_repository_behind(&self, arn: &str) {
        self.world()
            .repositories
            .retain(|_, repository| repository.shown.arn != arn);
    }

    /// What AWS does within 24 hours wherever there is a rule of expiry. How many images went.
    pub fn expire_images(&self) -> usize {
        let mut world = self.world();
        let (now, mut gone) = (world.now, 0);
        for repository in world.repositories.values_mut() {
            let Some((untagged_only, age)) = repository.lifecycle.as_deref().and_then(expiry)
            else {
                continue;
            };
            let before = repository.images.len();
            repository.images.retain(|_, image| {
                let spared = untagged_only && !image.tags.is_empty();
                spared || now < image.pushed + age
            });
            gone += before - repository.images.len();
        }
        gone
    }
}
