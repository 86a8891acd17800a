//! Report: every condition by itself, and the first that keeps the release from being Ready.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::reasons;
use super::validate::Valid;
use crate::api::{ApprovalEvidence, ApprovalSummary, Evidence, Release, SourceStatus};
use crate::engine::Outcome;
use crate::engine::conditions::{self, READY, Truth};
use crate::engine::record::Record;
use crate::plan::approval::Count;
use crate::plan::naming;
use crate::plan::release::{
    Finding, Known, Reason, clean, is_new_since, source_known, source_matches,
};

/// What keeps a release from being Ready: a reason and a sentence. The most fundamental first.
pub type Missing = Vec<(&'static str, String)>;

/// Sets all conditions, and lists what is missing.
pub fn findings(record: &mut Record<Release>, valid: &Valid, approvals: &Count) -> Missing {
    let mut missing = Missing::new();
    missing.extend(retired(record, valid));
    if let Some(class) = &valid.forbids_tag {
        let message = format!(
            "spec.image: the tag {} is meant to be moved, and the team has an account of class {class}, which carries \
             production: release an image by a tag that stays, or by its digest",
            valid.image.tag().unwrap_or_default()
        );
        missing.push((reasons::MOVING_TAG, message));
    }
    let known = record.status.source.as_ref().and_then(known);
    let known = known.as_ref();
    let evidence = evidence(record);
    let application = &valid.application;
    for (type_, finding, holds, needed) in [
        (
            "SourceKnown",
            source_known(known, &evidence),
            reasons::SOURCE_KNOWN,
            true,
        ),
        (
            "SourceMatches",
            source_matches(known, application, &valid.repositories),
            reasons::SOURCE_MATCHES,
            true,
        ),
        ("Clean", clean(known), reasons::CLEAN, false),
    ] {
        let reason = reason(finding.reason, holds);
        record.set(type_, truth(&finding), reason, &finding.message);
        // Not to know is as bad as not so, except whether the tree was modified, which not every evidence says.
        if finding.holds == Some(false) || (needed && finding.holds.is_none()) {
            missing.push((reason, finding.message));
        }
    }
    missing.extend(approved(record, approvals, valid));
    tickets(record, valid);
    if missing.is_empty() && record.status.first_ready_at.is_none() {
        record.status.first_ready_at = Some(Time(record.now));
    }
    missing
}

/// A release that was never Ready before its application was retired is not any more: nothing new is deployed.
fn retired(record: &mut Record<Release>, valid: &Valid) -> Option<(&'static str, String)> {
    let since = valid.retired?;
    if record.status.first_ready_at.is_none() && record.is_true(READY) {
        // From before that was kept.
        let ready = conditions::find(&record.status.conditions, READY);
        record.status.first_ready_at = ready.map(|ready| ready.last_transition_time.clone());
    }
    let first = record.status.first_ready_at.as_ref().map(|at| at.0);
    let message = format!(
        "Application {} is retired since {since}, and nothing new is deployed of it: a member of the team sets its \
         spec.active back to true, if it is to be released again",
        valid.application
    );
    is_new_since(since, first).then_some((reasons::APPLICATION_RETIRED, message))
}

/// How the pass ends. `owed`: when the code host is asked again for what it owes.
pub fn outcome(missing: &Missing, owed: Option<Duration>) -> Outcome {
    match (missing.first(), owed) {
        (None, resync) => Outcome::Settled { resync },
        // Perhaps nobody has to do anything: the reviews may be there.
        (Some((reasons::AWAITING_APPROVAL, message)), Some(after)) => {
            let message = format!("{message}; its code host has not been heard yet");
            Outcome::waiting(reasons::CODE_HOST_UNANSWERED, message, after)
        }
        (Some((reason, message)), _) => Outcome::blocked(reason, message),
    }
}

fn approved(
    record: &mut Record<Release>,
    approvals: &Count,
    valid: &Valid,
) -> Option<(&'static str, String)> {
    let counted = approvals.counted.iter().map(|one| ApprovalSummary {
        name: one.name.clone(),
        type_: one.type_.clone(),
        approver: one.approver.clone(),
        evidence: match one.is_review {
            true => ApprovalEvidence::Review,
            false => ApprovalEvidence::Approval,
        },
    });
    record.status.approvals = counted.collect();
    let (truth, reason, message) = if valid.required.types.is_empty() {
        let message = format!("Application {} demands no approvals", valid.application);
        (Truth::True, reasons::NONE_REQUIRED, message)
    } else if approvals.is_enough() {
        let mut people: Vec<&str> = Vec::new();
        for one in &approvals.counted {
            // Whoever gave several stands for one.
            if !people.contains(&one.approver.as_str()) {
                people.push(&one.approver);
            }
        }
        let message = format!("approved by {}", people.join(", "));
        (Truth::True, reasons::APPROVED, message)
    } else if record.status.requester.is_none() || approvals.unknown {
        let message = "nobody can tell who requested this release or who wrote its approvals, since the cluster did not \
             stamp them, and nobody may approve their own: the platform team enables admission in the chart, on \
             Kubernetes 1.36 or later; then make them anew"
            .to_owned();
        (Truth::Unknown, reasons::REQUESTER_UNKNOWN, message)
    } else {
        let digest = record.status.image.as_ref().map(|image| &image.digest);
        let mut message = format!(
            "missing: {}; somebody other than {} makes an Approval of {}",
            approvals.missing(),
            record.status.requester.as_deref().unwrap_or_default(),
            digest.map_or("this release", |digest| digest),
        );
        if valid.demands_less {
            let name = &valid.application;
            message += &format!(
                ". Application {name} demands less by now, which alone changes nothing: the platform team lowers \
                 spec.requiredApprovals of ApplicationName {name}"
            );
        }
        (Truth::False, reasons::AWAITING_APPROVAL, message)
    };
    record.set("Approved", truth, reason, &message);
    (truth != Truth::True).then_some((reason, message))
}

/// Gives the tickets their URLs, as the application's ticket system has them now.
fn tickets(record: &mut Record<Release>, valid: &Valid) {
    for ticket in &mut record.status.tickets {
        let url = valid.tickets.as_ref().and_then(|system| {
            let whole = system.pattern.find(&ticket.id)?.len() == ticket.id.len();
            let url = naming::render(&system.url_template, &[("ticket", &ticket.id)]);
            url.ok().filter(|_| whole)
        });
        ticket.url = url;
    }
}

fn known(source: &SourceStatus) -> Option<Known> {
    Some(Known {
        repository: source.repository.parse().ok()?,
        revision: source.revision.clone(),
        dirty: source.dirty,
    })
}

/// By what the source is known, or why by nothing.
fn evidence(record: &Record<Release>) -> String {
    match &record.status.source {
        Some(source) => {
            let evidence = match (source.evidence, &source.signed_by) {
                (Evidence::Attestation, Some(who)) => format!("signed by {who}"),
                (Evidence::Attestation, None) => "signed".to_owned(),
                (Evidence::Annotation, _) => "by the image's annotations".to_owned(),
                (Evidence::ScmSourceFile, _) => "by the scm-source.json in the image".to_owned(),
            };
            match &source.doubt {
                None => evidence,
                Some(why) => format!("{evidence}, unless that is its base image's: {why}"),
            }
        }
        None if record.status.remarks.is_empty() => {
            "no signed provenance, no annotations, no scm-source.json".to_owned()
        }
        None => record.status.remarks.join("; "),
    }
}

fn truth(finding: &Finding) -> Truth {
    match finding.holds {
        Some(true) => Truth::True,
        Some(false) => Truth::False,
        None => Truth::Unknown,
    }
}

fn reason(reason: Reason, holds: &'static str) -> &'static str {
    match reason {
        Reason::Holds => holds,
        Reason::SourceUnknown => reasons::SOURCE_UNKNOWN,
        Reason::RevisionUnknown => reasons::REVISION_UNKNOWN,
        Reason::NoRepositories => reasons::NO_REPOSITORIES,
        Reason::SourceMismatch => reasons::SOURCE_MISMATCH,
        Reason::Dirty => reasons::DIRTY,
        Reason::CleanUnknown => reasons::CLEAN_UNKNOWN,
    }
}
