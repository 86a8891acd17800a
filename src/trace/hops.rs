//! The single hops.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::{Hop, Mark, Seen};
use crate::api::{
    Application, ApprovalEvidence, Evidence, NameState, Release, ReleaseStatus, Status,
};
use crate::model::ImageRef;

const TEAM: &str = "the team";
const PLATFORM: &str = "the platform team";

/// Why a release is not Ready that no other hop tells.
const REFUSED: [&str; 4] = [
    "Duplicate",
    "InvalidSpec",
    "MovingTag",
    "ApplicationRetired",
];

fn holds(hop: &'static str, says: impl Into<String>, evidence: impl Into<String>) -> Hop {
    Hop {
        hop,
        mark: Mark::Holds,
        says: says.into(),
        evidence: Some(evidence.into()),
        mend: None,
    }
}

fn broken(hop: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Hop {
    Hop {
        hop,
        mark: Mark::Broken,
        says: says.into(),
        evidence: None,
        mend: Some(mend.into()),
    }
}

fn unknown(hop: &'static str, says: impl Into<String>) -> Hop {
    Hop {
        hop,
        mark: Mark::Unknown,
        says: says.into(),
        evidence: None,
        mend: None,
    }
}

fn condition<'a>(status: &'a impl Status, type_: &str) -> Option<&'a Condition> {
    status
        .conditions_ref()
        .iter()
        .find(|one| one.type_ == type_)
}

fn is_true(status: Option<&impl Status>, type_: &str) -> bool {
    status
        .and_then(|status| condition(status, type_))
        .is_some_and(|one| one.status == "True")
}

/// What a condition says; that nobody has looked yet if it is not there.
fn message(status: &impl Status, type_: &str) -> String {
    condition(status, type_).map_or_else(
        || "the operator has not come to it yet; the condition Ready says why".to_owned(),
        |one| one.message.clone(),
    )
}

/// Whether the release is Ready.
pub(super) fn is_ready(release: &Release) -> bool {
    is_true(release.status.as_ref(), "Ready")
}

/// Whether the application has its name.
pub(super) fn is_accepted(application: &Application) -> bool {
    is_true(application.status.as_ref(), "Accepted")
}

/// Whether the release is of this image: of its digest, or, if it is given by a tag alone, of that tag.
pub(super) fn is_of(release: &Release, image: &ImageRef) -> bool {
    let status = release.status.as_ref();
    let Some(resolved) = status.and_then(|status| status.image.as_ref()) else {
        return false;
    };
    resolved.repository == image.name().to_string()
        && match image.digest() {
            Some(digest) => resolved.digest == digest.as_str(),
            None => resolved.tag.as_deref() == image.tag(),
        }
}

/// Whether the tag by which it was released names another image by now.
pub(super) fn has_moved(release: &Release) -> bool {
    let image = release.status.as_ref().and_then(|it| it.image.as_ref());
    image.is_some_and(|image| image.moved_to.is_some())
}

/// An image that nobody has released.
pub(super) fn unreleased(image: &ImageRef) -> Hop {
    broken(
        "image",
        format!("no Release that you can see is of {image}"),
        format!("{TEAM} that built it declares a Release of it"),
    )
}

/// An application without a release.
pub(super) fn no_release(application: &str) -> Hop {
    broken(
        "image",
        format!("{application} has no Release"),
        format!("{TEAM} declares one"),
    )
}

/// All hops of a release. `asked_by_tag`: what is asked for is the image that its tag names now, and not the release.
pub(super) fn of_release(release: &Release, seen: &Seen, asked_by_tag: bool) -> Vec<Hop> {
    let status = release.status.clone().unwrap_or_default();
    let namespace = release.namespace().unwrap_or_default();
    let name = &release.spec.application;
    let application = seen.applications.iter().find(|application| {
        application.name_any() == *name && application.namespace().as_deref() == Some(&namespace)
    });
    let mut hops = vec![
        image(release, &status, asked_by_tag),
        requested(release, &status),
        source(&status),
        repository(&status),
        clean(&status),
        tickets(&status),
        approved(&status, application.is_some()),
    ];
    hops.extend(of_application(application, name, &namespace, seen));
    // Whatever else keeps it from being Ready: what is not Ready is no whole chain.
    if !is_ready(release)
        && hops.iter().all(|hop| hop.mark != Mark::Broken)
        && let Some(hop) = hops.iter_mut().find(|hop| hop.hop == "release")
    {
        *hop = broken("release", message(&status, "Ready"), TEAM);
    }
    hops
}

fn image(release: &Release, status: &ReleaseStatus, asked_by_tag: bool) -> Hop {
    let Some(image) = &status.image else {
        let says = format!("{}: {}", release.spec.image, message(status, "Resolved"));
        return broken(
            "image",
            says,
            format!("{TEAM} pushes the image, or names the right one"),
        );
    };
    let tag = image
        .tag
        .as_deref()
        .map_or(String::new(), |tag| format!(":{tag}"));
    let mut evidence = format!(
        "the release's digest, resolved at {} and kept",
        image.resolved_at.0
    );
    match &image.moved_to {
        // Whoever goes by the tag gets what nobody has released.
        Some(moved) if asked_by_tag => {
            let says = format!(
                "{}{tag} names {moved} by now; what was released is {}",
                image.repository, image.digest
            );
            let mend = format!(
                "{TEAM} deploys {}@{}, or releases what the tag names now under another version",
                image.repository, image.digest
            );
            return broken("image", says, mend);
        }
        Some(moved) => evidence.push_str(&format!("; the tag names {moved} by now")),
        // The digest came with the release: what the tag names was never asked.
        None if asked_by_tag && release.spec.image.contains('@') => {
            let says = format!(
                "{}{tag} may be another image than {}, which Release {} names itself: nobody has asked what the tag names",
                image.repository,
                image.digest,
                release.name_any()
            );
            return unknown("image", says);
        }
        None if image.tag.is_some() => {
            evidence.push_str("; what the tag names now is not asked for here");
        }
        None => {}
    }
    holds(
        "image",
        format!("{}{tag} is {}", image.repository, image.digest),
        evidence,
    )
}

fn requested(release: &Release, status: &ReleaseStatus) -> Hop {
    let says = format!(
        "version {} of {}, by Release {}",
        release.spec.version,
        release.spec.application,
        release.name_any()
    );
    let refused =
        condition(status, "Ready").filter(|ready| REFUSED.contains(&ready.reason.as_str()));
    match (refused, &status.requester) {
        (Some(ready), _) => broken("release", ready.message.clone(), TEAM),
        (None, Some(requester)) => holds(
            "release",
            says,
            format!("requested by {requester}, as the API server knew them"),
        ),
        (None, None) => unknown(
            "release",
            format!("{says}; nobody can tell who requested it"),
        ),
    }
}

fn source(status: &ReleaseStatus) -> Hop {
    let known = is_true(Some(status), "SourceKnown");
    let Some(source) = status.source.as_ref().filter(|_| known) else {
        let mend =
            format!("{TEAM} builds the image so that it says its source, or signs its provenance");
        return broken("source", message(status, "SourceKnown"), mend);
    };
    let at = source.evidence_digest.as_deref();
    let at = at.map_or(String::new(), |digest| format!(", in {digest}"));
    let evidence = match (source.evidence, &source.signed_by) {
        (Evidence::Attestation, Some(who)) => format!("provenance signed by {who}{at}"),
        (Evidence::Attestation, None) => format!("signed provenance{at}"),
        (Evidence::Annotation, _) => format!("the image's annotations, unsigned{at}"),
        (Evidence::ScmSourceFile, _) => format!("scm-source.json in the image, unsigned{at}"),
    };
    let says = format!(
        "{} at {}",
        source.repository,
        source.revision.as_deref().unwrap_or_default()
    );
    match &source.doubt {
        None => holds("source", says, evidence),
        // It holds unless an image passes its base image's word on.
        Some(why) => Hop {
            evidence: Some(format!("{evidence}; it may be its base image's: {why}")),
            ..unknown("source", says)
        },
    }
}

fn repository(status: &ReleaseStatus) -> Hop {
    let says = message(status, "SourceMatches");
    if is_true(Some(status), "SourceMatches") {
        return holds("repository", says, "compared by host, owner and name");
    }
    let mend = format!("{TEAM}, in the application's spec.repositories or by another image");
    broken("repository", says, mend)
}

fn clean(status: &ReleaseStatus) -> Hop {
    let says = message(status, "Clean");
    match condition(status, "Clean").map(|one| one.status.as_str()) {
        Some("True") => holds("tree", says, "by the same evidence as the source"),
        Some("False") => broken("tree", says, format!("{TEAM} commits, and builds anew")),
        _ => unknown("tree", says),
    }
}

fn tickets(status: &ReleaseStatus) -> Hop {
    let tickets = status.tickets.iter().map(|ticket| match &ticket.url {
        Some(url) => format!("{} ({url})", ticket.id),
        None => ticket.id.clone(),
    });
    let tickets: Vec<String> = tickets.collect();
    if tickets.is_empty() {
        return unknown("tickets", "none are named");
    }
    holds(
        "tickets",
        tickets.join(", "),
        "named by the image or its commit",
    )
}

fn approved(status: &ReleaseStatus, is_declared: bool) -> Hop {
    if !is_declared {
        let says = "what the application demands cannot be told without it";
        return unknown("approvals", says);
    }
    if !is_true(Some(status), "Approved") {
        let mend = match &status.requester {
            Some(requester) => format!("people of {} other than {requester}", "the team"),
            None => PLATFORM.to_owned(),
        };
        return broken("approvals", message(status, "Approved"), mend);
    }
    let given = status.approvals.iter();
    let given: Vec<String> = given
        .map(|one| {
            let what = match one.evidence {
                ApprovalEvidence::Approval => "Approval",
                ApprovalEvidence::Review => "review",
            };
            format!("{} by {} ({what} {})", one.type_, one.approver, one.name)
        })
        .collect();
    let evidence = if given.is_empty() {
        "the application's spec.requiredApprovals is empty".to_owned()
    } else {
        given.join(", ")
    };
    holds("approvals", message(status, "Approved"), evidence)
}

/// From an application to its name and its team.
pub(super) fn of_application(
    application: Option<&Application>,
    name: &str,
    namespace: &str,
    seen: &Seen,
) -> Vec<Hop> {
    let declared = match application {
        Some(application) => claimed(application, seen),
        None => {
            let says = format!("there is no Application {name} in namespace {namespace}");
            broken("application", says, format!("{TEAM} declares it"))
        }
    };
    vec![declared, team(application, namespace, seen)]
}

/// Whose the namespace is, whatever became of the application in it.
fn team(application: Option<&Application>, namespace: &str, seen: &Seen) -> Hop {
    let told = application
        .and_then(|application| application.status.as_ref())
        .and_then(|status| status.team.clone());
    let Some(teams) = &seen.teams else {
        return match told {
            Some(team) => holds(
                "team",
                team,
                "the application's status; you may not read teams",
            ),
            None => unknown(
                "team",
                format!("whose namespace {namespace} is; you may not read teams"),
            ),
        };
    };
    let found = teams.iter().find(|one| match &told {
        Some(team) => one.name_any() == *team,
        None => one.home() == namespace,
    });
    let Some(found) = found else {
        let says = format!("namespace {namespace} belongs to no Team");
        return broken("team", says, format!("{PLATFORM} declares it"));
    };
    let (name, contact) = (found.name_any(), found.spec.contact.as_ref());
    let contact = contact.and_then(|contact| contact.email.as_ref().or(contact.chat.as_ref()));
    let members = found.spec.members.len();
    let evidence = format!("namespace {namespace}, {members} member(s)");
    let says = contact.map_or(name.clone(), |contact| format!("{name}, {contact}"));
    holds("team", says, evidence)
}

/// Who can mend an application that does not have its name.
fn mends(reason: &str) -> &'static str {
    match reason {
        "TeamNotFound" => "the platform team declares a Team for the namespace",
        "NameTaken" => {
            "the team chooses another name, or the team that has it sets spec.transferTo, or the platform team frees a \
             name that nobody uses"
        }
        "Transferred" => "the team that has it now; here the Application is deleted",
        _ => "the team corrects what the message names",
    }
}

fn claimed(application: &Application, seen: &Seen) -> Hop {
    let name = application.name_any();
    let status = application.status.clone().unwrap_or_default();
    if !is_accepted(application) {
        let reason = condition(&status, "Accepted").map(|one| one.reason.as_str());
        let mend = mends(reason.unwrap_or_default());
        return broken("application", message(&status, "Accepted"), mend);
    }
    let claim = seen.names.as_ref().map(|names| {
        names.iter().find(|one| {
            one.name_any() == name
                && one.spec.state == NameState::Held
                && Some(&one.spec.owner.uid) == application.uid().as_ref()
        })
    });
    match claim {
        Some(None) => broken(
            "application",
            format!("the name {name} is not claimed by this application"),
            format!("{PLATFORM}: the operator claims it anew if nobody else has it"),
        ),
        Some(Some(_)) => holds(
            "application",
            name,
            "it holds its ApplicationName, unique in the company",
        ),
        None => holds(
            "application",
            name,
            "its condition Accepted; you may not read the claims",
        ),
    }
}
