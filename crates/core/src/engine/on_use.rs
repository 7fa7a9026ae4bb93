//! Verification where the store is asked about a token's generation: SuperTokens' rules up to CDI
//! 5.5, where the first use of a generation makes it current, and from 5.6 on, where verification
//! writes nothing.

use std::sync::Arc;

use super::Engine;
use crate::{
    access_token::AccessToken,
    clock::Timestamp,
    error::{Error, UnauthorisedReason},
    json::object_from_text,
    rotation::{self, PresentedToken, TokenHash},
    session::VerifiedSession,
    store::{SessionRecord, Store},
};

/// The refresh token that came with an access token, as the rotation rules see it.
fn generation(token: &AccessToken) -> PresentedToken {
    PresentedToken {
        hash: TokenHash::of_inner(&token.refresh_token_inner_hash),
        parent: token.parent_refresh_token_inner_hash.as_deref().map(TokenHash::of_inner),
    }
}

fn differs(token: &AccessToken, row: &SessionRecord) -> Result<bool, Error> {
    Ok(object_from_text(&row.jwt_payload)? != token.jwt_payload)
}

impl<S: Store> Engine<S> {
    async fn existing(&self, token: &AccessToken) -> Result<SessionRecord, Error> {
        let row = self.store().get_session(&self.app, &token.handle).await?;
        // Existence alone counts here: an expired row that is still there passes.
        Ok(row.ok_or(UnauthorisedReason::SessionNotFound)?)
    }

    /// As SuperTokens' core does from CDI 5.6 on.
    pub(super) async fn check_lineage(
        &self,
        session: VerifiedSession,
    ) -> Result<VerifiedSession, Error> {
        let token = &session.token.claims;
        let row = self.existing(token).await?;
        let used = generation(token);
        let known = [Some(row.refresh_token_hash), row.previous_refresh_token_hash];
        let is_known = |hash: Option<TokenHash>| hash.is_some() && known.contains(&hash);
        if !is_known(Some(used.hash)) && !is_known(used.parent) {
            return Err(UnauthorisedReason::RotatedOut.into());
        }
        let payload_update_available = Some(differs(token, &row)?);
        Ok(VerifiedSession { payload_update_available, ..session })
    }

    /// As SuperTokens' core does up to CDI 5.5.
    pub(super) async fn verify_on_use(
        &self,
        session: VerifiedSession,
        immediate: bool,
        now: Timestamp,
    ) -> Result<VerifiedSession, Error> {
        let token = &session.token.claims;
        let payload_differs =
            if immediate { differs(token, &self.existing(token).await?)? } else { false };
        let used = generation(token);
        if used.parent.is_none() && !payload_differs {
            return Ok(session);
        }
        let validity = self.policy.refresh_token_validity;
        let always = Timestamp::from_millis(i64::MIN);
        let promoted = match rotation::propose_promotion(&used, validity, always, now) {
            Some(promotion) => {
                self.store().rotate_session(&self.app, &token.handle, promotion).await?
            }
            None => None,
        };
        let row = match promoted {
            Some(row) => row,
            None => {
                let row = self.existing(token).await?;
                if row.refresh_token_hash != used.hash && !payload_differs {
                    // An older generation: its access token is good until it ends.
                    return Ok(session);
                }
                row
            }
        };
        self.replace_access_token(token, &row, now).await
    }

    /// Gives an access token with what the row says, which its generation does not wait for any
    /// more.
    async fn replace_access_token(
        &self,
        old: &AccessToken,
        row: &SessionRecord,
        now: Timestamp,
    ) -> Result<VerifiedSession, Error> {
        let ends = now.plus(self.policy.access_token_validity).min(row.ends_at);
        let token = AccessToken {
            parent_refresh_token_inner_hash: None,
            jwt_payload: object_from_text(&row.jwt_payload)?,
            issued_at: AccessToken::precision(old.version, now),
            expires_at: AccessToken::precision(old.version, ends),
            ..old.clone()
        };
        let key = self.signing_key_of(row, now).await?;
        let issued = self.sign(&token, &key)?;
        let session = VerifiedSession::new(token, issued.token.clone());
        Ok(VerifiedSession { replacement: Some(Arc::new(issued)), ..session })
    }
}
