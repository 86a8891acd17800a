//! HTTP in, HTTP out: reads a request, lets the interceptor have its say, and words the answer.

use std::{collections::HashMap, convert::Infallible, future::pending, io, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::{Method, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use kube::{client::Body, core::Status};
use serde_json::{Value, json};
use tower::BoxError;

use super::{
    ApiServer, Call, Interceptor, Verb, Verdict, lock,
    requests::{self, Reply},
    status::{self, Answer},
    watch,
};

/// A body that comes in pieces: one for an object, many for a watch.
type Chunks = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A request that has been understood.
pub(super) struct Asked {
    pub call: Call,
    pub table: usize,
    pub query: HashMap<String, String>,
    pub content_type: String,
    pub user_agent: String,
    /// The client wants metadata only.
    pub is_partial: bool,
}

impl Asked {
    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub fn is_set(&self, name: &str) -> bool {
        ["true", "1", "All"].contains(&self.query(name))
    }
}

pub(super) async fn serve(
    server: ApiServer,
    interceptor: Arc<dyn Interceptor>,
    request: Request<Body>,
) -> Result<Response<Chunks>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if !interceptor.alive() {
        return pending().await;
    }
    let asked = match understand(&server, &parts, &body) {
        Ok(asked) => asked,
        Err(refusal) => return refuse(&refusal),
    };
    count(&server, &asked.call);
    if let Some(instead) = judge(interceptor.before(&asked.call).await).await {
        return instead;
    }
    if !interceptor.alive() {
        return pending().await;
    }
    let answer = if asked.call.verb == Verb::Watch {
        watch::open(&server, &interceptor, &asked)
    } else {
        requests::carry_out(&server, &asked).map(|reply| whole(reply, &asked))
    };
    let response = match answer {
        Ok((code, chunks)) => respond(code, chunks),
        Err(refusal) => refuse(&refusal),
    }?;
    if let Some(instead) = judge(
        interceptor
            .after(&asked.call, response.status().as_u16())
            .await,
    )
    .await
    {
        return instead;
    }
    if !interceptor.alive() {
        return pending().await;
    }
    Ok(response)
}

async fn judge(verdict: Verdict) -> Option<Result<Response<Chunks>, BoxError>> {
    match verdict {
        Verdict::Continue => None,
        Verdict::Refuse(status) => Some(refuse(&status)),
        Verdict::LoseReply => {
            let lost = io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer");
            Some(Err(lost.into()))
        }
        Verdict::Hang => pending().await,
    }
}

fn count(server: &ApiServer, call: &Call) {
    let subresource = call.subresource.clone().unwrap_or_default();
    let key = (call.verb, call.plural.clone(), subresource);
    *lock(&server.inner.requests).entry(key).or_default() += 1;
}

fn respond(code: u16, chunks: BoxStream<'static, Bytes>) -> Result<Response<Chunks>, BoxError> {
    let frames = chunks.map(|chunk| Ok(Frame::data(chunk))).boxed();
    Ok(Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .body(StreamBody::new(frames))?)
}

fn refuse(status: &Status) -> Result<Response<Chunks>, BoxError> {
    if status.code == 404 && status.reason.is_empty() {
        let text = Bytes::from(status.message.clone());
        return respond(404, futures::stream::once(async { text }).boxed());
    }
    respond(status.code, once(&status::body(status)))
}

fn once(body: &Value) -> BoxStream<'static, Bytes> {
    let bytes = Bytes::from(body.to_string());
    futures::stream::once(async { bytes }).boxed()
}

fn whole(reply: Reply, asked: &Asked) -> (u16, BoxStream<'static, Bytes>) {
    let body = match reply {
        Reply::Object(code, object) if asked.is_partial => return (code, once(&partial(&object))),
        Reply::Object(code, object) => return (code, once(&object)),
        Reply::Plain(body) => body,
    };
    (200, once(&body))
}

/// The metadata of an object, as clients ask for it that watch many objects and need no more.
pub(super) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    })
}

/// Where a path points.
struct Address<'a> {
    group: &'a str,
    version: &'a str,
    namespace: Option<&'a str>,
    plural: &'a str,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl<'a> Address<'a> {
    fn read(path: &'a str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Self {
            group,
            version,
            namespace,
            plural,
            name,
            subresource,
        })
    }

    /// The table of the kind, if it and the subresource are served.
    fn table(&self, server: &ApiServer) -> Answer<usize> {
        let store = server.store();
        let table = store
            .table(self.group, self.version, self.plural)
            .ok_or_else(status::unknown_resource)?;
        let kind = &store.tables[table].kind;
        match self.subresource {
            None => Ok(table),
            Some("status") if kind.status_subresource => Ok(table),
            Some("finalize") if kind.is_namespace() => Ok(table),
            Some(_) => Err(status::unknown_path()),
        }
    }

    fn verb(&self, method: &Method, is_watch: bool) -> Answer<Verb> {
        Ok(match (method, self.name) {
            (&Method::GET, Some(_)) => Verb::Get,
            (&Method::GET, None) if is_watch => Verb::Watch,
            (&Method::GET, None) => Verb::List,
            (&Method::POST, None) => Verb::Create,
            (&Method::PUT, Some(_)) => Verb::Update,
            (&Method::PATCH, Some(_)) => Verb::Patch,
            (&Method::DELETE, Some(_)) if self.subresource.is_none() => Verb::Delete,
            _ => return Err(status::method_not_allowed()),
        })
    }
}

/// Finds kind, object and verb in a request.
fn understand(server: &ApiServer, parts: &http::request::Parts, body: &Bytes) -> Answer<Asked> {
    let address = Address::read(parts.uri.path()).ok_or_else(status::unknown_path)?;
    let table = address.table(server)?;
    let query: HashMap<String, String> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let is_watch = query
        .get("watch")
        .is_some_and(|watch| watch == "true" || watch == "1");
    let verb = address.verb(&parts.method, is_watch)?;
    let text = |name: header::HeaderName| {
        let value = parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let body = read(body)?;
    let named = body["metadata"]["name"]
        .as_str()
        .filter(|_| verb == Verb::Create);
    Ok(Asked {
        call: Call {
            verb,
            group: address.group.into(),
            plural: address.plural.into(),
            subresource: address.subresource.map(str::to_owned),
            namespace: address.namespace.map(str::to_owned),
            name: address.name.or(named).map(str::to_owned),
            body,
        },
        table,
        query,
        content_type: text(header::CONTENT_TYPE),
        user_agent: text(header::USER_AGENT),
        is_partial: text(header::ACCEPT).contains("as=PartialObjectMetadata"),
    })
}

/// A body is JSON, or YAML for server-side apply, which every JSON text is too.
fn read(body: &Bytes) -> Answer<Value> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body)
        .or_else(|_| serde_saphyr::from_slice(body))
        .map_err(|error| status::bad_request(format!("error decoding the body: {error}")))
}
