//! What P8 and P10 run on: a real API server, the AWS emulator, and the binary itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bailiwick::api::{AccountClass, Team, TeamAccount};
use bailiwick::dev::moto;
use bailiwick::dev::plane::{ControlPlane, free_port};
use bailiwick::dev::{Assets, http};
use bailiwick::model::Tags;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::binary::MANY;
use crate::emulator::Emulator;
use crate::population::{self, Place, Sample};
use crate::process::{Memory, memory, processor_time};
use crate::{Problem, seconds, world};

/// Accounts of a team.
const EACH: usize = 100;
/// Requests to the API server at once while the world is made.
const AT_ONCE: usize = 16;
/// No further edit begins after so long: on a slow emulator there are fewer, and the figure says how many.
const EDITING: Duration = Duration::from_secs(90);

/// A control plane and an emulated AWS.
pub struct Site {
    plane: ControlPlane,
    emulator: Emulator,
    client: Client,
    binary: PathBuf,
}

impl Site {
    /// Starts both, with our kinds and no operator.
    pub async fn start(binary: &Path) -> Result<Self, Problem> {
        let assets = Assets::find(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let plane = ControlPlane::start(&assets, None).await?;
        let emulator = Emulator::start(&assets).await?;
        let client = plane.admin().await?;
        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for definition in bailiwick::api::definitions()? {
            definitions
                .create(&PostParams::default(), &definition)
                .await?;
        }
        let site = Self {
            plane,
            emulator,
            client,
            binary: binary.to_owned(),
        };
        site.until_served().await?;
        Ok(site)
    }

    async fn until_served(&self) -> Result<(), Problem> {
        let accounts: Api<TeamAccount> = Api::all(self.client.clone());
        for _ in 0..100 {
            if accounts.list(&ListParams::default().limit(1)).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err("the API server does not serve our kinds after 20 s".into())
    }

    /// Starts the operator.
    pub async fn operator(&self) -> Result<Operator, Problem> {
        let address = format!("127.0.0.1:{}", free_port()?);
        let log = std::fs::File::create(self.plane.folder().join("operator.log"))?;
        let child = Command::new(&self.binary)
            .args(["run", "--cluster-name", "bench", "--namespace", "default"])
            .args(["--leader-elect", "false", "--listen", &address])
            .env("KUBECONFIG", self.plane.admin_kubeconfig())
            .env("AWS_ENDPOINT_URL", &self.emulator.endpoint)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            // As the image has it.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let operator = Operator {
            child,
            address: format!("http://{address}"),
            began: Instant::now(),
        };
        for _ in 0..100 {
            if operator.metrics().is_ok() {
                return Ok(operator);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err("the operator does not answer after 5 s".into())
    }

    /// One account, made by the operator itself.
    pub async fn sample(&self, operator: &Operator) -> Result<Sample, Problem> {
        let place = Place::number(0, EACH);
        self.create::<AccountClass>(None, population::class())
            .await?;
        self.create::<Team>(None, population::team(&place.team))
            .await?;
        self.until_namespace(&place).await?;
        let mut object = place.object();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("finalizers");
        }
        self.create::<TeamAccount>(Some(&place), object).await?;
        operator.until_settled(1).await?;
        let api: Api<TeamAccount> = Api::namespaced(self.client.clone(), &place.namespace());
        let object = serde_json::to_value(api.get(&place.name).await?)?;
        let id = object["status"]["accountId"].clone();
        let answer = moto::organizations(
            &self.emulator.endpoint,
            "ListTagsForResource",
            &json!({ "ResourceId": id }),
        )?;
        let tags = answer["Tags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|tag| {
                let text = |field: &str| tag[field].as_str().map(str::to_owned);
                Some((text("Key")?, text("Value")?))
            });
        let tags: Tags = tags.collect();
        Ok(Sample::of(place, &object, tags).ok_or("the operator made no account")?)
    }

    async fn until_namespace(&self, place: &Place) -> Result<(), Problem> {
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        for _ in 0..100 {
            if api.get_opt(&place.namespace()).await?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the operator made no namespace for a team in 10 s".into())
    }

    async fn create<K>(&self, place: Option<&Place>, object: Value) -> Result<K, Problem>
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Serialize
            + std::fmt::Debug,
    {
        let url = K::url_path(&(), place.map(Place::namespace).as_deref());
        let request = kube::core::Request::new(url)
            .create(&PostParams::default(), serde_json::to_vec(&object)?)?;
        Ok(self.client.request(request).await?)
    }

    /// Settled accounts after the sample, in the cluster and in the organization.
    pub async fn populate(
        &self,
        sample: &Sample,
        numbers: std::ops::Range<usize>,
    ) -> Result<(), Problem> {
        let began = Instant::now();
        let count = numbers.len();
        let places: Vec<Place> = numbers.map(|number| Place::number(number, EACH)).collect();
        let operator = self.operator().await?;
        for place in places.iter().filter(|place| place.name == "acc000") {
            self.create::<Team>(None, population::team(&place.team))
                .await?;
        }
        for place in places.iter().filter(|place| place.name == "acc000") {
            self.until_namespace(place).await?;
        }
        drop(operator);
        let unit = sample.status["organizationalUnit"]["id"]
            .as_str()
            .ok_or("the sample is nowhere")?;
        futures::stream::iter(places)
            .map(|place| self.add(sample, place, unit))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        self.emulator.finish().await?;
        eprintln!(
            "bench:   {count} accounts written in {} s",
            began.elapsed().as_secs()
        );
        Ok(())
    }

    async fn add(&self, sample: &Sample, place: Place, unit: &str) -> Result<(), Problem> {
        let object: TeamAccount = self.create(Some(&place), place.object()).await?;
        let uid = object.uid().unwrap_or_default();
        let tags: Vec<Value> = sample
            .tags_of(&place, &uid)
            .into_iter()
            .map(|(key, value)| json!({"Key": key, "Value": value}))
            .collect();
        let id = place.account_id();
        self.emulator
            .add(&json!({
                "Id": id,
                "ParentId": unit,
                "Email": place.email(),
                "AccountName": format!("{}-{}", place.team, place.name),
                "RoleName": "OrganizationAccountAccessRole",
                "Tags": tags,
            }))
            .await?;
        let api: Api<TeamAccount> = Api::namespaced(self.client.clone(), &place.namespace());
        let status = json!({ "status": sample.status_of(&place, &uid, &id) });
        api.patch_status(&place.name, &PatchParams::default(), &Patch::Merge(&status))
            .await?;
        Ok(())
    }

    /// The version of every account's object.
    pub async fn versions(&self) -> Result<BTreeMap<String, String>, Problem> {
        let api: Api<TeamAccount> = Api::all(self.client.clone());
        let objects = api.list_metadata(&ListParams::default()).await?;
        let version = |object: &kube::core::PartialObjectMeta<TeamAccount>| {
            let name = format!("{}/{}", object.namespace()?, object.name_any());
            Some((name, object.resource_version()?))
        };
        Ok(objects.items.iter().filter_map(version).collect())
    }

    /// Edits objects, so many at once; how long each took until its status was about the edit, in seconds.
    pub async fn edit(
        &self,
        purpose: &str,
        at_once: usize,
        at_most: usize,
    ) -> Result<Vec<f64>, Problem> {
        // One in each team, and then the next.
        let places = (0..at_most).map(|n| Place::number((n * EACH + n / 100) % MANY, EACH));
        let end = Instant::now() + EDITING;
        futures::stream::iter(places.take_while(|_| Instant::now() < end))
            .map(|place| async move { self.edit_one(&place, purpose).await })
            .buffer_unordered(at_once)
            .try_collect()
            .await
    }

    async fn edit_one(&self, place: &Place, purpose: &str) -> Result<f64, Problem> {
        let api: Api<TeamAccount> = Api::namespaced(self.client.clone(), &place.namespace());
        let patch = json!({ "spec": { "purpose": purpose } });
        let fields = format!("metadata.name={}", place.name);
        // From now on, and not from the object's version: that may be older than what the API server remembers.
        let mut changes = api
            .watch(&WatchParams::default().fields(&fields), "0")
            .await?
            .boxed();
        let began = Instant::now();
        api.patch(&place.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        let noticed = async {
            while let Some(change) = changes.try_next().await? {
                if let WatchEvent::Modified(object) = change
                    && object.spec.purpose.as_deref() == Some(purpose)
                    && object
                        .status
                        .as_ref()
                        .and_then(|status| status.observed_generation)
                        == object.metadata.generation
                {
                    return Ok(seconds(began.elapsed()));
                }
            }
            Err("the watch ended".into())
        };
        tokio::time::timeout(Duration::from_secs(60), noticed).await?
    }
}

/// The binary, running; dropped, it is killed.
pub struct Operator {
    child: Child,
    address: String,
    began: Instant,
}

impl Operator {
    fn metrics(&self) -> Result<String, Problem> {
        Ok(http::get(&self.address, "/metrics")?.1)
    }

    fn metric(&self, start: &str) -> Result<f64, Problem> {
        let text = self.metrics()?;
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        Ok(line.map_or(Ok(0.0), |value| value.trim().parse())?)
    }

    /// How long calls to Organizations have waited for their rate, and for their answers, in seconds.
    pub fn organizations(&self) -> Result<(f64, f64), Problem> {
        let of = |name: &str| self.metric(&format!("{name}{{service=\"organizations\"}} "));
        Ok((
            of("bailiwick_aws_budget_wait_seconds_total")?,
            of("bailiwick_aws_call_duration_seconds_sum")?,
        ))
    }

    /// The processor's time that it has taken.
    pub fn processor_time(&self) -> Result<Duration, Problem> {
        processor_time(self.child.id())
    }

    /// What it has in RAM.
    pub fn memory(&self) -> Result<Memory, Problem> {
        memory(self.child.id())
    }

    /// Waits until so many passes over accounts have found them settled; since the start of the process.
    pub async fn until_settled(&self, count: usize) -> Result<Duration, Problem> {
        let limit = Duration::from_secs(300);
        loop {
            let passes = world::passes(&self.metrics()?, "settled");
            if passes >= u64::try_from(count)? {
                return Ok(self.began.elapsed());
            }
            if self.began.elapsed() > limit {
                return Err(format!(
                    "only {passes} of {count} accounts are settled after {limit:?}"
                )
                .into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
