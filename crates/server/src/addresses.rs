//! Which addresses requests may come from.

use std::net::{IpAddr, Ipv6Addr};

use regex::Regex;

/// A regular expression that must match the whole of an address.
#[derive(Clone, Debug)]
struct Pattern {
    given: String,
    whole: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.given == other.given
    }
}

/// A text is no regular expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the regular expression is invalid")]
pub struct InvalidPattern;

impl Pattern {
    /// Reads an expression; an empty one is none.
    fn read(text: &str) -> Result<Option<Self>, InvalidPattern> {
        let given = text.trim();
        if given.is_empty() {
            return Ok(None);
        }
        // For itself first, so that no bracket of it closes the group around it.
        Regex::new(given).map_err(|_| InvalidPattern)?;
        let whole = Regex::new(&format!(r"\A(?:{given})\z")).map_err(|_| InvalidPattern)?;
        Ok(Some(Self { given: given.to_owned(), whole }))
    }

    fn matches(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.whole.is_match(&address.to_string()),
            IpAddr::V6(address) => {
                self.whole.is_match(&address.to_string()) || self.whole.is_match(&in_full(address))
            }
        }
    }
}

/// An IPv6 address as Java writes it, for which expressions of SuperTokens users are made:
/// `0:0:0:0:0:0:0:1`.
fn in_full(address: Ipv6Addr) -> String {
    address.segments().map(|segment| format!("{segment:x}")).join(":")
}

/// Which addresses requests may come from: none that the one expression denies, and where the other
/// allows some, those alone. An expression must match the whole address.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AddressFilter {
    allow: Option<Pattern>,
    deny: Option<Pattern>,
    closed: bool,
}

impl AddressFilter {
    /// One that lets nobody in, whatever else is allowed or denied.
    pub(crate) fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// The same with `expression` for what is allowed; an empty one allows all. The syntax is that
    /// of the crate `regex`, which has no look-around and no back-references.
    ///
    /// # Errors
    /// [`InvalidPattern`] when it is no regular expression.
    pub fn allowing(self, expression: &str) -> Result<Self, InvalidPattern> {
        Ok(Self { allow: Pattern::read(expression)?, ..self })
    }

    /// The same with `expression` for what is denied; an empty one denies nothing.
    ///
    /// # Errors
    /// [`InvalidPattern`] when it is no regular expression.
    pub fn denying(self, expression: &str) -> Result<Self, InvalidPattern> {
        Ok(Self { deny: Pattern::read(expression)?, ..self })
    }

    /// Whether a request from there is let in. Where anything is filtered, one whose address is not
    /// known is not.
    pub(crate) fn admits(&self, address: Option<IpAddr>) -> bool {
        if self.closed {
            return false;
        }
        if self.allow.is_none() && self.deny.is_none() {
            return true;
        }
        // An IPv4 address of a socket for both is written as what it is.
        let Some(address) = address.map(|address| address.to_canonical()) else { return false };
        !self.deny.as_ref().is_some_and(|deny| deny.matches(address))
            && self.allow.as_ref().is_none_or(|allow| allow.matches(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_match_as_a_whole() {
        let loopback = r"127\.\d+\.\d+\.\d+|::1|0:0:0:0:0:0:0:1";
        for (allow, deny, address, admitted) in [
            ("", "", "10.0.0.1", true),
            (loopback, "", "127.0.0.1", true),
            (loopback, "", "::1", true),
            (loopback, "", "::ffff:127.0.0.1", true),
            ("0:0:0:0:0:0:0:1", "", "::1", true),
            (loopback, "", "10.0.0.1", false),
            (loopback, "", "::2", false),
            (r"10\.0\.0\.1", "", "10.0.0.12", false),
            (r"0\.0\.0\.1", "", "10.0.0.1", false),
            ("", loopback, "127.9.9.9", false),
            ("", loopback, "10.0.0.1", true),
            (r"10\..*", r"10\.0\.0\.1|10\.0\.0\.2", "10.0.0.2", false),
            (r"10\..*", r"10\.0\.0\.1|10\.0\.0\.2", "10.0.0.3", true),
            (" ", " ", "10.0.0.1", true),
        ] {
            let filter = AddressFilter::default().allowing(allow).unwrap().denying(deny).unwrap();
            let admits = filter.admits(Some(address.parse().unwrap()));
            assert_eq!(admits, admitted, "{address} with {allow} and {deny}");
        }
    }

    #[test]
    fn where_anything_is_filtered_an_address_must_be_known() {
        assert!(AddressFilter::default().admits(None));
        assert!(!AddressFilter::default().allowing(".*").unwrap().admits(None));
        assert!(!AddressFilter::default().denying("10.*").unwrap().admits(None));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["*", "(", "a)|(b", "(?=a)"] {
            assert_eq!(AddressFilter::default().allowing(text), Err(InvalidPattern), "{text}");
            assert_eq!(AddressFilter::default().denying(text), Err(InvalidPattern), "{text}");
        }
    }
}
