//! P8 and P10: the real binary on a real API server and the AWS emulator, with ten thousand settled accounts.
//!
//! The operator makes one account itself; the others are written after it, with the accounts that belong to them: at
//! AWS's rate of one creation in ten seconds they would take a day. That the copies are true is seen when the operator
//! finds nothing to write.

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

use crate::emulator::Emulator;
use crate::population::{self, Place, Sample};
use crate::process::{processor_time, resident};
use crate::report::{Figure, Goal};
use crate::{Arguments, Problem, quantile, seconds, world};

/// Accounts in all.
const MANY: usize = 10_000;
/// Accounts of a team.
const EACH: usize = 100;
/// Requests to the API server at once while the world is made.
const AT_ONCE: usize = 16;
/// Objects that are edited.
const EDITS: usize = 200;

/// Measures.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>, Problem> {
    let own = Path::new(env!("CARGO_BIN_EXE_bailiwick"));
    let binary = arguments.binary.as_deref().unwrap_or(own);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(all(binary))
}

async fn all(binary: &Path) -> Result<Vec<Figure>, Problem> {
    let site = Site::start(binary).await?;
    let operator = site.operator().await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let idle = operator.resident()?;
    eprintln!("bench:   idle: {idle:.1} MiB");
    let sample = site.sample(&operator).await?;
    drop(operator);

    site.populate(&sample, 1..1_000).await?;
    let thousand = {
        let operator = site.operator().await?;
        operator.until_settled(1_000).await?;
        tokio::time::sleep(Duration::from_secs(15)).await;
        operator.resident()?
    };
    eprintln!("bench:   with 1,000 settled accounts: {thousand:.1} MiB");
    site.populate(&sample, 1_000..MANY).await?;
    {
        // Their accounts are given what the class wants inside of them.
        let operator = site.operator().await?;
        operator.until_settled(MANY).await?;
        site.edit("first", 8).await?;
    }
    let before = site.versions().await?;
    let operator = site.operator().await?;
    let start = operator.until_settled(MANY).await?;
    let (waited, answered) = operator.organizations()?;
    let starting = processor_time(operator.child.id())?;
    eprintln!(
        "bench:   10,000 accounts verified after {:.1} s",
        seconds(start)
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    let ten_thousand = operator.resident()?;
    eprintln!("bench:   with 10,000 settled accounts: {ten_thousand:.1} MiB");
    let written = changes(&before, &site.versions().await?);
    let edits = site.edit("second", 1).await?;
    let p99 = quantile(edits, 0.99).ok_or("nothing was edited")?;
    // The pages of a sweep follow one another, so their times add up.
    let own = (seconds(start) - waited - answered).max(0.0);
    let at_rate = format!(
        "AWS lists twenty accounts a call and takes eight calls a second: 61 s at the least; here {waited:.1} s were \
         spent waiting for that rate and {answered:.1} s for the emulator's answers"
    );
    let with = |what: &str| format!("resident memory {what}, on the real API server");
    Ok(vec![
        Figure::new("P8.idle", idle, "MiB", Goal::AtMost(15.0), &with("idle")),
        Figure::new(
            "P8.1000",
            thousand,
            "MiB",
            Goal::AtMost(40.0),
            &with("with 1,000 settled accounts"),
        ),
        Figure::new(
            "P8.10000",
            ten_thousand,
            "MiB",
            Goal::AtMost(160.0),
            &with("with 10,000 settled accounts"),
        ),
        Figure::new(
            "P10.start",
            seconds(start),
            "s",
            Goal::AtMost(15.0),
            "cold start to the verified status of 10,000 accounts",
        )
        .because(at_rate),
        Figure::new(
            "P10.own",
            own,
            "s",
            Goal::Known,
            &format!(
                "of that, all but waiting for AWS: its rate and its answers ({:.1} s of the processor)",
                seconds(starting)
            ),
        ),
        Figure::new(
            "P10.writes",
            written as f64,
            "writes",
            Goal::AtMost(0.0),
            "objects written by that",
        ),
        Figure::new(
            "P10.edit",
            p99 * 1e3,
            "ms",
            Goal::AtMost(250.0),
            &format!("edit to observedGeneration with 10,000 accounts, p99 of {EDITS}"),
        ),
    ])
}

/// How many objects are not as they were.
fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> usize {
    let differs = |(name, version): &(&String, &String)| before.get(*name) != Some(*version);
    after.iter().filter(differs).count()
}

/// A control plane and an emulated AWS.
struct Site {
    plane: ControlPlane,
    emulator: Emulator,
    client: Client,
    binary: PathBuf,
}

impl Site {
    async fn start(binary: &Path) -> Result<Self, Problem> {
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

    async fn operator(&self) -> Result<Operator, Problem> {
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
    async fn sample(&self, operator: &Operator) -> Result<Sample, Problem> {
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
    async fn populate(
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
    async fn versions(&self) -> Result<BTreeMap<String, String>, Problem> {
        let api: Api<TeamAccount> = Api::all(self.client.clone());
        let objects = api.list_metadata(&ListParams::default()).await?;
        let version = |object: &kube::core::PartialObjectMeta<TeamAccount>| {
            let name = format!("{}/{}", object.namespace()?, object.name_any());
            Some((name, object.resource_version()?))
        };
        Ok(objects.items.iter().filter_map(version).collect())
    }

    /// Edits objects, so many at once; how long each took until its status was about the edit, in seconds.
    async fn edit(&self, purpose: &str, at_once: usize) -> Result<Vec<f64>, Problem> {
        // One in each team, and then the next.
        let places = (0..EDITS).map(|n| Place::number((n * EACH + n / 100) % MANY, EACH));
        futures::stream::iter(places)
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
struct Operator {
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
    fn organizations(&self) -> Result<(f64, f64), Problem> {
        let of = |name: &str| self.metric(&format!("{name}{{service=\"organizations\"}} "));
        Ok((
            of("bailiwick_aws_budget_wait_seconds_total")?,
            of("bailiwick_aws_call_duration_seconds_sum")?,
        ))
    }

    fn resident(&self) -> Result<f64, Problem> {
        resident(self.child.id())
    }

    /// Waits until so many passes over accounts have found them settled; since the start of the process.
    async fn until_settled(&self, count: usize) -> Result<Duration, Problem> {
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
