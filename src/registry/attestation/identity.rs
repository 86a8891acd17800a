//! Signatures by an identity ("keyless"): with a key that lived for minutes, in a certificate that says who used it.
//!
//! Such a certificate has long expired when somebody looks at it, so it counts only with a proof of when it was used: an
//! entry of a transparency log, or an RFC 3161 timestamp. All keys and authorities that are believed are configured; none
//! come from elsewhere. The verification itself is Sigstore's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::trust::Identity;
use crate::model::Digest;
use crate::registry::sha256;

/// What Sigstore calls the first version of the document that says whom it believes.
const TRUSTED_ROOT: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// An identity whose signatures count, ready to be compared with.
pub(super) struct Trusted {
    pub(super) name: String,
    verifier: Verifier,
    policy: VerificationPolicy,
    demands: Demands,
}

/// What must be proven besides the certificate and the identity in it.
#[derive(Debug, Clone, Copy)]
struct Demands {
    /// An entry of a transparency log.
    log: bool,
    /// An entry of a log of certificates.
    certificate_log: bool,
}

/// What the library says that it has verified.
#[derive(Debug, Clone, Copy)]
struct Proven {
    certificate: bool,
    identity: bool,
    log: bool,
    certificate_log: bool,
    /// How many sources say when the certificate was used.
    times: usize,
}

impl Proven {
    /// What was demanded and is not proven.
    fn lacks(self, demands: Demands) -> Option<&'static str> {
        [
            (self.certificate, "its certificate"),
            (self.identity, "the identity in its certificate"),
            (self.times > 0, "when its certificate was used"),
            (self.log || !demands.log, "its entry in the log"),
            (
                self.certificate_log || !demands.certificate_log,
                "its certificate's entry in the log of certificates",
            ),
        ]
        .into_iter()
        .find_map(|(is_proven, what)| (!is_proven).then_some(what))
    }
}

impl std::fmt::Debug for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trusted").field("name", &self.name).finish()
    }
}

impl Trusted {
    /// The identity, with all that is believed about it; or what is wrong with that.
    pub(super) fn new(name: &str, identity: &Identity) -> Result<Self, String> {
        let Identity {
            issuer,
            subject,
            roots,
            log,
            timestamps,
            certificate_log,
        } = identity;
        if log.is_none() && timestamps.is_none() {
            return Err(
                "it needs log or timestamps: nothing else proves when a certificate was used that lives for minutes"
                    .to_owned(),
            );
        }
        let root = json!({
            "mediaType": TRUSTED_ROOT,
            "certificateAuthorities": [authority("roots", roots)?],
            "tlogs": logs("log", log.as_deref())?,
            "ctlogs": logs("certificateLog", certificate_log.as_deref())?,
            "timestampAuthorities": match timestamps {
                Some(chain) => vec![authority("timestamps", chain)?],
                None => Vec::new(),
            },
        });
        let unusable = |error: &dyn std::fmt::Display| format!("it cannot be used: {error}");
        let root = TrustedRoot::from_json(&root.to_string()).map_err(|error| unusable(&error))?;
        let verifier = Verifier::new(&root).map_err(|error| unusable(&error))?;
        let mut policy = VerificationPolicy::new(subject.as_str(), issuer.as_str());
        if log.is_none() {
            // Then a timestamp is demanded instead; a log's time would be refused, since no log's key is known.
            policy = policy.skip_tlog_unsafe();
        }
        if certificate_log.is_none() {
            policy = policy.skip_sct();
        }
        Ok(Self {
            name: name.to_owned(),
            verifier,
            policy,
            demands: Demands {
                log: log.is_some(),
                certificate_log: certificate_log.is_some(),
            },
        })
    }

    /// Whether the identity has signed this statement about the image.
    pub(super) fn signed(&self, bundle: &Bundle, image: &Digest) -> Result<(), String> {
        let image = (image.algorithm().as_str() == "sha256")
            .then(|| Sha256Hash::from_hex(image.hex()).ok())
            .flatten()
            .ok_or("only images with a SHA-256 digest can be signed so")?;
        let verified = self.verifier.verify(image, bundle, &self.policy);
        let verified = verified.map_err(|error| error.to_string())?;
        // What was asked for has been done: a change of the library's must not quietly do less.
        let proven = Proven {
            certificate: verified.certificate_verified(),
            identity: verified.identity_policy_checked(),
            log: verified.tlog_verified(),
            certificate_log: verified.sct_verified(),
            times: verified.verified_timestamps().len(),
        };
        match proven.lacks(self.demands) {
            None => Ok(()),
            Some(what) => Err(format!("{what} was not verified")),
        }
    }
}

/// Reads a bundle with a certificate.
pub(super) fn read(bytes: &[u8]) -> Result<Bundle, String> {
    let mut written: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    // Where cosign is given a chain, it packs one in bundles of a version that has single certificates only. What is
    // between the first and our roots must be among the roots.
    if let Some(material) = written
        .get_mut("verificationMaterial")
        .and_then(Value::as_object_mut)
        && let Some(chain) = material.remove("x509CertificateChain")
    {
        let first = chain.pointer("/certificates/0").cloned();
        material.insert("certificate".to_owned(), first.unwrap_or_default());
    }
    Bundle::from_json(&written.to_string()).map_err(|error| error.to_string())
}

/// The payload of what a bundle holds, with its type.
pub(super) fn payload(bundle: &Bundle) -> Option<(&str, &[u8])> {
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            Some((&envelope.payload_type, envelope.payload.as_bytes()))
        }
        _ => None,
    }
}

/// A chain of certificates, as Sigstore writes it.
fn authority(what: &str, pem: &str) -> Result<Value, String> {
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("{what} is no PEM: {error}"))?;
        certificates.push(json!({"rawBytes": STANDARD.encode(&certificate)}));
    }
    if certificates.is_empty() {
        return Err(format!(
            "{what} holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
        ));
    }
    Ok(json!({"uri": "", "certChain": {"certificates": certificates}}))
}

/// The public keys of logs, as Sigstore writes them; a log is known by the hash of its key.
fn logs(what: &str, pem: Option<&str>) -> Result<Vec<Value>, String> {
    let Some(pem) = pem else {
        return Ok(Vec::new());
    };
    let mut logs = Vec::new();
    for key in SubjectPublicKeyInfoDer::pem_slice_iter(pem.as_bytes()) {
        let key = key.map_err(|error| format!("{what} is no PEM: {error}"))?;
        let id = sha256(&key).map_err(|error| error.to_string())?;
        let id = Sha256Hash::from_hex(id.hex()).map_err(|error| error.to_string())?;
        logs.push(json!({
            "baseUrl": "", "hashAlgorithm": "SHA2_256", "logId": {"keyId": STANDARD.encode(id.as_bytes())},
            // Which algorithm it is for stands in the key itself.
            "publicKey": {"rawBytes": STANDARD.encode(&key), "keyDetails": "PUBLIC_KEY_DETAILS_UNSPECIFIED"},
        }));
    }
    if logs.is_empty() {
        return Err(format!(
            "{what} holds no public key in PEM, which begins with -----BEGIN PUBLIC KEY-----"
        ));
    }
    Ok(logs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_demanded_may_be_left_out() {
        let all = Proven {
            certificate: true,
            identity: true,
            log: true,
            certificate_log: true,
            times: 1,
        };
        let everything = Demands {
            log: true,
            certificate_log: true,
        };
        let little = Demands {
            log: false,
            certificate_log: false,
        };
        assert_eq!(all.lacks(everything), None);
        type Case = (fn(&mut Proven), &'static str, bool);
        let cases: [Case; 5] = [
            (|it| it.certificate = false, "its certificate", true),
            (|it| it.identity = false, "the identity", true),
            (|it| it.times = 0, "when its certificate was used", true),
            (|it| it.log = false, "its entry in the log", false),
            (
                |it| it.certificate_log = false,
                "its certificate's entry",
                false,
            ),
        ];
        for (change, words, always) in cases {
            let mut proven = all;
            change(&mut proven);
            let lacks = proven.lacks(everything).unwrap_or_default();
            assert!(lacks.starts_with(words), "{words}: {lacks}");
            assert_eq!(proven.lacks(little).is_some(), always, "{words}");
        }
    }
}
