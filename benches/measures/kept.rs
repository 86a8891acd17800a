//! R3: the memory that settled releases take, in the real binary on a real API server. The operator resolves one of them
//! itself, from a real registry; the others are written as its copies, and it finds nothing to write.

use std::path::Path;
use std::time::{Duration, Instant};

use bailiwick::api::{Application, Release, Team};
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::images::{Evidence, SOURCE, Shelf};
use crate::population::{self, is_ready};
use crate::process::Memory;
use crate::report::{Figure, Goal};
use crate::site::{AT_ONCE, Operator, Site, with_binary};
use crate::{Arguments, Limit, Problem};

/// Releases in all, and how many each application has.
const MANY: usize = 10_000;
const EACH: usize = 100;
pub const TEAM: &str = "shop";
pub const NAMESPACE: &str = "team-shop";

/// Measures.
pub fn measure(arguments: &Arguments, limit: Limit) -> Result<Vec<Figure>, Problem> {
    with_binary(arguments, limit, all)
}

async fn all(binary: &Path) -> Result<Vec<Figure>, Problem> {
    let shelf = Shelf::start().await?;
    let image = shelf.push("acme/shop", Evidence::Annotated, 1)?;
    let flags = ["--registry-plain-http", shelf.host()].map(str::to_owned);
    let mut site = Site::start(binary).await?;
    site.flags.extend(flags);
    let status = sample(&site, &format!("{image}:0")).await?;
    let few = measured(&site, "Release", 1).await?;
    fill(&site, &format!("{image}:0"), &status).await?;
    let before = versions::<Release>(&site).await?;
    let many = measured(&site, "Release", MANY).await?;
    if versions::<Release>(&site).await? != before {
        return Err("the operator has written to releases that were settled".into());
    }
    let what = format!(
        "resident memory that 10,000 settled releases of {} applications bring, on the real API server",
        MANY / EACH
    );
    Ok(vec![
        Figure::new(
            "R3",
            many.resident - few.resident,
            "MiB",
            Goal::AtMost(100.0),
            &what,
        ),
        Figure::new(
            "R3.whole",
            many.resident,
            "MiB",
            Goal::Known,
            &format!(
                "all that the operator then has, {:.1} MiB of it its own",
                many.own
            ),
        ),
    ])
}

/// A new process, once it has seen so many releases settled, and its first sweep is over.
pub async fn measured(site: &Site, kind: &str, count: usize) -> Result<Memory, Problem> {
    let operator = site.operator().await?;
    let took = operator.until_settled(kind, count).await?;
    eprintln!(
        "bench:   {count} of kind {kind} settled {:.1} s after the start",
        took.as_secs_f64()
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    operator.memory()
}

fn application(number: usize) -> String {
    format!("app{number:03}")
}

fn release(number: usize, image: &str) -> Value {
    let (application, version) = (application(number / EACH), (number % EACH).to_string());
    json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Release",
        "metadata": {"name": format!("{application}-{version}"), "namespace": NAMESPACE},
        "spec": {"application": application, "version": version, "image": image},
    })
}

/// The team and its applications, and the status of a release that the operator itself has resolved.
async fn sample(site: &Site, image: &str) -> Result<Value, Problem> {
    let operator = site.operator().await?;
    site.create::<Team>(None, population::team(TEAM)).await?;
    site.until_namespace(NAMESPACE).await?;
    for number in 0..MANY / EACH {
        let object = json!({
            "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": application(number), "namespace": NAMESPACE},
            "spec": {"repositories": [SOURCE]},
        });
        site.create::<Application>(Some(NAMESPACE), object).await?;
    }
    operator.until_settled("Application", MANY / EACH).await?;
    let object = release(0, image);
    let created: Release = site.create(Some(NAMESPACE), object).await?;
    let api: Api<Release> = Api::namespaced(site.client(), NAMESPACE);
    let name = created.metadata.name.unwrap_or_default();
    for _ in 0..300 {
        let object = serde_json::to_value(api.get(&name).await?)?;
        if is_ready(&object) {
            until_quiet(&operator).await?;
            return Ok(object["status"].clone());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("the operator made no release Ready in 30 s".into())
}

/// What applications have to say of their releases is said.
async fn until_quiet(operator: &Operator) -> Result<(), Problem> {
    let mut last = 0;
    loop {
        let passes = operator.passes("Application", "settled")?;
        if passes == last {
            return Ok(());
        }
        last = passes;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

/// All the other releases, as if they had gone the same way.
async fn fill(site: &Site, image: &str, status: &Value) -> Result<(), Problem> {
    let began = Instant::now();
    let api: Api<Release> = Api::namespaced(site.client(), NAMESPACE);
    // The status names the application that the sample is of.
    let text = status.to_string();
    futures::stream::iter(1..MANY)
        .map(|number| {
            let status = text.replace(&application(0), &application(number / EACH));
            let (object, api) = (release(number, image), api.clone());
            async move {
                let name = object["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                site.create::<Release>(Some(NAMESPACE), object).await?;
                let patch = json!({ "status": serde_json::from_str::<Value>(&status)? });
                api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
                    .await?;
                Ok::<_, Problem>(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    eprintln!(
        "bench:   {} releases written in {} s",
        MANY - 1,
        began.elapsed().as_secs()
    );
    Ok(())
}

/// The version of every object of a kind in the team's namespace.
pub async fn versions<K>(site: &Site) -> Result<Vec<(Option<String>, Option<String>)>, Problem>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(site.client(), NAMESPACE);
    let objects = api.list_metadata(&ListParams::default()).await?;
    let version = |object: kube::core::PartialObjectMeta<K>| {
        (object.metadata.name, object.metadata.resource_version)
    };
    Ok(objects.items.into_iter().map(version).collect())
}
