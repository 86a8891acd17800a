//! The commands that people type.

#[cfg(feature = "dev")]
pub mod dev;
pub mod generate;
pub mod journal;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::RunOptions;

/// Teams as first-class citizens of a company that runs on AWS: the operator, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// How something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// YAML documents.
    Yaml,
    /// A JSON list.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    #[command(after_long_help = RUN_HELP)]
    Run(Box<RunOptions>),
    /// Write the files that are generated from the code, below the present folder (for whoever changes bailiwick).
    #[command(after_long_help = "Example:\n  bailiwick generate")]
    Generate,
    /// Print the CustomResourceDefinitions.
    #[command(after_long_help = "Example:\n  bailiwick crds | kubectl apply --server-side -f -")]
    Crds {
        /// How they are printed.
        #[arg(short, long, value_enum, default_value = "yaml")]
        output: Output,
    },
    /// Who changed what when, and whether the record of it is whole.
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// A control plane and an AWS emulator on this machine, to try bailiwick with.
    #[cfg(feature = "dev")]
    #[command(subcommand)]
    Dev(dev::DevCommand),
}

const RUN_HELP: &str = "\
Which cluster: KUBECONFIG, or ~/.kube/config, or the service account inside a cluster.
Which organization: the standard variables and files of AWS. AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL, web identity
(AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, as IRSA sets them), Pod Identity, or the instance's role. The identity
must be one of the organization's management account.

Example:
  export KUBECONFIG=~/.kube/config AWS_PROFILE=management AWS_REGION=eu-central-1
  bailiwick crds | kubectl apply --server-side -f -
  bailiwick run --cluster-name platform";

/// Runs the command. The exit code: 0 done, 1 failed, 2 not understood.
pub async fn main() -> std::process::ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => crate::app::run(*options)
            .await
            .map_err(|error| error.to_string()),
        Command::Generate => generate::write(std::path::Path::new(".")),
        Command::Crds { output } => print_definitions(output),
        Command::Journal(command) => return journal::run(command).await,
        #[cfg(feature = "dev")]
        Command::Dev(command) => dev::run(command).await.map_err(|error| error.to_string()),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bailiwick: {message}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn print_definitions(output: Output) -> Result<(), String> {
    let definitions = crate::api::definitions().map_err(|error| error.to_string())?;
    match output {
        Output::Json => {
            println!(
                "{}",
                serde_json::to_string_pretty(&definitions).map_err(|error| error.to_string())?
            );
        }
        Output::Yaml => {
            for definition in &definitions {
                let text = yaml(definition)?;
                println!("---\n{}", text.trim_end());
            }
        }
    }
    Ok(())
}

/// An object as YAML, the way all files of ours are written.
///
/// # Errors
/// If the object cannot be written as YAML.
pub fn yaml(object: &impl serde::Serialize) -> Result<String, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    serde_saphyr::to_string(&value).map_err(|error| error.to_string())
}
