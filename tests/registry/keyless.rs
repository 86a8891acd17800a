//! Attestations that cosign has signed with certificates: whose they are, and what proves when they were used.

use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use bailiwick::dev::registries::Kind;
use bailiwick::model::ImageRef;
use bailiwick::registry::attestation::{Identity, Trust, TrustEntry, Verdict, attestations};
use bailiwick::registry::sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::{Value, json};

use super::server::{Reply, Request, Server};
use super::stage::{COMMIT, SHOP, Stage, archive};

const ISSUER: &str = "https://token.example.com";
const SUBJECT: &str = "https://git.example.com/acme/shop/build.yaml@refs/heads/main";
/// The extension by which certificates name the issuer of an identity.
const ISSUER_EXTENSION: [u64; 9] = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
/// In the year in which the short-lived certificates of these tests are valid.
const THEN: i64 = 1_590_000_000;
const LATER: i64 = 1_690_000_000;

/// An authority that gives certificates to identities.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for the identity, and its key for cosign. `past`: valid in 2020 alone.
    fn certificate(&self, stage: &Stage, name: &str, past: bool) -> Signing {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::URI(SUBJECT.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let issuer = [&[0x0c, ISSUER.len() as u8], ISSUER.as_bytes()].concat();
        let issuer = CustomExtension::from_oid_content(&ISSUER_EXTENSION, issuer);
        params.custom_extensions = vec![issuer];
        if past {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 12, 31);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        let pem = stage.write(&format!("{name}.pem"), key.serialize_pem().as_bytes());
        let prefix = stage.path(name).to_str().unwrap().to_owned();
        stage.cosign(&[
            "import-key-pair",
            "--key",
            &pem,
            "--output-key-prefix",
            &prefix,
        ]);
        Signing {
            key: format!("{prefix}.key"),
            certificate: stage.write(&format!("{name}.crt"), certificate.as_bytes()),
            chain: stage.write("chain.crt", self.0.pem().as_bytes()),
        }
    }
}

/// What cosign signs with.
struct Signing {
    key: String,
    certificate: String,
    chain: String,
}

/// A transparency log that says it is always the same second.
struct Log {
    pem: String,
    server: Server,
}

impl Log {
    async fn start(now: i64) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: Vec<u8> = pair.public_key().as_der().unwrap().as_ref().to_vec();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(&spki)
        );
        let id = sha256(&spki).unwrap().hex().to_owned();
        let pair = Arc::new(Mutex::new(pair));
        let server = Server::start(move |request| {
            let sign = |bytes: &[u8]| {
                let pair = pair.lock().unwrap();
                pair.sign(&SystemRandom::new(), bytes)
                    .unwrap()
                    .as_ref()
                    .to_vec()
            };
            entered(request, &id, now, &sign)
        })
        .await;
        Self { pem, server }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Enters an envelope as the only entry of the log, as Rekor answers.
fn entered(request: &Request, id: &str, now: i64, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Reply {
    let proposed: Value = serde_json::from_slice(&request.body).unwrap();
    let content = &proposed["spec"]["proposedContent"];
    let text = content["envelope"].as_str().unwrap();
    let envelope: Value = serde_json::from_str(text).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap());
    let hash = |bytes: &[u8]| {
        let hash = sha256(bytes).unwrap();
        json!({"algorithm": "sha256", "value": hash.hex()})
    };
    let body = json!({
        "apiVersion": "0.0.1", "kind": "dsse",
        "spec": {
            "envelopeHash": hash(text.as_bytes()), "payloadHash": hash(&payload.unwrap()),
            "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": content["verifiers"][0]}],
        },
    })
    .to_string();
    // The root of a tree of one leaf.
    let root = sha256(&[&[0], body.as_bytes()].concat()).unwrap();
    let body = STANDARD.encode(&body);
    let promised =
        format!(r#"{{"body":"{body}","integratedTime":{now},"logID":"{id}","logIndex":0}}"#);
    let note = format!("log.test - 1\n1\n{}\n", STANDARD.encode(bytes(root.hex())));
    let hint = [&bytes(id)[..4], &sign(note.as_bytes())].concat();
    let checkpoint = format!("{note}\n\u{2014} log.test {}\n", STANDARD.encode(hint));
    let entry = json!({
        "body": body, "integratedTime": now, "logID": id, "logIndex": 0,
        "verification": {
            "signedEntryTimestamp": STANDARD.encode(sign(promised.as_bytes())),
            "inclusionProof": {
                "logIndex": 0, "treeSize": 1, "hashes": [], "rootHash": root.hex(), "checkpoint": checkpoint,
            },
        },
    });
    let headers = format!("Content-Type: application/json\r\nETag: {}\r\n", root.hex());
    let body = json!({ root.hex(): entry }).to_string();
    Reply::new("201 Created", &headers, body)
}

/// Pushes an image, and has cosign attest where it was built from, with these further arguments.
async fn attested(stage: &Stage, tag: &str, signing: &Signing, more: &[&str]) -> ImageRef {
    let image = stage.image(&format!("team/shop:{tag}"));
    let layer = archive(&[("a", tag.as_bytes())]);
    stage.push(&image, &[stage.write("a.tar", &layer)]);
    let image = image.name().at(stage.digest(&image).await);
    let predicate = json!({
        "buildDefinition": {
            "buildType": "https://example.com/build/v1", "externalParameters": {"source": SHOP},
            "resolvedDependencies": [{"uri": format!("git+{SHOP}"), "digest": {"gitCommit": COMMIT}}],
        },
        "runDetails": {"builder": {"id": "https://example.com/builder"}},
    });
    let predicate = stage.write("predicate.json", predicate.to_string().as_bytes());
    let (key, certificate) = (&signing.key, &signing.certificate);
    let at = image.to_string();
    let mut arguments = vec![
        "attest",
        "--yes",
        "--key",
        key,
        "--certificate",
        certificate,
    ];
    arguments.extend(["--type", "slsaprovenance1", "--predicate", &predicate]);
    arguments.extend(["--use-signing-config=false", "--new-bundle-format=true"]);
    arguments.extend(["--allow-insecure-registry", "--allow-http-registry"]);
    arguments.extend(more);
    arguments.push(&at);
    stage.cosign(&arguments);
    image
}

async fn verdict(stage: &Stage, image: &ImageRef, trust: &Trust) -> Verdict {
    let digest = image.digest().unwrap();
    attestations(&stage.images, image.name(), digest, trust)
        .await
        .unwrap()
}

fn trust(identity: &Identity) -> Trust {
    let entry = TrustEntry::Identity {
        name: "ci".to_owned(),
        identity: identity.clone(),
    };
    Trust::new(&[entry]).unwrap()
}

async fn believed(stage: &Stage, image: &ImageRef, identity: &Identity) {
    let seen = verdict(stage, image, &trust(identity)).await;
    let source = seen.source.unwrap_or_else(|| panic!("{:?}", seen.skipped));
    assert_eq!(source.key, "ci");
    assert_eq!(source.facts.repository.to_string(), SHOP);
    assert_eq!(source.facts.revision.as_deref(), Some(COMMIT));
    assert_eq!(seen.skipped, []);
}

async fn refused(stage: &Stage, image: &ImageRef, trust: &Trust, words: &str) {
    let seen = verdict(stage, image, trust).await;
    assert_eq!(seen.source, None, "{words}");
    let reason = &seen.skipped[0].reason;
    assert!(reason.contains(words), "{words}: {reason}");
}

/// Everything as it should be, where a log proves the time.
fn by_log(ca: &Ca, log: &Log) -> Identity {
    Identity {
        issuer: ISSUER.to_owned(),
        subject: SUBJECT.to_owned(),
        roots: ca.0.pem(),
        log: Some(log.pem.clone()),
        timestamps: None,
        certificate_log: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_is_believed_with_everything_that_proves_it_and_nothing_less() {
    let stage = Stage::new(Kind::Referrers).await;
    let (ca, other) = (Ca::new(), Ca::new());
    let (log, elsewhere) = (Log::start(THEN).await, Log::start(THEN).await);
    // Long expired, and used while it was not.
    let signing = ca.certificate(&stage, "builder", true);
    let url = format!("http://{}", log.server.host);
    let upload = ["--tlog-upload=true", "--rekor-url", &url];
    let image = attested(&stage, "logged", &signing, &upload).await;
    let whole = by_log(&ca, &log);
    believed(&stage, &image, &whole).await;
    // With the authority's certificate beside its own, as cosign packs it then.
    let chain = [&upload[..], &["--certificate-chain", &signing.chain]].concat();
    let with_chain = attested(&stage, "chain", &signing, &chain).await;
    believed(&stage, &with_chain, &whole).await;

    let change = |change: &dyn Fn(&mut Identity)| {
        let mut identity = whole.clone();
        change(&mut identity);
        trust(&identity)
    };
    for (trust, words) in [
        (change(&|it| it.subject += "x"), "identity mismatch"),
        (change(&|it| it.issuer += "/x"), "issuer mismatch"),
        (change(&|it| it.roots = other.0.pem()), "certificate chain"),
        (
            change(&|it| it.log = Some(elsewhere.pem.clone())),
            "No log key valid",
        ),
        (
            change(&|it| it.certificate_log = Some(elsewhere.pem.clone())),
            "SCT",
        ),
        (
            change(&|it| {
                it.log = None;
                it.timestamps = Some(ca.0.pem());
            }),
            "No log key valid",
        ),
    ] {
        refused(&stage, &image, &trust, words).await;
    }
    // The certificate's own key is no identity.
    let key = KeyPair::generate().unwrap().public_key_pem();
    let by_key = TrustEntry::Key {
        name: "key".to_owned(),
        pem: key,
    };
    let by_key = Trust::new(&[by_key]).unwrap();
    refused(&stage, &image, &by_key, "only keys are trusted here").await;

    // Nothing says when it was used; and what says so says that it was used later.
    let unproven = attested(&stage, "unproven", &signing, &["--tlog-upload=false"]).await;
    refused(&stage, &unproven, &trust(&whole), "inclusion proof").await;
    let late = Log::start(LATER).await;
    let url = format!("http://{}", late.server.host);
    let upload = ["--tlog-upload=true", "--rekor-url", &url];
    let expired = attested(&stage, "expired", &signing, &upload).await;
    refused(&stage, &expired, &trust(&by_log(&ca, &late)), "CertExpired").await;

    // What is signed of one image is not signed of another.
    let victim = stage.image("team/shop:victim");
    stage.push(&victim, &[stage.write("v.tar", &archive(&[("v", b"v")]))]);
    let victim = victim.name().at(stage.digest(&victim).await);
    let bundle = bundle_of(&stage, &image).await;
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let copy = stage.image("team/shop:copy");
    stage.push_as_it_is(&copy, kind, &bundle, Some(&victim));
    refused(&stage, &victim, &trust(&whole), "mismatch").await;
    // Nor is it believed with another signature, or with the time changed.
    let mut forged: Value = serde_json::from_slice(&bundle).unwrap();
    forged["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = json!("1590000001");
    let again = stage.image("team/shop:again");
    stage.push(
        &again,
        &[stage.write("a.tar", &archive(&[("a", b"again")]))],
    );
    let again = again.name().at(stage.digest(&again).await);
    let copy = stage.image("team/shop:forged");
    stage.push_as_it_is(&copy, kind, forged.to_string().as_bytes(), Some(&again));
    refused(&stage, &again, &trust(&whole), "SET verification failed").await;
}

/// The bytes of the bundle that is attached to the image.
async fn bundle_of(stage: &Stage, image: &ImageRef) -> Vec<u8> {
    use bailiwick::registry::Images;
    let attached = stage
        .images
        .referrers(image.name(), image.digest().unwrap())
        .await
        .unwrap()
        .found;
    let carrier = image.name().at(attached[0].digest.clone());
    let manifest = stage.images.resolve(&carrier).await.unwrap();
    let layer = &manifest.layers()[0];
    stage
        .images
        .blob(image.name(), layer)
        .await
        .unwrap()
        .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_proves_the_time_as_well() {
    let stage = Stage::new(Kind::Referrers).await;
    let ca = Ca::new();
    let authority = stage.tools.timestamp_authority().await.unwrap();
    let stranger = stage.tools.timestamp_authority().await.unwrap();
    let url = format!("http://{}/api/v1/timestamp", authority.host());
    let chain = |of: &bailiwick::dev::loopback::Loopback| {
        let (status, body) = of.get("/api/v1/timestamp/certchain").unwrap();
        assert_eq!(status, 200);
        Some(body)
    };
    let stamp = ["--tlog-upload=false", "--timestamp-server-url", &url];
    let signing = ca.certificate(&stage, "builder", false);
    let image = attested(&stage, "stamped", &signing, &stamp).await;
    let whole = Identity {
        log: None,
        timestamps: chain(&authority),
        ..by_log(&ca, &Log::start(THEN).await)
    };
    believed(&stage, &image, &whole).await;
    let foreign = Identity {
        timestamps: chain(&stranger),
        ..whole.clone()
    };
    refused(&stage, &image, &trust(&foreign), "timestamp").await;
    // Where a log is demanded, a timestamp alone is not enough.
    let logged = Identity {
        log: by_log(&ca, &Log::start(THEN).await).log,
        ..whole.clone()
    };
    refused(&stage, &image, &trust(&logged), "inclusion proof").await;
    // It proves that the certificate had long expired.
    let expired = ca.certificate(&stage, "expired", true);
    let image = attested(&stage, "expired", &expired, &stamp).await;
    refused(&stage, &image, &trust(&whole), "CertExpired").await;
    // And without it nothing is proven, however fresh the certificate is.
    let image = attested(&stage, "unstamped", &signing, &["--tlog-upload=false"]).await;
    refused(&stage, &image, &trust(&whole), "timestamp").await;
}
