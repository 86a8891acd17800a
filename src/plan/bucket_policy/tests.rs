//! The policy, held against requests as IAM evaluates it.

use serde_json::Value;

use super::*;

/// Somebody who asks for something. Of what a request's context has, that which the policy asks about.
#[derive(Clone, Copy)]
struct Who {
    /// `aws:PrincipalArn`: for a session that of its role; AWS's services and who is not signed in have none.
    arn: Option<&'static str>,
    /// `aws:PrincipalTag/bailiwick.dev/application`.
    application: Option<&'static str>,
    /// `aws:SecureTransport`.
    secure: bool,
}

const OPERATOR: Who = Who {
    arn: Some("arn:aws:iam::111122223333:role/Access"),
    application: None,
    secure: true,
};

fn role(application: Option<&'static str>) -> Who {
    Who {
        arn: Some("arn:aws:iam::111122223333:role/api"),
        application,
        secure: true,
    }
}

fn document(partition: &str) -> PolicyDocument {
    let (account, bucket) = (
        "111122223333".parse().unwrap(),
        "acme-mint".parse().unwrap(),
    );
    policy(partition, &account, &bucket, &"Access".parse().unwrap())
}

/// The statement that denies it, if there is one. `None`: the policy has nothing against it.
fn denied(who: Who, action: &str, resource: &str) -> Option<String> {
    let text = document("aws").to_json();
    let policy: Value = serde_json::from_str(&text).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    let found = statements.iter().find(|statement| {
        assert_eq!(statement["Effect"], "Deny", "it gives no right to anybody");
        assert_eq!(statement["Principal"], "*");
        is_about(statement, "Action", action, &|pattern| pattern.to_owned())
            && is_about(statement, "Resource", resource, &|pattern| {
                filled_in(pattern, who)
            })
            && conditions_hold(&statement["Condition"], who)
    });
    found.map(|statement| statement["Sid"].as_str().unwrap().to_owned())
}

/// Whether an element, or the one that says all but these, covers a value.
fn is_about(statement: &Value, element: &str, value: &str, fill: &dyn Fn(&str) -> String) -> bool {
    let any = |patterns: &Value| {
        let mut patterns = patterns.as_array().unwrap().iter();
        patterns.any(|pattern| fits(&fill(pattern.as_str().unwrap()), value))
    };
    let (these, all_but) = (&statement[element], &statement[format!("Not{element}")]);
    assert_ne!(these.is_null(), all_but.is_null(), "one of both");
    if these.is_null() {
        !any(all_but)
    } else {
        any(these)
    }
}

/// The one variable that there is, with its default.
fn filled_in(pattern: &str, who: Who) -> String {
    let variable = "${aws:PrincipalTag/bailiwick.dev/application, '-'}";
    let filled = pattern.replace(variable, who.application.unwrap_or("-"));
    assert!(!filled.contains('$'), "{filled}");
    filled
}

/// `*` stands for any characters, slashes too.
fn fits(pattern: &str, value: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == value,
        Some((before, after)) => value.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len())
                .filter_map(|from| rest.get(from..))
                .any(|rest| fits(after, rest))
        }),
    }
}

/// All of them. A key that is not there fits no operator but one that is negated.
fn conditions_hold(conditions: &Value, who: Who) -> bool {
    let operators = conditions.as_object().into_iter().flatten();
    let mut each = operators.flat_map(|(operator, keys)| {
        let keys = keys.as_object().unwrap().iter();
        keys.map(move |(key, values)| (operator.as_str(), key.as_str(), values))
    });
    each.all(|(operator, key, values)| {
        let actual = match key {
            "aws:PrincipalArn" => who.arn.map(str::to_owned),
            "aws:SecureTransport" => Some(who.secure.to_string()),
            other => panic!("not known: {other}"),
        };
        let values = values.as_array().unwrap();
        let among = actual.is_some_and(|actual| values.iter().any(|value| *value == actual));
        match operator {
            "Bool" | "ArnEquals" => among,
            "ArnNotEquals" => !among,
            other => panic!("not known: {other}"),
        }
    })
}

const BUCKET: &str = "arn:aws:s3:::acme-mint";

fn object(key: &str) -> String {
    format!("{BUCKET}/{key}")
}

#[test]
fn the_policy_is_what_it_was_thought_to_be() {
    let policy: Value = serde_json::from_str(&document("aws").to_json()).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&policy).unwrap());
}

#[test]
fn a_role_reads_its_own_application_alone() {
    for action in [
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:GetObjectVersionForReplication",
    ] {
        for (application, key, expected) in [
            (Some("api"), "api/client.json", None),
            (Some("api"), "api/user.json", None),
            (Some("api"), "apis/client.json", Some(OTHERS)),
            (Some("api"), "ap/client.json", Some(OTHERS)),
            (Some("api"), "api", Some(OTHERS)),
            (Some("api"), "index/api/client.json", Some(OTHERS)),
            (Some(""), "api/client.json", Some(OTHERS)),
            (None, "api/client.json", Some(OTHERS)),
            (None, "index/client.json", Some(OTHERS)),
        ] {
            let found = denied(role(application), action, &object(key));
            assert_eq!(found.as_deref(), expected, "{application:?} {action} {key}");
        }
        let untagged = OPERATOR;
        let found = denied(untagged, action, &object("api/client.json"));
        assert_eq!(found.as_deref(), Some(OTHERS));
        // Nor with the tag of an application.
        let tagged = Who {
            application: Some("api"),
            ..OPERATOR
        };
        let found = denied(tagged, action, &object("api/client.json"));
        assert_eq!(found.as_deref(), Some("NoReadingByTheOperator"));
    }
}

const OTHERS: &str = "NoReadingOfOtherApplications";

/// Everything that changes something, with what it is done to.
fn changes() -> Vec<(&'static str, String)> {
    let of_objects = [
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:DeleteObjectTagging",
        "s3:AbortMultipartUpload",
        "s3:RestoreObject",
        "s3:ReplicateObject",
        "s3:ReplicateDelete",
        "s3:BypassGovernanceRetention",
        "s3:SomethingNew",
    ];
    let of_the_bucket = [
        "s3:PutBucketPolicy",
        "s3:DeleteBucketPolicy",
        "s3:DeleteBucket",
        "s3:PutBucketAcl",
        "s3:PutBucketTagging",
        "s3:PutBucketVersioning",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketOwnershipControls",
        "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration",
        "s3:PutReplicationConfiguration",
        "s3:PutBucketWebsite",
    ];
    let of_objects = of_objects.map(|action| (action, object("api/client.json")));
    let of_the_bucket = of_the_bucket.map(|action| (action, BUCKET.to_owned()));
    of_objects.into_iter().chain(of_the_bucket).collect()
}

#[test]
fn nobody_but_the_operators_role_changes_anything() {
    let others = [
        None,
        Some("arn:aws:iam::111122223333:role/api"),
        Some("arn:aws:iam::111122223333:role/Admin"),
        Some("arn:aws:iam::111122223333:role/Access2"),
        Some("arn:aws:iam::111122223333:role/team/Access"),
        Some("arn:aws:iam::111122223333:user/Access"),
        Some("arn:aws:iam::111122223333:root"),
        Some("arn:aws:iam::444455556666:role/Access"),
    ];
    for (action, resource) in changes() {
        assert_eq!(denied(OPERATOR, action, &resource), None, "{action}");
        for arn in others {
            let who = Who {
                arn,
                ..role(Some("api"))
            };
            let found = denied(who, action, &resource);
            let expected = Some("NoChangesByAnybodyElse");
            assert_eq!(found.as_deref(), expected, "{arn:?} {action}");
        }
    }
}

#[test]
fn what_the_bucket_is_like_may_be_seen_by_all_who_are_let() {
    for action in [
        "s3:GetBucketPolicy",
        "s3:GetBucketTagging",
        "s3:GetEncryptionConfiguration",
        "s3:ListBucket",
        "s3:ListBucketVersions",
    ] {
        assert_eq!(denied(role(None), action, BUCKET), None, "{action}");
        assert_eq!(denied(OPERATOR, action, BUCKET), None, "{action}");
    }
}

#[test]
fn nothing_goes_over_a_connection_that_is_not_encrypted() {
    let in_the_open = |who| Who {
        secure: false,
        ..who
    };
    let mut all = changes();
    all.push(("s3:GetObject", object("api/client.json")));
    all.push(("s3:ListBucket", BUCKET.to_owned()));
    for (action, resource) in all {
        for who in [OPERATOR, role(Some("api"))] {
            let found = denied(in_the_open(who), action, &resource);
            assert_eq!(found.as_deref(), Some("NoInsecureTransport"), "{action}");
        }
    }
}

#[test]
fn every_arn_is_of_the_partition() {
    for partition in ["aws", "aws-cn", "aws-us-gov"] {
        let text = document(partition).to_json();
        let arns: Vec<&str> = text
            .match_indices("\"arn:")
            .map(|(at, _)| &text[at..])
            .collect();
        assert_eq!(arns.len(), 8);
        let of_it = format!("\"arn:{partition}:");
        assert!(arns.iter().all(|arn| arn.starts_with(&of_it)), "{text}");
    }
}
