//! The chain from an image to the people who answer for it: every hop with its mark, its evidence, and who can mend it.
//! Pure: what has been read from the cluster in, what is to be shown out.

mod hops;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use kube::ResourceExt;
use serde::Serialize;

use crate::api::{Application, ApplicationName, Release, Team};
use crate::model::ImageRef;

/// What has been read from the cluster.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The releases.
    pub releases: Vec<Release>,
    /// The applications.
    pub applications: Vec<Application>,
    /// The claims on names; `None`: the reader may not read them.
    pub names: Option<Vec<ApplicationName>>,
    /// The teams; `None`: the reader may not read them.
    pub teams: Option<Vec<Team>>,
}

/// Whether a hop holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Mark {
    /// It holds, and the evidence says why.
    Holds,
    /// It does not, and the chain is broken here.
    Broken,
    /// It is not known, or not for certain, and does not break the chain.
    Unknown,
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// From what to what: `image`, `source`, …
    pub hop: &'static str,
    /// Whether it holds.
    pub mark: Mark,
    /// What was found, or what is wrong.
    pub says: String,
    /// By what that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Who can mend it, where it is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// A chain, from what was asked for to the team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// What was asked for, as it was found: `Release team-a/shop-1`.
    pub subject: String,
    /// Whether no hop is broken.
    pub whole: bool,
    /// The hops.
    pub hops: Vec<Hop>,
}

impl Chain {
    fn new(subject: String, hops: Vec<Hop>) -> Self {
        Self {
            whole: hops.iter().all(|hop| hop.mark != Mark::Broken),
            subject,
            hops,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An image, by tag or digest.
    Image(ImageRef),
    /// A release.
    Release(String),
    /// An application.
    Application(String),
    /// A release or an application, whichever there is.
    Either(String),
}

impl std::str::FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            let fine = !name.is_empty() && name.chars().all(plain);
            fine.then(|| name.to_owned()).ok_or_else(|| {
                format!(
                    "{text:?} is neither an image with its registry (registry.example.com/team/shop:1.2) nor the name \
                     of a release or an application"
                )
            })
        };
        match text.split_once('/') {
            Some(("release" | "releases" | "rel", rest)) => Ok(Self::Release(name(rest)?)),
            Some(("application" | "applications" | "app", rest)) => {
                Ok(Self::Application(name(rest)?))
            }
            Some(_) => text
                .parse()
                .map(Self::Image)
                .map_err(|error: crate::model::InvalidValue| error.to_string()),
            None => Ok(Self::Either(name(text)?)),
        }
    }
}

/// Why there is no chain to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// Nothing has that name.
    #[error("there is no {what} {name} that you can see; name its namespace with --namespace")]
    Nothing {
        /// What was looked for.
        what: &'static str,
        /// Under which name.
        name: String,
    },
    /// Several have.
    #[error("there are several: {0}; say which with --namespace")]
    Several(String),
}

/// The chain of what is asked for.
///
/// # Errors
/// If there is no such release or application, or there are several. An image that nobody has released has a chain, which is
/// broken.
pub fn chain(subject: &Subject, seen: &Seen) -> Result<Chain, NotFound> {
    match subject {
        Subject::Image(image) => of_image(image, seen),
        Subject::Release(name) => {
            release(name, seen, "Release").map(|found| of_release(found, seen))
        }
        Subject::Application(name) => {
            application(name, seen, "Application").map(|found| of_application(found, seen))
        }
        Subject::Either(name) => match release(name, seen, "Release or Application") {
            Err(NotFound::Nothing { .. }) => application(name, seen, "Release or Application")
                .map(|found| of_application(found, seen)),
            found => found.map(|found| of_release(found, seen)),
        },
    }
}

/// An image's chain is that of a release of it. Whose is not chosen here: who declares somebody else's image would answer for it.
fn of_image(image: &ImageRef, seen: &Seen) -> Result<Chain, NotFound> {
    let of_it = |release: &&Release| hops::is_of(release, image);
    let found: Vec<&Release> = seen.releases.iter().filter(of_it).collect();
    let whose = |release: &&Release| {
        let namespace = release.namespace().unwrap_or_default();
        format!("{namespace}/{}", release.spec.application)
    };
    let applications: BTreeSet<String> = found.iter().map(whose).collect();
    if applications.len() > 1 {
        let told: Vec<String> = applications.into_iter().collect();
        let told = format!("applications {} have a Release of {image}", told.join(", "));
        return Err(NotFound::Several(told));
    }
    let by_tag = image.digest().is_none();
    // Of one application's several, the one that is meant by the tag still, or else is Ready, or else is the newest.
    let best = found.into_iter().max_by_key(|release| {
        let is_meant = !by_tag || !hops::has_moved(release);
        let made = release.creation_timestamp().map(|time| time.0);
        (is_meant, hops::is_ready(release), made, release.name_any())
    });
    let hops = match best {
        Some(release) => hops::of_release(release, seen, by_tag),
        None => vec![hops::unreleased(image)],
    };
    Ok(Chain::new(format!("Image {image}"), hops))
}

fn of_release(release: &Release, seen: &Seen) -> Chain {
    let subject = format!(
        "Release {}/{}",
        release.namespace().unwrap_or_default(),
        release.name_any()
    );
    Chain::new(subject, hops::of_release(release, seen, false))
}

/// An application's chain is that of its newest release that is Ready, or else of its newest.
fn of_application(application: &Application, seen: &Seen) -> Chain {
    let (namespace, name) = (
        application.namespace().unwrap_or_default(),
        application.name_any(),
    );
    let subject = format!("Application {namespace}/{name}");
    let of_it = |release: &&Release| {
        release.spec.application == name && release.namespace().as_deref() == Some(&namespace)
    };
    let newest = seen.releases.iter().filter(of_it).max_by_key(|release| {
        let made = release.creation_timestamp().map(|time| time.0);
        (hops::is_ready(release), made, release.name_any())
    });
    let hops = match newest {
        Some(release) => hops::of_release(release, seen, false),
        None => {
            let mut hops = vec![hops::no_release(&name)];
            hops.extend(hops::of_application(
                Some(application),
                &name,
                &namespace,
                seen,
            ));
            hops
        }
    };
    Chain::new(subject, hops)
}

fn release<'a>(name: &str, seen: &'a Seen, what: &'static str) -> Result<&'a Release, NotFound> {
    one(
        seen.releases.iter().filter(|one| one.name_any() == name),
        name,
        what,
    )
}

fn application<'a>(
    name: &str,
    seen: &'a Seen,
    what: &'static str,
) -> Result<&'a Application, NotFound> {
    let mut found: Vec<&Application> = seen
        .applications
        .iter()
        .filter(|one| one.name_any() == name)
        .collect();
    // Several may want the name, and one has it.
    if found.len() > 1 && found.iter().any(|one| hops::is_accepted(one)) {
        found.retain(|one| hops::is_accepted(one));
    }
    one(found.into_iter(), name, what)
}

fn one<'a, K: ResourceExt>(
    found: impl Iterator<Item = &'a K>,
    name: &str,
    what: &'static str,
) -> Result<&'a K, NotFound> {
    let found: Vec<&K> = found.collect();
    match found.as_slice() {
        [] => Err(NotFound::Nothing {
            what,
            name: name.to_owned(),
        }),
        [one] => Ok(one),
        several => {
            let places = several
                .iter()
                .map(|one| format!("{}/{name}", one.namespace().unwrap_or_default()));
            Err(NotFound::Several(places.collect::<Vec<_>>().join(", ")))
        }
    }
}
