//! Who may pull from a repository and push to it.

use std::collections::BTreeSet;

use super::super::policy_document::{
    Actions, Condition, Effect, PolicyDocument, Principal, Resources, Statement,
};
use crate::model::{AccountId, OrganizationId};

const PULL: [&str; 5] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:ListImages",
];
const PUSH: [&str; 5] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// Who may do what: every account of the company pulls; roles of the team's own accounts push, if those accounts
/// allow it to them, and so do the roles that are named. Nobody from outside the company does anything, whoever is
/// named; users with keys of their own and root users push nothing.
pub fn access(
    organization: &OrganizationId,
    team: &BTreeSet<AccountId>,
    roles: &BTreeSet<String>,
) -> PolicyDocument {
    let company = || Condition {
        operator: "StringEquals",
        key: "aws:PrincipalOrgID",
        values: BTreeSet::from([organization.to_string()]),
    };
    let mut statements = vec![Statement {
        sid: "PullByTheCompany",
        effect: Effect::Allow,
        principal: Principal::Everybody,
        actions: Actions::These(BTreeSet::from(PULL)),
        resources: Resources::Bearer,
        conditions: vec![company()],
    }];
    if !team.is_empty() {
        let each = |shape: fn(&AccountId) -> String| team.iter().map(shape).collect();
        statements.push(Statement {
            sid: "PushByTheTeam",
            effect: Effect::Allow,
            principal: Principal::Aws(each(|id| format!("arn:aws:iam::{id}:root"))),
            actions: Actions::These(BTreeSet::from(PUSH)),
            resources: Resources::Bearer,
            conditions: vec![
                company(),
                Condition {
                    operator: "ArnLike",
                    key: "aws:PrincipalArn",
                    values: each(|id| format!("arn:aws:iam::{id}:role/*")),
                },
            ],
        });
    }
    if !roles.is_empty() {
        statements.push(Statement {
            sid: "PushByRoles",
            effect: Effect::Allow,
            principal: Principal::Aws(roles.clone()),
            actions: Actions::These(BTreeSet::from(PUSH)),
            resources: Resources::Bearer,
            conditions: vec![company()],
        });
    }
    PolicyDocument { statements }
}
