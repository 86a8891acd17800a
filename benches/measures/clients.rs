//! O4: the memory that settled OAuth clients take, in the real binary on a real API server. The operator makes one of them
//! itself, at a real authorization server; the others are written as its copies, and it finds nothing to write.

use std::path::Path;
use std::time::{Duration, Instant};

use bailiwick::api::{Application, FINALIZER, OAuthClient, OAuthProvider, Team};
use bailiwick::dev::oauth::{INITIAL_ACCESS_TOKEN, OidcProvider, oidc_provider};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::kept::{NAMESPACE, TEAM, measured, versions};
use crate::population::{self, is_ready};
use crate::report::{Figure, Goal};
use crate::site::{AT_ONCE, Site, with_binary};
use crate::{Arguments, Limit, Problem};

/// Clients in all, and how many each application has.
const MANY: usize = 10_000;
const EACH: usize = 100;

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    with_binary(arguments, limit, all)
}

async fn all(binary: &Path) -> Result<Vec<Figure>, Problem> {
    let program = oidc_provider(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    let folder = tempfile::tempdir()?;
    let server = OidcProvider::start_in(&program, &["api.read"], folder.path().to_owned()).await?;
    let mut site = Site::start(binary).await?;
    // The copies are in no vault and at no server: none of them is looked at while this is measured.
    site.flags = ["--deep-check-interval", "720h"].map(str::to_owned).into();
    let status = sample(&site, server.issuer()).await?;
    let few = measured(&site, "OAuthClient", 1).await?;
    fill(&site, &status).await?;
    let before = versions::<OAuthClient>(&site).await?;
    let many = measured(&site, "OAuthClient", MANY).await?;
    if versions::<OAuthClient>(&site).await? != before {
        return Err("the operator has written to clients that were settled".into());
    }
    let what = format!(
        "resident memory that 10,000 settled OAuth clients of {} applications bring, each delivered to a Secret, on the real \
         API server",
        MANY / EACH
    );
    let whole = format!(
        "all that the operator then has, {:.1} MiB of it its own",
        many.own
    );
    let more = many.resident - few.resident;
    Ok(vec![
        Figure::new("O4", more, "MiB", Goal::AtMost(100.0), &what),
        Figure::new("O4.whole", many.resident, "MiB", Goal::Known, &whole),
    ])
}

fn name(number: usize) -> String {
    format!("client{number:05}")
}

fn application(number: usize) -> String {
    format!("app{number:03}")
}

fn client(number: usize) -> Value {
    json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "OAuthClient",
        "metadata": {"name": name(number), "namespace": NAMESPACE, "finalizers": [FINALIZER]},
        "spec": {
            "application": application(number / EACH), "provider": "company",
            "rotation": {"period": "90d", "overlap": "1h"},
            "delivery": [{"name": "cluster", "secret": {"name": name(number)}}],
        },
    })
}

/// The team, its applications and the provider, and the status of a client that the operator itself has made.
async fn sample(site: &Site, issuer: &str) -> Result<Value, Problem> {
    let operator = site.operator().await?;
    site.create::<Team>(None, population::team(TEAM)).await?;
    site.until_namespace(NAMESPACE).await?;
    for number in 0..MANY / EACH {
        let object = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": application(number), "namespace": NAMESPACE},
            "spec": {},
        });
        site.create::<Application>(Some(NAMESPACE), object).await?;
    }
    operator.until_settled("Application", MANY / EACH).await?;
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "company", "namespace": "default"},
        "stringData": {"initial-access-token": INITIAL_ACCESS_TOKEN},
    });
    site.create::<Secret>(Some("default"), token).await?;
    let provider = json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "OAuthProvider", "metadata": {"name": "company"},
        "spec": {"issuer": issuer, "dynamicRegistration": {"initialAccessToken": {"name": "company", "key": "initial-access-token"}}},
    });
    site.create::<OAuthProvider>(None, provider).await?;
    site.create::<OAuthClient>(Some(NAMESPACE), client(0))
        .await?;
    let api: Api<OAuthClient> = Api::namespaced(site.client(), NAMESPACE);
    for _ in 0..600 {
        let object = serde_json::to_value(api.get(&name(0)).await?)?;
        if is_ready(&object) {
            // Its last word may still be on its way.
            tokio::time::sleep(Duration::from_secs(5)).await;
            let object = serde_json::to_value(api.get(&name(0)).await?)?;
            return Ok(object["status"].clone());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let object = serde_json::to_value(api.get(&name(0)).await?)?;
    Err(format!(
        "the operator made no client Ready in a minute: {}",
        object["status"]
    )
    .into())
}

/// All the other clients, as if they had gone the same way.
async fn fill(site: &Site, status: &Value) -> Result<(), Problem> {
    let began = Instant::now();
    let api: Api<OAuthClient> = Api::namespaced(site.client(), NAMESPACE);
    // The status names the places, which are called as the sample is.
    let text = status.to_string();
    futures::stream::iter(1..MANY)
        .map(|number| {
            let (status, api) = (text.replace(&name(0), &name(number)), api.clone());
            async move {
                site.create::<OAuthClient>(Some(NAMESPACE), client(number))
                    .await?;
                let patch = json!({ "status": serde_json::from_str::<Value>(&status)? });
                api.patch_status(
                    &name(number),
                    &PatchParams::default(),
                    &Patch::Merge(&patch),
                )
                .await?;
                Ok::<_, Problem>(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let took = began.elapsed().as_secs();
    eprintln!("bench:   {} clients written in {took} s", MANY - 1);
    Ok(())
}
