use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

fn image() -> Digest {
    format!("sha256:{}", "ab".repeat(32)).parse().unwrap()
}

fn carrier(letter: &str) -> Digest {
    format!("sha256:{}", letter.repeat(64)).parse().unwrap()
}

type Sign = dyn Fn(&[u8]) -> Vec<u8>;

/// Signs, and says what its public key is.
struct Signer {
    sign: Box<Sign>,
    pem: String,
}

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

fn ecdsa(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Signer {
    let pair = EcdsaKeyPair::generate(algorithm).unwrap();
    let der = pair.public_key().as_der().unwrap();
    Signer {
        pem: pem("PUBLIC KEY", der.as_ref()),
        sign: Box::new(move |data| {
            pair.sign(&SystemRandom::new(), data)
                .unwrap()
                .as_ref()
                .to_vec()
        }),
    }
}

fn edwards() -> Signer {
    let pair = Ed25519KeyPair::generate().unwrap();
    let der = pair.public_key().as_der().unwrap();
    Signer {
        pem: pem("PUBLIC KEY", der.as_ref()),
        sign: Box::new(move |data| pair.sign(data).as_ref().to_vec()),
    }
}

fn rsa(padding: &'static dyn aws_lc_rs::signature::RsaEncoding) -> Signer {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = pair.public_key().as_der().unwrap();
    Signer {
        pem: pem("PUBLIC KEY", der.as_ref()),
        sign: Box::new(move |data| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &SystemRandom::new(), data, &mut signature)
                .unwrap();
            signature
        }),
    }
}

fn p256() -> Signer {
    ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
}

fn statement(repository: &str, image: &Digest) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v1",
        "subject": [{"digest": {"sha256": image.hex()}}],
        "predicate": {"buildDefinition": {"externalParameters": {"source": repository}}},
    })
    .to_string()
}

fn envelope(signer: &Signer, payload: &str) -> serde_json::Value {
    let kind = "application/vnd.in-toto+json";
    let signed = dsse::pre_authentication_encoding(kind, payload.as_bytes());
    json!({
        "payloadType": kind, "payload": STANDARD.encode(payload),
        "signatures": [{"keyid": "", "sig": STANDARD.encode((signer.sign)(&signed))}],
    })
}

/// The verdict on these envelopes; they are carried by 1, 2, ….
fn judged(envelopes: &[&serde_json::Value], trust: &Trust) -> Verdict {
    let one = |(at, envelope): (usize, &&serde_json::Value)| {
        let opened = Envelope::read(envelope.to_string().as_bytes()).map(Opened::ByKey);
        judge(opened, &carrier(&(at + 1).to_string()), trust, &image())
    };
    verdict(envelopes.iter().enumerate().map(one).collect())
}

fn trust(signers: &[(&str, &Signer)]) -> Trust {
    let entries: Vec<TrustEntry> = signers
        .iter()
        .map(|(name, signer)| TrustEntry::Key {
            name: (*name).to_owned(),
            pem: signer.pem.clone(),
        })
        .collect();
    Trust::new(&entries).unwrap()
}

const SHOP: &str = "https://github.com/acme/shop";

#[test]
fn signatures_of_every_kind_of_key_count_and_only_with_that_key() {
    let stranger = p256();
    for (kind, signer) in [
        ("P-256", p256()),
        ("P-384", ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)),
        ("Ed25519", edwards()),
        ("RSA", rsa(&RSA_PKCS1_SHA256)),
        ("RSA-PSS", rsa(&RSA_PSS_SHA256)),
    ] {
        let signed = envelope(&signer, &statement(SHOP, &image()));
        let trusted = trust(&[("stranger", &stranger), ("builder", &signer)]);
        let verdict = judged(&[&signed], &trusted);
        let source = verdict
            .source
            .unwrap_or_else(|| panic!("{kind}: {:?}", verdict.skipped));
        assert_eq!(source.facts.repository.to_string(), SHOP, "{kind}");
        assert_eq!(
            (source.key.as_str(), source.carrier),
            ("builder", carrier("1")),
            "{kind}"
        );
        let verdict = judged(&[&signed], &trust(&[("stranger", &stranger)]));
        assert_eq!(verdict.source, None, "{kind}");
        assert!(
            verdict.skipped[0]
                .reason
                .contains("none of the trusted keys"),
            "{kind}"
        );
    }
}

#[test]
fn a_changed_byte_anywhere_ends_the_belief() {
    let signer = p256();
    let good = envelope(&signer, &statement(SHOP, &image()));
    let trusted = trust(&[("builder", &signer)]);
    let mut payload = good.clone();
    payload["payload"] =
        json!(STANDARD.encode(statement("https://github.com/evil/shop", &image())));
    let mut unsigned = good.clone();
    unsigned["signatures"] = json!([]);
    let mut signature = STANDARD
        .decode(good["signatures"][0]["sig"].as_str().unwrap())
        .unwrap();
    let last = signature.len() - 1;
    signature[last] ^= 1;
    let mut damaged = good.clone();
    damaged["signatures"][0]["sig"] = json!(STANDARD.encode(signature));
    let mut kind = good.clone();
    kind["payloadType"] = json!("text/plain");
    for (what, envelope, reason) in [
        ("payload", payload, "none of the trusted keys"),
        ("signatures", unsigned, "not signed"),
        ("signature", damaged, "none of the trusted keys"),
        ("type", kind, "no in-toto statement"),
        ("all", json!([]), "no signed envelope"),
    ] {
        let verdict = judged(&[&envelope], &trusted);
        assert_eq!(verdict.source, None, "{what}");
        assert!(
            verdict.skipped[0].reason.contains(reason),
            "{what}: {:?}",
            verdict.skipped
        );
    }
    // One good signature among others is enough.
    let mut several = good;
    several["signatures"] = json!([{"sig": "AAAA"}, {"sig": "!"}, several["signatures"][0]]);
    assert!(judged(&[&several], &trusted).source.is_some());
}

#[test]
fn a_statement_counts_for_the_digest_that_it_names() {
    let signer = p256();
    let other = envelope(&signer, &statement(SHOP, &carrier("9")));
    let verdict = judged(&[&other], &trust(&[("builder", &signer)]));
    assert_eq!(verdict.source, None);
    assert_eq!(
        verdict.skipped[0].reason,
        "signed by builder, and it is about another digest"
    );
}

#[test]
fn trusted_statements_that_contradict_each_other_decide_nothing() {
    let (one, two) = (p256(), edwards());
    let trusted = trust(&[("one", &one), ("two", &two)]);
    let same = [
        envelope(&one, &statement(SHOP, &image())),
        envelope(&two, &statement("git@github.com:Acme/shop.git", &image())),
    ];
    let verdict = judged(&[&same[0], &same[1]], &trusted);
    assert_eq!(verdict.source.unwrap().key, "one");
    let different = envelope(&two, &statement("https://github.com/acme/other", &image()));
    let verdict = judged(&[&same[0], &different], &trusted);
    assert_eq!(verdict.source, None);
    assert_eq!(verdict.skipped.len(), 2);
    assert!(
        verdict.skipped[1].reason.contains("another source"),
        "{:?}",
        verdict.skipped
    );
}

#[test]
fn trust_that_cannot_be_kept_is_refused() {
    let key = |pem: &str| TrustEntry::Key {
        name: "ci".into(),
        pem: pem.into(),
    };
    let certificate = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap();
    let whole = Identity {
        issuer: "https://token.actions.githubusercontent.com".into(),
        subject: "https://github.com/acme/shop/.github/workflows/build.yaml@refs/heads/main".into(),
        roots: certificate.cert.pem(),
        log: Some(p256().pem),
        timestamps: None,
        certificate_log: None,
    };
    let identity = |change: &dyn Fn(&mut Identity)| {
        let mut identity = whole.clone();
        change(&mut identity);
        TrustEntry::Identity {
            name: "ci".into(),
            identity,
        }
    };
    assert!(!Trust::new(&[identity(&|_| {})]).unwrap().is_empty());
    let short = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00abc";
    for (entry, reason) in [
        (identity(&|it| it.log = None), "needs log or timestamps"),
        (
            identity(&|it| it.roots.clear()),
            "roots holds no certificate",
        ),
        (
            identity(&|it| it.roots = p256().pem),
            "roots holds no certificate",
        ),
        (
            identity(&|it| it.roots = pem("CERTIFICATE", b"abc")),
            "cannot be used",
        ),
        (
            identity(&|it| it.log = Some(String::new())),
            "log holds no public key",
        ),
        (
            identity(&|it| it.log = Some(pem("PUBLIC KEY", b"abc"))),
            "cannot be used",
        ),
        (
            identity(&|it| it.timestamps = Some("abc".into())),
            "timestamps holds no certificate",
        ),
        (
            identity(&|it| it.certificate_log = Some("abc".into())),
            "certificateLog holds no public key",
        ),
        (key(""), "no public key in PEM"),
        (key(&pem("CERTIFICATE", b"abc")), "no public key in PEM"),
        (key(&pem("PUBLIC KEY", b"abc")), "none of ECDSA"),
        (key(&pem("PUBLIC KEY", short.as_bytes())), "none of ECDSA"),
    ] {
        let error = Trust::new(&[key(&p256().pem), entry])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(reason) && error.contains("\"ci\""),
            "{error}"
        );
    }
    assert!(Trust::new(&[]).unwrap().is_empty());
}

#[test]
fn bundles_are_opened_if_a_key_signed_them() {
    let signer = p256();
    let inner = envelope(&signer, &statement(SHOP, &image()));
    let by_key = json!({"publicKey": {"hint": "x"}});
    let read = |bundle: serde_json::Value| {
        from_bundle(bundle.to_string().as_bytes()).map(|opened| match opened {
            Opened::ByKey(envelope) => envelope,
            Opened::ByIdentity(_) => panic!("by a key"),
        })
    };
    let good = json!({"mediaType": "m", "verificationMaterial": by_key, "dsseEnvelope": inner});
    assert_eq!(
        read(good).unwrap(),
        Envelope::read(inner.to_string().as_bytes()).unwrap()
    );
    for (bundle, reason) in [
        (
            json!({"verificationMaterial": {"certificate": {}}, "dsseEnvelope": inner}),
            "no Sigstore bundle",
        ),
        (
            json!({"verificationMaterial": by_key, "messageSignature": {}}),
            "without a statement",
        ),
        (json!({}), "no Sigstore bundle"),
    ] {
        let error = read(bundle).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}
