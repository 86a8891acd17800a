//! The keys by which clients sign: ECDSA over P-256 (RFC 7518 section 3.4), made here and never anywhere else.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::{PublicKey, SigningKey};
use crate::model::Secret;

const LABEL: &str = "PRIVATE KEY";
/// The length of a line (RFC 7468 section 2).
const LINE: usize = 64;

/// Makes a key. Its id is its thumbprint (RFC 7638), so that two keys never have one id, and one key always the same.
///
/// # Panics
/// If the system has no randomness: then there is nothing that anybody could do with any key.
pub fn make() -> (SigningKey, PublicKey) {
    match try_make() {
        Some(pair) => pair,
        None => panic!("the system gives no randomness to make a key from"),
    }
}

fn try_make() -> Option<(SigningKey, PublicKey)> {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .ok()?;
    let pair =
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).ok()?;
    let public = public(&pair)?;
    let signing = SigningKey {
        id: public.id.clone(),
        pem: pem(document.as_ref()),
    };
    Some((signing, public))
}

/// The public part of a key that was kept; `None` if that is no key of ours.
pub fn public_of(key: &SigningKey) -> Option<PublicKey> {
    public(&read(key)?)
}

/// The signature of a message (JWS, ES256); `None` if that is no key of ours.
pub(super) fn sign(key: &SigningKey, message: &[u8]) -> Option<String> {
    let signature = read(key)?.sign(&SystemRandom::new(), message).ok()?;
    Some(URL_SAFE_NO_PAD.encode(signature))
}

/// Something that nobody can guess and that never comes twice: 128 bits, base64url.
pub(super) fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn read(key: &SigningKey) -> Option<EcdsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.pem.reveal().as_bytes()).ok()?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()
}

fn public(pair: &EcdsaKeyPair) -> Option<PublicKey> {
    // 0x04, then both coordinates (SEC 1 section 2.3.3).
    let point = pair.public_key().as_ref();
    let (x, y) = match point {
        [4, rest @ ..] if rest.len() == 64 => rest.split_at(32),
        _ => return None,
    };
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    Some(PublicKey {
        id: thumbprint(&x, &y),
        x,
        y,
    })
}

/// RFC 7638: the hash of the required members, in the order of their names.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

fn pem(der: &[u8]) -> Secret {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Room for all of it at once: a string that grows leaves copies of itself behind.
    let mut text = String::with_capacity(body.len() + body.len() / LINE + 64);
    text.push_str("-----BEGIN ");
    text.push_str(LABEL);
    text.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = next;
    }
    text.push_str("-----END ");
    text.push_str(LABEL);
    text.push_str("-----\n");
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_key_signs_what_its_public_part_verifies() {
        let (signing, public) = make();
        assert_eq!(signing.id, public.id);
        assert_eq!(public_of(&signing), Some(public.clone()));
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let point = [vec![4], part(&public.x), part(&public.y)].concat();
        let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
        let signature = part(&sign(&signing, b"message").unwrap());
        assert_eq!(signature.len(), 64);
        verifier.verify(b"message", &signature).unwrap();
        assert!(verifier.verify(b"massage", &signature).is_err());
    }

    #[test]
    fn every_key_is_another_one() {
        let ((one, a), (other, b)) = (make(), make());
        assert_ne!(one, other);
        assert_ne!(a.id, b.id);
    }

    #[test]
    fn the_private_part_is_pem_that_others_read() {
        let (signing, _) = make();
        let text = signing.pem.reveal();
        assert!(
            text.starts_with("-----BEGIN PRIVATE KEY-----\n"),
            "its head"
        );
        assert!(text.ends_with("\n-----END PRIVATE KEY-----\n"), "its end");
        assert!(text.lines().all(|line| line.len() <= LINE), "its lines");
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        for pem in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            let key = SigningKey {
                id: "k".to_owned(),
                pem: Secret::new(pem),
            };
            assert_eq!(sign(&key, b"message"), None);
            assert_eq!(public_of(&key), None);
        }
    }

    /// The form is that of RFC 7638 section 3.1; the value was computed with another implementation (Python's hashlib).
    #[test]
    fn the_thumbprint_is_that_of_the_standard() {
        assert_eq!(
            thumbprint(
                "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
                "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
            ),
            "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
        );
    }
}
