//! Calls to addresses that users gave: identity providers, and whatever else a tenant may name.
//!
//! Three guards, each enough by itself (`docs/contracts.md § 6`): the address is judged when it is saved ([`Guard::url`]),
//! again before each call, and what its name resolves to is judged when the connection is made, so that a name that
//! leads elsewhere meanwhile leads nowhere. No redirect is followed, no proxy asked; an answer is read to 64 KiB and
//! waited for ten seconds.

mod address;
mod client;
#[cfg(test)]
mod tests;

use ipnet::IpNet;
use url::{Host, Url};

pub use address::is_public;
pub use client::{ANSWER_MAX, Answer, Client, Lookup, SystemLookup, WAIT};

/// The longest address that is taken.
const URL_MAX: usize = 2_048;

/// Why an address is not called, or gave nothing that can be used. Safe to show: it tells nothing of what is inside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// It is no address.
    #[error("has to be an address such as https://id.example")]
    NotAnAddress,
    /// It is longer than 2,048 bytes.
    #[error("has to be 2,048 bytes or fewer")]
    TooLong,
    /// Only HTTPS, but for networks that the operator allowed.
    #[error("has to begin with https://")]
    NotHttps,
    /// A name or password in it would be sent along and shown.
    #[error("must not hold a user name or password")]
    HasUser,
    /// A part behind `#` is never sent.
    #[error("must not hold a part behind #")]
    HasFragment,
    /// It leads to a private, loopback or otherwise internal network.
    #[error("leads into a network that this server does not call; an operator may allow it by outbound_networks")]
    Internal,
    /// Nobody answered at that address, or not in time.
    #[error("gave no answer")]
    NoAnswer,
    /// The answer was longer than 64 KiB.
    #[error("gave an answer of more than 64 KiB")]
    TooMuch,
}

/// Judges addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Networks that are called although they are internal, and without TLS where the address says so.
    pub allowed: Vec<IpNet>,
}

impl Guard {
    /// A guard that lets through what is public and these networks.
    #[must_use]
    pub const fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Reads an address and judges it as far as it can be judged without a look at the name service: form, scheme, and
    /// any notation of a number (`0x7f.1`, `2130706433`, `[::ffff:127.0.0.1]`), which is brought to one form first.
    ///
    /// # Errors
    /// All but [`OutboundError::NoAnswer`] and [`OutboundError::TooMuch`].
    pub fn url(&self, text: &str) -> Result<Url, OutboundError> {
        if text.len() > URL_MAX {
            return Err(OutboundError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| OutboundError::NotAnAddress)?;
        self.judge(&url)?;
        Ok(url)
    }

    pub(crate) fn judge(&self, url: &Url) -> Result<(), OutboundError> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(OutboundError::NotHttps),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::HasUser);
        }
        if url.fragment().is_some() {
            return Err(OutboundError::HasFragment);
        }
        match url.host().ok_or(OutboundError::NotAnAddress)? {
            Host::Ipv4(address) => self.numbered(address.into(), plain),
            Host::Ipv6(address) => self.numbered(address.into(), plain),
            Host::Domain(name) => self.named(name, plain),
        }
    }

    fn numbered(&self, address: std::net::IpAddr, plain: bool) -> Result<(), OutboundError> {
        if self.allows(address) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(OutboundError::Internal);
        }
        if plain { Err(OutboundError::NotHttps) } else { Ok(()) }
    }

    fn named(&self, name: &str, plain: bool) -> Result<(), OutboundError> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let labels: Vec<_> = name.split('.').collect();
        let last = labels.last().copied().unwrap_or_default();
        // `localhost` and what is below it never leaves the machine; a bare word or `.internal` never leaves the network.
        let inside = labels.len() == 1 || matches!(last, "localhost" | "local" | "internal" | "localdomain" | "home");
        if inside && self.allowed.is_empty() {
            return Err(OutboundError::Internal);
        }
        if plain && self.allowed.is_empty() {
            return Err(OutboundError::NotHttps);
        }
        Ok(())
    }

    /// Whether the operator allowed this network.
    #[must_use]
    pub fn allows(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Whether a connection to this address may be made. Without TLS only to networks that the operator allowed.
    #[must_use]
    pub fn connects(&self, address: std::net::IpAddr) -> bool {
        self.allows(address) || is_public(address)
    }
}
