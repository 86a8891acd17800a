//! `bailiwick journal`: who changed what when, and whether the record of it is whole.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::api::definitions;
use crate::cloud::aws::{BucketOptions, bucket};
use crate::config::JournalPlace;
use crate::journal::reader::{Reader, Verdict, Wanted};
use crate::journal::record::Record;

/// Read the journal.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Check that no record was changed, taken out, added or cut off. Exit code 0: whole, 1: broken, 2: it cannot be read, or nothing was found.
    #[command(after_long_help = VERIFY_HELP)]
    Verify(Reading),
    /// Print who changed what when.
    #[command(after_long_help = LIST_HELP)]
    List(Reading),
}

/// What stands below the help of `bailiwick journal`.
pub const HELP: &str = "\
Examples:
  bailiwick journal list --bucket acme-audit --cluster-name platform
  bailiwick journal verify --bucket acme-audit --cluster-name platform";

const VERIFY_HELP: &str = "\
Every record is read: as many GET requests as there are records. A hash chain shows what was changed; that nobody can
replace a whole chain together with the index of heads, only the bucket's Object Lock ensures.

Nothing found is not whole: a bucket, prefix or cluster name that is mistyped looks like a bucket that was emptied, and so
does a journal before its first object. Then the exit code is 2, and what was looked for is on standard error.

Example:
  bailiwick journal verify --bucket acme-audit --cluster-name platform
  bailiwick journal verify --kind Release --namespace team-shop -o json";

const LIST_HELP: &str = "\
Example:
  bailiwick journal list --bucket acme-audit --cluster-name platform --kind Application --name shop";

/// Which journal, which objects, and how it is printed.
#[derive(Debug, Args)]
pub struct Reading {
    #[command(flatten)]
    place: JournalPlace,
    /// Only objects of this kind, in capitals or not.
    #[arg(long, value_parser = kind)]
    kind: Option<String>,
    /// Only objects in this namespace.
    #[arg(short, long)]
    namespace: Option<String>,
    /// Only objects of this name.
    #[arg(long)]
    name: Option<String>,
    /// How it is printed.
    #[arg(short, long, value_enum, default_value = "human")]
    output: Format,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// The exit code for a journal that cannot be read, or that is not there: whether it is whole is not known.
const UNKNOWN: u8 = 2;

/// Runs the command.
pub async fn run(command: JournalCommand) -> ExitCode {
    let end = match command {
        JournalCommand::Verify(reading) => verify(reading).await,
        JournalCommand::List(reading) => list(reading).await,
    };
    end.unwrap_or_else(|message| {
        super::print::complaint(message);
        ExitCode::from(UNKNOWN)
    })
}

/// The kind as the journal writes it.
fn kind(typed: &str) -> Result<String, String> {
    let definitions = definitions().map_err(|error| error.to_string())?;
    let kinds: Vec<String> = definitions
        .into_iter()
        .map(|it| it.spec.names.kind)
        .collect();
    let found = kinds.iter().find(|kind| kind.eq_ignore_ascii_case(typed));
    found
        .cloned()
        .ok_or_else(|| format!("no such kind; there are {}", kinds.join(", ")))
}

impl Reading {
    /// Where was read what, and what may be wrong if nothing was there.
    fn nothing(&self) -> String {
        let place = &self.place;
        let wanted = [
            ("kind", &self.kind),
            ("namespace", &self.namespace),
            ("name", &self.name),
        ];
        let of: String = wanted
            .iter()
            .filter_map(|(what, value)| Some(format!(", {what} {}", value.as_ref()?)))
            .collect();
        let filters = if of.is_empty() {
            ""
        } else {
            ", and what the objects were narrowed to"
        };
        format!(
            "nothing was found in bucket {}, prefix {:?}, cluster name {:?}{of}. Check --bucket, --prefix and --cluster-name \
             against the operator's{filters}; if they are right, no object was journaled there yet, or the records were removed",
            place.bucket, place.prefix, place.cluster_name
        )
    }

    async fn open(self) -> (Reader, Wanted, Format) {
        let place = self.place;
        let options = BucketOptions {
            name: place.bucket,
            region: place.region,
            path_style: place.path_style,
            lock: None,
        };
        let reader = Reader::new(bucket(&options).await, &place.prefix, &place.cluster_name);
        let wanted = Wanted {
            kind: self.kind,
            namespace: self.namespace,
            name: self.name,
        };
        (reader, wanted, self.output)
    }
}

async fn verify(reading: Reading) -> Result<ExitCode, String> {
    let nothing = reading.nothing();
    let (reader, wanted, format) = reading.open().await;
    let verdict = reader.verify(&wanted).await.map_err(unreadable)?;
    let value = serde_json::to_value(&verdict).map_err(|error| error.to_string())?;
    if verdict.is_empty() {
        if format != Format::Human {
            print(format, &value, String::new)?;
        }
        return Err(format!("not verified: {nothing}"));
    }
    print(format, &value, || verdict_text(&verdict))?;
    Ok(if verdict.whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn list(reading: Reading) -> Result<ExitCode, String> {
    let nothing = reading.nothing();
    let (reader, wanted, format) = reading.open().await;
    let records = reader.records(&wanted).await.map_err(unreadable)?;
    let value = serde_json::to_value(&records).map_err(|error| error.to_string())?;
    print(format, &json!({ "records": value }), || table(&records))?;
    if records.is_empty() {
        super::print::complaint(nothing);
    }
    Ok(ExitCode::SUCCESS)
}

fn unreadable(error: crate::cloud::CloudError) -> String {
    format!("the journal cannot be read: {error}")
}

fn print(format: Format, value: &Value, human: impl FnOnce() -> String) -> Result<(), String> {
    let text = match format {
        Format::Human => human(),
        Format::Json => serde_json::to_string_pretty(value).map_err(|error| error.to_string())?,
        Format::Yaml => super::yaml(value)?,
    };
    super::print::line(text.trim_end())
        .map_err(|error| format!("the journal could not be printed: {error}"))
}

fn verdict_text(verdict: &Verdict) -> String {
    let (chains, records) = (verdict.chains, verdict.records);
    let read = format!("{records} records of {chains} objects read");
    if verdict.whole {
        return format!("whole: {read}, nothing was changed, taken out or cut off");
    }
    let mut lines = vec![format!(
        "BROKEN: {} of {chains} objects ({records} records read)",
        verdict.broken.len()
    )];
    for report in &verdict.broken {
        let object = object(
            &report.kind,
            report.namespace.as_deref(),
            report.name.as_deref().unwrap_or("?"),
        );
        lines.push(format!("\n{object} (uid {})", report.uid));
        for finding in &report.findings {
            lines.push(format!("  {}\n    {}", finding.key, finding.message));
        }
    }
    for part in &verdict.unreadable_index {
        lines.push(format!("\nthe index of heads cannot be read: {part}"));
    }
    lines.join("\n")
}

fn object(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// One line for each record.
fn table(records: &[Record]) -> String {
    let head = ["AT", "WHO", "WHAT", "OBJECT", "GENERATION", "FIELDS"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head)
        .chain(records.iter().map(row))
        .collect();
    let widths: Vec<usize> = (0..6)
        .map(|column| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        })
        .collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn row(record: &Record) -> [String; 6] {
    let operation: &'static str = record.operation.into();
    let generation = match (record.unseen, record.generation) {
        (Some(unseen), _) if unseen.from != unseen.to => {
            format!("{}-{}", unseen.from, unseen.to)
        }
        (_, Some(generation)) => generation.to_string(),
        _ => "?".to_owned(),
    };
    let at = k8s_openapi::jiff::Timestamp::from_second(record.at.as_second()).unwrap_or(record.at);
    [
        at.to_string(),
        record.who.clone().unwrap_or_else(|| "unknown".to_owned()),
        operation.to_owned(),
        object(&record.kind, record.namespace.as_deref(), &record.name),
        generation,
        match record.before_unknown {
            true => "unknown".to_owned(),
            false => changed(record.before.as_ref(), record.after.as_ref()).join(","),
        },
    ]
}

/// The fields of the spec that differ, the outermost ones.
fn changed(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else {
        return Vec::new();
    };
    let mut names: Vec<String> = before
        .keys()
        .chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn a_kind_is_one_of_ours_in_capitals_or_not() {
        assert_eq!(kind("release").as_deref(), Ok("Release"));
        assert_eq!(kind("OAuthClient").as_deref(), Ok("OAuthClient"));
        let refused = kind("nix").unwrap_or_else(|message| message);
        assert!(
            refused.contains("Application, ApplicationName"),
            "{refused}"
        );
    }
}
