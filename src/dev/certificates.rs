//! The certificates of one control plane: an authority, the server's, and one for every user.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use super::Error;

/// A certificate and its key, both as PEM.
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

/// Signs the certificates that one API server presents and accepts.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new authority, known to nobody yet.
    pub fn new() -> Result<Self, Error> {
        let mut params = params("bailiwick dev", &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// The authority's own certificate, as PEM.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// For the API server. The address must be an alternative name: rustls does not look at the common name.
    pub fn server(&self) -> Result<Pair, Error> {
        let mut params = params("kube-apiserver", &["127.0.0.1", "localhost"])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// For a user: Kubernetes takes the common name for the name and every organization for a group.
    pub fn user(&self, name: &str, groups: &[&str]) -> Result<Pair, Error> {
        // rcgen keeps one value per kind of attribute; the same kind given by its number is a second one to it.
        let kinds = [
            DnType::OrganizationName,
            DnType::CustomDnType(vec![2, 5, 4, 10]),
        ];
        if groups.len() > kinds.len() {
            return Err(Error::Groups {
                user: name.to_owned(),
                groups: groups.len(),
            });
        }
        let mut params = params(name, &[])?;
        for (kind, group) in kinds.into_iter().zip(groups) {
            params.distinguished_name.push(kind, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Result<Pair, Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?.pem();
        Ok(Pair {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

/// A key pair for service account tokens: (private, public). The API server reads a public key from this form, but no
/// public key from a private one of this form.
pub fn signing_keys() -> Result<(String, String), Error> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

fn params(common_name: &str, alternative_names: &[&str]) -> Result<CertificateParams, Error> {
    let names: Vec<String> = alternative_names
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}
