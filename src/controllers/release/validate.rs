//! Validate: the application that the release is of, the version that must be its own, and the image.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use regex::{Regex, RegexBuilder};

use super::reasons;
use crate::api::{Application, Release, TeamAccount, TicketSystemSpec};
use crate::controllers::application::{demanded, in_force, refusal};
use crate::controllers::{Caches, keys};
use crate::model::{ImageRef, SourceRepository, Version};
use crate::plan::approval::Required;
use crate::plan::naming;
use crate::plan::release::{Rival, holder};

/// A reason and a sentence for whoever must act.
pub type Refusal = (&'static str, String);

/// What a release is about, once it is parsed.
pub struct Valid {
    /// The application's id.
    pub application: String,
    /// The application's source repositories.
    pub repositories: Vec<SourceRepository>,
    /// The approvals that a release of it needs.
    pub required: Required,
    /// Whether that is more than the application demands itself, since it was demanded before.
    pub demands_less: bool,
    /// How its tickets are recognised and found.
    pub tickets: Option<TicketSystem>,
    /// The image.
    pub image: ImageRef,
    /// When the application was retired, if it is.
    pub retired: Option<Timestamp>,
    /// The class with production, if there is an account of one, and the tag is meant to be moved.
    pub forbids_tag: Option<String>,
}

/// How tickets are recognised and found.
pub struct TicketSystem {
    /// Finds a ticket's id.
    pub pattern: Regex,
    /// Its URL, with `{{ticket}}` for its id.
    pub url_template: String,
}

/// The largest automaton that a team's pattern may become, in bytes.
const LARGEST_PATTERN: usize = 1 << 18;

impl TicketSystem {
    /// Parses what an application says.
    ///
    /// # Errors
    /// What is wrong with the pattern or the template.
    pub fn parse(spec: &TicketSystemSpec) -> Result<Self, String> {
        let pattern = RegexBuilder::new(&spec.pattern)
            .size_limit(LARGEST_PATTERN)
            .dfa_size_limit(LARGEST_PATTERN)
            .build()
            .map_err(|error| format!("spec.ticketSystem.pattern: {error}"))?;
        naming::render(&spec.url_template, &[("ticket", "1")])
            .map_err(|error| format!("spec.ticketSystem.urlTemplate: {error}"))?;
        Ok(Self {
            pattern,
            url_template: spec.url_template.clone(),
        })
    }
}

/// Parses a release, and finds its application.
///
/// # Errors
/// What is wrong, and what to do.
pub fn release(object: &Release, caches: &Caches) -> Result<Valid, Refusal> {
    let spec = &object.spec;
    let invalid = |field: &str, error: crate::model::InvalidValue| {
        (reasons::INVALID_SPEC, format!("spec.{field}: {error}"))
    };
    spec.version
        .parse::<Version>()
        .map_err(|error| invalid("version", error))?;
    let image: ImageRef = spec
        .image
        .parse()
        .map_err(|error| invalid("image", error))?;
    let namespace = object.namespace().unwrap_or_default();
    let application = application(&namespace, &spec.application, caches)?;
    if let Some(older) = older(object, caches) {
        let message = format!(
            "spec.version: Release {older} has version {} of {} already: choose another version, or delete that one",
            spec.version, spec.application
        );
        return Err((reasons::DUPLICATE, message));
    }
    // Its own status says them in normal form; what cannot be parsed, the application itself complains about.
    let repositories = application.spec.repositories.iter();
    let tickets = application.spec.ticket_system.as_ref();
    let required = in_force(&application, caches);
    let retirement = application.status.as_ref();
    let retirement = retirement.and_then(|status| status.retirement.as_ref());
    Ok(Valid {
        application: spec.application.clone(),
        retired: retirement
            .filter(|retirement| retirement.effective)
            .map(|retirement| retirement.effective_at.0),
        repositories: repositories.filter_map(|text| text.parse().ok()).collect(),
        demands_less: !demanded(&application).covers(&required),
        required,
        tickets: tickets.and_then(|system| TicketSystem::parse(system).ok()),
        forbids_tag: production_of(&namespace, caches).filter(|_| may_move(&image)),
        image,
    })
}

/// Whether what the reference means may change from one day to the next, because its tag is meant to.
pub fn may_move(image: &ImageRef) -> bool {
    image.has_moving_tag() && image.digest().is_none()
}

fn application(namespace: &str, name: &str, caches: &Caches) -> Result<Application, Refusal> {
    let Some(application) = caches.applications.get(Some(namespace), name) else {
        let message = format!(
            "spec.application: there is no Application {name} in namespace {namespace}: declare it, or make the release \
             in the namespace of the team that has it"
        );
        return Err((reasons::APPLICATION_NOT_FOUND, message));
    };
    match refusal(&application) {
        None => Ok(application),
        Some(why) => {
            let message = format!("spec.application: Application {name} is not accepted: {why}");
            Err((reasons::APPLICATION_NOT_ACCEPTED, message))
        }
    }
}

/// The older release of the same version, if there is one.
fn older(object: &Release, caches: &Caches) -> Option<String> {
    let rival = |release: &Release| Rival {
        made: release
            .creation_timestamp()
            .map_or(0, |time| time.0.as_second()),
        uid: release.uid().unwrap_or_default(),
        name: release.name_any(),
    };
    let (namespace, spec) = (object.namespace().unwrap_or_default(), &object.spec);
    let key = keys::version(&namespace, &spec.application, &spec.version);
    let others = caches.releases.each_by(&key, |other| {
        let lives = other.metadata.deletion_timestamp.is_none();
        (other.uid() != object.uid() && lives).then(|| rival(other))
    });
    holder(&rival(object), &others).map(|older| older.name.clone())
}

/// The class with production that the team has an account of.
fn production_of(namespace: &str, caches: &Caches) -> Option<String> {
    let class = |account: &TeamAccount| Some(account.spec.class_name.clone());
    let mut classes = caches.accounts.each_by(&keys::namespace(namespace), class);
    classes.retain(|name| {
        caches
            .class(name)
            .is_some_and(|class| class.spec.production)
    });
    classes.sort();
    classes.into_iter().next()
}
