//! kube's own machinery on the server, and the faults that it can be told to have.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace},
    events::v1::Event as KubeEvent,
};
use kube::{
    Api, CustomResource, CustomResourceExt, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{
        Controller, WatchStreamExt,
        controller::Action,
        events::{Event, EventType, Recorder},
        finalizer::{Event as Finalized, finalizer},
        watcher,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::*;

mod watches;

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "example.com",
    version = "v1",
    kind = "Kite",
    namespaced,
    status = "KiteStatus"
)]
struct KiteSpec {
    colour: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KiteStatus {
    #[serde(default)]
    observed_generation: i64,
}

fn server() -> ApiServer {
    let mut crd = json!(Kite::crd());
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["properties"]["status"]["default"] = json!({"observedGeneration": -1});
    let server = ApiServer::new();
    server.register_crd(&serde_json::from_value(crd).unwrap());
    server
}

fn kites(client: kube::Client) -> Api<Kite> {
    Api::namespaced(client, "default")
}

fn kite(name: &str, colour: &str) -> Kite {
    Kite::new(
        name,
        KiteSpec {
            colour: colour.into(),
        },
    )
}

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

/// Waits in virtual time until something holds.
async fn eventually(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(600), waiting)
        .await
        .expect("it never happened");
}

#[tokio::test(start_paused = true)]
async fn a_controller_runs_on_it() {
    let server = server();
    let client = server.client();
    let reconcile = |kite: Arc<Kite>, client: Arc<kube::Client>| async move {
        let api = kites((*client).clone());
        let recorder = Recorder::new((*client).clone(), "kites".into());
        let reference = kite.object_ref(&());
        finalizer(&api, "example.com/kite", kite, |event| async {
            let (kite, reason) = match event {
                Finalized::Apply(kite) => (kite, "Flying"),
                Finalized::Cleanup(kite) => (kite, "Landed"),
            };
            let event = Event {
                type_: EventType::Normal,
                reason: reason.into(),
                note: None,
                action: reason.into(),
                secondary: None,
            };
            recorder.publish(&event, &reference).await?;
            let status = json!({
                "apiVersion": "example.com/v1", "kind": "Kite",
                "status": {"observedGeneration": kite.metadata.generation},
            });
            let params = PatchParams::apply("kites").force();
            api.patch_status(&kite.name_any(), &params, &Patch::Apply(status))
                .await?;
            Ok::<_, kube::Error>(Action::await_change())
        })
        .await
    };
    let running = tokio::spawn(
        Controller::new(kites(client.clone()), watcher::Config::default())
            .run(
                reconcile,
                |_, _: &_, _| Action::requeue(Duration::from_secs(5)),
                Arc::new(client.clone()),
            )
            .for_each(|_| async {}),
    );
    let api = kites(client.clone());
    api.create(&PostParams::default(), &kite("red", "red"))
        .await
        .unwrap();
    let observed = |server: &ApiServer| {
        let kite = server.get("kites", "default", "red");
        kite.map(|kite| kite["status"]["observedGeneration"].clone())
    };
    assert_eq!(observed(&server), Some((-1).into()), "the schema's default");
    eventually(|| observed(&server) == Some(1.into())).await;
    let change = json!({"spec": {"colour": "dark red"}});
    api.patch("red", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    eventually(|| observed(&server) == Some(2.into())).await;

    sleep(Duration::from_secs(3600)).await;
    let (revision, gets) = (server.revision(), server.gets());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(
        (server.revision(), server.gets()),
        (revision, gets),
        "a settled object is left alone"
    );

    api.delete("red", &DeleteParams::default()).await.unwrap();
    eventually(|| observed(&server).is_none()).await;
    let events: Api<KubeEvent> = Api::namespaced(client, "default");
    let reasons: Vec<_> = events
        .list(&ListParams::default())
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.reason)
        .collect();
    assert!(reasons.contains(&Some("Flying".into())) && reasons.contains(&Some("Landed".into())));
    running.abort();
}

fn kite_at(name: &str) -> Kite {
    let mut kite = kite(name, "blue");
    kite.metadata.namespace = Some("default".into());
    kite
}

/// Loses the reply of the second write, refuses the third, and dies after the fourth.
#[derive(Default)]
struct Faults {
    writes: AtomicU32,
    dead: AtomicBool,
}

#[async_trait]
impl Interceptor for Faults {
    async fn before(&self, call: &Call) -> Verdict {
        if call.is_write() && self.writes.fetch_add(1, Ordering::Relaxed) == 2 {
            return Verdict::refuse(429, "TooManyRequests", "slow down");
        }
        Verdict::Continue
    }

    async fn after(&self, call: &Call, status: u16) -> Verdict {
        match self.writes.load(Ordering::Relaxed) {
            2 if call.is_write() => Verdict::LoseReply,
            4 if call.is_write() => {
                assert_eq!((status, call.name.as_deref()), (201, Some("four")));
                self.dead.store(true, Ordering::Relaxed);
                Verdict::Continue
            }
            _ => Verdict::Continue,
        }
    }

    fn alive(&self) -> bool {
        !self.dead.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn faults_strike_the_client_they_are_meant_for() {
    let server = server();
    let client = server.client_with(Arc::new(Faults::default()));
    let mut events = watcher(kites(client.clone()), watcher::Config::default())
        .applied_objects()
        .boxed();
    let api = kites(client);
    let create = async |name: &str| api.create(&PostParams::default(), &kite(name, "x")).await;
    create("one").await.unwrap();
    assert!(matches!(create("two").await, Err(kube::Error::Service(_))));
    assert!(
        server.get("kites", "default", "two").is_some(),
        "only the reply was lost"
    );
    assert_eq!(code(&create("three").await.unwrap_err()), 429);
    assert!(server.get("kites", "default", "three").is_none());
    events.next().await.unwrap().unwrap();
    events.next().await.unwrap().unwrap();
    assert!(
        timeout(Duration::from_secs(3600), create("four"))
            .await
            .is_err()
    );
    assert!(server.get("kites", "default", "four").is_some());
    assert!(
        timeout(Duration::from_secs(3600), api.get("one"))
            .await
            .is_err()
    );
    assert!(
        timeout(Duration::from_secs(200), events.next())
            .await
            .is_err()
    );
    let other = kites(server.client());
    assert_eq!(other.get("one").await.unwrap().spec.colour, "x");
    assert_eq!(server.writes(), 4);
    server.reset_counters();
    assert_eq!((server.writes(), server.all_requests().len()), (0, 0));
}

#[test]
fn the_kinds_of_this_project_start_with_a_status_that_nobody_has_observed() {
    let server = ApiServer::new();
    let definitions = crate::api::definitions().unwrap();
    definitions.iter().for_each(|crd| server.register_crd(crd));
    assert_eq!(
        server.objects("customresourcedefinitions").len(),
        definitions.len()
    );
    let team = json!({
        "apiVersion": "bailiwick.dev/v1alpha1", "kind": "Team", "metadata": {"name": "a"}, "spec": {},
    });
    let team = server.put(&team).unwrap();
    assert_eq!(team["status"], json!({"observedGeneration": -1}));
    assert_eq!(team["metadata"]["generation"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_ends_when_its_content_has_gone() {
    let server = server();
    let namespaces: Api<Namespace> = Api::all(server.client());
    let space: Namespace = serde_json::from_value(json!({"metadata": {"name": "team-a"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &space)
        .await
        .unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(server.client(), "team-a");
    for (name, finalizers) in [("plain", json!([])), ("held", json!(["example.com/hold"]))] {
        let map = json!({"metadata": {"name": name, "finalizers": finalizers}});
        maps.create(
            &PostParams::default(),
            &serde_json::from_value(map).unwrap(),
        )
        .await
        .unwrap();
    }
    namespaces
        .delete("team-a", &DeleteParams::default())
        .await
        .unwrap();
    let phase = server.get("namespaces", "", "team-a").unwrap()["status"]["phase"].clone();
    assert_eq!(phase, "Terminating");
    let names: Vec<_> = server
        .objects("configmaps")
        .iter()
        .map(|m| m["metadata"]["name"].clone())
        .collect();
    assert_eq!(names, ["held"]);
    let late = serde_json::from_value(json!({"metadata": {"name": "late"}})).unwrap();
    assert_eq!(
        code(
            &maps
                .create(&PostParams::default(), &late)
                .await
                .unwrap_err()
        ),
        403
    );
    let release = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("held", &PatchParams::default(), &release)
        .await
        .unwrap();
    assert!(server.get("namespaces", "", "team-a").is_none());
}

#[tokio::test(start_paused = true)]
async fn dependents_follow_the_last_of_their_owners() {
    let server = server();
    let owners: Vec<_> = ["a", "b"]
        .map(|name| server.put(&json!(kite_at(name))).unwrap()["metadata"]["uid"].clone())
        .into();
    let reference = |uid: &Value| json!({"apiVersion": "example.com/v1", "kind": "Kite", "name": "x", "uid": uid});
    let dependent = |name: &str, owners: &[Value]| {
        let owners: Vec<_> = owners.iter().map(reference).collect();
        server.put(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default", "ownerReferences": owners},
        }));
    };
    dependent("both", &owners);
    dependent("first", &owners[..1]);
    dependent("nobody", &["gone".into()]);
    let names = || -> Vec<_> {
        let maps = server.objects("configmaps");
        maps.iter()
            .map(|map| map["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(), ["both", "first"]);
    assert!(server.delete("kites", "default", "a"));
    assert_eq!(names(), ["both"]);
    assert!(server.delete("kites", "default", "b"));
    assert!(names().is_empty());
    assert!(!server.delete("kites", "default", "b"));
}

#[tokio::test(start_paused = true)]
async fn pages_are_of_one_moment() {
    let server = server();
    for number in 0..5 {
        server.put(&json!(kite_at(&format!("k{number}"))));
    }
    let api = kites(server.client());
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    server.delete("kites", "default", "k3");
    server.put(&json!(kite_at("k5")));
    let token = first.metadata.continue_.unwrap();
    let rest = api
        .list(&ListParams::default().continue_token(&token))
        .await
        .unwrap();
    let names: Vec<_> = rest.items.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["k2", "k3", "k4"]);
    assert_eq!(
        rest.metadata.resource_version,
        first.metadata.resource_version
    );
    server.compact();
    let refused = api
        .list(&ListParams::default().continue_token(&token))
        .await
        .unwrap_err();
    assert_eq!(code(&refused), 410);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_objects_are_no_burden() {
    let started = std::time::Instant::now();
    let server = server();
    let api = kites(server.client());
    for number in 0..10_000 {
        api.create(&PostParams::default(), &kite(&format!("k{number}"), "x"))
            .await
            .unwrap();
    }
    let mut events = watcher(api, watcher::Config::default()).boxed();
    let mut seen = 0;
    while !matches!(events.next().await, Some(Ok(watcher::Event::InitDone))) {
        seen += 1;
    }
    assert_eq!(seen, 10_001);
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}
