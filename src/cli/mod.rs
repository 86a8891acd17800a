//! The commands that people type.

pub mod agent;
#[cfg(feature = "dev")]
pub mod dev;
pub mod generate;
pub mod journal;
pub mod print;
pub mod trace;

use clap::{Parser, Subcommand};

use self::print::Output;
use crate::config::RunOptions;

/// Teams as first-class citizens of a company that runs on AWS: the operator, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, about, arg_required_else_help = true, after_long_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Exit codes:
  0    done; for `run`: it was told to end, and ended in order
  1    failed; what is wrong and what to do is on standard error
  2    the command line was not understood
  130  ended at once, by a second signal

Examples:
  bailiwick crds | kubectl apply --server-side -f -
  bailiwick run --help";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    #[command(after_long_help = RUN_HELP)]
    Run(Box<RunOptions>),
    /// Write the files that are generated from the code, below the present folder (for whoever changes bailiwick).
    #[command(after_long_help = "Example:\n  bailiwick generate")]
    Generate,
    /// Print the CustomResourceDefinitions.
    #[command(
        after_long_help = "Examples:\n  bailiwick crds | kubectl apply --server-side -f -\n  \
        bailiwick crds -o json | jq -r '.[].metadata.name'"
    )]
    Crds {
        /// How they are printed: YAML documents, or a JSON list.
        #[arg(short, long, value_enum, default_value = "yaml")]
        output: Output,
    },
    /// Show where an image comes from and who answers for it: every hop with its evidence, and who can mend a broken one.
    #[command(after_long_help = TRACE_HELP)]
    Trace(trace::TraceOptions),
    /// Who changed what when, and whether the record of it is whole.
    #[command(subcommand, after_long_help = journal::HELP)]
    Journal(journal::JournalCommand),
    /// What runs on hosts.
    #[command(subcommand, after_long_help = agent::HELP)]
    Agent(agent::AgentCommand),
    /// A control plane and an AWS emulator on this machine, to try bailiwick with.
    #[cfg(feature = "dev")]
    #[command(subcommand, after_long_help = dev::HELP)]
    Dev(dev::DevCommand),
}

const RUN_HELP: &str = "\
Which cluster: KUBECONFIG, or ~/.kube/config, or the service account inside a cluster.

Which organization: the standard variables and files of AWS. AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL (of one service
alone: AWS_ENDPOINT_URL_ECR, for example), web identity (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, as IRSA sets
them), Pod Identity, or the instance's role. The identity must be one of the organization's management account;
docs/aws-rights.md lists the rights that it needs, and trusted access for AWS Account Management must be enabled in the
organization.

What must be in the cluster: the chart, with replicaCount=0 if the operator runs outside. It brings the definitions, the
namespace of the lease (--namespace), the role of the teams' members, and the admission policies.

Which partition: that of AWS_REGION (or of the profile's region). China and AWS GovCloud (US) are organizations of their
own: with AWS_REGION=cn-north-1 or us-gov-east-1 the global services are asked at cn-northwest-1 or us-gov-west-1, and
roles are entered by ARNs of that partition. --aws-home-region says it for partitions that this version does not know.
The regions that a class can name are those of the commercial partition: leave spec.regions out in the others.

Where spans are sent: OpenTelemetry's standard variables. Nowhere, unless OTEL_EXPORTER_OTLP_ENDPOINT (or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) names a collector that takes OTLP over HTTP, on port 4318 as a rule;
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and the others hold as everywhere. Only in a binary
with the feature `otel`, as the container image is. The trace_id in the log is then OpenTelemetry's.

Ending: at the first SIGTERM or SIGINT what is in flight is finished, within --grace-period, and leadership is given
up; a second one ends at once.

Examples:
  export KUBECONFIG=~/.kube/config AWS_PROFILE=management AWS_REGION=eu-central-1
  helm upgrade --install bailiwick charts/bailiwick --namespace bailiwick-system --create-namespace \\
    --set clusterName=platform,replicaCount=0 --set 'operatorUsers={me@example.com}'
  bailiwick run --cluster-name platform --authors-guarded true

  bailiwick run --cluster-name platform --log-format json --log-filter info,bailiwick=debug";

const TRACE_HELP: &str = "\
✓ the hop holds, ✗ the chain is broken here, ? not known, and the chain does not depend on it.

Exit codes:
  0  the chain is whole
  1  it is broken
  2  what was asked for was not understood, not found, or could not be read

Examples:
  bailiwick trace registry.example.com/payments/api:1.4.2
  bailiwick trace release/api-1.4.2 -n team-payments
  bailiwick trace api -o json | jq -r '.hops[] | select(.mark == \"Broken\") | .mend'";

/// Runs the command. The exit code: 0 done, 1 failed, 2 not understood.
pub async fn main() -> std::process::ExitCode {
    print::panics();
    let result = match Cli::parse().command {
        Command::Run(options) => crate::app::run(*options)
            .await
            .map_err(|error| error.to_string()),
        Command::Generate => generate::write(std::path::Path::new(".")),
        Command::Crds { output } => print_definitions(output),
        Command::Trace(options) => return trace::run(&options).await,
        Command::Journal(command) => return journal::run(command).await,
        Command::Agent(command) => return agent::run(command).await,
        #[cfg(feature = "dev")]
        Command::Dev(command) => dev::run(command).await.map_err(|error| error.to_string()),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(message) => {
            print::complaint(message);
            std::process::ExitCode::FAILURE
        }
    }
}

fn print_definitions(output: Output) -> Result<(), String> {
    let definitions = crate::api::definitions().map_err(|error| error.to_string())?;
    let printed = match output {
        Output::Json => print::object(&definitions, output),
        Output::Yaml => {
            let mut text = String::new();
            for definition in &definitions {
                text.push_str("---\n");
                text.push_str(&yaml(definition)?);
            }
            print::text(text)
        }
    };
    printed.map_err(|error| format!("the definitions could not be printed: {error}"))
}

/// An object as YAML, the way all files of ours are written.
///
/// # Errors
/// If the object cannot be written as YAML.
pub fn yaml(object: &impl serde::Serialize) -> Result<String, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    serde_saphyr::to_string(&value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command that a person can type, with its path.
    fn commands(path: &str, command: &clap::Command) -> Vec<(String, clap::Command)> {
        let mut all = vec![(path.to_owned(), command.clone())];
        for child in command.get_subcommands() {
            if child.get_name() != "help" {
                all.extend(commands(&format!("{path} {}", child.get_name()), child));
            }
        }
        all
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        let mut root = Cli::command();
        root.build();
        let all = commands("bailiwick", &root);
        assert!(all.len() >= 4, "{all:?}");
        for (path, mut command) in all {
            let help = command.render_long_help().to_string();
            let (_, examples) = help
                .split_once("Example")
                .unwrap_or_else(|| panic!("{path} --help shows no example:\n{help}"));
            assert!(
                examples.contains("bailiwick "),
                "{path} --help: the example does not call bailiwick"
            );
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
