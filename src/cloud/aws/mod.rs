//! The ports, as AWS itself serves them. Nothing outside of this folder knows the SDK.

mod accounts;
mod bucket;
mod constraint;
mod credential_files;
mod credentials_bucket;
mod error;
mod member;
mod narrow;
mod repositories;
mod secret_store;
mod sessions;
mod settings;
mod units;
mod user_pools;

use std::sync::Arc;
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_organizations::config::SharedHttpClient;
use aws_sdk_organizations::config::interceptors::InterceptorContext;
use aws_sdk_organizations::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_organizations::primitives::DateTime;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder as HttpClientBuilder, ConnectorBuilder};
use aws_smithy_runtime_api::client::retries::classifiers::RetryClassifierPriority;
use k8s_openapi::jiff::Timestamp;

use super::storage::Bucket;
use super::{Cloud, CloudError, ErrorKind, Result};
use crate::model::Secret;
pub use bucket::{BucketOptions, Lock};
pub use constraint::constraint_kind;

/// The SDK's defaults are those of this version, so that an update of the SDK does not change them silently.
fn behavior() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// How to reach an organization. Credentials, region and endpoints come from where every AWS tool has them:
/// `AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL` (`AWS_ENDPOINT_URL_ECR` and the like for one service), web identity, the
/// role of the pod or of the instance.
#[derive(Debug, Clone)]
pub struct AwsOptions {
    /// The cluster's name: sessions in member accounts are called `bailiwick-<cluster>`, so that CloudTrail there
    /// says who it was.
    pub cluster: String,
    /// Where the global services (Organizations, IAM, Account Management) are at home, if it is not where the region that
    /// is configured says: see [`home_of`].
    pub home_region: Option<String>,
    /// What the access roles demand as external id, if they do.
    pub external_id: Option<String>,
    /// For how many accounts a session is kept open; the ones used longest ago are closed.
    pub sessions: usize,
}

impl AwsOptions {
    /// The defaults, for this cluster.
    pub fn new(cluster: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            home_region: None,
            external_id: None,
            sessions: 4096,
        }
    }
}

/// The organization that the standard variables and files lead to. Fails if they lead to no working credentials,
/// with a message that says what to configure.
pub async fn connect(options: &AwsOptions) -> Result<Cloud> {
    let home = options.home_region.as_deref().unwrap_or(HOME);
    connect_with(&environment(Region::new(home.to_owned())).await, options).await
}

/// The home of the global services in most of the world.
const HOME: &str = "us-east-1";

/// Where the global services of a region's partition are at home: China and the US government have their own, which
/// credentials of the one do not open to the other.
pub fn home_of(region: &str) -> &'static str {
    match region {
        china if china.starts_with("cn-") => "cn-northwest-1",
        government if government.starts_with("us-gov-") => "us-gov-west-1",
        _ => HOME,
    }
}

/// What the standard variables and files say.
async fn environment(fallback: Region) -> SdkConfig {
    let mut loader = aws_config::defaults(behavior())
        .region(RegionProviderChain::default_provider().or_else(fallback))
        .http_client(http_client())
        .timeout_config(timeouts());
    if let Ok(name) = AppName::new("bailiwick") {
        loader = loader.app_name(name);
    }
    loader.load().await
}

/// A bucket, with the credentials that the standard variables and files lead to. Makes no call.
pub async fn bucket(options: &BucketOptions) -> Arc<dyn Bucket> {
    let base = environment(Region::from_static("us-east-1")).await;
    bucket_with(&base, options)
}

/// The bucket that this configuration of the SDK leads to.
pub fn bucket_with(base: &SdkConfig, options: &BucketOptions) -> Arc<dyn Bucket> {
    Arc::new(bucket::S3Bucket::new(s3_client(base, options), options))
}

fn s3_client(base: &SdkConfig, options: &BucketOptions) -> aws_sdk_s3::Client {
    let mut config = aws_sdk_s3::config::Builder::from(base)
        .force_path_style(options.path_style)
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .retry_classifier(LeaveThrottles);
    if let Some(region) = &options.region {
        config = config.region(Region::new(region.clone()));
    }
    aws_sdk_s3::Client::from_conf(config.build())
}

/// A bucket, as a host reads it: with this key, if there is one, and else with the credentials that the standard variables
/// and files lead to. Where no region is named, the bucket itself is asked for its own.
pub async fn host_bucket(
    options: &BucketOptions,
    key: Option<(String, Secret)>,
) -> Arc<dyn Bucket> {
    let mut base = environment(Region::from_static("us-east-1")).await;
    if let Some((id, secret)) = key {
        let key = Credentials::new(id, secret.reveal(), None, None, "file of keys");
        let mut builder = base.into_builder();
        builder.set_credentials_provider(Some(SharedCredentialsProvider::new(key)));
        base = builder.build();
    }
    let mut options = options.clone();
    if options.region.is_none() {
        options.region = bucket::region_of(&s3_client(&base, &options), &options.name).await;
    }
    bucket_with(&base, &options)
}

/// The organization that this configuration of the SDK leads to.
pub async fn connect_with(base: &SdkConfig, options: &AwsOptions) -> Result<Cloud> {
    let mut builder = base.clone().into_builder();
    builder.set_timeout_config(Some(timeouts()));
    // One repetition at once covers a connection that broke; everything else is the caller's to decide.
    builder.set_retry_config(Some(RetryConfig::standard().with_max_attempts(2)));
    let of_partition = || home_of(base.region().map_or(HOME, |region| region.as_ref())).to_owned();
    let home = Region::new(options.home_region.clone().unwrap_or_else(of_partition));
    if base.region().is_none() {
        builder.set_region(Some(home.clone()));
    }
    if base.http_client().is_none() {
        builder.set_http_client(Some(http_client()));
    }
    let base = builder.build();

    let sts_config = aws_sdk_sts::config::Builder::from(&base).retry_classifier(LeaveThrottles);
    let sts = aws_sdk_sts::Client::from_conf(sts_config.build());
    let us = sessions::identity(sts.get_caller_identity().send().await)?;
    tracing::info!(account = us.account, arn = us.arn, "entered AWS");

    let organizations = aws_sdk_organizations::config::Builder::from(&base)
        .region(home.clone())
        .retry_classifier(LeaveThrottles)
        .build();
    let account = aws_sdk_account::config::Builder::from(&base)
        .region(home.clone())
        .retry_classifier(LeaveThrottles)
        .build();
    let iam = aws_sdk_iam::config::Builder::from(&base)
        .region(home)
        .retry_classifier(LeaveThrottles)
        .build();
    let iam = aws_sdk_iam::Client::from_conf(iam);
    // Each call names its own region.
    let ecr = aws_sdk_ecr::config::Builder::from(&base).retry_classifier(LeaveThrottles);
    let ecr = aws_sdk_ecr::Client::from_conf(ecr.build());
    let s3 = aws_sdk_s3::config::Builder::from(&base).retry_classifier(LeaveThrottles);
    let s3 = aws_sdk_s3::Client::from_conf(s3.build());
    let secrets =
        aws_sdk_secretsmanager::config::Builder::from(&base).retry_classifier(LeaveThrottles);
    let secrets = aws_sdk_secretsmanager::Client::from_conf(secrets.build());
    let cognito = aws_sdk_cognitoidentityprovider::config::Builder::from(&base)
        .retry_classifier(LeaveThrottles);
    let cognito = aws_sdk_cognitoidentityprovider::Client::from_conf(cognito.build());
    let inside = sessions::Clients {
        iam,
        ecr,
        s3,
        secrets,
        cognito,
    };
    let organizations = aws_sdk_organizations::Client::from_conf(organizations);
    Ok(Cloud {
        accounts: Arc::new(accounts::OrganizationAccounts::new(organizations.clone())),
        units: Arc::new(units::OrganizationUnits::new(organizations)),
        settings: Arc::new(settings::AccountManagement::new(
            aws_sdk_account::Client::from_conf(account),
        )),
        sessions: Arc::new(sessions::AssumedSessions::new(
            sts,
            inside,
            &us,
            options,
            base.endpoint_url(),
        )),
    })
}

/// One client for everything: one pool of connections, and the root certificates are read once.
fn http_client() -> SharedHttpClient {
    HttpClientBuilder::new().build_with_connector_fn(|settings, components| {
        let mut connector =
            ConnectorBuilder::default().tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        // HTTPS_PROXY and its kin, as the SDK's own default client does.
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(3100))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(60))
        .build()
}

/// For calls that must not be made twice when the reply to the first one is lost: what happened must be looked up.
fn never_again() -> RetryConfig {
    RetryConfig::disabled()
}

/// Forbids the SDK to repeat a call that AWS refused because of too many: it would do so behind the budget's back,
/// which could then never learn.
#[derive(Debug)]
struct LeaveThrottles;

impl ClassifyRetry for LeaveThrottles {
    fn classify_retry(&self, _: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(&self, _: &InterceptorContext, so_far: &RetryAction) -> RetryAction {
        if *so_far == RetryAction::throttling_error() {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "leave throttles to the budget"
    }

    fn priority(&self) -> RetryClassifierPriority {
        // After all of the SDK's own, to see what they decided.
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// AWS's answer lacks `what`, or has one that it never has.
fn odd_answer(operation: &'static str, what: &str) -> CloudError {
    let message = format!("AWS answered without a usable {what}");
    CloudError::new(ErrorKind::Unknown, operation, "OddAnswer", message)
}

fn timestamp(time: Option<&DateTime>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}
