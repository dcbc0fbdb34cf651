//! TLS with the certificate that the operator gives.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is no PEM, or holds nothing of the kind.
    #[error("{path} holds no {expected} in PEM form")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// Why it is not.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The key is not the certificate's, or is of another kind.
    #[error("the TLS certificate and key cannot be used together")]
    Pair(#[source] rustls::Error),
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error)
    }
}

pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let pem_error = |path: &PathBuf, expected| {
        let path = path.clone();
        move |source| TlsError::Pem {
            path,
            expected,
            source,
        }
    };
    let certs = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem_error(&files.cert, "certificate"))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(pem_error(&files.key, "private key"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
