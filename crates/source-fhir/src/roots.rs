//! Authorities of a deployment's own, from PEM.

use reqwest::Certificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sluice_ports::PortError;

/// Reads all certificates.
pub(crate) fn read(pem: &[u8]) -> Result<Vec<Certificate>, PortError> {
    const ACTION: &str = "reading fhir.ca_file";
    let mut roots = Vec::new();
    for found in CertificateDer::pem_slice_iter(pem) {
        let der = found.map_err(|error| PortError::permanent(ACTION, error))?;
        let root = Certificate::from_der(&der);
        roots.push(root.map_err(|error| PortError::permanent(ACTION, error))?);
    }
    if roots.is_empty() {
        return Err(PortError::permanent(ACTION, "it holds no PEM CERTIFICATE"));
    }
    Ok(roots)
}
