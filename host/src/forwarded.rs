//! Who asks, where a proxy stands in front: what it says of its clients is believed of the proxies that the operator
//! trusts, and of nobody else, since everybody can write a header.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Addresses with the same beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

/// The proxies that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Addresses, or networks as `10.0.0.0/8`.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let network = |text: &String| {
            Network::parse(text).with_context(|| format!("`{text}` in `trusted_proxies` is no address and no network"))
        };
        Ok(Self(texts.iter().map(network).collect::<Result<_>>()?))
    }

    pub fn holds(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }

    /// The client that trusted proxies tell of. Each proxy adds at the end whom it was asked by, so it is the last one
    /// that is no proxy itself; what stands before that, anybody may have written.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let mut last = None;
        for value in headers.get_all(FORWARDED_FOR).iter().rev() {
            for text in value.to_str().ok()?.rsplit(',') {
                let Some(address) = address(text) else { return last };
                last = Some(address);
                if !self.holds(address) {
                    return last;
                }
            }
        }
        last
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>()?, Some(bits.parse::<u8>()?)),
            None => (text.parse::<IpAddr>()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        ensure!(bits <= most, "too many bits");
        Ok(Self { address, bits })
    }

    fn holds(&self, other: IpAddr) -> bool {
        let same = |a: u128, b: u128, of: u8| {
            let rest = u32::from(of - self.bits);
            // A shift by all bits is none to the processor.
            a.checked_shr(rest).unwrap_or(0) == b.checked_shr(rest).unwrap_or(0)
        };
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => same(u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
            _ => false,
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let alone = text.trim_start_matches('[').trim_end_matches(']');
    let found = alone.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    found.map(|address: IpAddr| address.to_canonical())
}

/// The other end of a connection. Lives as long as it.
#[derive(Clone)]
pub struct Peer {
    name: Arc<str>,
    /// Where it is a proxy that is believed.
    proxies: Option<Proxies>,
    is_secure: bool,
}

/// That a request came over TLS: to us, or to the proxy in front.
#[derive(Clone, Copy)]
pub struct Secure;

impl Peer {
    pub fn new(address: SocketAddr, proxies: &Proxies, is_secure: bool) -> Self {
        let proxies = proxies.holds(address.ip()).then(|| proxies.clone());
        Self { name: address.to_string().into(), proxies, is_secure }
    }

    /// Who sent a request, as address and port; the port of whom a proxy tells of is not known.
    pub fn client<B>(&self, request: &mut http::Request<B>) -> Arc<str> {
        if self.is_secure {
            request.extensions_mut().insert(Secure);
        }
        let Some(proxies) = &self.proxies else { return Arc::clone(&self.name) };
        let scheme = request.headers().get(FORWARDED_PROTO).and_then(|value| value.to_str().ok());
        let is_secure = scheme.and_then(|text| text.rsplit(',').next()).is_some_and(|last| last.trim() == "https");
        if is_secure {
            request.extensions_mut().insert(Secure);
        }
        match proxies.client(request.headers()) {
            Some(address) => SocketAddr::new(address, 0).to_string().into(),
            None => Arc::clone(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(texts: &[&str]) -> Proxies {
        Proxies::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).expect("networks")
    }

    fn told(proxies: &Proxies, values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED_FOR, http::HeaderValue::from_static(value));
        }
        proxies.client(&headers).map(|address| address.to_string())
    }

    #[test]
    fn networks_hold_what_begins_alike() {
        let all = proxies(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0"]);
        assert!(all.holds("10.255.0.1".parse().expect("an address")));
        let some = proxies(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]);
        for (address, held) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(some.holds(address.parse().expect("an address")), held, "{address}");
        }
        assert!(proxies(&["::/0"]).holds("::1".parse().expect("an address")));
        assert!(Proxies::parse(&["10.0.0.0/33".to_owned()]).is_err());
        assert!(Proxies::parse(&["proxy.example".to_owned()]).is_err());
    }

    #[test]
    fn the_client_is_the_last_who_is_no_proxy() {
        let ours = proxies(&["10.0.0.0/8"]);
        assert_eq!(told(&ours, &["203.0.113.9"]).as_deref(), Some("203.0.113.9"));
        // What the client wrote itself stands before.
        assert_eq!(told(&ours, &["1.2.3.4, 203.0.113.9, 10.0.0.2"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(&ours, &["1.2.3.4", "203.0.113.9:4711"]).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(&ours, &["\"[2001:db8::1]:80\""]).as_deref(), Some("2001:db8::1"));
        // Nobody but proxies: the first of them.
        assert_eq!(told(&ours, &["10.0.0.9, 10.0.0.2"]).as_deref(), Some("10.0.0.9"));
        assert_eq!(told(&ours, &["nonsense, 10.0.0.2"]).as_deref(), Some("10.0.0.2"));
        assert_eq!(told(&ours, &["nonsense"]), None);
        assert_eq!(told(&ours, &[]), None);
    }
}
