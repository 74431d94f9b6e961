//! The extra authorities, from PEM.

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::JwksHttpError;

/// Reads all certificates. Each must be fit to be an authority's, so that a wrong file is found when
/// the server starts and not when a client comes.
pub(crate) fn read(pem: &[u8]) -> Result<Vec<Certificate>, JwksHttpError> {
    let mut roots = Vec::new();
    let mut fit = RootCertStore::empty();
    for (at, found) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let unfit = |cause| JwksHttpError::Certificate {
            number: at + 1,
            cause,
        };
        let der = found.map_err(|error| JwksHttpError::Pem(error.into()))?;
        roots.push(Certificate::from_der(&der).map_err(|error| unfit(error.into()))?);
        fit.add(der).map_err(|error| unfit(error.into()))?;
    }
    if roots.is_empty() {
        return Err(JwksHttpError::NoCertificate);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_and_others_are_told() {
        let one = || rcgen::generate_simple_self_signed(vec!["keys.example".to_owned()]);
        let (first, second) = (one().unwrap().cert.pem(), one().unwrap().cert.pem());
        assert_eq!(read(first.as_bytes()).unwrap().len(), 1);
        let both = format!("# Ours\n{first}\n{second}");
        assert_eq!(read(both.as_bytes()).unwrap().len(), 2);

        let key = one().unwrap().signing_key.serialize_pem();
        for nothing in ["", "not PEM at all", key.as_str()] {
            let error = read(nothing.as_bytes()).unwrap_err();
            assert!(matches!(error, JwksHttpError::NoCertificate), "{error}");
        }
        let cut = first.replace("-----END CERTIFICATE-----", "");
        let error = read(cut.as_bytes()).unwrap_err();
        assert!(matches!(error, JwksHttpError::Pem(_)), "{error}");
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = read(format!("{first}{junk}").as_bytes()).unwrap_err();
        let second = matches!(error, JwksHttpError::Certificate { number: 2, .. });
        assert!(second, "{error}");
    }
}
