//! What happens to sessions, told to whoever listens.

use std::{fmt, sync::Arc};

use crate::{
    error::TheftKind,
    identifier::{AppId, SessionHandle},
};

/// Something that happened to a session. It carries no token.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The app.
    pub app: AppId,
    /// The session.
    pub session_handle: SessionHandle,
    /// Whose session it is: the primary user, where accounts are linked.
    pub user_id: String,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// It was created.
    Created,
    /// Its refresh token was exchanged for the next.
    Refreshed,
    /// Its previous refresh token came once more within the grace period, and was given the same
    /// next one again.
    Reissued,
    /// A replaced refresh token was used. The session was ended for it, unless the policy leaves
    /// that to who asked.
    TheftDetected {
        /// How the theft showed.
        kind: TheftKind,
    },
    /// It was ended.
    Revoked {
        /// Why.
        reason: RevocationReason,
    },
}

/// Why a session was ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RevocationReason {
    /// All sessions of its user were ended.
    AllOfUser,
    /// All sessions of its user but another one were ended.
    AllOthersOfUser,
    /// Its previous refresh token came after its grace period, and the policy does not call that
    /// a theft.
    LateRetry,
    /// It began before a moment, and all such sessions were ended.
    BeganBefore,
    /// Its user logged in once more than sessions may be alive at once, and it was the oldest.
    Evicted,
    /// A refresh token came that another retry had displaced, and the policy does not call that a
    /// theft.
    OrphanedBranch,
    /// A login on the same client took its place.
    ReplacedByLogin,
    /// The application ended it.
    Requested,
    /// Its user signed out.
    SignedOut,
    /// A theft was reported that had not ended it by itself.
    TokenTheft,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::AllOfUser,
        Self::AllOthersOfUser,
        Self::LateRetry,
        Self::BeganBefore,
        Self::Evicted,
        Self::OrphanedBranch,
        Self::ReplacedByLogin,
        Self::Requested,
        Self::SignedOut,
        Self::TokenTheft,
    ];

    /// A stable code, for logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AllOfUser => "all_of_user",
            Self::AllOthersOfUser => "all_others_of_user",
            Self::LateRetry => "late_retry",
            Self::BeganBefore => "began_before",
            Self::Evicted => "evicted",
            Self::OrphanedBranch => "orphaned_branch",
            Self::ReplacedByLogin => "replaced_by_login",
            Self::Requested => "requested",
            Self::SignedOut => "signed_out",
            Self::TokenTheft => "token_theft",
        }
    }
}

/// Is called for every event, in the task that caused it and after the store has acknowledged it;
/// at most once each. It must not block.
///
/// One thing is told before it is acknowledged: the end of a session for a replayed token, where the
/// caller goes away while the store ends it.
pub type EventListener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Tells `tracing` and the listeners.
#[derive(Clone, Default)]
pub(crate) struct Events(pub(crate) Vec<EventListener>);

impl Events {
    pub(crate) fn tell(
        &self,
        app: &AppId,
        session_handle: &SessionHandle,
        user_id: &str,
        kind: EventKind,
    ) {
        match kind {
            EventKind::Created => tracing::debug!(%app, %session_handle, "session created"),
            EventKind::Refreshed => tracing::debug!(%app, %session_handle, "session refreshed"),
            EventKind::Reissued => {
                tracing::debug!(%app, %session_handle, "refresh token re-issued");
            }
            EventKind::TheftDetected { kind } => {
                tracing::warn!(%app, %session_handle, kind = kind.code(), "token theft detected");
            }
            EventKind::Revoked { reason } => {
                tracing::info!(%app, %session_handle, reason = reason.code(), "session revoked");
            }
        }
        if self.0.is_empty() {
            return;
        }
        let event = Event {
            app: app.clone(),
            session_handle: session_handle.clone(),
            user_id: user_id.to_owned(),
            kind,
        };
        for listener in &self.0 {
            listener(&event);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Events")
    }
}
