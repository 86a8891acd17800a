//! What a session may do at most that delivers credentials, or makes them: a session's rights are those that both its role and this
//! policy give (IAM User Guide, "Session policies"), so that whoever delivers can write and never read, whatever the role
//! may do.

use serde_json::json;

use super::super::credentials::DeliveryPlace;
use crate::model::AccountId;

/// The policy for one place, as AssumeRole takes it.
pub(super) fn policy(partition: &str, account: &AccountId, place: &DeliveryPlace) -> String {
    let domain = match partition {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    };
    let statements = match place {
        DeliveryPlace::Files(place) => {
            let bucket = format!("arn:{partition}:s3:::{}", place.name);
            json!([
                {
                    "Effect": "Allow",
                    "Action": ["s3:PutObject", "s3:DeleteObject"],
                    "Resource": format!("{bucket}/*"),
                },
                { "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket },
                // To encrypt, through S3 alone, with whichever key the bucket is encrypted by default.
                {
                    "Effect": "Allow",
                    "Action": ["kms:Encrypt", "kms:GenerateDataKey*"],
                    "Resource": "*",
                    "Condition": { "StringEquals": { "kms:ViaService": format!("s3.{}.{domain}", place.region) } },
                },
            ])
        }
        DeliveryPlace::Secrets(region) => json!([
            {
                "Effect": "Allow",
                "Action": [
                    "secretsmanager:CreateSecret",
                    "secretsmanager:DeleteSecret",
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:PutSecretValue",
                    "secretsmanager:RestoreSecret",
                    "secretsmanager:TagResource",
                ],
                "Resource": format!("arn:{partition}:secretsmanager:{region}:{account}:secret:*"),
            },
            // Secrets Manager encrypts with a data key that it keeps and so must decrypt, on behalf of who writes. Without
            // secretsmanager:GetSecretValue nobody can read a secret by that.
            {
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*"],
                "Resource": "*",
                "Condition": { "StringEquals": { "kms:ViaService": format!("secretsmanager.{region}.{domain}") } },
            },
        ]),
        DeliveryPlace::UserPool(pool) => json!([{
            "Effect": "Allow",
            "Action": [
                "cognito-idp:AddUserPoolClientSecret",
                "cognito-idp:CreateUserPoolClient",
                "cognito-idp:DeleteUserPoolClient",
                "cognito-idp:DeleteUserPoolClientSecret",
                "cognito-idp:DescribeUserPool",
                "cognito-idp:DescribeUserPoolClient",
                "cognito-idp:ListResourceServers",
                "cognito-idp:ListUserPoolClients",
                "cognito-idp:ListUserPoolClientSecrets",
                "cognito-idp:UpdateUserPoolClient",
            ],
            "Resource": format!("arn:{partition}:cognito-idp:{}:{account}:userpool/{pool}", pool.region()),
        }]),
    };
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::super::credentials::BucketPlace;
    use super::*;

    #[test]
    fn a_session_that_delivers_can_write_and_not_read() {
        let account = "111122223333".parse().unwrap();
        let region = "eu-central-1".parse().unwrap();
        let files = DeliveryPlace::Files(BucketPlace {
            name: "acme-mint".parse().unwrap(),
            region,
        });
        let files = policy("aws", &account, &files);
        insta::assert_snapshot!(files, @r#"{"Statement":[{"Action":["s3:PutObject","s3:DeleteObject"],"Effect":"Allow","Resource":"arn:aws:s3:::acme-mint/*"},{"Action":"s3:ListBucket","Effect":"Allow","Resource":"arn:aws:s3:::acme-mint"},{"Action":["kms:Encrypt","kms:GenerateDataKey*"],"Condition":{"StringEquals":{"kms:ViaService":"s3.eu-central-1.amazonaws.com"}},"Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}"#);
        let secrets = policy("aws-cn", &account, &DeliveryPlace::Secrets(region));
        insta::assert_snapshot!(secrets, @r#"{"Statement":[{"Action":["secretsmanager:CreateSecret","secretsmanager:DeleteSecret","secretsmanager:DescribeSecret","secretsmanager:PutSecretValue","secretsmanager:RestoreSecret","secretsmanager:TagResource"],"Effect":"Allow","Resource":"arn:aws-cn:secretsmanager:eu-central-1:111122223333:secret:*"},{"Action":["kms:Decrypt","kms:Encrypt","kms:GenerateDataKey*"],"Condition":{"StringEquals":{"kms:ViaService":"secretsmanager.eu-central-1.amazonaws.com.cn"}},"Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}"#);
        for policy in [files, secrets] {
            for read in ["GetObject", "GetSecretValue", "\"s3:*\"", "\"*\"]"] {
                assert!(!policy.contains(read), "{policy}");
            }
            // AWS takes 2,048 characters.
            assert!(policy.len() < 2048);
        }
    }

    #[test]
    fn a_session_for_a_user_pool_manages_its_clients_and_not_its_people() {
        let account = "111122223333".parse().unwrap();
        let place = DeliveryPlace::UserPool("eu-central-1_AbCdEfGhI".parse().unwrap());
        let policy = policy("aws", &account, &place);
        let arn = "arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_AbCdEfGhI";
        let statement: serde_json::Value = serde_json::from_str(&policy).unwrap();
        let statements = statement["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1);
        assert_eq!(statements[0]["Resource"], arn);
        let actions = statements[0]["Action"].as_array().unwrap();
        let of_clients = |action: &&serde_json::Value| {
            let action = action.as_str().unwrap();
            action.contains("UserPoolClient")
                || action == "cognito-idp:DescribeUserPool"
                || action == "cognito-idp:ListResourceServers"
        };
        assert_eq!(actions.iter().filter(of_clients).count(), 10);
        assert!(!policy.contains('*') && policy.len() < 2048);
    }
}
