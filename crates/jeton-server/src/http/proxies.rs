//! The source address of each request, behind trusted proxies or without them; and one warning each for
//! set-ups that are probably mistakes.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;

use super::forwarded::{is_forwarded, origin};
use super::middleware::Peer;
use crate::config::TrustedProxies;
use crate::telemetry::Recurring;

/// Finds where requests come from.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    trusted: TrustedProxies,
    /// The issuer is https, so that secrets should never travel over plain http.
    expects_https: bool,
    warned_of_untrusted: AtomicBool,
    warned_of_plain_http: AtomicBool,
    warned_of_two_sources: AtomicBool,
    bad_headers: Mutex<Recurring>,
}

impl Proxies {
    pub(super) fn new(trusted: TrustedProxies, expects_https: bool) -> Self {
        if trusted.is_everybody() {
            tracing::warn!(
                "every address is a trusted proxy: whoever reaches this port directly can claim any source address"
            );
        }
        Self {
            trusted,
            expects_https,
            ..Self::default()
        }
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.contains(address)
    }

    /// The source of a request that arrived from `peer`: the peer itself, or what it says where it is a
    /// trusted proxy. A proxy that passes connections on does not write the headers of requests: where its own
    /// header names nobody, theirs are the caller's.
    pub(super) fn source(&self, peer: Peer, headers: &HeaderMap) -> IpAddr {
        let is_unnamed = peer.is_unnamed;
        let peer = peer.address.to_canonical();
        if is_unnamed {
            return peer;
        }
        if !self.trusts(peer) {
            self.warn_of_untrusted(peer, headers);
            return peer;
        }
        let origin = origin(peer, headers, &self.trusted);
        if origin.is_contradictory && !self.warned_of_two_sources.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                proxy = %peer,
                "Forwarded and X-Forwarded-For of a request name different sources, so the trusted proxy counts as its source: let the proxy remove the header that it does not write, or callers hide behind it"
            );
        }
        if origin.is_plain_http
            && self.expects_https
            && !self.warned_of_plain_http.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                proxy = %peer,
                "a trusted proxy took a request over plain http (X-Forwarded-Proto), where secrets travel in the clear: let it redirect to https"
            );
        }
        origin.address
    }

    /// A trusted proxy did not begin with a usable PROXY header.
    pub(super) fn warn_of_header(&self, proxy: IpAddr, error: &io::Error) {
        // Whoever only looks whether the port is open says nothing.
        let is_worth_it = error.kind() == io::ErrorKind::InvalidData
            && self
                .bad_headers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .failed();
        if is_worth_it {
            tracing::warn!(
                %proxy,
                %error,
                "a connection was refused: with --proxy-protocol, trusted proxies have to send the PROXY protocol's version 2"
            );
        }
    }

    fn warn_of_untrusted(&self, peer: IpAddr, headers: &HeaderMap) {
        if !self.warned_of_untrusted.load(Ordering::Relaxed)
            && is_forwarded(headers)
            && !self.warned_of_untrusted.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "a request was forwarded by a peer that is not a trusted proxy, so the peer counts as its source; if it is your proxy, add --trusted-proxy {peer}"
            );
        }
    }
}
