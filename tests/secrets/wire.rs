//! What goes over the wire between the operator and an authorization server, noted down by who stands between them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use bailiwick::dev::oauth::OidcProvider;

/// Stands for the server, which is somewhere else: what the server says of where it is says so, too.
pub struct Wire {
    pub issuer: String,
    answers: Arc<Mutex<Vec<u8>>>,
    requests: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    pub fn to(server: &OidcProvider) -> Self {
        let there = server.issuer().trim_start_matches("http://").to_owned();
        // What is said of a place must be as long as before, or a length that was announced would not hold.
        let listener = loop {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            if listener.local_addr().unwrap().to_string().len() == there.len() {
                break listener;
            }
        };
        let here = listener.local_addr().unwrap().to_string();
        let wire = Self {
            issuer: format!("http://{here}"),
            answers: Arc::default(),
            requests: Arc::default(),
        };
        let (answers, requests) = (wire.answers.clone(), wire.requests.clone());
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&there) else {
                    continue;
                };
                let (from, to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let notes = requests.clone();
                std::thread::spawn(move || carry(from, to, &notes, None));
                let (notes, named) = (answers.clone(), (there.clone(), here.clone()));
                std::thread::spawn(move || carry(far, near, &notes, Some(&named)));
            }
        });
        wire
    }

    /// Whether a request had this in it.
    pub fn sent(&self, word: &str) -> bool {
        let requests = self.requests.lock().unwrap();
        String::from_utf8_lossy(&requests).contains(word)
    }

    /// All values that a member of the server's JSON had, in the order in which they came.
    pub fn given(&self, member: &str) -> Vec<String> {
        let answers = self.answers.lock().unwrap();
        let text = String::from_utf8_lossy(&answers);
        let name = format!("\"{member}\":\"");
        let values = text.split(name.as_str()).skip(1);
        values
            .map(|value| value.split('"').next().unwrap().to_owned())
            .collect()
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    notes: &Mutex<Vec<u8>>,
    named: Option<&(String, String)>,
) {
    let mut chunk = vec![0; 1 << 16];
    while let Ok(count) = from.read(&mut chunk) {
        let mut bytes = chunk[..count].to_vec();
        if let Some((there, here)) = named {
            rename(&mut bytes, there.as_bytes(), here.as_bytes());
        }
        notes.lock().unwrap().extend(&bytes);
        if count == 0 || to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Replaces one text by another of the same length.
fn rename(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..bytes.len().saturating_sub(from.len() - 1) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}
