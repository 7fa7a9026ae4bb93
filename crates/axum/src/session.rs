use std::ops::{Deref, DerefMut};

/// The session of a request.
///
/// As an extractor it refuses requests without a session, and checks all but GET, HEAD, OPTIONS
/// and TRACE for coming from another site. `Option<Session>` takes requests without one;
/// [`SessionWith`](crate::SessionWith) changes what is checked. What it can do is in
/// [`sessile_web::Session`], to which it dereferences.
#[derive(Debug)]
pub struct Session(pub(crate) sessile_web::Session);

impl Deref for Session {
    type Target = sessile_web::Session;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}
