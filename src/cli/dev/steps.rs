//! The steps of `bailiwick dev up` that follow once the servers run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::print;
use super::Failure;
use crate::dev::plane::free_port;
use crate::dev::process::Servers;
use crate::dev::registries::ImageTools;
use crate::dev::trial::Trial;
use crate::dev::{self, Assets, http, moto};

/// The chart's release, the service account that comes with it, and the category of all our kinds.
const NAME: &str = "bailiwick";
pub(super) const NAMESPACE: &str = "bailiwick-system";
/// What the operator may take to start, the examples to be admitted.
const DEADLINE: Duration = Duration::from_secs(60);

/// All that the steps after the first work with.
pub(super) struct Whole {
    pub(super) assets: Assets,
    pub(super) tools: ImageTools,
    pub(super) repository: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) trial: Trial,
}

impl Whole {
    /// Puts what the operator needs into the cluster, but not the operator.
    pub(super) async fn install_chart(&mut self) -> Result<(), Failure> {
        // No replica: the operator runs beside the cluster, which has no node.
        let chart = self
            .repository
            .join("charts/bailiwick")
            .display()
            .to_string();
        let mut helm = self.tool("helm");
        helm.args([
            "upgrade",
            "--install",
            NAME,
            &chart,
            "--set",
            "replicaCount=0,clusterName=try",
        ])
        .args(["--namespace", NAMESPACE, "--create-namespace"]);
        succeed(helm).await?;
        let wait = [
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ];
        self.kubectl(&wait).await.map(drop)
    }

    /// Ends the operator if it runs, so that it is always this program that runs, and starts it anew, with the rights
    /// of the chart's service account and no others.
    pub(super) async fn start_operator(&mut self) -> Result<(), Failure> {
        self.trial.end_operator();
        let kubeconfig = self.operator_kubeconfig().await?;
        let this = this_program()?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let mut command = Command::new(this);
        at_emulator(&mut command, self.trial.emulator());
        command
            .args([
                "run",
                "--namespace",
                NAMESPACE,
                "--cluster-name",
                "try",
                "--listen",
                &listen,
                "--authors-guarded",
                "true",
                "--registry-plain-http",
                self.trial.registry(),
            ])
            .env("KUBECONFIG", kubeconfig)
            .env("NO_COLOR", "1");
        let mut servers = Servers::new(None)?;
        let operator = servers.start("operator", &mut command, &self.folder)?;
        let endpoint = format!("http://{listen}");
        let ready = async || match http::get(&endpoint, "/readyz") {
            Ok((200, _)) => Ok(()),
            Ok((_, body)) => Err(body.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        };
        operator.ready(DEADLINE, ready).await?;
        for operator in servers.detach() {
            self.trial.set_operator(operator)?;
        }
        print::line(format_args!(
            "    metrics: {endpoint}/metrics   log: {}",
            self.log().display()
        ))?;
        Ok(())
    }

    async fn operator_kubeconfig(&self) -> Result<PathBuf, Failure> {
        let create = [
            "create",
            "token",
            NAME,
            "--namespace",
            NAMESPACE,
            "--duration=8760h",
        ];
        let token = self.kubectl(&create).await?;
        let admin = self.trial.kubeconfig();
        let path = self.folder.join("operator.kubeconfig");
        let text =
            fs::read_to_string(&admin).map_err(|source| dev::Error::io("read", &admin, source))?;
        let mut config: Value = serde_json::from_str(&text)
            .map_err(|error| dev::Error::io("read", &admin, error.into()))?;
        config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
        fs::write(&path, format!("{config:#}\n"))
            .map_err(|source| dev::Error::io("write", &path, source))?;
        Ok(path)
    }

    /// Applies the examples until all are admitted: what is in a team's namespace has to wait for the namespace.
    pub(super) async fn apply_examples(&mut self) -> Result<(), Failure> {
        let examples = self.examples_here()?.display().to_string();
        let apply = [
            "apply",
            "--server-side",
            // What was edited by hand since is what the files say again.
            "--force-conflicts",
            "--recursive",
            "--filename",
            &examples,
        ];
        let applied = self.until_admitted(&apply).await?;
        print::line(format_args!(
            "    {} objects, as {examples} has them; what was edited by hand in their fields is overwritten",
            applied.lines().count()
        ))?;
        Ok(())
    }

    /// Tries until the API server takes it, and says why it does not yet.
    pub(super) async fn until_admitted(&self, apply: &[&str]) -> Result<String, Failure> {
        let start = Instant::now();
        let mut told = String::new();
        loop {
            let failure = match self.kubectl(apply).await {
                Ok(applied) => return Ok(applied),
                Err(failure) if start.elapsed() > DEADLINE => return Err(failure),
                Err(failure) => failure,
            };
            if let Failure::Command { said, .. } = &failure {
                let first = said.lines().next().unwrap_or_default();
                if first != told {
                    print::line(format_args!("    not yet: {first}"))?;
                    first.clone_into(&mut told);
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until every object of ours is as it shall be, and says how many are Ready.
    pub(super) async fn wait(&mut self, deadline: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        let mut last = String::new();
        loop {
            let objects = self
                .kubectl(&["get", NAME, "--all-namespaces", "--output=json"])
                .await?;
            let objects: Value = serde_json::from_str(&objects).unwrap_or_default();
            let objects = objects["items"].as_array().cloned().unwrap_or_default();
            let waiting: Vec<String> = objects.iter().filter_map(not_ready).collect();
            let now = count(&objects);
            if now != last {
                print::line(format_args!(
                    "    {:>5.1} s  {now}",
                    start.elapsed().as_secs_f64()
                ))?;
                last = now;
            }
            if waiting.is_empty() && !objects.is_empty() {
                return Ok(());
            }
            if !self.trial.operator_runs() {
                return Err(Failure::OperatorEnded { log: self.log() });
            }
            if start.elapsed() > deadline {
                let seconds = deadline.as_secs();
                return Err(Failure::NotReady {
                    seconds,
                    objects: waiting.join("\n"),
                    log: self.log(),
                });
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// What a person looks at first, and how they go on.
    pub(super) async fn show(&self) -> Result<(), Failure> {
        print::line(format_args!("\n$ kubectl get {NAME} -A"))?;
        print::text(format_args!(
            "{}",
            self.kubectl(&["get", NAME, "--all-namespaces"]).await?
        ))?;
        print::line(format_args!(
            "\nThe accounts of the organization, as the AWS emulator lists them:"
        ))?;
        for account in moto::accounts(self.trial.emulator())? {
            let field = |name: &str| account[name].as_str().unwrap_or("-").to_owned();
            let state = if account["State"].is_string() {
                field("State")
            } else {
                field("Status")
            };
            print::line(format_args!(
                "{}  {state:<9}  {:<24}  {}",
                field("Id"),
                field("Name"),
                field("Email")
            ))?;
        }
        self.trace().await?;
        self.show_oauth().await?;
        let this = this_program()?;
        print::line(format_args!(
            "\nGo on by hand:\n  export KUBECONFIG={}\n  export PATH={}:{}:$PATH   # bailiwick, kubectl and helm\n  \
             unset AWS_PROFILE AWS_SESSION_TOKEN   # the AWS emulator takes any key\n  export {}\n  kubectl describe \
             teamaccounts -A\nThe operator's log: {}\nNo journal of changes is kept here: docs/journal.md says how to have one.\n\
             make try again after a change; make try-stop ends all of it.",
            self.trial.kubeconfig().display(),
            this.parent().unwrap_or(&this).display(),
            self.assets.programs.display(),
            aws(self.trial.emulator())
                .map(|(name, value)| format!("{name}={value}"))
                .join(" "),
            self.log().display()
        ))?;
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("operator.log")
    }

    /// kubectl or helm, for the administrator, with nothing of the person's own configuration.
    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.assets.program(name));
        command
            .env("KUBECONFIG", self.trial.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("kubectl-cache"));
        for (variable, folder) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(variable, self.folder.join("helm").join(folder));
        }
        command
    }

    pub(super) async fn kubectl(&self, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = self.tool("kubectl");
        command.args(arguments);
        succeed(command).await
    }
}

/// What runs here.
pub(super) fn this_program() -> Result<PathBuf, Failure> {
    let this = Path::new("/proc/self/exe");
    Ok(fs::read_link(this).map_err(|source| dev::Error::io("find", this, source))?)
}

/// What makes of the emulator AWS, for every program that takes AWS's variables.
pub(super) fn aws(endpoint: &str) -> [(&'static str, &str); 5] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "try"),
        ("AWS_SECRET_ACCESS_KEY", "try"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}

/// Has it take the emulator for AWS, whatever the person is to the real one.
pub(super) fn at_emulator(command: &mut Command, endpoint: &str) {
    command
        .envs(aws(endpoint))
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE");
}

/// Runs it to its end; what it printed, or what it complained of.
pub(super) async fn succeed(mut command: Command) -> Result<String, Failure> {
    command.stdin(Stdio::null());
    let program = PathBuf::from(command.get_program());
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let arguments: Vec<_> = command
        .get_args()
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let output = tokio::process::Command::from(command)
        .output()
        .await
        .map_err(|source| dev::Error::io("run", &program, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Command {
        command: format!("{name} {}", arguments.join(" ")),
        said,
    })
}

/// How many are Ready, and how many are refused, as they shall be.
fn count(objects: &[Value]) -> String {
    let done = objects.iter().filter(|object| not_ready(object).is_none());
    let (refused, ready): (Vec<_>, Vec<_>) = done.partition(|object| shows_a_refusal(object));
    let mut text = format!("{} of {} Ready", ready.len(), objects.len());
    match refused.len() {
        0 => {}
        1 => text.push_str(", 1 refused as it is meant to be"),
        more => text.push_str(&format!(", {more} refused as they are meant to be")),
    }
    text
}

fn shows_a_refusal(object: &Value) -> bool {
    object["metadata"]["annotations"][super::images::SHOWS_A_REFUSAL] == "true"
}

/// What an object that is not as it shall be says of itself.
fn not_ready(object: &Value) -> Option<String> {
    let metadata = &object["metadata"];
    let conditions = object["status"]["conditions"].as_array();
    let find = |type_: &str| {
        conditions.and_then(|all| all.iter().find(|condition| condition["type"] == type_))
    };
    let ready = find("Ready");
    let current = object["status"]["observedGeneration"] == metadata["generation"];
    // What shall show how a refusal looks is as it should be when it is refused, and not under way any more.
    let wanted = match shows_a_refusal(object) {
        true => find("Stalled"),
        false => ready,
    };
    if current && wanted.is_some_and(|condition| condition["status"] == "True") {
        return None;
    }
    let message = match (current, ready) {
        (true, Some(condition)) => condition["message"]
            .as_str()
            .unwrap_or("no reason is given"),
        _ => "the operator has not looked at it yet",
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = metadata["namespace"]
        .as_str()
        .map(|it| format!("{it}/"))
        .unwrap_or_default();
    Some(format!(
        "  {} {namespace}{}: {message}",
        text(&object["kind"]),
        text(&metadata["name"])
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(generation: u64, observed: i64, ready: &str) -> Value {
        json!({
            "kind": "TeamAccount",
            "metadata": { "name": "live", "namespace": "team-a", "generation": generation },
            "status": {
                "observedGeneration": observed,
                "conditions": [{ "type": "Ready", "status": ready, "message": "because" }],
            },
        })
    }

    #[test]
    fn what_shows_a_refusal_is_done_when_it_is_refused() {
        let mut shown = object(2, 2, "False");
        shown["metadata"]["annotations"] =
            json!({ "example.bailiwick.dev/shows-a-refusal": "true" });
        assert!(not_ready(&shown).is_some(), "it is under way");
        let stalled = json!({ "type": "Stalled", "status": "True", "message": "because" });
        let conditions = shown["status"]["conditions"].as_array_mut();
        conditions.unwrap().push(stalled);
        assert_eq!(not_ready(&shown), None);
        let all = [object(1, 1, "True"), shown.clone(), object(2, 1, "True")];
        assert_eq!(count(&all), "1 of 3 Ready, 1 refused as it is meant to be");
        assert_eq!(count(&all[..1]), "1 of 1 Ready");
        let twice = [shown.clone(), shown.clone()];
        assert_eq!(
            count(&twice),
            "0 of 2 Ready, 2 refused as they are meant to be"
        );
        shown["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
        assert!(not_ready(&shown).is_some());
    }

    #[test]
    fn an_object_is_ready_when_its_newest_generation_is() {
        assert_eq!(not_ready(&object(2, 2, "True")), None);
        assert_eq!(
            not_ready(&object(2, 2, "False")).unwrap(),
            "  TeamAccount team-a/live: because"
        );
        let unseen = "  TeamAccount team-a/live: the operator has not looked at it yet";
        assert_eq!(not_ready(&object(2, 1, "True")).unwrap(), unseen);
        let mut fresh = object(1, -1, "True");
        fresh["status"] = json!({ "observedGeneration": -1 });
        assert_eq!(not_ready(&fresh).unwrap(), unseen);
    }
}
