//! The adapter for the OCI distribution API, which all registries of today speak.

mod answer;
mod challenge;
mod settings;
mod tokens;
pub(super) mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, LINK};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::error::{ErrorKind, RegistryError};
use super::hash::{self, Hasher};
use super::layer::{self, Pieces, Searched};
use super::manifest::{Content, Descriptor, MANIFEST_TYPES, MOST_PARTS, Manifest};
use super::{Images, LARGEST_DOCUMENT, Referrers, Result};
use crate::model::{Digest, ImageName, ImageRef};
use answer::Answer;
use challenge::Challenge;
pub use settings::{Limits, Login, Logins, Settings};
use tokens::Tokens;
use transport::{Ask, Transport};

/// How many layers are searched at the same time; each takes a thread, and the memory that `tests/layers.rs` measures.
const SEARCHES: usize = 4;
/// How many of them may be of one registry, so that a slow one leaves places to the others.
const SEARCHES_OF_ONE: usize = 2;
/// What a layer must come with on average, in bytes a second: one that trickles keeps its place from others.
const SLOWEST: u64 = 64 << 10;
/// How many pieces of a layer wait to be unpacked.
const WAITING: usize = 4;
/// How many pages of a list are read.
const PAGES: usize = 10;
const DIGEST_HEADER: &str = "docker-content-digest";

/// All registries, over HTTP.
pub struct Registries {
    transport: Transport,
    logins: Arc<dyn Logins>,
    tokens: Tokens,
    searches: Semaphore,
    searches_of: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Registries {
    /// A client for all registries that these settings let through.
    pub fn new(settings: Settings, logins: Arc<dyn Logins>) -> Result<Self> {
        Ok(Self {
            transport: Transport::new(settings)?,
            logins,
            tokens: Tokens::default(),
            searches: Semaphore::new(SEARCHES),
            searches_of: Mutex::default(),
        })
    }

    /// One request below an image's name, as whoever the registry wants us to be.
    async fn ask(
        &self,
        name: &ImageName,
        method: Method,
        path: &str,
        subject: &str,
    ) -> Result<Answer> {
        let base = self.transport.base(name.registry())?;
        let url = base
            .join(&format!("{}/{path}", name.path()))
            .map_err(|error| RegistryError::new(ErrorKind::Invalid, subject, error.to_string()))?;
        self.ask_at(name, method, url, subject).await
    }

    async fn ask_at(
        &self,
        name: &ImageName,
        method: Method,
        url: url::Url,
        subject: &str,
    ) -> Result<Answer> {
        let accept = MANIFEST_TYPES.join(", ") + ", application/octet-stream;q=0.5, */*;q=0.1";
        let mut authorization = self.tokens.known(name);
        let was_known = authorization.is_some();
        let mut met = false;
        loop {
            let ask = Ask {
                method: method.clone(),
                url: url.clone(),
                accept: &accept,
                authorization: authorization.take(),
                subject,
                limits: self.transport.settings().limits(name.registry()),
            };
            let answer = self.transport.ask(ask).await?;
            if answer.status != http::StatusCode::UNAUTHORIZED || met {
                return answer.success().await;
            }
            self.tokens.forget(name);
            if was_known {
                self.logins.refused(name);
            }
            let Some(challenge) = Challenge::read(&answer.headers) else {
                return answer.success().await;
            };
            let logins = self.logins.as_ref();
            let header = self
                .tokens
                .meet(&self.transport, logins, name, challenge)
                .await?;
            authorization = Some(header);
            met = true;
        }
    }

    /// The places for searches in this registry's layers. Those of registries that are not searched now are forgotten.
    fn searches_of(&self, registry: &str) -> Arc<Semaphore> {
        let mut all = self
            .searches_of
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, places| Arc::strong_count(places) > 1);
        let places = all.entry(registry.to_owned());
        places
            .or_insert_with(|| Arc::new(Semaphore::new(SEARCHES_OF_ONE)))
            .clone()
    }

    /// Whether there is a further page of a list, and where: only on the same server.
    fn next_page(answer: &Answer, base: &url::Url) -> (bool, Option<url::Url>) {
        let link = answer.header(LINK.as_str());
        let target = link.and_then(|link| link.split_once('<')?.1.split_once('>'));
        let Some((target, _)) = target.filter(|(_, rest)| rest.contains("rel=\"next\"")) else {
            return (false, None);
        };
        let next = base.join(target).ok();
        (true, next.filter(|next| next.origin() == base.origin()))
    }

    /// The list that the referrers API gives; `None`: this registry does not have the API.
    async fn referrers_by_api(
        &self,
        name: &ImageName,
        digest: &Digest,
        subject: &str,
    ) -> Result<Option<Referrers>> {
        let base = self.transport.base(name.registry())?;
        let path = format!("{}/referrers/{digest}", name.path());
        let mut url = base
            .join(&path)
            .map_err(|error| RegistryError::new(ErrorKind::Invalid, subject, error.to_string()))?;
        let mut referrers = Referrers::default();
        let mut left = LARGEST_DOCUMENT;
        for _ in 0..PAGES {
            let page = async {
                let answer = self.ask_at(name, Method::GET, url, subject).await?;
                let next = Self::next_page(&answer, &base);
                let list = read_manifest(subject, None, answer, left).await?;
                Ok::<_, RegistryError>((list, next))
            };
            let (list, (more, next)) = match page.await {
                Ok(page) => page,
                Err(error) if error.kind == ErrorKind::TooLarge => return Ok(Some(referrers)),
                // The specification says 404; others refuse what they do not know, or answer with a page for people.
                Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(list.size);
            referrers.found.extend_from_slice(list.children());
            if referrers.found.len() > MOST_PARTS {
                return Ok(Some(referrers));
            }
            match next {
                Some(next) => url = next,
                None => {
                    referrers.is_whole = !more;
                    break;
                }
            }
        }
        Ok(Some(referrers))
    }

    /// Passes the pieces of a layer on until whoever unpacks them has enough.
    async fn pump(
        mut answer: Answer,
        layer: &Descriptor,
        subject: &str,
        grace: Duration,
        pieces: mpsc::Sender<Bytes>,
    ) -> Result<()> {
        let lies = |message: String| RegistryError::new(ErrorKind::Invalid, subject, message);
        if let Some(length) = answer.length().filter(|length| *length != layer.size) {
            return Err(lies(format!(
                "the registry announces {length} bytes where the manifest says {}",
                layer.size
            )));
        }
        let (mut hasher, mut total) = (Hasher::new(layer.digest.algorithm()), 0);
        let started = Instant::now();
        loop {
            // Whoever has found the file does not wait for a slow registry's next piece.
            let next = tokio::select! {
                biased;
                () = pieces.closed() => return Ok(()),
                next = answer.piece() => next?,
            };
            let Some(piece) = next else { break };
            total += piece.len() as u64;
            if total > layer.size {
                return Err(lies(format!(
                    "the registry sends more than the {} bytes that the manifest says",
                    layer.size
                )));
            }
            let late = started.elapsed().saturating_sub(grace).as_secs();
            if total < late * SLOWEST {
                let message = format!("the registry sends less than {SLOWEST} bytes a second");
                return Err(RegistryError::new(ErrorKind::Unavailable, subject, message));
            }
            hasher.update(&piece);
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
        hasher.check(subject, &layer.digest)
    }
}

#[async_trait]
impl Images for Registries {
    async fn resolve(&self, image: &ImageRef) -> Result<Manifest> {
        let (subject, reference) = (image.to_string(), reference(image));
        let path = format!("manifests/{reference}");
        let answer = self.ask(image.name(), Method::GET, &path, &subject).await?;
        read_manifest(&subject, image.digest(), answer, LARGEST_DOCUMENT).await
    }

    async fn current(&self, image: &ImageRef) -> Result<Digest> {
        let (subject, tag) = (image.to_string(), image.tag().unwrap_or_default());
        if tag.is_empty() {
            let message = "it has no tag whose digest could change";
            return Err(RegistryError::new(ErrorKind::Invalid, subject, message));
        }
        let path = format!("manifests/{tag}");
        let answer = self
            .ask(image.name(), Method::HEAD, &path, &subject)
            .await?;
        if let Some(digest) = answer
            .header(DIGEST_HEADER)
            .and_then(|text| text.parse().ok())
        {
            return Ok(digest);
        }
        // Not every registry says it in the head of the answer.
        let answer = self.ask(image.name(), Method::GET, &path, &subject).await?;
        let manifest = read_manifest(&subject, None, answer, LARGEST_DOCUMENT);
        Ok(manifest.await?.digest)
    }

    async fn blob(&self, name: &ImageName, blob: &Descriptor) -> Result<Bytes> {
        let subject = format!("{name}@{}", blob.digest);
        if blob.size > LARGEST_DOCUMENT {
            let message = format!(
                "it has {} bytes; more than {LARGEST_DOCUMENT} are not read",
                blob.size
            );
            return Err(RegistryError::new(ErrorKind::TooLarge, subject, message));
        }
        let path = format!("blobs/{}", blob.digest);
        let answer = self.ask(name, Method::GET, &path, &subject).await?;
        let bytes = answer.document().await?;
        hash::check(&subject, &blob.digest, &bytes)?;
        Ok(bytes)
    }

    async fn referrers(&self, name: &ImageName, digest: &Digest) -> Result<Referrers> {
        let subject = format!("the referrers of {name}@{digest}");
        if let Some(found) = self.referrers_by_api(name, digest, &subject).await? {
            return Ok(found);
        }
        // The tag that stands in for the API, as the specification fixes it.
        let tag = format!("{}-{}", digest.algorithm().as_str(), digest.hex());
        let path = format!("manifests/{tag}");
        let list = async {
            let answer = self.ask(name, Method::GET, &path, &subject).await?;
            read_manifest(&subject, None, answer, LARGEST_DOCUMENT).await
        };
        let (found, is_whole) = match list.await {
            Ok(list) => (list.children().to_vec(), true),
            Err(error) if error.kind == ErrorKind::NotFound => (Vec::new(), true),
            Err(error) if error.kind == ErrorKind::TooLarge => (Vec::new(), false),
            Err(error) => return Err(error),
        };
        Ok(Referrers { found, is_whole })
    }

    async fn search_layer(
        &self,
        name: &ImageName,
        layer: &Descriptor,
        file: &str,
        budget: u64,
    ) -> Result<Searched> {
        let subject = format!("the layer {name}@{}", layer.digest);
        let limits = self.transport.settings().limits(name.registry());
        let unavailable =
            |message: String| RegistryError::new(ErrorKind::Unavailable, &subject, message);
        // Closed by nobody: these semaphores live as long as what waits for them.
        let places = self.searches_of(name.registry());
        let _place = places.acquire().await;
        let _thread = self.searches.acquire().await;
        let search = async {
            let path = format!("blobs/{}", layer.digest);
            let answer = self.ask(name, Method::GET, &path, &subject).await?;
            let (sender, receiver) = mpsc::channel(WAITING);
            let file = file.to_owned();
            // Unpacking is work for a processor: it has a thread of its own, and ends when nothing comes any more.
            let unpacking = tokio::task::spawn_blocking(move || {
                layer::search(Pieces::new(receiver), &file, budget)
            });
            Self::pump(answer, layer, &subject, limits.grace, sender).await?;
            // It ends by itself or panics over the layer, which it would do again.
            unpacking.await.map_err(|error| {
                let message = format!("it cannot be unpacked: {error}");
                RegistryError::new(ErrorKind::Invalid, &subject, message)
            })
        };
        timeout(limits.search, search).await.map_err(|_| {
            unavailable(format!("searching it took longer than {:?}", limits.search))
        })?
    }
}

/// The digest if there is one: the tag beside it is only what it was called.
fn reference(image: &ImageRef) -> &str {
    let digest = image.digest().map(Digest::as_str);
    digest.or(image.tag()).unwrap_or_default()
}

/// Reads a manifest whose digest must be `expected`, or is found out, and then must be what the head of the answer says.
async fn read_manifest(
    subject: &str,
    expected: Option<&Digest>,
    answer: Answer,
    largest: u64,
) -> Result<Manifest> {
    let announced: Option<Digest> = answer
        .header(DIGEST_HEADER)
        .and_then(|text| text.parse().ok());
    let media_type = answer.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let bytes = answer.at_most(largest).await?;
    let digest = match expected.or(announced.as_ref()) {
        Some(digest) => {
            hash::check(subject, digest, &bytes)?;
            digest.clone()
        }
        None => hash::sha256(&bytes)?,
    };
    let manifest = Manifest::read(subject, digest, &media_type, &bytes)?;
    let count = match &manifest.content {
        Content::Image { layers, .. } => layers.len(),
        Content::Index(children) => children.len(),
    };
    if count > MOST_PARTS {
        let message =
            format!("its manifest refers to more than {MOST_PARTS} parts, which are not read");
        return Err(RegistryError::new(ErrorKind::TooLarge, subject, message));
    }
    Ok(manifest)
}
