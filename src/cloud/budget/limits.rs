//! How much AWS takes, per throttle domain.

use std::collections::BTreeMap;

use super::Domain;

/// What one budget starts with and within which bounds it learns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Calls per second at the start.
    pub rate: f64,
    /// Calls at once after a rest; at least 1.
    pub burst: f64,
    /// The lowest rate that refusals can bring about; above 0.
    pub floor: f64,
    /// The highest rate that success can bring about.
    pub ceiling: f64,
}

impl Limits {
    /// A limit that AWS publishes: never exceeded on purpose, since probing above it would only earn refusals.
    pub const fn published(rate: f64, burst: f64) -> Self {
        Self {
            rate,
            burst,
            floor: rate / 10.0,
            ceiling: rate,
        }
    }

    /// A limit that AWS does not tell: begins at `rate` and finds out, up to `ceiling`.
    pub const fn guessed(rate: f64, burst: f64, ceiling: f64) -> Self {
        Self {
            rate,
            burst,
            floor: rate / 10.0,
            ceiling,
        }
    }

    /// The same with every value inside what a bucket can work with.
    pub(super) fn sane(self) -> Self {
        let floor = if self.floor > 0.0 { self.floor } else { 0.001 };
        let ceiling = self.ceiling.max(floor);
        Self {
            rate: self.rate.clamp(floor, ceiling),
            burst: self.burst.max(1.0),
            floor,
            ceiling,
        }
    }
}

/// What can be set about the budgets.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetOptions {
    /// Limits that differ from ours, by `service.Operation` (`organizations.CreateAccount`), or by `iam` for every
    /// member account's IAM, `ecr` for its ECR in each region, `s3` for its S3, and `secretsmanager` for its Secrets
    /// Manager in each region, `cognito-idp` for its user pools in each region.
    pub limits: BTreeMap<String, Limits>,
    /// How many changes of the organization may be under way at once. AWS makes them one after the other and
    /// refuses those that overlap (ConcurrentModificationException), so more than one gains nothing.
    pub organization_writes: usize,
    /// For how many member accounts a budget is kept; the ones used longest ago are forgotten.
    pub accounts: usize,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        Self {
            limits: BTreeMap::new(),
            organization_writes: 1,
            accounts: 4096,
        }
    }
}

impl BudgetOptions {
    pub(super) fn limits(&self, domain: &Domain) -> Limits {
        let (key, default) = match domain {
            Domain::Operation { service, operation } => (
                format!("{service}.{operation}"),
                default_limits(service, operation),
            ),
            Domain::Iam(_) => ("iam".to_owned(), IAM),
            Domain::Ecr(..) => ("ecr".to_owned(), ECR),
            Domain::S3(_) => ("s3".to_owned(), S3),
            Domain::Secrets(..) => ("secretsmanager".to_owned(), SECRETS),
            Domain::Cognito(..) => ("cognito-idp".to_owned(), COGNITO),
        };
        self.limits.get(&key).copied().unwrap_or(default).sane()
    }
}

/// IAM of one account: a token bucket per API, which AWS neither publishes nor raises.
const IAM: Limits = Limits::guessed(5.0, 10.0, 10.0);

/// ECR of one account in one region. Of what we call, AWS publishes PutImage alone ("Amazon ECR service quotas": 10 per
/// second); the rest is far from any limit that people have met.
const ECR: Limits = Limits::guessed(10.0, 20.0, 20.0);

/// S3 of one account, for its credentials bucket: far from what S3 takes of a prefix; changes of a bucket's configuration
/// are what AWS slows first.
const S3: Limits = Limits::guessed(20.0, 40.0, 100.0);

/// Secrets Manager of one account in one region. AWS publishes 50 per second for what changes secrets ("AWS Secrets Manager
/// quotas"); the account's own applications need most of that.
const SECRETS: Limits = Limits::guessed(10.0, 20.0, 25.0);

/// User pools of one account in one region. AWS publishes 15 per second for what reads clients and for what changes them
/// ("Quotas in Amazon Cognito", UserPoolClientRead and UserPoolClientUpdate); others need some of it.
const COGNITO: Limits = Limits::guessed(10.0, 10.0, 14.0);

/// Operations on the whole organization, called from the management account. Where AWS publishes a figure it is
/// AWS's ("Quotas for AWS Organizations", throttling limits; "Quotas for AWS Account Management").
///
/// CreateAccount: one per ten seconds keeps five creations in flight as long as each takes fifty seconds or more,
/// and three at once after a rest is what AWS's own bucket has; a greater burst of ours would be refused, and the
/// refusal would halve the rate that comes after it.
fn default_limits(service: &str, operation: &str) -> Limits {
    let (rate, burst) = match (service, operation) {
        ("organizations", "CreateAccount") => (0.1, 3.0),
        ("organizations", "CloseAccount") => (0.05, 1.0),
        ("organizations", "DescribeCreateAccountStatus") => (2.0, 2.0),
        ("organizations", "DescribeAccount") => (20.0, 30.0),
        ("organizations", "ListAccounts") => (8.0, 12.0),
        ("organizations", "ListParents") => (5.0, 8.0),
        ("organizations", "MoveAccount") => (2.0, 3.0),
        ("organizations", "TagResource") => (4.0, 6.0),
        ("account", "GetAlternateContact") => (10.0, 15.0),
        ("account", "PutAlternateContact") => (5.0, 8.0),
        ("account", "GetRegionOptStatus") => (5.0, 5.0),
        (
            "account",
            "EnableRegion"
            | "PutAccountName"
            | "StartPrimaryEmailUpdate"
            | "AcceptPrimaryEmailUpdate",
        ) => (1.0, 1.0),
        // 600 calls per second for all of the account's STS calls in a region; others need some of them, too.
        ("sts", _) => (100.0, 200.0),
        // S3 takes 3500 writes and 5500 reads per second and prefix; nothing of ours needs as many.
        ("s3", _) => return Limits::guessed(100.0, 200.0, 1000.0),
        // Not published: near to their nearest relatives, and learning.
        ("organizations", "CreateOrganizationalUnit") => return Limits::guessed(1.0, 2.0, 2.0),
        ("organizations", "UntagResource") => return Limits::guessed(4.0, 6.0, 4.0),
        // As ListAccounts has it: the same twenty accounts a call.
        ("organizations", "ListAccountsForParent") => return Limits::guessed(8.0, 12.0, 8.0),
        _ => return Limits::guessed(5.0, 8.0, 8.0),
    };
    Limits::published(rate, burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: Domain = Domain::Operation {
        service: "organizations",
        operation: "CreateAccount",
    };

    #[test]
    fn a_default_can_be_overridden() {
        let mut options = BudgetOptions::default();
        assert_eq!(options.limits(&CREATE), Limits::published(0.1, 3.0));
        let raised = Limits::published(0.5, 10.0);
        options
            .limits
            .insert("organizations.CreateAccount".to_owned(), raised);
        assert_eq!(options.limits(&CREATE), raised);
    }

    #[test]
    fn nonsense_is_brought_into_bounds() {
        let nonsense = Limits {
            rate: 0.0,
            burst: 0.0,
            floor: -1.0,
            ceiling: 0.0,
        };
        let options = BudgetOptions {
            limits: [("organizations.CreateAccount".to_owned(), nonsense)].into(),
            ..BudgetOptions::default()
        };
        let limits = options.limits(&CREATE);
        assert!(limits.rate > 0.0 && limits.burst >= 1.0 && limits.ceiling >= limits.floor);
    }
}
