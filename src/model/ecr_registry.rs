//! The registries of Amazon ECR, as image references name them.

use super::{AccountId, InvalidValue, Region};

/// One account's private registry in one region, by its host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EcrRegistry {
    /// The account.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

impl EcrRegistry {
    /// The hosts under which it is reached, over IPv4 first, then over either version of IP.
    pub fn hosts(&self) -> [String; 2] {
        let Self { account, region } = self;
        let (ip4, either) = suffixes(*region);
        [
            format!("{account}.dkr.ecr.{region}.{ip4}"),
            format!("{account}.dkr-ecr.{region}.{either}"),
        ]
    }

    /// The addresses of a repository, given by one of them (`<host>/<name>`): over IPv4 first. None if it is not in a registry
    /// of ECR.
    pub fn addresses(repository: &str) -> Option<[String; 2]> {
        let (host, name) = repository.split_once('/')?;
        let registry: Self = host.parse().ok()?;
        Some(registry.hosts().map(|host| format!("{host}/{name}")))
    }
}

/// The domains that AWS has for the registries of a region's partition ("Amazon ECR endpoints and quotas").
fn suffixes(region: Region) -> (&'static str, &'static str) {
    match region.partition() {
        "aws-cn" => ("amazonaws.com.cn", "on.amazonwebservices.com.cn"),
        _ => ("amazonaws.com", "on.aws"),
    }
}

impl std::str::FromStr for EcrRegistry {
    type Err = InvalidValue;

    /// Of a host, letter by letter: a name that only looks like one of AWS's gets no login.
    fn from_str(host: &str) -> Result<Self, InvalidValue> {
        let invalid = || {
            InvalidValue::new(
                host,
                "the host of a registry of Amazon ECR, like 111122223333.dkr.ecr.eu-west-1.amazonaws.com",
            )
        };
        let (account, rest) = host.split_once('.').ok_or_else(invalid)?;
        let rest = rest
            .strip_prefix("dkr.ecr.")
            .or_else(|| rest.strip_prefix("dkr-ecr."))
            .ok_or_else(invalid)?;
        let (region, _) = rest.split_once('.').ok_or_else(invalid)?;
        let registry = Self {
            account: account.parse().map_err(|_| invalid())?,
            region: region.parse().map_err(|_| invalid())?,
        };
        let is_its = registry.hosts().iter().any(|its| its == host);
        is_its.then_some(registry).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_aws_are_registries_of_ecr() {
        for (host, is_one) in [
            ("111122223333.dkr.ecr.eu-west-1.amazonaws.com", true),
            ("111122223333.dkr-ecr.eu-west-1.on.aws", true),
            ("111122223333.dkr.ecr.eu-west-1.on.aws", false),
            ("111122223333.dkr-ecr.eu-west-1.amazonaws.com", false),
            ("111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn", false),
            (
                "111122223333.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
                false,
            ),
            ("111122223333.dkr.ecr.eu-west-1.amazonaws.com:443", false),
            ("111122223333.dkr.ecr.eu-west-1.evil.example", false),
            ("x.111122223333.dkr.ecr.eu-west-1.amazonaws.com", false),
            ("11112222333.dkr.ecr.eu-west-1.amazonaws.com", false),
            ("111122223333.dkr.ecr.eu-nowhere-1.amazonaws.com", false),
            ("111122223333.dkr.ecr.amazonaws.com", false),
            ("public.ecr.aws", false),
            ("registry.example.com", false),
            ("", false),
        ] {
            assert_eq!(host.parse::<EcrRegistry>().is_ok(), is_one, "{host}");
        }
        let registry: EcrRegistry = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
            .parse()
            .unwrap();
        assert_eq!(registry.account.as_str(), "111122223333");
        assert_eq!(registry.region.as_str(), "eu-west-1");
    }
}
