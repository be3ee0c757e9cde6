//! How agents talk to each other: one port, HTTP/2 over mutual TLS, JSON bodies.
//!
//! A peer is known by what its certificate says, never by its address: the cluster id and its agent id, signed by the
//! cluster's own certificate authority. The story of a certificate runs through the files in this order:
//!
//! * [`authority`] makes the cluster's CA and signs agents' certificates; the CA's key lives in the ordered state.
//! * [`token`] is the word that brings a host in: it names the cluster, pins the CA and carries a secret.
//! * [`identity`] is this agent's own key and certificate, on disk and in use; [`renewal`] keeps them fresh.
//! * [`certificate`] reads who a certificate speaks for; [`verify`] decides whether to believe it.
//! * [`listener`] serves the port and admits only who still belongs ([`admission`]); what arrives goes to a
//!   [`handler::PeerHandler`].
//! * [`client`] keeps one connection per peer; [`join`] is the one call that is made without a certificate.
//!
//! [`wire`] holds the bodies, [`limits`] every limit, [`traffic`] counts the bytes. The types of hyper and rustls stay
//! inside this folder.

pub mod admission;
pub mod authority;
pub mod certificate;
pub mod client;
mod connection;
mod dial;
pub mod handler;
pub mod identity;
pub mod join;
pub mod limits;
pub mod listener;
mod places;
mod port;
pub mod renewal;
pub mod request;
mod resolver;
pub mod token;
pub mod traffic;
pub mod verify;
pub mod wire;

#[cfg(test)]
mod tests;
