//! What happens when a refresh token is presented: pure functions, no database.
//!
//! [`propose`] gives the change for the usual case with the guard under which it is right, both as
//! data; a store applies them in one atomic statement. Where the guard did not hold, [`judge`]
//! decides on the row that was found instead. The outcomes are the table in `docs/rotation.md`.

use std::{fmt, time::Duration};

use aws_lc_rs::digest;

use crate::{clock::Timestamp, policy::RotationPolicy, store::SessionRecord};

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// The lower-case hexadecimal digits of `bytes`.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// What a store keeps of a refresh token: SHA-256 of the hexadecimal SHA-256 of the token. The
/// inner hash (`refreshTokenHash1`) travels inside access tokens.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token's inner hash, which is given in hexadecimal digits.
    pub fn of_inner(inner_hexadecimal: &str) -> Self {
        Self(sha256(inner_hexadecimal.as_bytes()))
    }

    /// The hash with these 32 bytes, as a store kept it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes, for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenHash(…)")
    }
}

/// A refresh token as the rules see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PresentedToken {
    /// Its hash.
    pub hash: TokenHash,
    /// The hash of the token that it was made from, as written inside it; `None` for the first
    /// token of a session.
    pub parent: Option<TokenHash>,
}

/// The condition under which a store applies a [`RotationChange`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationGuard {
    /// The row's current token must be this one …
    pub current: TokenHash,
    /// … or this one.
    pub or_current: Option<TokenHash>,
    /// The row's previous token must be this one, where one is given.
    pub previous: Option<TokenHash>,
    /// The row must not expire before this moment.
    pub alive_at: Timestamp,
}

impl RotationGuard {
    /// That nothing has moved since `row` was read.
    pub(crate) fn unmoved(row: &SessionRecord, now: Timestamp) -> Self {
        Self {
            current: row.refresh_token_hash,
            or_current: None,
            previous: row.previous_refresh_token_hash,
            alive_at: now,
        }
    }

    /// Whether the guard holds of `row`.
    pub fn holds(&self, row: &SessionRecord) -> bool {
        let current = row.refresh_token_hash;
        (current == self.current || Some(current) == self.or_current)
            && (self.previous.is_none() || self.previous == row.previous_refresh_token_hash)
            && row.expires_at >= self.alive_at
    }
}

/// What a rotation writes.
#[derive(Clone, Eq, PartialEq)]
pub struct RotationChange {
    /// The new current token.
    pub current: TokenHash,
    /// The new current token, sealed for a holder of the previous one.
    pub sealed_child: Option<Vec<u8>>,
    /// What moves on with it; `None` leaves previous token, time of rotation and expiry alone.
    pub advance: Option<Advance>,
    /// Whether a static key signs from now on; `None` leaves that alone.
    pub use_static_key: Option<bool>,
}

/// The part of a rotation that moves the session on in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Advance {
    /// The new previous token: the one that was presented.
    pub previous: TokenHash,
    /// The time of the rotation.
    pub rotated_at: Timestamp,
    /// The new expiry; a store writes the row's `ends_at` where that is earlier.
    pub expires_at: Timestamp,
}

impl RotationChange {
    /// Applies the change to `row`.
    pub fn apply(&self, row: &mut SessionRecord) {
        row.refresh_token_hash = self.current;
        row.sealed_child.clone_from(&self.sealed_child);
        if let Some(advance) = self.advance {
            row.previous_refresh_token_hash = Some(advance.previous);
            row.rotated_at = Some(advance.rotated_at);
            row.expires_at = advance.expires_at.min(row.ends_at);
        }
        if let Some(use_static_key) = self.use_static_key {
            row.use_static_key = use_static_key;
        }
    }
}

impl fmt::Debug for RotationChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RotationChange")
            .field("advance", &self.advance)
            .finish_non_exhaustive()
    }
}

/// A change and the condition under which it is right.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// The condition.
    pub guard: RotationGuard,
    /// The change.
    pub change: RotationChange,
}

/// The child that a rotation makes current.
#[derive(Clone, Eq, PartialEq)]
pub struct Child {
    /// Its hash.
    pub hash: TokenHash,
    /// The child itself, sealed for a holder of the presented token.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for Child {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Child(…)")
    }
}

/// The usual case: the presented token is the current one, or a child of it that was never used.
/// The child becomes current and the session's idle time starts anew.
pub fn propose(
    presented: &PresentedToken,
    child: Child,
    refresh_token_validity: Duration,
    now: Timestamp,
) -> Rotation {
    Rotation {
        guard: RotationGuard {
            current: presented.hash,
            or_current: presented.parent,
            previous: None,
            alive_at: now,
        },
        change: RotationChange {
            current: child.hash,
            sealed_child: Some(child.sealed),
            advance: Some(Advance {
                previous: presented.hash,
                rotated_at: now,
                expires_at: now.plus(refresh_token_validity),
            }),
            use_static_key: None,
        },
    }
}

/// The presented token, or the access token of the same generation, was used: under
/// [`RotationPolicy::OnUse`] that makes its generation current in place of its parent's.
pub fn propose_promotion(
    used: &PresentedToken,
    refresh_token_validity: Duration,
    alive_at: Timestamp,
    now: Timestamp,
) -> Option<Rotation> {
    let parent = used.parent?;
    Some(Rotation {
        guard: RotationGuard { current: parent, or_current: None, previous: None, alive_at },
        change: RotationChange {
            current: used.hash,
            sealed_child: None,
            advance: Some(Advance {
                previous: parent,
                rotated_at: now,
                expires_at: now.plus(refresh_token_validity),
            }),
            use_static_key: None,
        },
    })
}

/// What to do with a presented token, seen beside the row that is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Judgement {
    /// The token is current, or a child of the current one: rotate as [`propose`] says.
    Rotate,
    /// The grace period lasts, and the token is the previous one or a displaced child of it:
    /// re-issue the sealed child if the token opens it and it is current, or else rotate as
    /// [`replace_child`] says.
    WithinGrace,
    /// The grace period lasts, and the token is the previous one: rotate as [`replace_child`]
    /// says, whatever child the row keeps.
    ReplaceChild,
    /// The token is current, and stays so until its child is used: hand out a child, and write
    /// nothing.
    HandOut,
    /// The token is a child of the current one: make it current as [`propose_promotion`] says,
    /// and judge again.
    Promote,
    /// The token is the previous one, and its grace period is over: the session ends.
    LateRetry,
    /// The token is a child of the previous one that another child displaced: the session ends.
    OrphanedBranch,
    /// The token is older than the previous one: the session ends, as a theft. Under
    /// [`RotationPolicy::OnUse`] every token that is neither current nor its child.
    Stale,
    /// The session's time was over before.
    Expired,
}

/// Decides on a presented token by the row that is there.
pub fn judge(
    presented: &PresentedToken,
    row: &SessionRecord,
    policy: RotationPolicy,
    now: Timestamp,
) -> Judgement {
    if row.expires_at < now {
        return Judgement::Expired;
    }
    let is_current = presented.hash == row.refresh_token_hash;
    let is_child_of_current = presented.parent == Some(row.refresh_token_hash);
    let (grace, idempotent) = match policy {
        RotationPolicy::OnUse => {
            return if is_current {
                Judgement::HandOut
            } else if is_child_of_current {
                Judgement::Promote
            } else {
                Judgement::Stale
            };
        }
        RotationPolicy::Idempotent { grace } => (grace, true),
        RotationPolicy::OnRefresh { grace } => (grace, false),
    };
    let previous = row.previous_refresh_token_hash;
    let within_grace = row.rotated_at.is_some_and(|rotated_at| now <= rotated_at.plus(grace));
    if is_current || is_child_of_current {
        Judgement::Rotate
    } else if previous == Some(presented.hash) {
        match (within_grace, idempotent) {
            (true, true) => Judgement::WithinGrace,
            (true, false) => Judgement::ReplaceChild,
            (false, _) => Judgement::LateRetry,
        }
    } else if previous.is_some() && presented.parent == previous {
        // An honest client whose token another retry displaced looks like this too.
        if within_grace && idempotent { Judgement::WithinGrace } else { Judgement::OrphanedBranch }
    } else {
        Judgement::Stale
    }
}

/// Within the grace period, where the child that the row keeps cannot be re-issued: the new child
/// takes its place, if nothing has moved since `row` was read. The window does not move.
pub fn replace_child(row: &SessionRecord, child: Child, now: Timestamp) -> Rotation {
    Rotation {
        guard: RotationGuard::unmoved(row, now),
        change: RotationChange {
            current: child.hash,
            sealed_child: Some(child.sealed),
            advance: None,
            use_static_key: None,
        },
    }
}
