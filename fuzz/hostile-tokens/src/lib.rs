//! Access tokens that were changed, made up or had signed: of every kind that readers are known
//! to get wrong. Tests give them to Sessile over HTTP, and to other verifiers beside it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what fails here fails the test that asked for it"
)]

mod claims;
mod encoding;
mod forge;
mod header;
mod signature;

use std::fmt;

use sessile_mutation::Dice;

pub use forge::Forge;

/// A token, and in which way it is hostile.
#[derive(Clone)]
pub struct HostileToken {
    /// What was done to it, in a word or two.
    pub class: &'static str,
    /// The token.
    pub text: String,
}

impl fmt::Debug for HostileToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HostileToken").field("class", &self.class).finish_non_exhaustive()
    }
}

/// A good token in its three parts, with what signs others like it.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// Signs with the key of the token.
    pub forge: &'a Forge,
    /// The token.
    pub token: &'a str,
    /// Another good token under the same keys.
    pub other: &'a str,
    /// The moment at which tokens are verified, in seconds since the Unix epoch.
    pub now: i64,
}

impl<'a> Base<'a> {
    fn parts(&self) -> [&'a str; 3] {
        let parts: Vec<_> = self.token.split('.').collect();
        parts.try_into().unwrap()
    }

    fn header(&self) -> Vec<u8> {
        encoding::decode(self.parts()[0])
    }

    fn claims(&self) -> Vec<u8> {
        encoding::decode(self.parts()[1])
    }

    /// A hostile token, of a class that the dice choose. Some are as good as the base: a change
    /// may mean nothing, or be within a text.
    pub fn hostile_token(&self, dice: &mut Dice) -> HostileToken {
        let (class, text) = match dice.below(9) {
            0 => ("text", dice.mutate_text(self.token, self.other)),
            1 => ("cut", self.cut(dice)),
            2 => ("encoding", encoding::changed(self, dice)),
            3 => ("serialisation", encoding::other_serialisation(self, dice)),
            4 => ("header", header::changed(self, dice)),
            5 => ("claims", claims::changed(self, dice)),
            6 => ("signature", signature::changed(self, dice)),
            7 => {
                let header = dice.mutate(&self.header(), br#","alg":"none","kid":null,"crit":[]"#);
                ("signed header", self.forge.sign(&header, &self.claims()))
            }
            _ => {
                let claims = dice.mutate(&self.claims(), br#","sub":null,"exp":1e300,"nbf":[]"#);
                ("signed claims", self.forge.sign(&self.header(), &claims))
            }
        };
        HostileToken { class, text }
    }

    fn cut(&self, dice: &mut Dice) -> String {
        let position = dice.below(self.token.len());
        let [header, claims, signature] = self.parts();
        match dice.below(5) {
            0 => self.token[..position].to_owned(),
            1 => self.token[position..].to_owned(),
            2 => format!("{header}.{claims}"),
            3 => format!("{header}.{claims}."),
            _ => format!(".{claims}.{signature}"),
        }
    }
}
