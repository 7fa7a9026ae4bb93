use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

/// Text that must not be seen: a token or a key.
///
/// `Debug` hides it, it has no `Display`, and its memory is wiped when the last clone is dropped.
/// Clones share that memory and are cheap.
///
/// ```
/// let token = sessile_core::Secret::new("very secret".to_owned());
/// assert_eq!(format!("{token:?}"), "Secret(…)");
/// assert_eq!(token.expose(), "very secret");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Hides `text`.
    pub fn new(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }

    /// The text itself, for handing it to the client it belongs to.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
