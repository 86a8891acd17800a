//! The logins by which releases read what is in the repositories that the operator has made itself.
//!
//! A token of ECR lets whoever has it do what the role may through which it was given. So it is asked of the repository's
//! own account, for an image in a repository that an `ImageRepository` of this cluster has, and for nothing else: who
//! names another repository of a team's account in a release learns nothing of it by our rights.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use tokio::time::Instant;

use super::{Place, PlatformAccount, validate};
use crate::api::ImageRepository;
use crate::cloud::{CloudError, ErrorKind, RegistryToken, Sessions};
use crate::controllers::Caches;
use crate::engine::clock::Clock;
use crate::model::{EcrRegistry, ImageName};

/// A token is not used up to its last moment: a search that begins with it takes a quarter of an hour at most.
const MARGIN: Duration = Duration::from_secs(1200);
/// How long a token is used of which AWS does not say when it ends; it gives them for twelve hours.
const UNSAID: Duration = Duration::from_secs(3600);
/// Used no longer than this, whatever was promised.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// A token, and until when it is used.
type Kept = Arc<tokio::sync::Mutex<Option<(RegistryToken, Instant)>>>;

/// Tokens for the registries of the platform's account and of teams' accounts.
pub struct RegistryTokens {
    sessions: Arc<dyn Sessions>,
    clock: Arc<dyn Clock>,
    platform: Option<PlatformAccount>,
    caches: OnceLock<Caches>,
    kept: Mutex<HashMap<EcrRegistry, Kept>>,
}

impl RegistryTokens {
    /// Tokens by these sessions. None is given before [`know`](Self::know) has said whose repositories there are.
    pub fn new(
        sessions: Arc<dyn Sessions>,
        clock: Arc<dyn Clock>,
        platform: Option<PlatformAccount>,
    ) -> Self {
        Self {
            sessions,
            clock,
            platform,
            caches: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// Says where the repositories, accounts and classes are found.
    pub fn know(&self, caches: &Caches) {
        // Told twice it is the same: there is one set of caches in a process.
        let _ = self.caches.set(caches.clone());
    }

    /// The token for this image; `None`: it is in no repository of ours.
    ///
    /// # Errors
    /// If the account does not let us in, or AWS does not answer.
    pub async fn token(&self, name: &ImageName) -> Result<Option<RegistryToken>, CloudError> {
        let Some((registry, place)) = self.place_of(name) else {
            return Ok(None);
        };
        let kept = self.kept(&registry);
        // Whoever comes meanwhile waits for the same token.
        let mut kept = kept.lock().await;
        if let Some((token, until)) = kept.as_ref()
            && *until > Instant::now()
        {
            return Ok(Some(token.clone()));
        }
        *kept = None;
        let inside = self.sessions.enter(&place.account, &place.role).await;
        let port = inside
            .map_err(|error| explained(&place, error))?
            .repositories(place.region);
        let token = port.token().await;
        let token = token.map_err(|error| explained(&place, error))?;
        let lives = token.expires.map_or(UNSAID + MARGIN, |expires| {
            let left = expires.duration_since(self.clock.now());
            Duration::try_from(left).unwrap_or_default()
        });
        let lives = lives.min(LONGEST).saturating_sub(MARGIN);
        *kept = Some((token.clone(), Instant::now() + lives));
        Ok(Some(token))
    }

    /// Forgets a token that the registry has refused.
    pub fn forget(&self, name: &ImageName) {
        if let Ok(registry) = name.registry().parse::<EcrRegistry>() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.remove(&registry);
        }
    }

    fn kept(&self, registry: &EcrRegistry) -> Kept {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(registry.clone()).or_default().clone()
    }

    /// The repository of ours that the image is in: its registry, and the way into its account.
    fn place_of(&self, name: &ImageName) -> Option<(EcrRegistry, Place)> {
        let registry: EcrRegistry = name.registry().parse().ok()?;
        let caches = self.caches.get()?;
        let place = |object: &ImageRepository| {
            let status = object.status.as_ref()?;
            let (_, path) = status.uri.as_ref()?.split_once('/')?;
            if status.created_at.is_none() || path != name.path() {
                return None;
            }
            let place = self.way_into(caches, object)?;
            (place.account == registry.account && place.region == registry.region).then_some(place)
        };
        let place = caches.repositories.each(place).into_iter().next()?;
        Some((registry, place))
    }

    /// Where the object's repository is, and by which role its account is entered.
    fn way_into(&self, caches: &Caches, object: &ImageRepository) -> Option<Place> {
        let namespace = object.namespace()?;
        let account = object.spec.account.as_ref();
        let account = account.and_then(|name| caches.accounts.get(Some(&namespace), name));
        let class = account
            .as_ref()
            .and_then(|account| caches.class(&account.spec.class_name));
        let given = validate::Given {
            team: None,
            account: account.as_ref(),
            class: class.as_ref(),
            platform: self.platform.as_ref(),
        };
        validate::place(object, &given).ok()
    }
}

/// What to do, where it is the account that does not let us.
fn explained(place: &Place, mut error: CloudError) -> CloudError {
    if error.kind == ErrorKind::Denied {
        error.message = format!(
            "role {} of account {} must let the operator in and allow ecr:GetAuthorizationToken there, or a login for the \
             registry must be in the operator's Secret ({})",
            place.role, place.account, error.message
        );
    }
    error
}
