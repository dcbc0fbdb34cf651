//! Where one server may lead to, by the addresses that names resolve to.
//!
//! They are looked up once more than for the request, so a name whose addresses change in between is not found out;
//! such a host still has to show a certificate for the name.

use std::net::IpAddr;
use std::time::Duration;

use jeton_core::presentable_url;
use url::{Host, Url};

use crate::fetch::FetchError;
use crate::place::{Place, check_link};
use crate::plain_http::PlainHttp;
use crate::proxy::Proxies;

/// How long a look-up may take. One that fails says nothing: the request then fails as well.
const LOOK_UP: Duration = Duration::from_secs(5);

/// [`check_link`], and the same for the addresses that the host of `to` resolves to: none of them may be an address
/// of this machine or its networks, unless all that the host of `from` resolves to are. The same host, and one that
/// is reached through a proxy, is not looked up.
///
/// # Errors
///
/// [`FetchError::Insecure`], [`FetchError::Inward`] and [`FetchError::InwardName`].
pub async fn check_resolved_link(
    from: &str,
    to: &str,
    plain_http: PlainHttp,
) -> Result<(), FetchError> {
    check_link(from, to, plain_http)?;
    check_addresses(from, to, look_up).await
}

async fn look_up(host: String) -> Vec<IpAddr> {
    match tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        _ => Vec::new(),
    }
}

async fn check_addresses(
    from: &str,
    to: &str,
    resolve: impl AsyncFn(String) -> Vec<IpAddr>,
) -> Result<(), FetchError> {
    let (Ok(from_url), Ok(to_url)) = (Url::parse(from), Url::parse(to)) else {
        return Ok(());
    };
    let Some(Host::Domain(name)) = to_url.host() else {
        return Ok(());
    };
    if from_url.host() == to_url.host()
        || Place::of(&to_url) != Place::Public
        || Proxies::of_environment().url_for(&to_url).is_some()
    {
        return Ok(());
    }
    let found = resolve(name.to_owned()).await;
    let mut inward = found
        .into_iter()
        .map(|address| (address, Place::of_address(address)))
        .filter(|(_, place)| *place != Place::Public)
        .peekable();
    if inward.peek().is_none() {
        return Ok(());
    }
    let origin = match from_url.host() {
        Some(Host::Domain(name)) if Place::of(&from_url) == Place::Public => {
            farthest(resolve(name.to_owned()).await)
        }
        _ => Place::of(&from_url),
    };
    match inward.find(|(_, place)| !origin.may_lead_to(*place)) {
        None => Ok(()),
        Some((address, place)) => Err(FetchError::InwardName {
            from: presentable_url(from),
            to: presentable_url(to),
            found: format!("{address}, {place}").into(),
        }),
    }
}

/// Whoever answers at a public address and at others too could be the one at the public address.
fn farthest(addresses: Vec<IpAddr>) -> Place {
    let places: Vec<_> = addresses.into_iter().map(Place::of_address).collect();
    match places.first() {
        Some(first) if places.iter().all(|place| place == first) => *first,
        Some(_) if !places.contains(&Place::Public) => Place::Private,
        _ => Place::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What names resolve to where nobody is asked.
    async fn told(host: String) -> Vec<IpAddr> {
        let addresses: &[&str] = match host.as_str() {
            "mcp.example.com" => &["203.0.113.1"],
            "auth.example.com" => &["203.0.113.2", "2001:db8::2"],
            "loopback.example.com" => &["127.0.0.1"],
            "mapped.example.com" => &["::ffff:127.0.0.1"],
            "metadata.example.com" => &["169.254.169.254"],
            "intranet.example.com" => &["10.0.0.1", "fd00::1"],
            "wiki.intranet.example.com" => &["10.0.0.2"],
            "mixed.example.com" => &["203.0.113.3", "10.0.0.3"],
            _ => &[],
        };
        addresses.iter().map(|one| one.parse().unwrap()).collect()
    }

    async fn follow(from: &str, to: &str) -> Result<(), FetchError> {
        check_addresses(
            &format!("https://{from}/mcp"),
            &format!("https://{to}/x"),
            told,
        )
        .await
    }

    #[tokio::test]
    async fn a_server_elsewhere_leads_to_no_name_of_this_machine_or_its_networks() {
        for (to, address, kind) in [
            ("loopback.example.com", "127.0.0.1", "this machine"),
            ("mapped.example.com", "::ffff:127.0.0.1", "this machine"),
            ("metadata.example.com", "169.254.169.254", "link-local"),
            ("intranet.example.com", "10.0.0.1", "private network"),
            ("mixed.example.com", "10.0.0.3", "private network"),
        ] {
            for from in ["mcp.example.com", "nobody.example.com", "mixed.example.org"] {
                let error = follow(from, to).await.unwrap_err().to_string();
                for part in [from, to, address, kind] {
                    assert!(error.contains(part), "{error}");
                }
            }
        }
        let mixed = follow("mixed.example.com", "wiki.intranet.example.com").await;
        assert!(mixed.is_err(), "it may be the one at the public address");
    }

    #[tokio::test]
    async fn names_lead_outwards_to_their_own_kind_and_to_themselves() {
        for (from, to) in [
            ("mcp.example.com", "auth.example.com"),
            ("mcp.example.com", "nobody.example.com"),
            ("intranet.example.com", "wiki.intranet.example.com"),
            ("intranet.example.com", "auth.example.com"),
            ("10.0.0.9", "intranet.example.com"),
            ("loopback.example.com", "mapped.example.com"),
            ("loopback.example.com", "intranet.example.com"),
            ("loopback.example.com", "loopback.example.com"),
            ("127.0.0.1", "loopback.example.com"),
        ] {
            assert!(follow(from, to).await.is_ok(), "{from} to {to}");
        }
        for (from, to) in [
            ("intranet.example.com", "loopback.example.com"),
            ("loopback.example.com", "metadata.example.com"),
        ] {
            assert!(follow(from, to).await.is_err(), "{from} to {to}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_looked_up_says_nothing() {
        assert_eq!(look_up("not a host".into()).await, Vec::<IpAddr>::new());
        let here = look_up("localhost".into()).await;
        assert!(here.iter().all(IpAddr::is_loopback), "{here:?}");
    }
}
