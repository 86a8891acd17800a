//! Over TLS: an authority of the company's own is trusted where it is named, and nowhere else.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use bailiwick::dev::certificates::Authority;
use bailiwick::identity::{ErrorKind, Inquiry, Servers};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{dynamic_options, impatient};

/// Serves metadata over TLS with a certificate of this authority, as long as the process lives.
fn serve(authority: &Authority) -> String {
    let pair = authority.server().unwrap();
    let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("https://{}", listener.local_addr().unwrap());
    let (config, own) = (Arc::new(config), issuer.clone());
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not trust us says so and goes.
            let Ok(count) = stream.read(&mut [0; 8192]) else {
                continue;
            };
            assert!(count > 0);
            let document = json!({"issuer": own, "token_endpoint": format!("{own}/token"),
                "registration_endpoint": format!("{own}/reg")})
            .to_string();
            let length = document.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{document}"
            );
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
        }
    });
    issuer
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_of_ones_own_is_trusted_if_it_is_named() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let issuer = serve(&authority);
    for (authorities, trusted) in [
        (authority.certificate(), true),
        (
            format!("{}{}", other.certificate(), authority.certificate()),
            true,
        ),
        (other.certificate(), false),
        (String::new(), false),
    ] {
        let mut options = dynamic_options(&issuer, None);
        options.authorities = authorities;
        let found = impatient()
            .open(options)
            .unwrap()
            .describe(Inquiry::Trying)
            .await;
        match found {
            Ok(found) => {
                assert!(trusted);
                assert_eq!(found.token_endpoint.as_str(), format!("{issuer}/token"));
            }
            Err(error) => {
                assert!(!trusted, "{error}");
                assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
                assert!(error.message.contains("certificate"), "{error}");
            }
        }
    }
}
