//! What the clients hold.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a wallet that cannot be kept fails the test that asked for it"
)]

use std::{
    collections::HashMap,
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
    sync::Mutex,
};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::history::TokenId;

/// Sessions are mostly chosen among so many of the newest, so that calls meet.
const RECENT: usize = 12;

fn newest(handles: &[String]) -> &[String] {
    &handles[handles.len().saturating_sub(RECENT)..]
}

/// What all clients of all processes hold: their tokens, in a file that every process reads on and
/// adds to. So two processes get the same token at once, and clients outlive a server that dies.
///
/// This file has tokens in it, and the history has none.
pub struct Wallet(Mutex<Contents>);

struct Contents {
    adding: File,
    reading: File,
    unread: Vec<u8>,
    sessions: HashMap<String, Held>,
    /// Those that nobody has been refused for.
    alive: Vec<String>,
    over: Vec<String>,
}

/// A line of the file.
#[derive(Deserialize, Serialize)]
enum Entry {
    Given {
        handle: String,
        refresh_token: String,
        made_from: Option<TokenId>,
        access_token: String,
    },
    Over {
        handle: String,
    },
}

/// What is held of one session.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) handle: String,
    refresh_tokens: Vec<HeldToken>,
}

/// A refresh token, and the newest access token that came with it.
#[derive(Clone)]
pub(crate) struct HeldToken {
    pub(crate) id: TokenId,
    pub(crate) access_token: String,
    made_from: Option<TokenId>,
    text: String,
}

impl Held {
    fn newest_token(&self) -> Option<&HeldToken> {
        self.refresh_tokens.iter().rfind(|token| !self.has_child(token))
    }

    /// The token that nothing else was made from, as far as the clients know.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.newest_token().map(|token| token.text.as_str())
    }

    /// Where to find an access token: mostly with the newest refresh token.
    pub(crate) fn with_access_token(&self, random: &mut Rng) -> Option<&HeldToken> {
        match random.u8(..4) {
            0 => random.choice(&self.refresh_tokens),
            _ => self.newest_token(),
        }
    }

    /// The token that the newest was made from.
    pub(crate) fn previous(&self) -> Option<&str> {
        let parent = self.newest_token()?.made_from.as_ref()?;
        let parent = self.refresh_tokens.iter().find(|token| token.id == *parent)?;
        Some(&parent.text)
    }

    /// Any token.
    pub(crate) fn any(&self, random: &mut Rng) -> Option<&str> {
        random.choice(&self.refresh_tokens).map(|token| token.text.as_str())
    }

    fn has_child(&self, token: &HeldToken) -> bool {
        self.refresh_tokens.iter().any(|other| other.made_from.as_ref() == Some(&token.id))
    }
}

impl Wallet {
    /// The wallet in that file, which every process of a run opens.
    ///
    /// # Errors
    /// When the file can be neither opened nor made.
    pub fn open(path: &Path) -> io::Result<Self> {
        let adding = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Mutex::new(Contents {
            adding,
            reading: File::open(path)?,
            unread: Vec::new(),
            sessions: HashMap::new(),
            alive: Vec::new(),
            over: Vec::new(),
        })))
    }

    /// Keeps what an answer gave.
    pub(crate) fn give(
        &self,
        handle: &str,
        refresh_token: &str,
        made_from: Option<TokenId>,
        access_token: &str,
    ) {
        self.0.lock().unwrap().add(&Entry::Given {
            handle: handle.to_owned(),
            refresh_token: refresh_token.to_owned(),
            made_from,
            access_token: access_token.to_owned(),
        });
    }

    /// Remembers that a session was said to be gone.
    pub(crate) fn over(&self, handle: &str) {
        self.0.lock().unwrap().add(&Entry::Over { handle: handle.to_owned() });
    }

    /// A session: mostly a new one that goes on, as far as is known.
    pub(crate) fn session(&self, random: &mut Rng) -> Option<Held> {
        let mut contents = self.0.lock().unwrap();
        contents.read_on();
        let handle = match random.u8(..10) {
            0 => random.choice(newest(&contents.over)),
            1 => random.choice(&contents.alive),
            _ => random.choice(newest(&contents.alive)),
        }?;
        contents.sessions.get(handle).cloned()
    }

    /// All sessions that go on, as far as is known.
    pub(crate) fn all_alive(&self) -> Vec<Held> {
        let mut contents = self.0.lock().unwrap();
        contents.read_on();
        let alive = contents.alive.iter().filter_map(|handle| contents.sessions.get(handle));
        alive.cloned().collect()
    }

    /// How many sessions go on, as far as is known.
    pub(crate) fn alive(&self) -> usize {
        self.0.lock().unwrap().alive.len()
    }
}

impl Contents {
    fn add(&mut self, entry: &Entry) {
        let mut text = serde_json::to_string(entry).expect("an entry is plain JSON");
        text.push('\n');
        self.adding.write_all(text.as_bytes()).expect("the wallet can be written");
    }

    fn read_on(&mut self) {
        self.reading.read_to_end(&mut self.unread).expect("the wallet can be read");
        let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') else { return };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        for line in lines.split(|byte| *byte == b'\n') {
            // A process that died may have left half a line, which the next one then continued.
            if let Ok(entry) = serde_json::from_slice(line) {
                self.learn(entry);
            }
        }
    }

    fn learn(&mut self, entry: Entry) {
        match entry {
            Entry::Given { handle, refresh_token, made_from, access_token } => {
                if !self.sessions.contains_key(&handle) {
                    self.alive.push(handle.clone());
                }
                let held = self
                    .sessions
                    .entry(handle.clone())
                    .or_insert_with(|| Held { handle, refresh_tokens: Vec::new() });
                let id = TokenId::of(&refresh_token);
                match held.refresh_tokens.iter_mut().find(|token| token.id == id) {
                    Some(known) => known.access_token = access_token,
                    None => {
                        let text = refresh_token;
                        held.refresh_tokens.push(HeldToken { id, access_token, made_from, text });
                    }
                }
            }
            Entry::Over { handle } => {
                if let Some(place) = self.alive.iter().position(|other| *other == handle) {
                    self.over.push(self.alive.remove(place));
                }
            }
        }
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Wallet(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(wallet: &Wallet) -> Held {
        let mut contents = wallet.0.lock().unwrap();
        contents.read_on();
        contents.sessions["a"].clone()
    }

    #[test]
    fn what_one_process_is_given_all_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet");
        let wallets = [Wallet::open(&path).unwrap(), Wallet::open(&path).unwrap()];
        wallets[0].give("a", "first", None, "access");
        // The answer to a repeated refresh may come last.
        let second = Some(TokenId::of("second"));
        wallets[1].give("a", "second", Some(TokenId::of("first")), "access");
        wallets[0].give("a", "third", second, "access");
        wallets[1].give("a", "second", Some(TokenId::of("first")), "access");
        for wallet in &wallets {
            let held = held(wallet);
            assert_eq!((held.newest(), held.previous()), (Some("third"), Some("second")));
            assert_eq!(wallet.alive(), 1);
        }
        wallets[0].over("a");
        held(&wallets[1]);
        assert_eq!(wallets[1].alive(), 0);
    }

    #[test]
    fn half_a_line_of_a_dead_process_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet");
        let wallet = Wallet::open(&path).unwrap();
        wallet.give("a", "first", None, "access");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"Given").unwrap();
        wallet.give("a", "lost", None, "access");
        wallet.give("a", "second", Some(TokenId::of("first")), "access");
        assert_eq!(held(&wallet).newest(), Some("second"));
    }
}
