//! Dead Simple Signing Envelopes (DSSE 1.0): a payload, its type, and signatures over both.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

/// With padding or without, as writers differ.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
/// The only payload that says something about an image.
const IN_TOTO: &str = "application/vnd.in-toto+json";
/// More signatures than that on one envelope are not looked at.
const MOST_SIGNATURES: usize = 20;

/// An envelope, opened but not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The statement.
    pub(super) payload: Vec<u8>,
    /// What was signed: payload and type, encoded so that they cannot be mistaken for each other.
    pub(super) signed: Vec<u8>,
    pub(super) signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Opens an envelope; the error says why it is none that we understand.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Written {
            payload: String,
            payload_type: String,
            signatures: Vec<Signature>,
        }
        #[derive(Deserialize)]
        struct Signature {
            sig: String,
        }
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no signed envelope: {error}"))?;
        is_statement(&written.payload_type)?;
        if written.signatures.len() > MOST_SIGNATURES {
            return Err(format!("it has more than {MOST_SIGNATURES} signatures"));
        }
        let payload = decode(&written.payload).ok_or("its payload is no base64")?;
        let signatures = written
            .signatures
            .iter()
            .filter_map(|signature| decode(&signature.sig));
        Ok(Self {
            signed: pre_authentication_encoding(&written.payload_type, &payload),
            signatures: signatures.collect(),
            payload,
        })
    }
}

/// Whether a payload of this type says something about an image.
pub(super) fn is_statement(payload_type: &str) -> Result<(), String> {
    match payload_type == IN_TOTO {
        true => Ok(()),
        false => Err(format!(
            "it is a signed {payload_type:.80}, no in-toto statement"
        )),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .ok()
}

/// `PAE` of the DSSE protocol: every part with its length before it.
pub(super) fn pre_authentication_encoding(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
