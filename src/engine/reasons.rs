//! The reasons of the engine itself, and what is said of a reason in the reference.
//!
//! A reason is a word that a program can rely on, in a condition or an event. Each kind has its closed set, each of
//! them with what it means and who must do what; `docs/reasons.md` is generated from that.

/// A reason, and what a person who meets it wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// The word.
    pub name: &'static str,
    /// What it means.
    pub means: &'static str,
    /// Who must do what.
    pub then: &'static str,
}

impl Reason {
    /// A reason; `means` and `then` are sentences.
    pub const fn new(name: &'static str, means: &'static str, then: &'static str) -> Self {
        Self { name, means, then }
    }
}

/// Where nobody has to do anything: it is done.
pub const DONE: &str = "Nothing.";
/// Where nobody has to do anything: it goes on by itself.
pub const WAIT: &str = "Nothing; it goes on by itself.";

/// Everything is as declared.
pub const READY: &str = "Ready";
/// The object is being deleted, and nothing outside is owed any more.
pub const RELEASED: &str = "Released";
/// AWS refused a call as one too many.
pub const AWS_THROTTLED: &str = "AwsThrottled";
/// AWS was at another change.
pub const AWS_CONFLICT: &str = "AwsConflict";
/// AWS did not answer, or could not.
pub const AWS_UNAVAILABLE: &str = "AwsUnavailable";
/// AWS gave an answer that we do not know.
pub const AWS_UNKNOWN_ERROR: &str = "AwsUnknownError";
/// Something that was there is not found.
pub const AWS_NOT_FOUND: &str = "AwsNotFound";
/// We may not do this in AWS.
pub const AWS_ACCESS_DENIED: &str = "AwsAccessDenied";
/// AWS takes the request for wrong.
pub const AWS_REFUSED: &str = "AwsRefused";
/// Something exists and is not ours.
pub const AWS_ALREADY_EXISTS: &str = "AwsAlreadyExists";
/// A limit of AWS has been reached.
pub const AWS_QUOTA_EXCEEDED: &str = "AwsQuotaExceeded";
/// The object has changed under the pass.
pub const CONFLICT: &str = "Conflict";
/// We may not do this in the cluster.
pub const CLUSTER_ACCESS_DENIED: &str = "ClusterAccessDenied";
/// The API server refused a request.
pub const CLUSTER_ERROR: &str = "ClusterError";
/// The API server did not answer.
pub const CLUSTER_UNAVAILABLE: &str = "ClusterUnavailable";
/// A pass took too long.
pub const TIMED_OUT: &str = "TimedOut";
/// This replica does not lead any more.
pub const NOT_LEADER: &str = "NotLeader";
/// The object may not go yet because nothing would remember it.
pub const JOURNAL_BEHIND: &str = "JournalBehind";
/// The object cannot be read as its kind.
pub const UNDECODABLE: &str = "Undecodable";
/// A defect of ours.
pub const INTERNAL_ERROR: &str = "InternalError";

/// The reasons that any kind can have.
pub const ENGINE: &[Reason] = &[
    Reason::new(READY, "Everything is as declared.", DONE),
    Reason::new(
        RELEASED,
        "The object is being deleted and nothing outside is managed by it any more.",
        DONE,
    ),
    Reason::new(
        AWS_THROTTLED,
        "AWS refused a call because there were too many; the operator calls less until AWS takes them again.",
        "Nothing. If it stays: the platform team looks who else calls the same API from the management account.",
    ),
    Reason::new(
        AWS_CONFLICT,
        "AWS is at another change of the same thing.",
        WAIT,
    ),
    Reason::new(
        AWS_UNAVAILABLE,
        "AWS did not answer, or says that it cannot at the moment.",
        "Nothing. If it stays: the platform team checks the operator's way to AWS (proxy, NetworkPolicy, AWS_ENDPOINT_URL) and AWS's health page.",
    ),
    Reason::new(
        AWS_UNKNOWN_ERROR,
        "AWS gave an error that this version does not know; the message has it in full.",
        "It is tried again. If it stays: the platform team looks the error up and reports it to bailiwick.",
    ),
    Reason::new(
        AWS_NOT_FOUND,
        "AWS does not find something that was there a moment ago.",
        "Nothing; it is looked for again. If it stays: the platform team checks who removed it.",
    ),
    Reason::new(
        AWS_ACCESS_DENIED,
        "The operator's identity may not make the call that the message names.",
        "The platform team grants it, or lifts the service control policy that forbids it.",
    ),
    Reason::new(
        AWS_REFUSED,
        "AWS takes the request for wrong, and would do so again.",
        "Whoever edits the object, or its class, corrects what the message names.",
    ),
    Reason::new(
        AWS_ALREADY_EXISTS,
        "Something of that name exists in AWS and was not made by this object.",
        "Whoever edits the object chooses another name, or the platform team removes what is there.",
    ),
    Reason::new(
        AWS_QUOTA_EXCEEDED,
        "A limit of AWS has been reached.",
        "The platform team has AWS raise the limit that the message names, or makes room.",
    ),
    Reason::new(
        CONFLICT,
        "The object changed while the operator was working on it. Seen in logs and metrics only.",
        WAIT,
    ),
    Reason::new(
        CLUSTER_ACCESS_DENIED,
        "The operator may not do in the cluster what the message names.",
        "The platform team upgrades the chart, which brings the rights, or removes the policy that forbids it.",
    ),
    Reason::new(
        CLUSTER_ERROR,
        "The API server refused a request of the operator.",
        "It is tried again. If it stays: the platform team looks for an admission policy or webhook that refuses it.",
    ),
    Reason::new(CLUSTER_UNAVAILABLE, "The API server did not answer.", WAIT),
    Reason::new(
        TIMED_OUT,
        "One pass over the object took longer than --pass-timeout; the next one goes on where it ended.",
        "Nothing. If it stays: the platform team looks at bailiwick_aws_budget_wait_seconds_total and at the operator's log.",
    ),
    Reason::new(
        NOT_LEADER,
        "This replica has lost its lease and writes nothing any more. Seen in logs and metrics only.",
        WAIT,
    ),
    Reason::new(
        JOURNAL_BEHIND,
        "The object is being deleted and may not go yet: the journal's bucket is away and its outbox is full, so nobody would know of the deletion.",
        "The platform team gives the operator its way to the journal's bucket back; the deletion then goes on by itself.",
    ),
    Reason::new(
        UNDECODABLE,
        "The operator cannot read the object: a field has a form that its version does not know. The object is left alone, and its status is that of an earlier time. An event.",
        "Whoever edits the object corrects what the message says; if the definitions are older or newer than the operator, the platform team upgrades the chart.",
    ),
    Reason::new(
        INTERNAL_ERROR,
        "A defect of the operator.",
        "The platform team reports it with the operator's log of that trace id.",
    ),
];

/// Whether a reason is one of the engine's, or of these of a kind.
pub fn is_documented(of_kind: &[Reason], reason: &str) -> bool {
    ENGINE
        .iter()
        .chain(of_kind)
        .any(|known| known.name == reason)
}
