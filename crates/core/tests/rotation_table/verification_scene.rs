//! Rows, and access tokens of every generation that comes with them.

use std::time::Duration;

use sessile_core::{
    AntiCsrf, Error, IssuedSession, NewSession, SessionService, VerifiedSession, VerifyRequest,
    policy::{Revocation, RotationPolicy},
    store::SessionRecord,
};

use crate::{
    lineage::{REFRESH_TOKEN_VALIDITY, displacing, list, refreshed, refreshed_under},
    support::{
        self, Engine, SECOND, START, access_token, counting_store::Intent, refresh_token,
        stored_hash,
    },
    verifications::{Generation, Presence, Verification},
};

/// An access token that is to be verified, and what its refresh token is to the row.
pub(crate) struct Carried {
    generation: Generation,
    is_marked: bool,
    issued: IssuedSession,
    parent: Option<String>,
}

/// A row, and access tokens of every generation that it knows or has forgotten.
pub(crate) struct VerificationScene {
    pub(crate) row: SessionRecord,
    pub(crate) carried: Vec<Carried>,
}

pub(crate) async fn verification_scenes(engine: &Engine) -> Vec<VerificationScene> {
    use Generation::{ChildOfCurrent, ChildOfPrevious, Current, Other, Previous};

    let row_of = async |issued: &IssuedSession| engine.row(issued.session.handle()).await.unwrap();
    let handed_out =
        async |parent: &IssuedSession| refreshed_under(RotationPolicy::OnUse, engine, parent).await;
    let log_in = async || {
        let new = NewSession::new("alice").anti_csrf_token(true);
        engine.create_session(new).await.unwrap()
    };
    let marked = |generation, issued: &IssuedSession, parent: &IssuedSession| Carried {
        generation,
        is_marked: true,
        issued: issued.clone(),
        parent: Some(refresh_token(parent).to_owned()),
    };
    let plain = |generation, issued: &IssuedSession| Carried {
        generation,
        is_marked: false,
        issued: issued.clone(),
        parent: None,
    };
    engine.clock.set(START);
    let mut scenes = Vec::new();

    let login = log_in().await;
    let (first, sibling) = (handed_out(&login).await, handed_out(&login).await);
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![plain(Current, &login), marked(ChildOfCurrent, &first, &login)],
    });
    engine.clock.advance(SECOND);
    let second = handed_out(&first).await;
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![
            plain(Previous, &login),
            marked(Current, &first, &login),
            marked(ChildOfPrevious, &sibling, &login),
            marked(ChildOfCurrent, &second, &first),
        ],
    });
    engine.clock.advance(SECOND);
    let third = handed_out(&second).await;
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![
            plain(Other, &login),
            marked(Previous, &first, &login),
            marked(Other, &sibling, &login),
            marked(Current, &second, &first),
            marked(ChildOfCurrent, &third, &second),
        ],
    });

    let login = log_in().await;
    let before = row_of(&login).await;
    let first = refreshed(engine, &login).await;
    scenes.push(VerificationScene {
        row: before,
        carried: vec![plain(Current, &login), plain(ChildOfCurrent, &first)],
    });
    let displaced = refreshed(engine, &first).await;
    let current = displacing(engine, &first).await;
    scenes.push(VerificationScene {
        row: row_of(&login).await,
        carried: vec![
            plain(Other, &login),
            plain(Previous, &first),
            plain(ChildOfPrevious, &displaced),
            plain(Current, &current),
        ],
    });
    scenes
}

impl Carried {
    pub(crate) async fn observe(
        &self,
        engine: &Engine,
        row: Option<&SessionRecord>,
        presence: Presence,
        revocation: Revocation,
    ) -> Verification {
        let (answer, written, store_calls) = self.ask(engine, row, revocation, None).await;
        if presence == Presence::There {
            // Where the store is asked how old the login is, too, all else is as it is without.
            let login_within = Some(REFRESH_TOKEN_VALIDITY);
            let mut asked = vec![Intent::Get];
            asked.extend(&store_calls);
            assert_eq!(
                self.ask(engine, row, revocation, login_within).await,
                (answer.clone(), written, asked)
            );
        }
        let payload = serde_json::to_string(self.issued.session.jwt_payload()).unwrap();
        Verification {
            policy: engine.policy().rotation,
            revocation,
            generation: self.generation,
            is_marked: self.is_marked,
            presence,
            payload_is_stored: row.map(|row| row.jwt_payload == payload),
            answer,
            written: written.to_owned(),
            store_calls: list(
                store_calls.iter().map(|intent| format!("{intent:?}").to_lowercase()),
            ),
        }
    }

    /// Verifies the token beside the row: the answer, what is written, and what the store is asked.
    async fn ask(
        &self,
        engine: &Engine,
        row: Option<&SessionRecord>,
        revocation: Revocation,
        login_within: Option<Duration>,
    ) -> (String, &'static str, Vec<Intent>) {
        let handle = self.issued.session.handle();
        engine.revoke_session(handle).await.unwrap();
        if let Some(row) = row {
            engine.put_row(row.clone()).await;
        }
        engine.take_events();
        engine.store().take_calls();
        let request = VerifyRequest {
            revocation: Some(revocation),
            login_within,
            anti_csrf: AntiCsrf::Token(self.issued.anti_csrf_token.as_deref()),
            ..VerifyRequest::new(access_token(&self.issued))
        };
        let result = engine.verify(request).await;
        let store_calls = engine.store().take_calls();
        assert_eq!(engine.take_events(), [], "verification tells nothing");
        let after = engine.row(handle).await;
        let promoted = row.map(|row| SessionRecord {
            refresh_token_hash: stored_hash(refresh_token(&self.issued)),
            previous_refresh_token_hash: self.parent.as_deref().map(stored_hash),
            rotated_at: Some(engine.now()),
            expires_at: engine.now().plus(REFRESH_TOKEN_VALIDITY).min(row.ends_at),
            sealed_child: None,
            ..row.clone()
        });
        let written = if after.as_ref() == row {
            "nothing"
        } else if after == promoted {
            "it becomes current; the session is prolonged"
        } else {
            "something else"
        };
        let answer = match result {
            Ok(session) => self.describe(engine, &session, row).await,
            Err(Error::Unauthorised { reason }) => format!("unauthorised `{}`", reason.code()),
            Err(error) => panic!("not an answer to an access token: {error}"),
        };
        (answer, written, store_calls)
    }

    async fn describe(
        &self,
        engine: &Engine,
        session: &VerifiedSession,
        row: Option<&SessionRecord>,
    ) -> String {
        let old = &self.issued.session;
        let Some(replacement) = session.new_access_token() else {
            assert_eq!(session.claims(), old.claims());
            return match session.payload_update_available() {
                None => "accepted".to_owned(),
                Some(false) => "accepted, up to date".to_owned(),
                Some(true) => "accepted, to be updated".to_owned(),
            };
        };
        assert_eq!(session.payload_update_available(), None);
        let new = engine.identify(replacement.token.expose()).await.unwrap().unwrap();
        assert_eq!(new.claims(), session.claims());
        let mut expected = old.claims();
        for name in old.jwt_payload().keys() {
            expected.remove(name);
        }
        let ends_at = engine.now().plus(engine.policy().access_token_validity);
        let ends_at = ends_at.min(row.unwrap().ends_at).as_seconds();
        expected.extend(support::object(serde_json::from_str(&row.unwrap().jwt_payload).unwrap()));
        expected.insert("exp".to_owned(), ends_at.into());
        expected.insert("iat".to_owned(), engine.now().as_seconds().into());
        expected.insert("parentRefreshTokenHash1".to_owned(), serde_json::Value::Null);
        assert_eq!(session.claims(), expected);
        assert_eq!(replacement.expires_at.as_seconds(), ends_at);
        assert_eq!(session.access_token_version(), old.access_token_version());
        "accepted and replaced".to_owned()
    }
}
