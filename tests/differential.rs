//! The API server in memory answers as the real one does: one script of requests, two servers, the same answers.
//!
//! What cannot be equal is normalised: a uid becomes the object's name, a resource version its rank among the versions
//! of its object that were seen; times only have to be there, `managedFields` are dropped; of a refusal the code and
//! the reason count, not the words.

#![cfg(feature = "dev")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use bailiwick::dev::{Assets, ControlPlane, api_server::ApiServer};
use http_body_util::BodyExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::PostParams,
    runtime::wait::{await_condition, conditions::is_crd_established},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

const NAMESPACE: &str = "differential";
const PATIENCE: Duration = Duration::from_secs(60);

/// Plural, what comes before it, what an object of the kind says it is, and whether the kind is namespaced.
const KINDS: &[(&str, &str, &str, &str, bool)] = &[
    ("namespaces", "/api/v1", "v1", "Namespace", false),
    ("configmaps", "/api/v1", "v1", "ConfigMap", true),
    ("secrets", "/api/v1", "v1", "Secret", true),
    (
        "events",
        "/apis/events.k8s.io/v1",
        "events.k8s.io/v1",
        "Event",
        true,
    ),
    (
        "leases",
        "/apis/coordination.k8s.io/v1",
        "coordination.k8s.io/v1",
        "Lease",
        true,
    ),
    (
        "rolebindings",
        "/apis/rbac.authorization.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        true,
    ),
    (
        "things",
        "/apis/differential.example.com/v1",
        "differential.example.com/v1",
        "Thing",
        true,
    ),
    (
        "plains",
        "/apis/differential.example.com/v1",
        "differential.example.com/v1",
        "Plain",
        false,
    ),
    (
        "nothings",
        "/apis/differential.example.com/v1",
        "differential.example.com/v1",
        "Nothing",
        true,
    ),
];

/// One request of the script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    call: String,
    body: Option<Value>,
    merge: Option<Value>,
    json: Option<Value>,
    apply: Option<Value>,
    strategic: Option<Value>,
    #[serde(default)]
    raw: bool,
    #[serde(default)]
    partial: bool,
    save: Option<String>,
    eventually: Option<u16>,
    with: Option<String>,
    without: Option<String>,
}

impl Step {
    /// The body and its media type.
    fn body(&self) -> (Option<&Value>, &'static str) {
        let candidates = [
            (&self.merge, "application/merge-patch+json"),
            (&self.json, "application/json-patch+json"),
            (&self.apply, "application/apply-patch+yaml"),
            (&self.strategic, "application/strategic-merge-patch+json"),
            (&self.body, "application/json"),
        ];
        let found = candidates.into_iter().find(|(body, _)| body.is_some());
        found.map_or((None, "application/json"), |(body, media)| {
            (body.as_ref(), media)
        })
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &str) -> T {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// A server while the script runs on it.
struct Run {
    client: Client,
    saved: BTreeMap<String, Value>,
}

impl Run {
    fn new(client: Client) -> Self {
        Self {
            client,
            saved: BTreeMap::new(),
        }
    }

    async fn script(mut self, steps: &[Step]) -> Vec<Value> {
        let mut answers = Vec::new();
        for step in steps {
            answers.push(self.step(step).await);
        }
        normalise(answers)
    }

    async fn step(&mut self, step: &Step) -> Value {
        let start = Instant::now();
        loop {
            let (code, body) = self.request(step).await;
            let lacks = |pointer: &String| body.iter().all(|body| body.pointer(pointer).is_none());
            let done = step.eventually.is_none_or(|wanted| code == wanted)
                && step.without.as_ref().is_none_or(lacks)
                && !step.with.as_ref().is_some_and(lacks);
            if !done && start.elapsed() < PATIENCE {
                sleep(Duration::from_millis(100)).await;
                continue;
            }
            if let (Some(name), Some(body)) = (&step.save, body.first()) {
                self.saved.insert(name.clone(), body["metadata"].clone());
            }
            return json!({"code": code, "body": body});
        }
    }

    /// The code and the lines of the answer: one, or an event each.
    async fn request(&self, step: &Step) -> (u16, Vec<Value>) {
        let call = self.filled_in(&step.call);
        let (method, path) = call.split_once(' ').unwrap();
        let (path, kind) = locate(path);
        let (body, media_type) = step.body();
        let mut body = body.cloned().unwrap_or_default();
        self.fill_in(&mut body);
        if !step.raw && body.is_object() && step.merge.is_none() && step.strategic.is_none() {
            let (version, kind) = if method == "DELETE" {
                ("v1", "DeleteOptions")
            } else {
                kind
            };
            let fields = body.as_object_mut().unwrap();
            fields.entry("apiVersion").or_insert(version.into());
            fields.entry("kind").or_insert(kind.into());
        }
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let accept = match (
            step.partial,
            path.contains('?') && !path.contains("watch=true"),
        ) {
            (true, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            (true, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            (false, _) => "application/json",
        };
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media_type)
            .header("accept", accept)
            .header("user-agent", "script/1")
            .body(bytes.into())
            .unwrap();
        let response = self.client.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let lines = serde_json::Deserializer::from_slice(&bytes).into_iter();
        (
            code,
            lines
                .map(|line| line.unwrap_or_else(|_| json!("not JSON")))
                .collect(),
        )
    }

    fn filled_in(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, metadata) in &self.saved {
            for field in ["uid", "resourceVersion", "name", "continue"] {
                let value = metadata[field].as_str().unwrap_or_default();
                filled = filled.replace(&format!("${name}.{field}"), value);
            }
        }
        filled
    }

    fn fill_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.filled_in(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill_in(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.fill_in(field)),
            _ => {}
        }
    }
}

/// The whole path of `[namespace:]plural…`, and what its objects say they are.
fn locate(path: &str) -> (String, (&'static str, &'static str)) {
    let (namespace, path) = path.split_once(':').unwrap_or((NAMESPACE, path));
    let plural = path.split(['/', '?']).next().unwrap();
    let (_, prefix, version, kind, namespaced) =
        KINDS.iter().find(|(name, ..)| *name == plural).unwrap();
    let path = if *namespaced {
        format!("{prefix}/namespaces/{namespace}/{path}")
    } else {
        format!("{prefix}/{path}")
    };
    (path.replace("!", "%21"), (version, kind))
}

/// What is known of an object after the whole script has run: what to call it, and its versions in order.
#[derive(Default)]
struct Known {
    label: String,
    versions: BTreeSet<u64>,
}

/// Every object by its uid.
type Objects = BTreeMap<String, Known>;

/// Replaces what differs from server to server by what must not.
fn normalise(answers: Vec<Value>) -> Vec<Value> {
    let mut objects = Objects::new();
    let mut incarnations: BTreeMap<String, usize> = BTreeMap::new();
    for answer in &answers {
        visit(answer, &mut |metadata| {
            let uid = metadata["uid"].as_str().unwrap_or_default().to_owned();
            let known = objects.entry(uid).or_insert_with(|| {
                let prefix = metadata["generateName"].as_str();
                let name = prefix.or(metadata["name"].as_str()).unwrap_or_default();
                let nth = incarnations.entry(name.to_owned()).or_default();
                *nth += 1;
                Known {
                    label: format!("{name} #{nth}"),
                    versions: BTreeSet::new(),
                }
            });
            known.versions.extend(number(&metadata["resourceVersion"]));
        });
    }
    answers
        .into_iter()
        .map(|answer| settle(answer, &objects))
        .collect()
}

fn number(version: &Value) -> Option<u64> {
    version.as_str()?.parse().ok()
}

/// Calls `f` with the metadata of every object.
fn visit(value: &Value, f: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, f)),
        Value::Object(fields) => {
            if value["metadata"]["uid"].is_string() && value["metadata"]["name"].is_string() {
                f(&value["metadata"]);
            }
            fields.values().for_each(|field| visit(field, f));
        }
        _ => {}
    }
}

fn settle(value: Value, objects: &Objects) -> Value {
    match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| settle(item, objects))
            .collect(),
        Value::Object(fields) if fields.get("status") == Some(&json!("Failure")) => {
            json!({"refused": fields.get("code"), "reason": fields.get("reason")})
        }
        Value::Object(mut fields) => {
            if fields.get("kind") == Some(&json!("Namespace")) {
                settle_namespace(&mut fields);
            }
            fields.remove("managedFields");
            let own = fields
                .get("uid")
                .and_then(Value::as_str)
                .and_then(|uid| objects.get(uid));
            let fields = fields.clone().into_iter().map(|(key, value)| {
                let settled = match (key.as_str(), &value) {
                    ("resourceVersion", version) => {
                        let rank = own.zip(number(version)).and_then(|(known, version)| {
                            known.versions.iter().position(|one| *one == version)
                        });
                        rank.map_or(json!("some"), |rank| format!("#{rank}").into())
                    }
                    ("uid", Value::String(uid)) => objects
                        .get(uid)
                        .map_or(json!("unknown"), |known| known.label.clone().into()),
                    ("name", Value::String(name)) if name.starts_with("gen-") => json!("gen-*"),
                    ("creationTimestamp" | "deletionTimestamp", Value::String(_)) => json!("then"),
                    ("continue", Value::String(_)) => json!("more"),
                    _ => settle(value, objects),
                };
                (key, settled)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// What the controller manager writes into a namespace that ends is its own affair.
fn settle_namespace(fields: &mut Map<String, Value>) {
    if fields["metadata"]["deletionTimestamp"].is_null() {
        return;
    }
    fields["metadata"]["resourceVersion"] = json!("some");
    if let Some(status) = fields.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("conditions");
    }
}

fn in_memory(kinds: &[CustomResourceDefinition], steps: &[Step]) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = ApiServer::new();
        kinds.iter().for_each(|kind| server.register_crd(kind));
        Run::new(server.client()).script(steps).await
    })
}

async fn for_real(kinds: &[CustomResourceDefinition], steps: &[Step]) -> Vec<Value> {
    let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let plane = ControlPlane::start(&assets, None).await.unwrap();
    let client = plane.admin().await.unwrap();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in kinds {
        let name = kind.metadata.name.as_deref().unwrap();
        definitions
            .create(&PostParams::default(), kind)
            .await
            .unwrap();
        await_condition(definitions.clone(), name, is_crd_established())
            .await
            .unwrap();
    }
    for call in ["GET plains", "GET things"] {
        let served = json!({"call": call, "eventually": 200});
        Run::new(client.clone())
            .step(&serde_json::from_value(served).unwrap())
            .await;
    }
    Run::new(client).script(steps).await
}

#[tokio::test]
async fn the_answers_agree() {
    let kinds: Vec<CustomResourceDefinition> = read("kinds.yaml");
    let steps: Vec<Step> = read("script.yaml");
    let (model, served) = (kinds.clone(), steps.clone());
    let simulated = std::thread::spawn(move || in_memory(&model, &served))
        .join()
        .unwrap();
    let real = for_real(&kinds, &steps).await;
    let answers = [simulated.len(), real.len()];
    assert_eq!(answers, [steps.len(); 2], "one answer to each step");
    let mut differences = 0;
    for (at, (simulated, real)) in simulated.iter().zip(&real).enumerate() {
        if simulated != real {
            differences += 1;
            println!(
                "{at}: {:?}\n  simulated: {simulated}\n  real:      {real}\n",
                steps[at]
            );
        }
    }
    assert_eq!(differences, 0, "of {} answers", steps.len());
}
