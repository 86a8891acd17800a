//! What the policy of an account's credentials bucket says.

use std::collections::BTreeSet;

use super::policy_document::{
    Actions, Condition, Effect, PolicyDocument, Principal, Resources, Statement,
};
use crate::model::{AccountId, BucketName, RoleName};

#[cfg(test)]
mod tests;

/// The tag of a role that says whose credentials it may read: the id of an application.
pub const TAG_APPLICATION: &str = "bailiwick.dev/application";

/// What stands for the application of a role without the tag. No application is called that, and nothing is delivered there.
const NO_APPLICATION: &str = "-";

/// The bucket's policy. It gives no right to anybody: who may read is for the roles of the account, and this says who may
/// not, whatever those are given.
///
/// * Nothing goes over a connection that is not encrypted.
/// * A principal reads only what is below the id of the application that its tag `bailiwick.dev/application` names. The
///   variable is filled in from the tags of the role (or of the session), for each request. Where the principal has no such
///   tag, the default that the variable has here is taken: `-`, below which nothing is ever delivered, so that the principal
///   reads nothing. Without a default it would depend on how AWS takes a variable without a value in `NotResource`, which is
///   nothing to rely on. The values of tags cannot have an asterisk or a question mark, so that no tag names two
///   applications. Who may tag roles in the account decides who reads: that is the team.
/// * The role through which the operator enters reads nothing at all. What it delivers with is narrower still: a session
///   whose own policy lets it write, list and remove only. Against the operator's own ill will this is no bar, since it may
///   change this policy; against a mistake, and against a key that was made for delivery and lost, it is.
/// * Nobody but that role changes anything: neither an object nor the bucket nor this policy. So it is said by what
///   everybody else is left (`s3:Get*`, `s3:List*`, which the other statements narrow), and an action that AWS adds is
///   forbidden, too. The principal of a session is its role here, whatever the session is called; who comes without a
///   principal, as one of AWS's services or as nobody, is not the role. Objects that expire by a lifecycle, which the role
///   alone can set, expire all the same.
///
/// The account's root user is no exception, and needs none: S3 lets it read, replace and delete the policy of the account's
/// own buckets though the policy denies it that. This is the way back should the role be gone. The role's name cannot
/// change for accounts that exist.
pub fn policy(
    partition: &str,
    account: &AccountId,
    bucket: &BucketName,
    access_role: &RoleName,
) -> PolicyDocument {
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    let all = format!("{bucket}/*");
    let own = format!("{bucket}/${{aws:PrincipalTag/{TAG_APPLICATION}, '{NO_APPLICATION}'}}/*");
    let access_role = format!("arn:{partition}:iam::{account}:role/{access_role}");
    let these = |actions: &[&'static str]| Actions::These(actions.iter().copied().collect());
    let whole = || Resources::These(BTreeSet::from([bucket.clone(), all.clone()]));
    PolicyDocument {
        statements: vec![
            deny(
                "NoInsecureTransport",
                these(&["s3:*"]),
                whole(),
                Some(("Bool", "aws:SecureTransport", "false".to_owned())),
            ),
            deny(
                "NoReadingOfOtherApplications",
                these(&["s3:GetObject*"]),
                Resources::AllBut(BTreeSet::from([own])),
                None,
            ),
            deny(
                "NoReadingByTheOperator",
                these(&["s3:GetObject*"]),
                Resources::These(BTreeSet::from([all.clone()])),
                Some(("ArnEquals", "aws:PrincipalArn", access_role.clone())),
            ),
            deny(
                "NoChangesByAnybodyElse",
                Actions::AllBut(BTreeSet::from(["s3:Get*", "s3:List*"])),
                whole(),
                Some(("ArnNotEquals", "aws:PrincipalArn", access_role)),
            ),
        ],
    }
}

/// What nobody may, for whom the condition holds.
fn deny(
    sid: &'static str,
    actions: Actions,
    resources: Resources,
    condition: Option<(&'static str, &'static str, String)>,
) -> Statement {
    let condition = condition.map(|(operator, key, value)| Condition {
        operator,
        key,
        values: BTreeSet::from([value]),
    });
    Statement {
        sid,
        effect: Effect::Deny,
        principal: Principal::Everybody,
        actions,
        resources,
        conditions: condition.into_iter().collect(),
    }
}
