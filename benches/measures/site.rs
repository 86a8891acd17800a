//! What P8, P10, R3 and O4 run on: a real API server, the AWS emulator, and the binary itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bailiwick::api::{AccountClass, Team, TeamAccount};
use bailiwick::controllers::team::MEMBER_ROLE;
use bailiwick::dev::moto;
use bailiwick::dev::plane::{ControlPlane, free_port};
use bailiwick::dev::{Assets, http};
use bailiwick::model::Tags;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::binary::MANY;
use crate::emulator::Emulator;
use crate::population::{self, Place, Sample};
use crate::process::{Memory, memory, processor_time};
use crate::report::Figure;
use crate::{Arguments, Limit, Problem, world};

/// Accounts of a team.
const EACH: usize = 100;
/// Requests to the API server at once while the world is made.
pub const AT_ONCE: usize = 16;

/// Measures with the operator's binary: the one that is named, else the one that was built with this.
pub fn with_binary(
    arguments: &Arguments,
    limit: Limit,
    measures: impl AsyncFnOnce(&Path) -> Result<Vec<Figure>, Problem>,
) -> Result<Vec<Figure>, Problem> {
    let own = Path::new(env!("CARGO_BIN_EXE_bailiwick"));
    let binary = arguments.binary.as_deref().unwrap_or(own);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(limit.keep(measures(binary)))
}

/// A control plane and an emulated AWS.
pub struct Site {
    plane: ControlPlane,
    emulator: Emulator,
    client: Client,
    binary: PathBuf,
    /// What the operator is told besides the usual.
    pub flags: Vec<String>,
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
            flags: Vec::new(),
        };
        // What the chart would bring.
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": MEMBER_ROLE },
        });
        site.create::<ClusterRole>(None, role).await?;
        site.until_served().await?;
        Ok(site)
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
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
        let log = std::fs::File::create(self.log())?;
        let child = Command::new(&self.binary)
            .args(["run", "--cluster-name", "bench", "--namespace", "default"])
            .args(["--leader-elect", "false", "--listen", &address])
            .args(&self.flags)
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
        self.until_namespace(&place.namespace()).await?;
        let mut object = place.object();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("finalizers");
        }
        self.create::<TeamAccount>(Some(&place.namespace()), object)
            .await?;
        operator.until_settled("TeamAccount", 1).await?;
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

    /// Waits until the operator has made this namespace.
    pub async fn until_namespace(&self, namespace: &str) -> Result<(), Problem> {
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        for _ in 0..100 {
            if api.get_opt(namespace).await?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the operator made no namespace for a team in 10 s".into())
    }

    /// Creates an object, in a namespace if its kind is in one.
    pub async fn create<K>(&self, namespace: Option<&str>, object: Value) -> Result<K, Problem>
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Serialize
            + std::fmt::Debug,
    {
        let url = K::url_path(&(), namespace);
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
            self.until_namespace(&place.namespace()).await?;
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
        let namespace = place.namespace();
        let object: TeamAccount = self.create(Some(&namespace), place.object()).await?;
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
        let api: Api<TeamAccount> = Api::namespaced(self.client.clone(), &namespace);
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

    /// So many of the accounts: one of each team, and then the next.
    pub fn places(count: usize) -> impl Iterator<Item = Place> {
        (0..count).map(|n| Place::number((n * EACH + n / 100) % MANY, EACH))
    }

    /// The log of the operator that was started last.
    pub fn log(&self) -> PathBuf {
        self.plane.folder().join("operator.log")
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

    /// How many passes over objects of a kind have ended like this, since the start of the process.
    pub fn passes(&self, kind: &str, outcome: &str) -> Result<u64, Problem> {
        Ok(world::passes(&self.metrics()?, kind, outcome))
    }

    /// Waits until so many passes over objects of a kind have found them settled; since the start of the process.
    pub async fn until_settled(&self, kind: &str, count: usize) -> Result<Duration, Problem> {
        let limit = Duration::from_secs(300);
        loop {
            let passes = self.passes(kind, "settled")?;
            if passes >= u64::try_from(count)? {
                return Ok(self.began.elapsed());
            }
            if self.began.elapsed() > limit {
                return Err(format!(
                    "only {passes} of {count} objects of kind {kind} are settled after {limit:?}"
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
