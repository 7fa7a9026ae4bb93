//! Claims of other types and values than they should have, under a good signature.

use serde_json::{Value, json};
use sessile_mutation::Dice;

use crate::Base;

const NAMES: [&str; 14] = [
    "sub",
    "exp",
    "iat",
    "sessionHandle",
    "refreshTokenHash1",
    "parentRefreshTokenHash1",
    "antiCsrfToken",
    "tId",
    "rsub",
    "nbf",
    "aud",
    "iss",
    "jti",
    "role",
];

/// Values as text, so that there is what no JSON value of Rust's could say.
const VALUES: [&str; 36] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1.5",
    "1e3",
    "1e300",
    "1e400",
    "-1e400",
    "NaN",
    "Infinity",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "01",
    "+1",
    "\"\"",
    "\"1700003600\"",
    "\"alice\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\u{1f980}\"",
    "\"\n\"",
    "[]",
    "[1]",
    "[\"alice\"]",
    "{}",
    "{\"a\":1,\"a\":2}",
    "'alice'",
    "undefined",
    "",
    "4102444800",
    "1600000000",
];

/// A token with one of its claims, or the text around them, changed.
pub(crate) fn changed(base: &Base<'_>, dice: &mut Dice) -> String {
    let own = base.claims();
    let text = String::from_utf8(own).unwrap();
    let body = &text[1..text.len() - 1];
    let claims = match dice.below(10) {
        0..5 => with_odd_value(serde_json::from_str(&text).unwrap(), base.now, dice).into_bytes(),
        5 => without_one(serde_json::from_str(&text).unwrap(), dice).into_bytes(),
        // Of a member that is there twice some take the first, and some the last.
        6 => match dice.below(3) {
            0 => format!("{{{body},\"sub\":\"mallory\"}}"),
            1 => format!("{{\"sub\":\"mallory\",{body}}}"),
            _ => format!("{{{body},\"exp\":1}}"),
        }
        .into_bytes(),
        7 => with_odd_text(&text, body, dice),
        8 => nested(body, dice).into_bytes(),
        _ => with_moments(serde_json::from_str(&text).unwrap(), base.now, dice).into_bytes(),
    };
    base.forge.sign(&base.header(), &claims)
}

fn with_odd_value(mut claims: Value, now: i64, dice: &mut Dice) -> String {
    let name = *dice.pick(&NAMES);
    let value = match dice.below(6) {
        0 => (now + 3600).to_string(),
        1 => format!("{}.5", now + 3600),
        _ => (*dice.pick(&VALUES)).to_owned(),
    };
    claims[name] = json!("@@");
    claims.to_string().replacen("\"@@\"", &value, 1)
}

fn without_one(mut claims: Value, dice: &mut Dice) -> String {
    let members = claims.as_object_mut().unwrap();
    let names: Vec<String> = members.keys().cloned().collect();
    members.remove(dice.pick(&names));
    claims.to_string()
}

/// Times around the moment of verification.
fn with_moments(mut claims: Value, now: i64, dice: &mut Dice) -> String {
    let moment = now + *dice.pick(&[-3600, -1, 0, 1, 3600, 1 << 40]);
    claims[*dice.pick(&["exp", "iat", "nbf"])] = json!(moment);
    claims.to_string()
}

fn with_odd_text(text: &str, body: &str, dice: &mut Dice) -> Vec<u8> {
    match dice.below(11) {
        0 => [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        1 => [text.as_bytes(), b"\xff"].concat(),
        2 => [b"{\"x\":\"\xff\",", body.as_bytes(), b"}"].concat(),
        3 => [b"{\"x\":\"\xed\xa0\x80\",", body.as_bytes(), b"}"].concat(),
        4 => format!(" {text}\n").into_bytes(),
        5 => format!("[{text}]").into_bytes(),
        6 => format!("{text}{text}").into_bytes(),
        7 => format!("{{{body},}}").into_bytes(),
        8 => format!("{{{body}/**/}}").into_bytes(),
        9 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => dice.pick(&[b"null".as_slice(), b"[]", b"\"\"", b"0", b"", b"{}", b"{"]).to_vec(),
    }
}

fn nested(body: &str, dice: &mut Dice) -> String {
    let depth = *dice.pick(&[10, 125, 126, 127, 128, 500, 900]);
    let (open, close) = *dice.pick(&[("[", "]"), ("{\"a\":", "}")]);
    format!("{{{body},\"x\":{}1{}}}", open.repeat(depth), close.repeat(depth))
}
