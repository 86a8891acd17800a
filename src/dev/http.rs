//! One plain request to a server on this machine: enough to ask whether it is ready, and for the emulator's API.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The status and the body that a GET is answered with. `endpoint` is `http://<address>:<port>`.
pub fn get(endpoint: &str, path: &str) -> io::Result<(u16, String)> {
    ask(endpoint, &format!("GET {path}"), &[], "")
}

/// The status and the body that a POST to `/` is answered with.
pub fn post(endpoint: &str, headers: &[(&str, &str)], body: &str) -> io::Result<(u16, String)> {
    ask(endpoint, "POST /", headers, body)
}

fn ask(
    endpoint: &str,
    what: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<(u16, String)> {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // HTTP/1.0, so that the answer comes in one piece and ends with the connection.
    let mut request = format!(
        "{what} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("not HTTP: {head:.80}")))?;
    Ok((status, body.to_owned()))
}
