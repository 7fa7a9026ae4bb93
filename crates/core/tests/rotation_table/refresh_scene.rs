//! Sessions in every state, and refreshes with every token that their clients ever had.

use std::collections::BTreeSet;

use sessile_core::{
    IssuedSession, NewSession, SessionService, clock::Timestamp, policy::RotationPolicy,
    store::SessionRecord,
};

use crate::{
    lineage::{
        REFRESH_TOKEN_VALIDITY, ROTATED_AFTER, displacing, list, refreshed, refreshed_under,
        request,
    },
    refresh_descriptions::{OTHER, describe_error, describe_event, period},
    refreshes::{Observation, RowState, Token},
    support::{Engine, GRACE, MILLISECOND, START, access_token, refresh_token, stored_hash},
};

/// A token in a client's hands.
pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) issued: IssuedSession,
    pub(crate) parent: Option<String>,
}

/// A session that was brought into a state, with the tokens that its client ever had.
pub(crate) struct Scene {
    pub(crate) state: RowState,
    pub(crate) row: Option<SessionRecord>,
    pub(crate) held: Vec<Held>,
    pub(crate) moments: Vec<Timestamp>,
}

impl Scene {
    pub(crate) async fn set(engine: &Engine, state: RowState) -> Self {
        engine.clock.set(START);
        let new = NewSession::new("alice").anti_csrf_token(true);
        let first = engine.create_session(new).await.unwrap();
        let handle = first.session.handle().clone();
        let held = |token, issued: &IssuedSession, parent: Option<&IssuedSession>| Held {
            token,
            issued: issued.clone(),
            parent: parent.map(|parent| refresh_token(parent).to_owned()),
        };
        if state == RowState::AsLoginLeftIt {
            let row = engine.row(&handle).await.unwrap();
            let child = refreshed(engine, &first).await;
            let held = vec![
                held(Token::Current, &first, None),
                held(Token::ChildOfCurrent, &child, Some(&first)),
            ];
            return Self { state, moments: moments(START, row.expires_at), row: Some(row), held };
        }
        engine.clock.advance(ROTATED_AFTER / 2);
        let sibling = refreshed(engine, &first).await;
        let second = displacing(engine, &first).await;
        engine.clock.advance(ROTATED_AFTER / 2);
        let third = refreshed(engine, &second).await;
        let before = engine.row(&handle).await.unwrap();
        let mut fourth = displacing(engine, &second).await;
        if state == RowState::SealedForDisplaced {
            fourth = refreshed(engine, &third).await;
        }
        let mut row = engine.row(&handle).await.unwrap();
        let fifth = refreshed(engine, &fourth).await;
        let moments = moments(engine.now(), row.expires_at);
        match state {
            RowState::SealedChildGone => row.sealed_child = None,
            RowState::SealedChildDamaged => {
                *row.sealed_child.as_mut().unwrap().last_mut().unwrap() ^= 1;
            }
            RowState::SealedChildNotCurrent => row.sealed_child = before.sealed_child,
            RowState::RotationTimeGone => row.rotated_at = None,
            RowState::PreviousGone => {
                (row.previous_refresh_token_hash, row.rotated_at) = (None, None);
            }
            RowState::AsLoginLeftIt
            | RowState::AsRefreshLeftIt
            | RowState::SealedForDisplaced
            | RowState::Missing => {}
        }
        let mut held = vec![
            held(Token::Current, &fourth, Some(&second)),
            held(Token::ChildOfCurrent, &fifth, Some(&fourth)),
            held(Token::Previous, &second, Some(&first)),
            held(Token::BeforePrevious, &first, None),
            held(Token::SiblingOfPrevious, &sibling, Some(&first)),
            held(Token::Displaced, &third, Some(&second)),
        ];
        if state == RowState::PreviousGone {
            // What was the previous one is older, or unknown, like all before it.
            held.retain(|held| {
                [Token::Current, Token::ChildOfCurrent, Token::BeforePrevious].contains(&held.token)
            });
        }
        let row = (state != RowState::Missing).then_some(row);
        Self { state, row, held, moments }
    }

    fn current(&self) -> &Held {
        &self.held[0]
    }

    pub(crate) async fn observe(
        &self,
        engine: &Engine,
        token: Token,
        now: Timestamp,
    ) -> Option<Observation> {
        let held = match token {
            Token::Unreadable | Token::WrongAntiCsrf => self.current(),
            token => self.held.iter().find(|held| held.token == token)?,
        };
        let handle = held.issued.session.handle();
        engine.revoke_session(handle).await.unwrap();
        if let Some(row) = &self.row {
            engine.put_row(row.clone()).await;
        }
        engine.clock.set(now);
        engine.take_events();
        engine.store().take_calls();

        let unreadable = refresh_token(&held.issued).replacen("srt1.", "srt1.A", 1);
        let request = match token {
            Token::Unreadable => request(&unreadable, held.issued.anti_csrf_token.as_deref()),
            Token::WrongAntiCsrf => request(refresh_token(&held.issued), Some("another")),
            _ => request(refresh_token(&held.issued), held.issued.anti_csrf_token.as_deref()),
        };
        let result = engine.refresh(request).await;
        let store_calls = engine.store().take_calls();
        let events = engine.take_event_kinds();
        let after = engine.row(handle).await;
        let judged = self.row.as_ref().filter(|_| held.token == token);
        Some(Observation {
            policy: engine.policy().rotation,
            token,
            row: self.state,
            period: self.row.as_ref().map(|row| period(row, now)),
            late_retry: engine.policy().late_retry,
            decision: judged.map_or_else(
                || "none".to_owned(),
                |row| held.decision(engine.policy().rotation, row, now),
            ),
            answer: match result {
                Ok(issued) => {
                    self.describe_answer(engine, held, &issued, after.as_ref().unwrap()).await
                }
                Err(error) => describe_error(&error, self.row.as_ref(), after.as_ref()),
            },
            event: list(events.into_iter().map(describe_event)),
            store_calls: list(
                store_calls.iter().map(|intent| format!("{intent:?}").to_lowercase()),
            ),
        })
    }

    async fn describe_answer(
        &self,
        engine: &Engine,
        presented: &Held,
        issued: &IssuedSession,
        after: &SessionRecord,
    ) -> String {
        let (now, before) = (engine.now(), self.row.as_ref().unwrap());
        assert!(engine.read(access_token(issued)).await.is_ok());
        assert_eq!(issued.access_token.created_at, now.floor_to_second());
        assert_eq!(issued.session.anti_csrf_token(), issued.anti_csrf_token.as_deref());
        let prolonged = now.plus(REFRESH_TOKEN_VALIDITY).min(before.ends_at);
        let known = |held: &Held| refresh_token(&held.issued) == refresh_token(issued);

        if engine.policy().rotation == RotationPolicy::OnUse {
            assert_eq!(issued.refresh_token.expires_at, prolonged);
            assert!(!self.held.iter().any(known), "each child is another one");
            let promoted = SessionRecord {
                refresh_token_hash: stored_hash(refresh_token(&presented.issued)),
                previous_refresh_token_hash: presented.parent.as_deref().map(stored_hash),
                rotated_at: Some(now),
                expires_at: prolonged,
                sealed_child: None,
                ..before.clone()
            };
            // It is good, whatever became of the row.
            drop(refreshed_under(RotationPolicy::OnUse, engine, issued).await);
            return if after == before {
                "a new child; nothing is written".to_owned()
            } else if *after == promoted {
                "it becomes current, and gets a new child; the session is prolonged".to_owned()
            } else {
                "a new child, and something else".to_owned()
            };
        }

        assert!(after.refresh_token_hash == stored_hash(refresh_token(issued)));
        assert_eq!(after.expires_at, issued.refresh_token.expires_at);
        let current = &self.current().issued;
        if refresh_token(issued) == refresh_token(current) {
            assert_eq!(issued.anti_csrf_token, current.anti_csrf_token);
            assert_eq!(issued.refresh_token.created_at, current.refresh_token.created_at);
            assert!(after == before, "nothing is written");
            return "the same child again; nothing is written".to_owned();
        }
        assert!(!self.held.iter().any(known), "a new child is none that was there before");
        let again = refreshed(engine, &presented.issued).await;
        assert_eq!(refresh_token(&again), refresh_token(issued), "a new child is kept");
        // As a child of the token that is the previous one now, it is known if it is displaced.
        let rival = SessionRecord { refresh_token_hash: OTHER, ..after.clone() };
        engine.put_row(rival).await;
        drop(refreshed(engine, issued).await);

        let prolonged = SessionRecord {
            previous_refresh_token_hash: Some(stored_hash(refresh_token(&presented.issued))),
            rotated_at: Some(now),
            expires_at: prolonged,
            ..before.clone()
        };
        let child = |row| SessionRecord {
            refresh_token_hash: after.refresh_token_hash,
            sealed_child: after.sealed_child.clone(),
            ..row
        };
        if *after == child(before.clone()) {
            "a new child; window and expiry stay".to_owned()
        } else if *after == child(prolonged) {
            "a new child; the session is prolonged".to_owned()
        } else {
            "a new child, and something else".to_owned()
        }
    }
}

/// Both sides of every boundary.
pub(crate) fn moments(beginning: Timestamp, expires_at: Timestamp) -> Vec<Timestamp> {
    let window_end = beginning.plus(GRACE);
    BTreeSet::from([
        beginning,
        beginning.plus(MILLISECOND),
        window_end.minus(MILLISECOND),
        window_end,
        window_end.plus(MILLISECOND),
        expires_at.minus(MILLISECOND),
        expires_at,
        expires_at.plus(MILLISECOND),
    ])
    .into_iter()
    .collect()
}
