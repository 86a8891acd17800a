//! The adapters to AWS: what they ask, and what they make of the answers. Against moto's server where that has the
//! operation, and against answers of our own for what no emulator does: refusals, lost replies, rubbish.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "adapters/bucket.rs"]
mod bucket;
#[path = "adapters/canned.rs"]
mod canned;
#[path = "adapters/credentials.rs"]
mod credentials_kept;
#[path = "adapters/emulator.rs"]
mod emulator;
#[path = "adapters/errors.rs"]
mod errors;
#[path = "adapters/journal.rs"]
mod journal;
#[path = "adapters/pushes.rs"]
mod pushes;
#[path = "adapters/repositories.rs"]
mod repositories;
#[path = "adapters/sessions.rs"]
mod sessions;
#[path = "adapters/user_pools.rs"]
mod user_pools;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bailiwick::cloud::NewAccount;
use bailiwick::cloud::aws::AwsOptions;
use bailiwick::model::Tags;

/// What the environment would say.
async fn base(endpoint: &str, credentials: SharedCredentialsProvider) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .load()
        .await
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("AKIAOURS", "secret", None, None, "test"))
}

fn options() -> AwsOptions {
    AwsOptions::new("test")
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        email: format!("aws+{name}@example.com").parse().unwrap(),
        name: name.parse().unwrap(),
        access_role: "Access".parse().unwrap(),
        tags: Tags::from([("bailiwick.dev/uid".to_owned(), name.to_owned())]),
    }
}
