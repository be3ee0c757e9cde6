//! A caller and an answerer that keep to no rule of ours, and a wire that can be stalled and cut.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, client, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use muster_core::ids::AgentId;
use muster_core::state::Authority;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::rig::Cluster;
use crate::peer::certificate;
use crate::peer::verify::provider;

/// A chain and its key, in PEM, as anybody might bring them.
#[derive(Clone)]
pub(super) struct Papers {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key_pem: String,
}

impl Papers {
    /// What a leader whose clock says `now` signs.
    pub(super) fn signed_at(cluster: &Cluster, id: u64, now: OffsetDateTime) -> Self {
        let key = crate::peer::authority::new_key().unwrap();
        let csr = crate::peer::authority::request_for(&key).unwrap();
        let pem = cluster.signer().sign_at(&csr, AgentId(id), now).unwrap();
        Self {
            chain: vec![
                certificate::from_pem(&pem).unwrap(),
                certificate::from_pem(&cluster.authority.certificate_pem).unwrap(),
            ],
            key_pem: key.serialize_pem(),
        }
    }

    pub(super) fn of(cluster: &Cluster, id: u64) -> Self {
        Self::signed_at(cluster, id, OffsetDateTime::now_utc())
    }

    /// Signed by the authority's own key, but with words of somebody else's choice.
    pub(super) fn bent(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let ca = certificate::from_pem(&authority.certificate_pem).unwrap();
        let ca_key = KeyPair::from_pem(&authority.key_pem).unwrap();
        let issuer = Issuer::from_ca_cert_der(&ca, ca_key).unwrap();
        let key = crate::peer::authority::new_key().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let signed = params.signed_by(&key, &issuer).unwrap();
        Self {
            chain: vec![signed.der().clone(), ca],
            key_pem: key.serialize_pem(),
        }
    }

    /// Signed by nobody.
    pub(super) fn self_signed(name: &str) -> Self {
        let key = crate::peer::authority::new_key().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(name)];
        let made = params.self_signed(&key).unwrap();
        Self {
            chain: vec![made.der().clone()],
            key_pem: key.serialize_pem(),
        }
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap()
    }
}

pub(super) fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

/// Believes everybody.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

pub(super) type Tls = tokio_rustls::client::TlsStream<TcpStream>;

/// A TLS connection with these papers, or none.
pub(super) async fn dial(address: SocketAddr, papers: Option<&Papers>) -> io::Result<Tls> {
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match papers {
        Some(papers) => builder
            .with_client_auth_cert(papers.chain.clone(), papers.key())
            .unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("muster").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// HTTP/2 on top of it.
pub(super) async fn speak<B>(stream: Tls) -> io::Result<client::conn::http2::SendRequest<B>>
where
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) =
        client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One request, and the status and body of its answer.
pub(super) async fn ask(
    address: SocketAddr,
    papers: Option<&Papers>,
    path: &str,
    body: impl Into<Bytes>,
) -> io::Result<(u16, String)> {
    let mut sender = speak(dial(address, papers).await?).await?;
    exchange(&mut sender, path, Full::new(body.into())).await
}

/// One request on an open connection.
pub(super) async fn exchange<B>(
    sender: &mut client::conn::http2::SendRequest<B>,
    path: &str,
    body: B,
) -> io::Result<(u16, String)>
where
    B: Body + Unpin + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://muster{path}"))
        .body(body)
        .unwrap();
    let answer = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Answers every request with what `say` returns, with these papers.
pub(super) async fn impostor<B>(papers: Papers, say: fn() -> Response<B>) -> SocketAddr
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(papers.chain.clone(), papers.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else {
                    return;
                };
                let service = service_fn(move |request: Request<Incoming>| async move {
                    let _ = request.into_body().collect().await;
                    Ok::<_, io::Error>(say())
                });
                let _ = server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// What a wire does with what is put on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Carries it.
    Pass,
    /// Holds it back, and carries on with it later: lost packets that are sent again, or a cut that heals.
    Stall,
    /// Breaks.
    Cut,
}

#[derive(Debug, Clone, Copy)]
struct Fate {
    mode: Mode,
    /// Connections of an older generation are held back for ever.
    generation: u64,
}

/// A wire between a caller and `to`.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    fate: watch::Sender<Fate>,
}

impl Wire {
    pub(super) async fn to(to: SocketAddr) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let fate = watch::Sender::new(Fate {
            mode: Mode::Pass,
            generation: 0,
        });
        let watched = fate.subscribe();
        tokio::spawn(async move {
            while let Ok((near, _)) = socket.accept().await {
                let fate = watched.clone();
                let born = fate.borrow().generation;
                tokio::spawn(async move {
                    // While the wire is stalled, a new connection gets no further than TCP.
                    if !may_pass(fate.clone(), born).await {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(to).await else {
                        return;
                    };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    tokio::select! {
                        () = pump(near_read, far_write, fate.clone(), born) => {}
                        () = pump(far_read, near_write, fate.clone(), born) => {}
                        () = cut(fate) => {}
                    }
                });
            }
        });
        Self { address, fate }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.fate.send_modify(|fate| fate.mode = mode);
    }

    /// Holds what exists back for ever, in silence, and carries what is new: a router that lost its table.
    pub(super) fn forget(&self) {
        self.fate.send_modify(|fate| fate.generation += 1);
    }
}

/// Waits until something of generation `born` may pass; false when the wire breaks.
async fn may_pass(mut fate: watch::Receiver<Fate>, born: u64) -> bool {
    let passes = |fate: &Fate| {
        fate.mode == Mode::Cut || (fate.mode == Mode::Pass && fate.generation == born)
    };
    match fate.wait_for(passes).await {
        Ok(fate) => fate.mode == Mode::Pass,
        Err(_) => false,
    }
}

async fn cut(mut fate: watch::Receiver<Fate>) {
    let _ = fate.wait_for(|fate| fate.mode == Mode::Cut).await;
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    fate: watch::Receiver<Fate>,
    born: u64,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if !may_pass(fate.clone(), born).await || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    // The end of a connection does not get past a wire that holds things back, either.
    may_pass(fate, born).await;
}
