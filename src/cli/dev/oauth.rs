//! The steps of `bailiwick dev up` that are about OAuth: an authorization server on this machine, the right to register
//! clients there, and a token with what was delivered.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;

use super::super::print;
use super::Failure;
use super::steps::{NAMESPACE as OPERATOR, Whole, at_emulator, succeed, this_program};
use crate::dev::oauth::{INITIAL_ACCESS_TOKEN, oidc_provider};
use crate::dev::{self, moto};
use crate::engine::clock::{Clock, SystemClock};
use crate::identity::{
    Credential, RealServers, RegistrationOptions, ServerOptions, Servers, TokenAnswer,
    TokenRequest, client_json,
};

/// The issuer that the examples name. On this machine another one answers for it.
pub(super) const EXAMPLE_ISSUER: &str = "https://login.example.com";
/// The scope that the examples grant.
const SCOPE: &str = "payment.read";
const NAMESPACE: &str = "team-search";
const CLIENT: &str = "index";
const SECRET: &str = "index-oauth";
/// The team's account, whose bucket the credentials are delivered to.
const ACCOUNT: &str = "test";

impl Whole {
    /// Starts the authorization server unless it runs, and gives the operator the right to register clients. Without
    /// Node.js the rest of the trial is there all the same.
    pub(super) async fn start_oauth(&mut self) -> Result<(), Failure> {
        if self.trial.issuer().is_none() {
            let started = match oidc_provider(&self.repository) {
                Ok(program) => self.trial.start_oauth(&program, &[SCOPE]).await,
                Err(error) => Err(error),
            };
            if let Err(error) = started {
                print::line(format_args!(
                    "    left out, and examples/50-oauth.yaml with it: {error}"
                ))?;
                return Ok(());
            }
        }
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": "company-login", "namespace": OPERATOR },
            "stringData": { "initial-access-token": INITIAL_ACCESS_TOKEN },
        });
        let folder = self.folder.join("oauth");
        let file = folder.join("initial-access-token.json");
        fs::write(&file, secret.to_string())
            .map_err(|source| dev::Error::io("write", &file, source))?;
        let file = file.display().to_string();
        self.kubectl(&["apply", "--server-side", "--filename", &file])
            .await?;
        print::line(format_args!(
            "    {}",
            self.trial.issuer().unwrap_or_default()
        ))?;
        Ok(())
    }

    /// Gets a token with what is in the application's Secret, and one with what its hosts fetch from the bucket, as the
    /// application would, and keeps both to itself.
    pub(super) async fn token(&self) -> Result<(), Failure> {
        let get = [
            "get",
            "secret",
            SECRET,
            "--namespace",
            NAMESPACE,
            "--output=json",
        ];
        let secret: Value = serde_json::from_str(&self.kubectl(&get).await?).unwrap_or_default();
        let place = format!("Secret {NAMESPACE}/{SECRET}");
        self.token_for(&place, delivered(&secret)).await?;

        let (bucket, fetched) = (self.bucket().await?, self.folder.join("credentials"));
        let mut agent = Command::new(this_program()?);
        at_emulator(&mut agent, self.trial.emulator());
        agent.args(["agent", "credentials"]).arg(&fetched).args([
            "--once",
            "--application-id",
            CLIENT,
            "--mint-bucket",
            &bucket,
            "--path-style",
        ]);
        succeed(agent).await?;
        let file = fetched.join("client.json");
        let content =
            fs::read_to_string(&file).map_err(|source| dev::Error::io("read", &file, source))?;
        let place = format!(
            "s3://{bucket}/{CLIENT}/client.json, fetched by `bailiwick agent credentials --once`"
        );
        self.token_for(&place, client_json::credential(&content))
            .await
    }

    async fn token_for(
        &self,
        place: &str,
        found: Option<(String, Credential)>,
    ) -> Result<(), Failure> {
        let issuer = self.trial.issuer().unwrap_or_default();
        let (method, got) = match found {
            Some((id, credential)) => ask(issuer, id, credential).await,
            None => ("", Err("it holds no client.json".to_owned())),
        };
        got.map_err(|said| Failure::Token {
            place: place.to_owned(),
            said,
        })?;
        print::line(format_args!(
            "    {issuer} gave one with the scope {SCOPE} for what is in {place} ({method})"
        ))?;
        Ok(())
    }

    /// The credentials bucket of the application's account.
    async fn bucket(&self) -> Result<String, Failure> {
        let get = [
            "get",
            "teamaccount",
            ACCOUNT,
            "--namespace",
            NAMESPACE,
            "--output=jsonpath={.status.credentialsBucket.bucket}",
        ];
        self.kubectl(&get).await
    }

    /// Where the credentials are, and how they are replaced by hand.
    pub(super) async fn show_oauth(&self) -> Result<(), Failure> {
        if self.trial.issuer().is_none() {
            return Ok(());
        }
        let places = "--output=jsonpath={range .status.destinations[*]}  {.location}, version {.version}{\"\\n\"}{end}";
        let get = [
            "get",
            "oauthclient",
            CLIENT,
            "--namespace",
            NAMESPACE,
            places,
        ];
        let places = self.kubectl(&get).await?;
        let bucket = self.bucket().await?;
        let files = moto::files(self.trial.emulator(), &bucket)?;
        let files: String = files
            .iter()
            .map(|(key, written)| format!("  {written}  {key}\n"))
            .collect();
        print::text(format_args!(
            "\nThe credentials of OAuthClient {NAMESPACE}/{CLIENT} were delivered to:\n{places}\
             Bucket {bucket}, as the AWS emulator lists it:\n{files}\
             Replace them, without a gap:\n  kubectl annotate oauthclient {CLIENT} -n {NAMESPACE} --overwrite \
             bailiwick.dev/renew-requested-at=$(date -u +%FT%TZ)\n"
        ))?;
        Ok(())
    }
}

/// What a Secret holds for the application.
fn delivered(secret: &Value) -> Option<(String, Credential)> {
    let content = STANDARD
        .decode(secret["data"]["client.json"].as_str()?)
        .ok()?;
    client_json::credential(std::str::from_utf8(&content).ok()?)
}

/// Asks the issuer for a token: how the client showed who it is, and what is wrong.
async fn ask(
    issuer: &str,
    client_id: String,
    credential: Credential,
) -> (&'static str, Result<(), String>) {
    let method = match &credential {
        Credential::Secret(method, _) => method.name(),
        Credential::Key(_) | Credential::Assertion(_) => "private_key_jwt",
        Credential::Public => "none",
    };
    let answer = async {
        let options = ServerOptions {
            issuer: Url::parse(issuer).map_err(|error| error.to_string())?,
            authorities: String::new(),
            registration: RegistrationOptions::Dynamic {
                initial_access_token: None,
            },
        };
        let servers = RealServers::new(Arc::new(|| SystemClock.now()));
        let server = servers.open(options).map_err(|error| error.to_string())?;
        let request = TokenRequest {
            client_id,
            credential,
            scopes: Some(vec![SCOPE.to_owned()]),
        };
        match server.request_token(&request).await {
            Ok(TokenAnswer::Accepted) => Ok(()),
            Ok(TokenAnswer::Refused(said) | TokenAnswer::UnknownClient(said)) => Err(said),
            Err(error) => Err(error.to_string()),
        }
    };
    (method, answer.await)
}
