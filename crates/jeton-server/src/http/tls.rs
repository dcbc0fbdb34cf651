//! TLS with the certificate that the operator gives, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::config::{TlsFiles, read_named_file};
use crate::telemetry::with_causes;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("the TLS file {path} cannot be read")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
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

/// The certificate and key that are served.
#[derive(Clone)]
pub(super) struct Certificates {
    pair: Arc<Pair>,
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates")
            .field("files", &self.pair.files)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Pair {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Seen>,
}

/// What was in the files when they were read last, as digests.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Seen {
    contents: Option<[u8; 32]>,
    /// Reading it failed once; a certificate is often written before its key.
    failed: bool,
    /// That was told.
    told: bool,
}

impl ResolvesServerCert for Pair {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificates {
    /// Reads certificate and key.
    pub(super) fn open(files: &TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let contents = Contents::read(files)?;
        let current = contents.parse(files, &provider)?;
        let pair = Arc::new(Pair {
            files: files.clone(),
            provider: Arc::clone(&provider),
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(Seen {
                contents: Some(contents.digest()),
                ..Seen::default()
            }),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&pair) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            pair,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Reads the files again whenever they change.
    pub(super) async fn follow(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let pair = Arc::clone(&self.pair);
            let reloading = tokio::task::spawn_blocking(move || pair.reload(Asked::ByChange));
            if let Err(error) = reloading.await {
                tracing::error!(%error, "looking at the TLS certificate failed");
            }
        }
    }

    /// Reads the files. A pair that cannot be used leaves the one before in use.
    pub(super) fn reload(&self, asked: Asked) {
        self.pair.reload(asked);
    }
}

impl Pair {
    fn reload(&self, asked: Asked) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read = Contents::read(&self.files);
        let digest = read.as_ref().ok().map(Contents::digest);
        let is_same = digest == seen.contents;
        if asked == Asked::ByChange && is_same && (seen.told || !seen.failed) {
            return;
        }
        match read.and_then(|contents| contents.parse(&self.files, &self.provider)) {
            Ok(pair) => {
                self.current.store(Arc::new(pair));
                *seen = Seen {
                    contents: digest,
                    ..Seen::default()
                };
                tracing::info!(
                    tls_cert = %self.files.cert.display(),
                    "the TLS certificate and key were read again"
                );
            }
            Err(error) => {
                let tell = asked == Asked::BySignal || is_same && seen.failed;
                *seen = Seen {
                    contents: digest,
                    failed: true,
                    told: tell,
                };
                if tell {
                    tracing::error!(
                        error = with_causes(&error),
                        "the new TLS certificate and key cannot be used; the ones before stay in use"
                    );
                }
            }
        }
    }
}

/// Why the files are read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// They may have changed.
    ByChange,
    /// Somebody said so.
    BySignal,
}

struct Contents {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            read_named_file(path).map_err(|source| TlsError::File {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            cert: read(&files.cert)?,
            key: Zeroizing::new(read(&files.key)?),
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(&self.cert);
        context.update(&[0]);
        context.update(&self.key);
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        digest
    }

    fn parse(&self, files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let pem_error = |path: &PathBuf, expected| {
            let path = path.clone();
            move |source| TlsError::Pem {
                path,
                expected,
                source,
            }
        };
        let certs = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<Vec<_>, _>>()
            .map_err(pem_error(&files.cert, "certificate"))?;
        if certs.is_empty() {
            let none = rustls::pki_types::pem::Error::NoItemsFound;
            return Err(pem_error(&files.cert, "certificate")(none));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(pem_error(&files.key, "private key"))?;
        CertifiedKey::from_der(certs, key, provider).map_err(TlsError::Pair)
    }
}
