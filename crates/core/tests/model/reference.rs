//! The sessions as the rules of each policy have them, written apart from the engine.

use std::collections::HashSet;

use sessile_core::{IssuedSession, TheftKind, VerifiedSession, clock::Timestamp};

use crate::{
    outcomes::Outcome,
    steps::{ABSOLUTE, Boundary, GRACE, IDLE, Mishap, Rule, VALIDITY},
    support::{START, access_token, refresh_token},
};

#[derive(Debug)]
pub(crate) struct ModelSession {
    pub(crate) is_there: bool,
    pub(crate) current: usize,
    pub(crate) previous: Option<usize>,
    pub(crate) exchanged_at: u64,
    /// Who can be given the current token again.
    pub(crate) kept_for: Option<usize>,
    pub(crate) idle_end: u64,
    pub(crate) absolute_end: u64,
    pub(crate) payload: u64,
}

#[derive(Debug)]
pub(crate) struct ModelToken {
    pub(crate) session: usize,
    pub(crate) parent: Option<usize>,
    /// None until an answer with it has arrived.
    pub(crate) text: Option<String>,
}

#[derive(Debug)]
pub(crate) struct ModelAccessToken {
    pub(crate) session: usize,
    /// The refresh token that it came with.
    pub(crate) generation: usize,
    pub(crate) is_marked: bool,
    pub(crate) end: u64,
    pub(crate) payload: u64,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) late_is_theft: bool,
    pub(crate) sessions: Vec<ModelSession>,
    pub(crate) refresh_tokens: Vec<ModelToken>,
    pub(crate) access_tokens: Vec<ModelAccessToken>,
}

/// What a refresh does to the row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Change {
    None,
    Rotate,
    Replace,
    Promote,
    End,
}

impl Model {
    pub(crate) fn log_in(&mut self) -> usize {
        let session = self.sessions.len();
        self.refresh_tokens.push(ModelToken { session, parent: None, text: None });
        self.sessions.push(ModelSession {
            is_there: true,
            current: self.refresh_tokens.len() - 1,
            previous: None,
            exchanged_at: 0,
            kept_for: None,
            idle_end: self.now + IDLE,
            absolute_end: self.now + ABSOLUTE,
            payload: 0,
        });
        session
    }

    pub(crate) fn child_of(&mut self, parent: usize) -> usize {
        let session = self.refresh_tokens[parent].session;
        self.refresh_tokens.push(ModelToken { session, parent: Some(parent), text: None });
        self.refresh_tokens.len() - 1
    }

    /// What SuperTokens' core says up to CDI 5.5, in the order of its steps.
    pub(crate) fn used(&self, token: usize) -> (Outcome, Change, usize) {
        let ModelToken { session, parent, .. } = self.refresh_tokens[token];
        let session = &self.sessions[session];
        if !session.is_there {
            (Outcome::NotFound, Change::None, 1)
        } else if session.idle_end < self.now {
            (Outcome::SessionExpired, Change::None, 1)
        } else if token == session.current {
            (Outcome::NewChild, Change::None, 1)
        } else if parent == Some(session.current) {
            (Outcome::NewChild, Change::Promote, 3)
        } else {
            (Outcome::Reported, Change::None, 1)
        }
    }

    /// What SuperTokens' core says from CDI 5.6 on, in the order of its cases.
    pub(crate) fn refreshed(&self, token: usize) -> (Outcome, Change, usize) {
        let ModelToken { session, parent, .. } = self.refresh_tokens[token];
        let session = &self.sessions[session];
        let ended = |kind| {
            let is_theft = kind == TheftKind::Stale || self.late_is_theft;
            (Outcome::Ended(kind, is_theft), Change::End, 3)
        };
        if !session.is_there {
            return (Outcome::NotFound, Change::None, 2);
        }
        if session.idle_end < self.now {
            return (Outcome::SessionExpired, Change::None, 2);
        }
        if token == session.current || parent == Some(session.current) {
            return (Outcome::NewChild, Change::Rotate, 1);
        }
        match session.previous {
            Some(previous) if previous == token => {
                if self.now <= session.exchanged_at + GRACE {
                    (Outcome::NewChild, Change::Replace, 3)
                } else {
                    ended(TheftKind::LateRetry)
                }
            }
            Some(previous) if parent == Some(previous) => ended(TheftKind::OrphanedBranch),
            _ => ended(TheftKind::Stale),
        }
    }

    /// Whether the token is one that an honest client can still hold: of the two newest
    /// generations, the newest of which is not older than the grace period.
    pub(crate) fn is_honest(&self, token: usize) -> bool {
        let ModelToken { session, parent, .. } = self.refresh_tokens[token];
        let session = &self.sessions[session];
        let newest = [Some(session.current), session.previous];
        session.is_there
            && self.now <= session.idle_end
            && self.now <= session.exchanged_at + GRACE
            && (newest.contains(&Some(token)) || parent.is_some() && newest.contains(&parent))
    }

    /// As [`refreshed`](Self::refreshed), but that nobody who may be honest is turned away, and
    /// whoever can be given the same child again is.
    pub(crate) fn forgiven(&self, token: usize) -> (Outcome, Change, usize) {
        let session = &self.sessions[self.refresh_tokens[token].session];
        match self.refreshed(token) {
            usual @ (_, Change::Rotate, _) => usual,
            _ if self.is_honest(token) && session.kept_for == Some(token) => {
                (Outcome::SameChild, Change::None, 2)
            }
            _ if self.is_honest(token) => (Outcome::NewChild, Change::Replace, 3),
            strict => strict,
        }
    }

    /// The outcome, the change that it stands for, and the refresh token that the answer carries.
    pub(crate) fn refresh(
        &mut self,
        token: usize,
        mishap: Mishap,
        rule: Rule,
    ) -> (Outcome, Change, Option<usize>) {
        let now = self.now;
        let index = self.refresh_tokens[token].session;
        let (outcome, change, calls) = match rule {
            Rule::Idempotent => self.forgiven(token),
            Rule::OnRefresh => self.refreshed(token),
            Rule::OnUse => self.used(token),
        };
        let (effective, is_heard) = mishap.of(calls);
        let mut child = None;
        match change {
            Change::Rotate if effective >= 1 => {
                let new = self.child_of(token);
                self.move_on(new, token, Some(token));
                child = Some(new);
            }
            Change::Replace if effective >= 3 => {
                let new = self.child_of(self.sessions[index].previous.unwrap());
                let session = &mut self.sessions[index];
                session.current = new;
                session.kept_for = Some(token);
                child = Some(new);
            }
            Change::Promote if effective >= 2 => {
                let parent = self.refresh_tokens[token].parent.unwrap();
                self.move_on(token, parent, None);
            }
            Change::End if effective >= 3 => self.sessions[index].is_there = false,
            _ => {}
        }
        if !is_heard {
            return (Outcome::Fault, change, None);
        }
        match outcome {
            Outcome::NewChild if rule == Rule::OnUse => child = Some(self.child_of(token)),
            Outcome::SameChild => child = Some(self.sessions[index].current),
            Outcome::NewChild => {}
            _ => child = None,
        }
        assert!(now >= self.sessions[index].exchanged_at);
        (outcome, change, child)
    }

    pub(crate) fn move_on(&mut self, current: usize, previous: usize, kept_for: Option<usize>) {
        let now = self.now;
        let session = &mut self.sessions[self.refresh_tokens[current].session];
        session.current = current;
        session.previous = Some(previous);
        session.exchanged_at = now;
        session.kept_for = kept_for;
        session.idle_end = (now + IDLE).min(session.absolute_end);
    }

    /// What a verification says, whether it makes its generation current, and the number of the
    /// calls that it makes.
    fn verified(
        &self,
        access_token: usize,
        is_immediate: bool,
        rule: Rule,
    ) -> (Outcome, Change, usize) {
        let token = &self.access_tokens[access_token];
        let ModelAccessToken { generation, is_marked, .. } = *token;
        let parent = self.refresh_tokens[generation].parent.filter(|_| is_marked);
        let session = &self.sessions[token.session];
        let differs = is_immediate && session.payload != token.payload;
        let looks = usize::from(is_immediate);
        if self.now > token.end {
            return (Outcome::Expired, Change::None, 0);
        }
        if is_immediate && !session.is_there {
            return (Outcome::NotFound, Change::None, 1);
        }
        let outcome = match rule {
            Rule::Idempotent if is_immediate && self.now >= session.idle_end => {
                Outcome::SessionExpired
            }
            Rule::OnRefresh if is_immediate => {
                let known = [Some(session.current), session.previous];
                let is_known = known.contains(&Some(generation))
                    || parent.is_some() && known.contains(&parent);
                if is_known { Outcome::AcceptedWith(differs) } else { Outcome::RotatedOut }
            }
            Rule::Idempotent | Rule::OnRefresh => Outcome::Accepted,
            Rule::OnUse if !is_marked && !differs => Outcome::Accepted,
            Rule::OnUse => {
                if session.is_there && parent == Some(session.current) {
                    return (Outcome::Replaced, Change::Promote, looks + 1);
                }
                let outcome = if !session.is_there {
                    Outcome::NotFound
                } else if generation == session.current || differs {
                    Outcome::Replaced
                } else {
                    Outcome::Accepted
                };
                return (outcome, Change::None, looks + usize::from(is_marked) + 1);
            }
        };
        (outcome, Change::None, looks)
    }

    pub(crate) fn verify(
        &mut self,
        access_token: usize,
        is_immediate: bool,
        mishap: Mishap,
        rule: Rule,
    ) -> (Outcome, Change) {
        let (outcome, change, calls) = self.verified(access_token, is_immediate, rule);
        let (effective, is_heard) = mishap.of(calls);
        // The change is the last of the calls.
        if change == Change::Promote && effective == calls {
            let generation = self.access_tokens[access_token].generation;
            let parent = self.refresh_tokens[generation].parent.unwrap();
            self.move_on(generation, parent, None);
        }
        (if is_heard { outcome } else { Outcome::Fault }, change)
    }

    /// When the boundary of the session is, or was.
    pub(crate) fn moment_of(&self, session: usize, boundary: Boundary) -> u64 {
        let ModelSession { exchanged_at, idle_end, .. } = self.sessions[session];
        match boundary {
            Boundary::Window => exchanged_at + GRACE,
            Boundary::Session => idle_end,
            Boundary::AccessToken => {
                let of_session = |token: &&ModelAccessToken| token.session == session;
                self.access_tokens.iter().rfind(of_session).unwrap().end
            }
        }
    }

    pub(crate) fn access_token_end(&self, session: usize) -> u64 {
        (self.now + VALIDITY).min(self.sessions[session].absolute_end) / 1000 * 1000
    }

    /// Takes the tokens of an answer down, and says whether they are the ones that were expected.
    pub(crate) fn receive(&mut self, child: usize, rule: Rule, issued: &IssuedSession) {
        let session = self.refresh_tokens[child].session;
        let text = refresh_token(issued);
        let known = self.refresh_tokens[child].text.get_or_insert_with(|| text.to_owned());
        assert_eq!(known, text, "the same child");
        let texts: Vec<&str> =
            self.refresh_tokens.iter().filter_map(|token| token.text.as_deref()).collect();
        let different: HashSet<&&str> = texts.iter().collect();
        assert_eq!(different.len(), texts.len(), "different children are different");

        let ModelSession { idle_end, absolute_end, payload, .. } = self.sessions[session];
        let is_handed_out = rule == Rule::OnUse && self.refresh_tokens[child].parent.is_some();
        let expected = if is_handed_out { (self.now + IDLE).min(absolute_end) } else { idle_end };
        assert_eq!(since_start(issued.refresh_token.expires_at), expected);
        let end = self.access_token_end(session);
        assert_eq!(since_start(issued.access_token.expires_at), end);
        self.access_tokens.push(ModelAccessToken {
            session,
            generation: child,
            is_marked: is_handed_out,
            end,
            payload,
            text: access_token(issued).to_owned(),
        });
    }

    /// Takes an access token down that came in another one's place.
    pub(crate) fn receive_replacement(&mut self, access_token: usize, verified: &VerifiedSession) {
        let ModelAccessToken { session, generation, .. } = self.access_tokens[access_token];
        let end = self.access_token_end(session);
        let replacement = verified.new_access_token().unwrap();
        assert_eq!(since_start(replacement.expires_at), end);
        let payload = self.sessions[session].payload;
        assert_eq!(payload_of(verified), payload);
        self.access_tokens.push(ModelAccessToken {
            session,
            generation,
            is_marked: false,
            end,
            payload,
            text: replacement.token.expose().to_owned(),
        });
    }
}

pub(crate) fn since_start(moment: Timestamp) -> u64 {
    u64::try_from(moment.as_millis() - START.as_millis()).unwrap()
}

pub(crate) fn payload_of(session: &VerifiedSession) -> u64 {
    session.jwt_payload().get("number").map_or(0, |number| number.as_u64().unwrap())
}
