//! How this AWS behaves: durations, limits and faults. The defaults are AWS's own figures where it publishes
//! them, with every fault off.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::AccountState;

/// A token bucket, as AWS describes its throttles: a sustained rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens that come back per second.
    pub per_second: f64,
    /// Tokens in a full bucket.
    pub burst: f64,
    /// Whose bucket it is.
    pub scope: Scope,
}

/// Whose calls share one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All callers of the organization together.
    Organization,
    /// The calls about one target account.
    Account,
}

/// CreateAccount's answer when all slots are taken. Both have been seen: the documentation names the typed
/// reason, tools report the throttle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotRefusal {
    /// TooManyRequestsException.
    TooManyRequests,
    /// ConstraintViolationException with the reason ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED.
    CreationRateLimit,
}

/// ACTIVE and CLOSED in turn after a closure, as people have seen for some minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flapping {
    /// How long one state is shown.
    pub period: Duration,
    /// How long the whole lasts, counted from the closure.
    pub lasts: Duration,
}

/// All knobs of the simulation. They can be turned while it runs (`SimulatedCloud::configure`).
#[derive(Debug, Clone)]
pub struct Options {
    /// Time on the wire per call, half of it on the way there. Needs tokio's clock, which a test can pause.
    pub latency: Duration,

    /// CreateAccount is asynchronous: from IN_PROGRESS to SUCCEEDED (tools report 30 to 120 s).
    pub creation: Duration,
    /// Each creation takes up to so much less or more.
    pub creation_jitter: Duration,
    /// From IN_PROGRESS to FAILED: AWS finds a taken address earlier than it makes an account.
    pub creation_failure: Duration,
    /// SUCCEEDED is not usable: so long PENDING_ACTIVATION, with AssumeRole denied.
    pub activation: Duration,
    /// Creations in flight per organization (Organizations User Guide, "Quotas": five).
    pub creations_in_flight: usize,
    /// What CreateAccount answers when they are.
    pub slot_refusal: SlotRefusal,
    /// Accounts in the organization, closed but unpurged ones included (ten by default in AWS, adjustable; here
    /// the highest value that AWS grants, so that only tests about it meet it).
    pub account_limit: usize,
    /// ListCreateAccountStatus from the oldest to the newest. AWS documents no order, so nobody may rely on one.
    pub oldest_requests_first: bool,

    /// Until reads show that an account or a unit was created, or an account moved. Writes see it at once.
    pub visibility_lag: Duration,
    /// Until ListCreateAccountStatus and DescribeCreateAccountStatus show a new request.
    pub request_lag: Duration,
    /// Until reads show a new account name (AWS: up to four hours).
    pub rename_lag: Duration,
    /// An organization write so soon after another one is refused with ConcurrentModificationException.
    pub write_gap: Duration,

    /// Closures per rolling 30 days; `None`: AWS's formula, 20 % of the members, at least 250, at most 1000.
    pub close_quota: Option<usize>,
    /// Closures in progress (Organizations User Guide, "Quotas": three).
    pub closures_in_flight: usize,
    /// From PENDING_CLOSURE to closed.
    pub closure: Duration,
    /// The state of a closed account: CLOSED, or SUSPENDED as it was for years.
    pub closed_as: AccountState,
    /// Whether and how the state flaps after a closure.
    pub flapping: Option<Flapping>,
    /// So long a closed account is listed (90 days); then it is gone, and its address stays taken for ever.
    pub closed_listed: Duration,

    /// Units per organization (2000).
    pub unit_limit: usize,
    /// From EnableRegion to ENABLED (minutes for most accounts, up to hours).
    pub region_opt_in: Duration,
    /// Whether trusted access for Account Management is on. Off: its calls about members are denied.
    pub account_management_trusted: bool,
    /// How long an e-mail confirmation code holds.
    pub email_code_lasts: Duration,
    /// How long a session is used before the adapter assumes the role again.
    pub session: Duration,

    /// Token buckets by operation; an operation that is not listed is never throttled by rate.
    pub rates: BTreeMap<&'static str, Rate>,
    /// Share of the calls that are throttled at random, before they have an effect.
    pub throttle_rate: f64,
    /// Share of the calls that AWS cannot serve at random, without an effect.
    pub unavailable_rate: f64,
    /// Share of the successful calls whose answer is lost: the effect stays, the caller sees no answer.
    pub lost_reply_rate: f64,
    /// Share of the list calls that answer an empty page with a token, which AWS says may happen.
    pub empty_page_rate: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            creation: Duration::from_secs(60),
            creation_jitter: Duration::from_secs(15),
            creation_failure: Duration::from_secs(10),
            activation: Duration::from_secs(20),
            creations_in_flight: 5,
            slot_refusal: SlotRefusal::TooManyRequests,
            account_limit: 50_000,
            oldest_requests_first: false,
            visibility_lag: Duration::ZERO,
            request_lag: Duration::ZERO,
            rename_lag: Duration::ZERO,
            write_gap: Duration::ZERO,
            close_quota: None,
            closures_in_flight: 3,
            closure: Duration::from_secs(120),
            closed_as: AccountState::Closed,
            flapping: None,
            closed_listed: days(90),
            unit_limit: 2000,
            region_opt_in: Duration::from_secs(300),
            account_management_trusted: true,
            email_code_lasts: Duration::from_secs(600),
            session: Duration::from_secs(3600),
            rates: BTreeMap::new(),
            throttle_rate: 0.0,
            unavailable_rate: 0.0,
            lost_reply_rate: 0.0,
            empty_page_rate: 0.0,
        }
    }
}

impl Options {
    /// AWS's throttle rates: those of the quota pages of Organizations and of Account Management, where they
    /// name the operation. Operations of Organizations that we have no figure for have the one of their nearest
    /// neighbour; STS's 600 per second are shared by the whole management account, and IAM publishes none.
    pub fn aws_rates() -> BTreeMap<&'static str, Rate> {
        let whole = |per_second, burst| Rate {
            per_second,
            burst,
            scope: Scope::Organization,
        };
        let each = |per_second, burst| Rate {
            per_second,
            burst,
            scope: Scope::Account,
        };
        BTreeMap::from([
            ("organizations.CreateAccount", whole(0.1, 3.0)),
            ("organizations.CloseAccount", whole(0.05, 1.0)),
            ("organizations.DescribeCreateAccountStatus", whole(2.0, 2.0)),
            ("organizations.DescribeAccount", whole(20.0, 30.0)),
            ("organizations.ListAccounts", whole(8.0, 12.0)),
            ("organizations.ListParents", whole(5.0, 8.0)),
            ("organizations.MoveAccount", whole(2.0, 3.0)),
            ("organizations.TagResource", whole(4.0, 6.0)),
            // The nearest neighbours.
            ("organizations.UntagResource", whole(4.0, 6.0)),
            ("organizations.ListTagsForResource", whole(5.0, 8.0)),
            ("organizations.ListAccountsForParent", whole(8.0, 12.0)),
            ("organizations.ListCreateAccountStatus", whole(5.0, 8.0)),
            ("organizations.ListRoots", whole(5.0, 8.0)),
            (
                "organizations.ListOrganizationalUnitsForParent",
                whole(5.0, 8.0),
            ),
            ("organizations.CreateOrganizationalUnit", whole(2.0, 3.0)),
            // Account Management.
            ("account.GetAlternateContact", each(10.0, 15.0)),
            ("account.PutAlternateContact", each(5.0, 8.0)),
            ("account.PutAccountName", whole(1.0, 1.0)),
            ("account.StartPrimaryEmailUpdate", whole(1.0, 1.0)),
            ("account.AcceptPrimaryEmailUpdate", whole(1.0, 1.0)),
            ("account.GetRegionOptStatus", each(5.0, 5.0)),
            ("account.EnableRegion", each(1.0, 1.0)),
            ("sts.AssumeRole", whole(600.0, 600.0)),
        ])
    }
}

/// So many days.
pub(super) const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3600)
}
