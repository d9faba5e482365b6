//! Encryption, and how a server's certificate is checked.
//!
//! What must hold: `verify-ca` and `verify-full` never connect without a certificate that they trust. What is deliberately weaker:
//! `prefer`, `require` (without authorities to trust) encrypt to whoever answers, as in libpq.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::config::SslMode as Encryption;
use tokio_postgres_rustls::MakeRustlsConnect;

/// What the options say.
pub(super) struct SecurityOptions<'o> {
    pub(super) mode: Option<&'o str>,
    /// A file, or `system`.
    pub(super) roots: Option<&'o str>,
    /// A file that exists.
    pub(super) default_roots: Option<&'o Path>,
    pub(super) certificate: Option<&'o Path>,
    pub(super) key: Option<&'o Path>,
}

/// How connections are protected.
#[derive(Clone)]
pub(super) struct Security {
    encryption: Encryption,
    connector: Option<MakeRustlsConnect>,
}

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    /// Who signed it.
    Authority,
    /// And that it is for the host that was asked for.
    AuthorityAndName,
}

impl Security {
    pub(super) fn new(options: &SecurityOptions<'_>) -> Result<Security, String> {
        let system = options.roots == Some("system");
        let mode = match options.mode {
            None if system => "verify-full",
            None => "prefer",
            Some(mode) => mode,
        };
        if system && mode != "verify-full" {
            return Err(format!(
                "sslrootcert=system needs sslmode=verify-full, not {mode}: anybody can get a certificate for a name of their own from a public authority."
            ));
        }
        let has_roots = options.roots.is_some() || options.default_roots.is_some();
        let (encryption, check) = match mode {
            "disable" => {
                return Ok(Security {
                    encryption: Encryption::Disable,
                    connector: None,
                });
            }
            "allow" | "prefer" => (Encryption::Prefer, Check::Nothing),
            // As libpq: whoever names authorities wants them to be asked.
            "require" if has_roots => (Encryption::Require, Check::Authority),
            "require" => (Encryption::Require, Check::Nothing),
            "verify-ca" => (Encryption::Require, Check::Authority),
            "verify-full" => (Encryption::Require, Check::AuthorityAndName),
            other => {
                return Err(format!(
                    "sslmode={other} is not known. Use disable, prefer, require, verify-ca or verify-full."
                ));
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = Verifier::new(Arc::clone(&provider), check, options)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {error}."))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (options.certificate, options.key) {
            (Some(certificate_file), Some(key)) => {
                let chain = certificates(certificate_file)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                    format!("The key {} cannot be read: {error}.", key.display())
                })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unfit(certificate_file, &error))?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err("sslcert and sslkey are used together; name both.".into()),
        };
        Ok(Security {
            encryption,
            connector: Some(MakeRustlsConnect::new(config)),
        })
    }

    pub(super) fn encryption(&self) -> Encryption {
        self.encryption
    }

    /// `None` if connections are not to be encrypted.
    pub(super) fn connector(&self) -> Option<MakeRustlsConnect> {
        self.connector.clone()
    }
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
    /// `None` if nothing is checked.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// What the file of trusted certificates holds: a server may show one of them as its own.
    trusted: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(
        provider: Arc<CryptoProvider>,
        check: Check,
        options: &SecurityOptions<'_>,
    ) -> Result<Verifier, String> {
        if check == Check::Nothing {
            return Ok(Verifier {
                provider,
                check,
                authorities: None,
                trusted: Vec::new(),
            });
        }
        let file = match options.roots {
            Some("system") => None,
            Some(file) => Some(Path::new(file)),
            None => options.default_roots,
        };
        let mut roots = RootCertStore::empty();
        let trusted = match file {
            Some(file) => certificates(file)?,
            None => Vec::new(),
        };
        match file {
            Some(file) => {
                for certificate in &trusted {
                    roots.add(certificate.clone()).map_err(|error| {
                        format!(
                            "The file {} holds a certificate that cannot be used: {error}.",
                            file.display()
                        )
                    })?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err(
                "There is no certificate of an authority to trust. Name a file with sslrootcert, or install the system's certificates (package ca-certificates)."
                    .into(),
            );
        }
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| format!("The trusted certificates cannot be used: {error}."))?;
        Ok(Verifier {
            provider,
            check,
            authorities: Some(authorities),
            trusted,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        // A server whose certificate signs itself shows what the file holds; there is no authority to ask.
        if self.trusted.contains(end_entity) {
            if self.check == Check::AuthorityAndName {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verdict = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verdict {
            // The name is looked at last, when everything else has been found good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("The file {} holds no certificate.", file.display())),
        Err(error) => Err(format!(
            "The certificates in {} cannot be read: {error}.",
            file.display()
        )),
    }
}

/// Why a certificate of one's own cannot be shown to a server, and what to do.
fn unfit(file: &Path, error: &rustls::Error) -> String {
    match error {
        // The library that reads certificates has only these words for it.
        rustls::Error::InvalidCertificate(reason)
            if reason.to_string().contains("UnsupportedCertVersion") =>
        {
            format!(
                "The certificate in {} is of version 1 of X.509, which cannot be used. Have it issued anew as version 3; OpenSSL does that if it is given any extension.",
                file.display()
            )
        }
        error => format!("sslcert and sslkey do not fit: {error}."),
    }
}

/// Why a server's certificate or its way of encrypting is refused, and what to do.
pub(super) fn explain(host: &str, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "The certificate of {host} is not for this host name. Use the name that it is for (its subjectAltName), give the server another certificate, or use sslmode=verify-ca if the name does not matter."
        ),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => format!(
            "The certificate of {host} is not signed by an authority that is trusted. Name the file with the authority's certificate with sslrootcert."
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => format!(
            "The certificate of {host} has expired. Give the server a new one, or check this machine's clock."
        ),
        rustls::Error::InvalidCertificate(reason) => {
            format!("The certificate of {host} is not trusted: {reason}.")
        }
        other => format!("{host} and this service cannot agree on encryption: {other}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenSSL makes it where no extension is asked for.
    const VERSION_1: &[u8] = b"-----BEGIN CERTIFICATE-----
MIIBFjCBvQIUSkpxoDuZeAKALZDcb2i2mXiPQCEwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTIyMDQ1MTA3WhgPMjEyNjEwMjkwNDUxMDdaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEx0KClMp0wrCiI5pZ
FCuYXQhtRup9H+x8kt3vUSup9YshQkStQn8CIvGovQ7QdRHOq+KS4tOvtxiHf3TL
lTMUCzAKBggqhkjOPQQDAgNIADBFAiAsUiAsx5Jqsx9unN9SihHipB7FOU1oKQU/
dNsOlfremQIhAKipkKU8wmoPDOXhmIuF6aNWvzVG4LdIHp8Q+lIm8Hjq
-----END CERTIFICATE-----";

    #[test]
    fn a_certificate_of_version_1_is_told() {
        let certificate = CertificateDer::from_pem_slice(VERSION_1).unwrap();
        let error = ParsedCertificate::try_from(&certificate).err().unwrap();
        let told = unfit(Path::new("client.crt"), &error);
        assert!(
            told.starts_with("The certificate in client.crt is of version 1 of X.509"),
            "{told}"
        );
    }
}
