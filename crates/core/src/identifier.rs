use std::{fmt, str::FromStr, sync::Arc};

use crate::{
    clock::Timestamp,
    random::{RandomError, RandomSource, random_bytes},
};

/// The identifier of the default app and of the default tenant.
pub(crate) const PUBLIC: &str = "public";

/// An app id or tenant id has characters that it must not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} must be 1 to 64 characters of a-z, 0-9 and '-'")]
pub struct InvalidIdentifier {
    what: &'static str,
}

fn checked(text: &str, what: &'static str) -> Result<Arc<str>, InvalidIdentifier> {
    let valid = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if valid { Ok(Arc::from(text)) } else { Err(InvalidIdentifier { what }) }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self(Arc::from(PUBLIC))
            }
        }

        impl FromStr for $name {
            type Err = InvalidIdentifier;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                checked(text, $what).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// An app: its sessions, users and keys are apart from every other app's in the same store.
    /// The default is `public`; somebody with one app never names it.
    AppId, "an app id"
}

identifier! {
    /// A tenant of an app: a part of its users, with the same keys. The default is `public`.
    TenantId, "a tenant id"
}

/// Which tenants an operation on a user covers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum TenantScope {
    /// Every tenant of the app.
    #[default]
    All,
    /// This one alone.
    Only(TenantId),
}

impl TenantScope {
    /// Whether `tenant` is covered.
    pub fn covers(&self, tenant: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => only == tenant,
        }
    }
}

/// The name of a session: not a secret, and of no use without a token.
///
/// A UUID (version 7, so that new sessions are neighbours in a store's index), followed by
/// `_<tenant>` for any tenant but `public`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionHandle(Arc<str>);

impl SessionHandle {
    /// Reads a handle that was given out before. Any text is a handle; one that names no session
    /// is simply not found.
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    pub(crate) fn generate(
        tenant: &TenantId,
        now: Timestamp,
        random: &dyn RandomSource,
    ) -> Result<Self, RandomError> {
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or_default();
        let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random_bytes(random)?)
            .into_uuid();
        Ok(if tenant.as_str() == PUBLIC {
            Self(Arc::from(id.to_string()))
        } else {
            Self(Arc::from(format!("{id}_{tenant}")))
        })
    }

    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tenant that the handle names; `public` where it names none, or none that could exist.
    pub fn tenant(&self) -> TenantId {
        self.0.split('_').nth(1).and_then(|tenant| tenant.parse().ok()).unwrap_or_default()
    }
}

impl fmt::Display for SessionHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for SessionHandle {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_handle_carries_its_tenant() {
        let now = Timestamp::from_seconds(1_700_000_000);
        for tenant in ["public", "t1", "a-b"] {
            let tenant: TenantId = tenant.parse().unwrap();
            let handle = SessionHandle::generate(&tenant, now, &SystemRandom).unwrap();
            assert_eq!(handle.tenant(), tenant);
        }
        assert_eq!(SessionHandle::new("a_b_c").tenant().as_str(), "b");
        assert_eq!(SessionHandle::new("").tenant(), TenantId::default());
    }

    #[test]
    fn identifiers_are_checked() {
        for bad in ["", "A", "a b", "ä", "a_b", &"x".repeat(65)] {
            assert!(bad.parse::<AppId>().is_err(), "{bad}");
        }
        assert_eq!("shop-2".parse::<AppId>().unwrap().as_str(), "shop-2");
    }
}
