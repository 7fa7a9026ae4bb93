//! Base64 and serialisations in ways that nobody writes.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::json;
use sessile_mutation::Dice;

use crate::Base;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(crate) fn decode(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// A part in another spelling of the same bytes, or nearly.
pub(crate) fn respelled(part: &str, dice: &mut Dice) -> String {
    let bytes = decode(part);
    let (half, other_half) = part.split_at(part.len() / 2);
    match dice.below(13) {
        0 => STANDARD.encode(&bytes),
        1 => STANDARD_NO_PAD.encode(&bytes),
        2 => URL_SAFE.encode(&bytes),
        3 => format!("{part}="),
        4 => format!("{part}===="),
        5 => format!("{part} "),
        6 => format!(" {part}"),
        7 => format!("{part}\r\n"),
        8 => format!("{half}\n{other_half}"),
        9 => format!("{half}*{other_half}"),
        10 => format!("{half}={other_half}"),
        11 => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => with_spare_bits(part, dice),
    }
}

/// Sets bits after the last byte, which mean nothing and are zero in what anybody writes.
fn with_spare_bits(part: &str, dice: &mut Dice) -> String {
    let spare = match part.len() % 4 {
        2 => 16,
        3 => 4,
        _ => return format!("{part}A"),
    };
    let last = part.bytes().last().unwrap();
    let value = ALPHABET.iter().position(|digit| *digit == last).unwrap();
    let changed = value + 1 + dice.below(spare - 1);
    format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[changed % 64]))
}

/// One part in another spelling: signed as it stands, or under the signature of before.
pub(crate) fn changed(base: &Base<'_>, dice: &mut Dice) -> String {
    let [header, claims, signature] = base.parts();
    match dice.below(5) {
        0 => base.forge.sign_parts(&respelled(header, dice), claims),
        1 => base.forge.sign_parts(header, &respelled(claims, dice)),
        2 => format!("{}.{claims}.{signature}", respelled(header, dice)),
        3 => format!("{header}.{}.{signature}", respelled(claims, dice)),
        _ => format!("{header}.{claims}.{}", respelled(signature, dice)),
    }
}

/// The token in another serialisation, or with something around it.
pub(crate) fn other_serialisation(base: &Base<'_>, dice: &mut Dice) -> String {
    let token = base.token;
    let [header, claims, signature] = base.parts();
    match dice.below(14) {
        0 => json!({ "payload": claims, "protected": header, "signature": signature }).to_string(),
        1 => format!("{header}.{claims}.{claims}.{claims}.{signature}"),
        2 => format!("{token}."),
        3 => format!(".{token}"),
        4 => format!("{token} "),
        5 => format!(" {token}"),
        6 => format!("{token}\n"),
        7 => format!("\"{token}\""),
        8 => format!("Bearer {token}"),
        9 => token.replace('.', ".."),
        10 => token.replace('.', "%2E"),
        11 => token.replace('.', "\u{ff0e}"),
        12 => token.to_lowercase(),
        _ => format!("{header}..{signature}"),
    }
}
