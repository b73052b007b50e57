//! Certificates: an authority, and what it signs. Nothing here reads a clock or a file.

use std::{
    ops::Range,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use super::Pem;

/// The subject of our authorities, by which a certificate finds its issuer.
const AUTHORITY: &str = "kube-ovn authority";
/// The subject and the DNS name of certificates.
const MEMBER: &str = "kube-ovn";

/// From when until when a certificate is good.
pub type Validity = Range<SystemTime>;

/// Whose signature is believed.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    key: KeyPair,
}

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The key of an authority is not one that we made.
    #[error("the key of the authority is unreadable")]
    Key(#[source] rcgen::Error),
    /// The system has no random numbers, or a date is out of range.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
}

// === impl Authority ===

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// [`IssueError::Make`].
    pub fn generate(validity: &Validity) -> Result<Self, IssueError> {
        let key = KeyPair::generate()?;
        let mut parameters = authority();
        limit(&mut parameters, validity);
        Ok(Self {
            certificate: parameters.self_signed(&key)?.pem(),
            key,
        })
    }

    /// One that was made before, from what [`Authority::certificate`] and [`Authority::key`] gave.
    ///
    /// # Errors
    /// [`IssueError::Key`].
    pub fn load(certificate: impl Into<String>, key: &str) -> Result<Self, IssueError> {
        Ok(Self {
            certificate: certificate.into(),
            key: KeyPair::from_pem(key).map_err(IssueError::Key)?,
        })
    }

    /// The same, whose predecessor is believed as well: what that one signed is still in use.
    pub fn after(mut self, predecessor: &Self) -> Self {
        self.certificate.push_str(&predecessor.certificate);
        self
    }

    /// Its certificate in PEM, which others believe, and those of its predecessors.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its key in PEM, which nobody else may see.
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// A new key with a certificate for members, both as clients and as servers.
    ///
    /// # Errors
    /// [`IssueError::Make`].
    pub fn issue(&self, validity: &Validity) -> Result<Pem, IssueError> {
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(authority(), &self.key);
        let mut parameters = CertificateParams::new([MEMBER.to_owned()])?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, MEMBER);
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        limit(&mut parameters, validity);
        Ok(Pem {
            authorities: self.certificate.clone(),
            certificate: parameters.signed_by(&key, &issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// What all authorities have in common.
fn authority() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters
        .distinguished_name
        .push(DnType::CommonName, AUTHORITY);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn limit(parameters: &mut CertificateParams, validity: &Validity) {
    let epoch = date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + since_epoch(validity.start);
    parameters.not_after = epoch + since_epoch(validity.end);
}

/// Whole seconds, as certificates have them.
fn since_epoch(time: SystemTime) -> Duration {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    Duration::from_secs(since.unwrap_or_default().as_secs())
}
