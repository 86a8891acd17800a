//! `bailiwick trace`: the chain from an image to the people who answer for it.

use std::process::ExitCode;

use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::Output;
use crate::api::{Application, ApplicationName, Release, Team};
use crate::trace::{Chain, Mark, Seen, Subject, chain};

/// The chain is broken.
const BROKEN: u8 = 1;
/// What was asked for was not understood, not found, or could not be read.
const NO_CHAIN: u8 = 2;

/// What to trace.
#[derive(Debug, clap::Args)]
pub struct TraceOptions {
    /// An image with its registry, or the name of a release or an application; `release/NAME` and `application/NAME`
    /// say which of the two.
    #[arg(value_name = "IMAGE|RELEASE|APPLICATION")]
    subject: String,
    /// The namespace of the release or application. If left out: all, or, for whoever may not read all, the one of the
    /// kubeconfig's context.
    #[arg(short, long)]
    namespace: Option<String>,
    /// As JSON or YAML; a list for people if left out.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
}

/// Shows the chain.
pub async fn run(options: &TraceOptions) -> ExitCode {
    match find(options).await {
        Ok(chain) => match print(&chain, options.output) {
            Ok(()) if chain.whole => ExitCode::SUCCESS,
            Ok(()) => ExitCode::from(BROKEN),
            Err(message) => complain(&message),
        },
        Err(message) => complain(&message),
    }
}

fn complain(message: &str) -> ExitCode {
    super::print::complaint(message);
    ExitCode::from(NO_CHAIN)
}

async fn find(options: &TraceOptions) -> Result<Chain, String> {
    let subject: Subject = options.subject.parse()?;
    let config = kube::Config::infer()
        .await
        .map_err(|error| format!("no cluster is configured: {error}. Set KUBECONFIG"))?;
    let own = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| error.to_string())?;
    let seen = gather(&client, options.namespace.as_deref(), &own)
        .await
        .map_err(|error| unreadable(&error, options.namespace.is_some()))?;
    chain(&subject, &seen).map_err(|error| error.to_string())
}

/// Why there is nothing to look at, in the API server's words and not in its library's.
fn unreadable(error: &kube::Error, is_named: bool) -> String {
    match error {
        kube::Error::Api(status) if status.is_forbidden() && !is_named => format!(
            "{}; nor may you read all namespaces: name your team's with --namespace",
            status.message
        ),
        kube::Error::Api(status) => format!("the cluster cannot be read: {}", status.message),
        error => format!("the cluster cannot be read: {error}"),
    }
}

async fn gather(client: &Client, namespace: Option<&str>, own: &str) -> Result<Seen, kube::Error> {
    Ok(Seen {
        releases: namespaced::<Release>(client, namespace, own).await?,
        applications: namespaced::<Application>(client, namespace, own).await?,
        names: readable(Api::<ApplicationName>::all(client.clone())).await?,
        teams: readable(Api::<Team>::all(client.clone())).await?,
    })
}

/// Of the namespace that is asked for; else of all, or, for whoever may not read all, of their own.
async fn namespaced<K>(
    client: &Client,
    namespace: Option<&str>,
    own: &str,
) -> Result<Vec<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    if namespace.is_none()
        && let Some(found) = readable(Api::<K>::all(client.clone())).await?
    {
        return Ok(found);
    }
    let api: Api<K> = Api::namespaced(client.clone(), namespace.unwrap_or(own));
    list(&api).await
}

/// `None`: the reader may not.
async fn readable<K>(api: Api<K>) -> Result<Option<Vec<K>>, kube::Error>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    match list(&api).await {
        Ok(found) => Ok(Some(found)),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(None),
        Err(error) => Err(error),
    }
}

/// All of them, in pages.
async fn list<K>(api: &Api<K>) -> Result<Vec<K>, kube::Error>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let (mut all, mut params) = (Vec::new(), ListParams::default().limit(500));
    loop {
        let page = api.list(&params).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

fn print(chain: &Chain, output: Option<Output>) -> Result<(), String> {
    let text = match output {
        None => text(chain),
        Some(Output::Json) => {
            serde_json::to_string_pretty(chain).map_err(|error| error.to_string())? + "\n"
        }
        Some(Output::Yaml) => super::yaml(chain)?,
    };
    super::print::text(text).map_err(|error| format!("the chain could not be printed: {error}"))
}

/// In one line, whatever was quoted.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// For people: a mark, the hop, what it says; below it by what that is known, or who can mend it.
pub fn text(chain: &Chain) -> String {
    let mut text = format!("{}\n", chain.subject);
    for hop in &chain.hops {
        let mark = match hop.mark {
            Mark::Holds => '✓',
            Mark::Broken => '✗',
            Mark::Unknown => '?',
        };
        text.push_str(&format!("  {mark} {:<12} {}\n", hop.hop, line(&hop.says)));
        if let Some(evidence) = &hop.evidence {
            text.push_str(&format!("    {:<12} {}\n", "", line(evidence)));
        }
        if let Some(mend) = &hop.mend {
            text.push_str(&format!("    {:<12} to mend it: {mend}\n", ""));
        }
    }
    let count = |mark: Mark| chain.hops.iter().filter(|hop| hop.mark == mark).count();
    text.push_str(&match count(Mark::Broken) {
        0 => "The chain is whole.\n".to_owned(),
        1 => "The chain is broken at one hop.\n".to_owned(),
        many => format!("The chain is broken at {many} hops.\n"),
    });
    if count(Mark::Unknown) > 0 {
        text.push_str("Nobody can tell for certain what has a question mark.\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Hop;

    #[test]
    fn what_is_not_certain_has_its_mark_and_the_last_line_says_so() {
        let hop = |hop: &'static str, mark: Mark| Hop {
            hop,
            mark,
            says: "so it is".to_owned(),
            evidence: None,
            mend: None,
        };
        let of = |marks: [Mark; 2]| {
            let [image, source] = marks;
            text(&Chain {
                subject: "Release team-a/shop-1".to_owned(),
                whole: !marks.contains(&Mark::Broken),
                hops: vec![hop("image", image), hop("source", source)],
            })
        };
        let certain = of([Mark::Holds, Mark::Holds]);
        assert!(certain.ends_with("The chain is whole.\n"), "{certain}");
        for (mark, words) in [
            (
                Mark::Holds,
                "The chain is whole.\nNobody can tell for certain",
            ),
            (
                Mark::Broken,
                "broken at one hop.\nNobody can tell for certain",
            ),
        ] {
            let doubtful = of([mark, Mark::Unknown]);
            assert!(doubtful.contains("? source"), "{doubtful}");
            assert!(doubtful.contains(words), "{doubtful}");
        }
    }
}
