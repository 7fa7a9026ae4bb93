//! Compares what a store has with what its clients were answered.

use std::{fmt, path::Path, sync::Arc};

use rusqlite::Connection;
use sessile_core::{
    Error, SessionHandle, SessionInformation, SessionService, Sessions, TenantScope, VerifyRequest,
    WrappingKey, clock::ManualClock,
};
use sessile_sqlite::SqliteStore;

use crate::{
    ledger::{Client, Known, Ledger, Life, Tokens},
    load::{engine, object},
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProblemKind {
    /// The store does not open.
    DoesNotOpen,
    /// The file is not as SQLite left it.
    Damaged,
    /// Something that was acknowledged is not there.
    Lost,
    /// A token that was answered is refused.
    TokenRefused,
    /// There is something that nobody asked for.
    Unasked,
}

/// What is not as it must be.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.kind, self.text)
    }
}

/// Opens the store in that file and compares. From then on the ledger says what was found, with
/// new tokens.
pub(crate) async fn check(path: &Path, ledger: &mut Ledger, key: &WrappingKey) -> Vec<Problem> {
    ledger.interrupt();
    let mut problems = Vec::new();
    if let Err(error) = compare(path, ledger, key, &mut problems).await {
        problems.push(error);
    }
    problems
}

async fn compare(
    path: &Path,
    ledger: &mut Ledger,
    key: &WrappingKey,
    problems: &mut Vec<Problem>,
) -> Result<(), Problem> {
    let does_not_open = |error: &dyn fmt::Display| Problem {
        kind: ProblemKind::DoesNotOpen,
        text: error.to_string(),
    };
    let store =
        SqliteStore::options().readers(1).open(path).map_err(|error| does_not_open(&error))?;
    check_integrity(path)?;
    let clock = Arc::new(ManualClock::at(ledger.now()));
    let sessions = engine(store, key, clock).await.map_err(|error| does_not_open(&error))?;
    for (user, client) in &mut ledger.clients {
        let mut comparison = Comparison { sessions: &sessions, user, problems };
        comparison.check_client(client).await.map_err(|error| damaged(&error))?;
    }
    Ok(())
}

fn damaged(error: &dyn fmt::Display) -> Problem {
    Problem { kind: ProblemKind::Damaged, text: error.to_string() }
}

fn check_integrity(path: &Path) -> Result<(), Problem> {
    let report = || -> rusqlite::Result<String> {
        Connection::open(path)?.query_row("PRAGMA integrity_check", [], |row| row.get(0))
    };
    match report() {
        Ok(report) if report == "ok" => Ok(()),
        Ok(report) => Err(damaged(&report)),
        Err(error) => Err(damaged(&error)),
    }
}

struct Comparison<'a> {
    sessions: &'a Sessions<SqliteStore>,
    user: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Comparison<'_> {
    fn note(&mut self, kind: ProblemKind, handle: &str, text: impl fmt::Display) {
        let text = format!("session {handle} of {}: {text}", self.user);
        self.problems.push(Problem { kind, text });
    }

    /// # Errors
    /// The store cannot be read.
    async fn check_client(&mut self, client: &mut Client) -> Result<(), Error> {
        let mut found = self.sessions.get_sessions_of_user(self.user, &TenantScope::All).await?;
        for (handle, known) in &mut client.sessions {
            let place = found.iter().position(|information| information.handle.as_str() == handle);
            match (place.map(|place| found.swap_remove(place)), known.life) {
                (Some(information), Life::Alive | Life::Unknown) => {
                    self.check_session(handle, known, &information).await;
                }
                (Some(_), Life::Ended) => {
                    self.note(ProblemKind::Lost, handle, "it was revoked, and is there");
                }
                (None, Life::Alive) => self.note(ProblemKind::Lost, handle, "it is not there"),
                (None, Life::Ended | Life::Unknown) => known.life = Life::Ended,
            }
        }
        if found.len() > client.unknown_sessions {
            let text = format!("{} that were never asked for", found.len());
            self.note(ProblemKind::Unasked, "", text);
        }
        client.unknown_sessions = 0;
        let unknown: Vec<_> = found.into_iter().map(|information| information.handle).collect();
        self.sessions.revoke_multiple_sessions(&unknown).await?;
        Ok(())
    }

    async fn check_session(&mut self, handle: &str, known: &mut Known, found: &SessionInformation) {
        for (what, numbers, found) in [
            ("data", &mut known.data, &found.session_data),
            ("payload", &mut known.payload, &found.jwt_payload),
        ] {
            match numbers.iter().find(|&&number| object(number) == *found) {
                Some(&number) => *numbers = vec![number],
                None => {
                    let text =
                        format!("its {what} is neither what was acknowledged last nor newer");
                    self.note(ProblemKind::Lost, handle, text);
                }
            }
        }
        known.life = Life::Alive;
        self.check_tokens(handle, known).await;
    }

    async fn check_tokens(&mut self, handle: &str, known: &mut Known) {
        let verified = self.sessions.verify(VerifyRequest::new(&known.tokens.access)).await;
        match verified {
            Ok(verified) => assert_eq!(*verified.handle(), SessionHandle::new(handle)),
            Err(error) => {
                self.note(ProblemKind::TokenRefused, handle, format!("its access token: {error}"));
            }
        }
        match self.sessions.refresh(known.tokens.refresh.as_str().into()).await {
            Ok(issued) => {
                known.tokens = Tokens {
                    refresh: issued.refresh_token.token.expose().to_owned(),
                    access: issued.access_token.token.expose().to_owned(),
                };
            }
            Err(error) => {
                self.note(ProblemKind::TokenRefused, handle, format!("its refresh token: {error}"));
            }
        }
    }
}
