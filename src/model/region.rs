//! AWS regions, and which of them an account must opt into.

/// A region of the commercial partition that we know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region {
    name: &'static str,
    opt_in: bool,
}

impl Region {
    /// The region's code, `eu-central-1` for example.
    pub fn as_str(self) -> &'static str {
        self.name
    }

    /// The partition that the ARNs of what is there name. No session leads from one partition into another, so that it is
    /// the operator's own, too.
    pub fn partition(self) -> &'static str {
        match self.name {
            name if name.starts_with("cn-") => "aws-cn",
            name if name.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Whether an account must enable the region before it can be used.
    pub fn is_opt_in(self) -> bool {
        self.opt_in
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::str::FromStr for Region {
    type Err = super::InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = REGIONS.iter().find(|region| region.name == text);
        found.copied().ok_or_else(|| {
            super::InvalidValue::new(
                text,
                "an AWS region that this version knows (kubectl explain lists them)",
            )
        })
    }
}

const fn default_on(name: &'static str) -> Region {
    Region {
        name,
        opt_in: false,
    }
}

const fn opt_in(name: &'static str) -> Region {
    Region { name, opt_in: true }
}

/// The regions, as the AWS Account Management Reference Guide lists them ("Enable or disable AWS Regions in your
/// account"): those launched before 20 March 2019 are on by default, all later ones are opt-in.
pub const REGIONS: &[Region] = &[
    opt_in("af-south-1"),
    opt_in("ap-east-1"),
    opt_in("ap-east-2"),
    default_on("ap-northeast-1"),
    default_on("ap-northeast-2"),
    default_on("ap-northeast-3"),
    default_on("ap-south-1"),
    opt_in("ap-south-2"),
    default_on("ap-southeast-1"),
    default_on("ap-southeast-2"),
    opt_in("ap-southeast-3"),
    opt_in("ap-southeast-4"),
    opt_in("ap-southeast-5"),
    opt_in("ap-southeast-6"),
    opt_in("ap-southeast-7"),
    default_on("ca-central-1"),
    opt_in("ca-west-1"),
    default_on("eu-central-1"),
    opt_in("eu-central-2"),
    default_on("eu-north-1"),
    opt_in("eu-south-1"),
    opt_in("eu-south-2"),
    default_on("eu-west-1"),
    default_on("eu-west-2"),
    default_on("eu-west-3"),
    opt_in("il-central-1"),
    opt_in("me-central-1"),
    opt_in("me-south-1"),
    opt_in("mx-central-1"),
    default_on("sa-east-1"),
    default_on("us-east-1"),
    default_on("us-east-2"),
    default_on("us-west-1"),
    default_on("us-west-2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_says_which_partition_it_is_of() {
        assert!(REGIONS.iter().all(|region| region.partition() == "aws"));
        assert_eq!(default_on("cn-northwest-1").partition(), "aws-cn");
        assert_eq!(default_on("us-gov-west-1").partition(), "aws-us-gov");
    }
}
