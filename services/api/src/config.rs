//! What the installation decides about its doors.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The settings of the doors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// The address people and agents use, without a slash at the end. Cookies are `Secure` where it is `https`.
    pub public_url: String,
    /// The proxies whose `X-Forwarded-For` is believed. Nobody else's is.
    pub trusted_proxies: Vec<IpNet>,
    /// From where `/metrics` may be read; by default this machine and private networks.
    pub metrics_from: Vec<IpNet>,
    /// How many calls are answered.
    pub rates: Rates,
    /// How many calls are worked on at once, 4 or more; of one tenant three quarters of them. Each may hold a connection to
    /// the database, so it ought to be fewer than those.
    pub places: usize,
    /// Where security reports go (`/.well-known/security.txt`), a `mailto:` or `https:` address; by default
    /// `security@` the host of `public_url`.
    pub security_contact: Option<String>,
    /// Whether mails can be sent; `/readyz` says so.
    pub mail: bool,
    /// Whether GraphQL describes its schema to whoever is signed in. The schema is public anyway.
    pub introspection: bool,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            trusted_proxies: Vec::new(),
            metrics_from: [
                "127.0.0.0/8",
                "::1/128",
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "fc00::/7",
            ]
            .into_iter()
            .filter_map(|network| network.parse().ok())
            .collect(),
            rates: Rates::default(),
            places: 16,
            security_contact: None,
            mail: false,
            introspection: true,
        }
    }
}

impl ApiConfig {
    /// Whether people reach this server by HTTPS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The name of the session cookie. The prefix `__Host-` binds it to this host, which browsers allow with HTTPS only.
    #[must_use]
    pub fn cookie_name(&self) -> &'static str {
        if self.is_https() {
            "__Host-portcullis"
        } else {
            "portcullis"
        }
    }

    /// Whether this address is a proxy whose word about its client is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        contains(&self.trusted_proxies, address)
    }

    /// Whether metrics are shown to this address; unknown (a call inside the process) means yes.
    #[must_use]
    pub fn shows_metrics_to(&self, address: Option<IpAddr>) -> bool {
        address.is_none_or(|address| contains(&self.metrics_from, address))
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

/// So many calls in so many seconds; all at once or spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Calls, 1 or more.
    pub calls: u32,
    /// Seconds, 1 or more.
    pub seconds: u32,
}

impl Rate {
    const fn new(calls: u32, seconds: u32) -> Self {
        Self { calls, seconds }
    }
}

/// How many calls are answered, by who makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Of one address that shows no good credential, attempts to sign in among them.
    pub strangers: Rate,
    /// Of one person or service account.
    pub principals: Rate,
    /// Of one endpoint. An agent polls about once a minute.
    pub agents: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            strangers: Rate::new(100, 60),
            principals: Rate::new(1_000, 60),
            agents: Rate::new(600, 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_ipv6_clothes_is_the_same_address() {
        let config = ApiConfig {
            trusted_proxies: vec!["10.1.0.0/16".parse().unwrap()],
            ..ApiConfig::default()
        };
        assert!(config.trusts("10.1.2.3".parse().unwrap()));
        assert!(config.trusts("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!config.trusts("10.2.2.3".parse().unwrap()));
    }

    #[test]
    fn metrics_are_not_shown_to_the_internet() {
        let config = ApiConfig::default();
        assert!(config.shows_metrics_to(Some("127.0.0.1".parse().unwrap())));
        assert!(!config.shows_metrics_to(Some("203.0.113.9".parse().unwrap())));
    }

    #[test]
    fn the_cookie_is_bound_to_the_host_where_browsers_allow_it() {
        assert_eq!(ApiConfig::default().cookie_name(), "portcullis");
        let https = ApiConfig {
            public_url: "https://gate.example".to_owned(),
            ..ApiConfig::default()
        };
        assert_eq!(https.cookie_name(), "__Host-portcullis");
    }
}
