//! All that was ever written to the cluster's etcd, as its own interface shows it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Every value that a key had, in order; what is no text in it is replaced.
pub type Dump = BTreeMap<String, Vec<String>>;

/// The history of all keys in the etcd of this control plane. Whatever the API server has compacted is not in it any more.
pub fn dump(plane: &Path) -> Dump {
    let all = BASE64_STANDARD.encode([0]);
    let range = json!({"key": all, "range_end": all, "count_only": true});
    let head = ask(plane, "/v3/kv/range", &range).next().unwrap();
    let last = number(&head["header"]["revision"]);
    let (mut dump, mut from, mut seen) = (Dump::new(), 1, 0);
    while seen < last {
        let create = json!({"key": all, "range_end": all, "start_revision": from.to_string()});
        for said in ask(plane, "/v3/watch", &json!({"create_request": create})) {
            let compacted = number(&said["result"]["compact_revision"]);
            if compacted > 0 {
                assert!(compacted > from, "{said}");
                from = compacted;
                break;
            }
            for event in said["result"]["events"].as_array().into_iter().flatten() {
                let entry = &event["kv"];
                let text = |member: &str| {
                    let bytes = BASE64_STANDARD.decode(entry[member].as_str().unwrap_or_default());
                    String::from_utf8_lossy(&bytes.unwrap()).into_owned()
                };
                dump.entry(text("key")).or_default().push(text("value"));
                seen = seen.max(number(&entry["mod_revision"]));
            }
            if seen >= last {
                break;
            }
        }
    }
    dump
}

/// Numbers of 64 bits are texts there.
fn number(value: &Value) -> i64 {
    value.as_str().map_or(0, |text| text.parse().unwrap())
}

/// What it answers, a document in each line, for as long as somebody listens.
fn ask(plane: &Path, path: &str, question: &Value) -> impl Iterator<Item = Value> {
    let mut stream = UnixStream::connect(plane.join("etcd:0")).unwrap();
    let patience = Duration::from_secs(30);
    stream.set_read_timeout(Some(patience)).unwrap();
    let body = question.to_string();
    // HTTP/1.0: no lengths between the parts of the answer.
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains(" 200 "), "{path}: {line}");
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let parts = serde_json::Deserializer::from_reader(reader.take(u64::MAX)).into_iter();
    parts.map(Result::unwrap)
}
