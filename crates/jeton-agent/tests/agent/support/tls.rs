//! Servers that look as if they were elsewhere: https at names of `example.com`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::serve::Listener;
use reqwest::{Certificate, ClientBuilder};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A certificate for `mcp.example.com` and `auth.example.com`, and servers with it.
pub(crate) struct Tls {
    certificate: Vec<u8>,
    acceptor: TlsAcceptor,
}

impl Tls {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
        make_certificate(&key, &certificate);
        let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
        let config = ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap())
        .unwrap();
        Self {
            certificate: std::fs::read(&certificate).unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
        }
    }

    pub(crate) async fn listen(&self) -> TlsListener {
        TlsListener {
            tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: self.acceptor.clone(),
        }
    }

    /// A change to HTTP clients that finds the names at these addresses.
    pub(crate) fn reaching(
        &self,
        names: &[(&'static str, SocketAddr)],
    ) -> impl Fn(ClientBuilder) -> ClientBuilder + Send + Sync + 'static {
        let certificate = Certificate::from_pem(&self.certificate).unwrap();
        let names = names.to_vec();
        move |builder| {
            names.iter().fold(
                builder.add_root_certificate(certificate.clone()),
                |builder, (name, address)| builder.resolve(name, *address),
            )
        }
    }
}

fn make_certificate(key: &Path, certificate: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"])
        .args(["-subj", "/CN=example.com", "-addext"])
        .arg("subjectAltName=DNS:mcp.example.com,DNS:auth.example.com")
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
}

pub(crate) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    pub(crate) fn address(&self) -> SocketAddr {
        self.tcp.local_addr().unwrap()
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
