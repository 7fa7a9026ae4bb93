use std::fmt;

/// Whose the database is. A store keeps it: it is [`Own`](Self::Own) where Sessile made the tables,
/// and [`Shared`](Self::Shared) where it found them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// Sessile's alone. Signing keys may have any algorithm and be sealed, and a session makes its
    /// app and tenant where there is none yet.
    Own,
    /// A SuperTokens core may read and write it at the same time. Only signing keys that it can
    /// read are kept, and an app or tenant has to be there before its first session.
    Shared,
}

impl Ownership {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Shared => "shared",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::Own, Self::Shared].into_iter().find(|ownership| ownership.as_str() == text)
    }
}

impl fmt::Display for Ownership {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
