//! Whom we believe: the operator's trust configuration.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use sigstore_verify::types::Bundle;

use super::dsse::Envelope;
use super::identity::Trusted;
use crate::model::Digest;

/// One entry of the trust configuration, as somebody wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustEntry {
    /// Whoever has the private key to this public one.
    Key {
        /// What people call it; it is shown where it was used.
        name: String,
        /// The public key, PEM (`BEGIN PUBLIC KEY`): ECDSA on P-256 or P-384, Ed25519, or RSA from 2048 bits on.
        pem: String,
    },
    /// Whoever proved to this issuer to be this subject when signing ("keyless").
    Identity {
        /// What people call it; it is shown where it was used.
        name: String,
        /// The identity, and what proves it.
        identity: Identity,
    },
}

/// An identity, and what is believed about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The issuer of the identity, as the certificate names it: the URL of an OpenID Connect provider.
    pub issuer: String,
    /// The identity: the certificate's alternative name, an e-mail address or the URL of a workflow.
    pub subject: String,
    /// The authorities whose certificates count, PEM: Fulcio's, or a company's own.
    pub roots: String,
    /// The public keys of transparency logs, PEM. If there are any, whatever is signed must be in one of them.
    pub log: Option<String>,
    /// The certificates of an RFC 3161 timestamp authority, PEM: its own first, its root last.
    pub timestamps: Option<String>,
    /// The public keys of certificate transparency logs, PEM. If there are any, certificates must be in one of them.
    pub certificate_log: Option<String>,
}

/// An entry that cannot be used: which, and why. A configuration with one of them is refused as a whole: what somebody
/// believes to be trusted must not silently be not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the trust entry {name:?} cannot be used: {reason}")]
pub struct TrustError {
    name: String,
    reason: String,
}

/// The keys and identities whose signatures count.
#[derive(Debug, Default)]
pub struct Trust {
    keys: Vec<Key>,
    identities: Vec<Trusted>,
}

#[derive(Debug)]
struct Key {
    name: String,
    /// One key, once for each way that it may have been used.
    ways: Vec<ParsedPublicKey>,
}

/// How the encodings of the keys that we take begin: algorithm and length, then the key itself (RFC 5480, RFC 8410).
const P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const P384: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
const EDWARDS: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// The algorithm of RSA keys (RFC 3279), which stands near their beginning, behind lengths that vary.
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

impl Trust {
    /// The trust that these entries spell; fails at the first that cannot be used.
    pub fn new(entries: &[TrustEntry]) -> Result<Self, TrustError> {
        let mut trust = Self::default();
        for entry in entries {
            match entry {
                TrustEntry::Key { name, pem } => trust.keys.push(key(name, pem)?),
                TrustEntry::Identity { name, identity } => {
                    let trusted = Trusted::new(name, identity);
                    trust.identities.push(trusted.map_err(|reason| TrustError {
                        name: name.clone(),
                        reason,
                    })?);
                }
            }
        }
        Ok(trust)
    }

    /// Whether nobody is trusted: then nothing needs to be read either.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.identities.is_empty()
    }

    /// The name of the trusted identity that signed what is in the bundle about this image, or why there is none.
    pub(super) fn identity(&self, bundle: &Bundle, image: &Digest) -> Result<&str, String> {
        if self.identities.is_empty() {
            let why =
                "it is signed by an identity, with a certificate, and only keys are trusted here";
            return Err(why.to_owned());
        }
        let mut refused = Vec::new();
        for trusted in &self.identities {
            match trusted.signed(bundle, image) {
                Ok(()) => return Ok(&trusted.name),
                Err(why) => refused.push(format!("{}: {why}", trusted.name)),
            }
        }
        let refused = refused.join("; ");
        Err(format!(
            "none of the trusted identities signed it ({refused})"
        ))
    }

    /// The name of the trusted key that signed the envelope, or why there is none.
    pub(super) fn signer(&self, envelope: &Envelope) -> Result<&str, String> {
        let signed_by = |key: &&Key| {
            let ways = key.ways.iter();
            let mut pairs = ways.flat_map(|way| {
                envelope
                    .signatures
                    .iter()
                    .map(move |signature| (way, signature))
            });
            pairs.any(|(way, signature)| way.verify_sig(&envelope.signed, signature).is_ok())
        };
        match self.keys.iter().find(signed_by) {
            Some(key) => Ok(&key.name),
            None if envelope.signatures.is_empty() => Err("it is not signed".to_owned()),
            None => Err("none of the trusted keys signed it".to_owned()),
        }
    }
}

fn key(name: &str, pem: &str) -> Result<Key, TrustError> {
    let unusable = |reason: &str| TrustError {
        name: name.to_owned(),
        reason: reason.to_owned(),
    };
    let encoded = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        unusable("it is no public key in PEM, which begins with -----BEGIN PUBLIC KEY-----")
    })?;
    let ways = ways(&encoded).ok_or_else(|| {
        unusable("it is none of ECDSA on P-256 or P-384, Ed25519, RSA with 2048 to 8192 bits")
    })?;
    Ok(Key {
        name: name.to_owned(),
        ways,
    })
}

fn ways(encoded: &[u8]) -> Option<Vec<ParsedPublicKey>> {
    let parse = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
        ParsedPublicKey::new(algorithm, key).ok()
    };
    if let Some(point) = encoded.strip_prefix(P256) {
        return Some(vec![parse(&ECDSA_P256_SHA256_ASN1, point)?]);
    }
    if let Some(point) = encoded.strip_prefix(P384) {
        return Some(vec![parse(&ECDSA_P384_SHA384_ASN1, point)?]);
    }
    if let Some(point) = encoded.strip_prefix(EDWARDS) {
        return Some(vec![parse(&ED25519, point)?]);
    }
    let is_rsa = encoded.get(4..4 + RSA.len()) == Some(RSA);
    is_rsa.then(|| {
        Some(vec![
            parse(&RSA_PKCS1_2048_8192_SHA256, encoded)?,
            parse(&RSA_PSS_2048_8192_SHA256, encoded)?,
        ])
    })?
}
