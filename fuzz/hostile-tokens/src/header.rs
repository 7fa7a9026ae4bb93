//! Headers that swap the algorithm, name another key, or say more than they may.

use serde_json::{Value, json};
use sessile_mutation::Dice;

use crate::Base;

const ALGORITHMS: [&str; 16] = [
    "none", "None", "NONE", "", "HS256", "HS384", "HS512", "RS256", "RS384", "PS256", "ES256",
    "ES256K", "ES384", "EdDSA", "Ed25519", "es256",
];

/// A token under another header, signed where there is a way to sign it.
pub(crate) fn changed(base: &Base<'_>, dice: &mut Dice) -> String {
    let own = base.header();
    let claims = base.claims();
    let [_, claims_part, signature] = base.parts();
    if dice.below(3) == 0 {
        return match dice.below(3) {
            0 => unsigned(base, dice),
            1 => {
                let mut header: Value = serde_json::from_slice(&own).unwrap();
                header["alg"] = json!("HS256");
                base.forge.sign_with_public_key(header.to_string().as_bytes(), &claims)
            }
            // Another token's header: another key's, or another version's.
            _ => {
                let other = base.other.split('.').next().unwrap();
                match dice.below(2) {
                    0 => format!("{other}.{claims_part}.{signature}"),
                    _ => base.forge.sign_parts(other, claims_part),
                }
            }
        };
    }
    let header = match dice.below(4) {
        0 => with_odd_text(&String::from_utf8(own).unwrap(), dice),
        _ => with_odd_member(serde_json::from_slice(&own).unwrap(), dice).to_string().into_bytes(),
    };
    base.forge.sign(&header, &claims)
}

/// `none`, with and without a signature.
fn unsigned(base: &Base<'_>, dice: &mut Dice) -> String {
    let mut header: Value = serde_json::from_slice(&base.header()).unwrap();
    header["alg"] = json!(dice.pick(&["none", "None", "nOnE", "NONE"]));
    if dice.below(2) == 0 {
        header.as_object_mut().unwrap().remove("kid");
    }
    let signed = base.forge.sign(header.to_string().as_bytes(), &base.claims());
    let (message, signature) = signed.rsplit_once('.').unwrap();
    match dice.below(3) {
        0 => format!("{message}."),
        1 => message.to_owned(),
        _ => format!("{message}.{signature}"),
    }
}

fn with_odd_member(mut header: Value, dice: &mut Dice) -> Value {
    let members = header.as_object_mut().unwrap();
    let odd = [Value::Null, json!(1), json!([]), json!({}), json!(true), json!("\u{0}")];
    let [key_id, type_name, version, any] = ["kid", "typ", "version", "alg"].map(str::to_owned);
    match dice.below(14) {
        0 => members.insert(any, json!(dice.pick(&ALGORITHMS))),
        1 => members.insert(key_id, json!(dice.pick(&["", "d-0", "../../dev/null", "' OR 1=1"]))),
        2 => members.remove(&key_id),
        3 => members.remove(&type_name),
        4 => members.remove(&version),
        5 => members.remove(&any),
        6 => members.insert(type_name, json!(dice.pick(&["jwt", "JOSE", "at+jwt", "", "JWE"]))),
        7 => members.insert(version, json!(dice.pick(&["1", "2", "3", "4", "5", "6", "05"]))),
        8 => members
            .insert(dice.pick(&[key_id, type_name, version, any]).clone(), dice.pick(&odd).clone()),
        9 => members.insert("jwk".to_owned(), json!({ "kty": "oct", "k": "AAAA" })),
        10 => members.insert("jku".to_owned(), json!("https://evil.example/jwks.json")),
        11 => members.insert("x5u".to_owned(), json!("https://evil.example/x5u.pem")),
        12 => members.insert(
            "crit".to_owned(),
            json!(dice.pick(&["b64", "exp", "x"]).split(' ').collect::<Vec<_>>()),
        ),
        _ => members.insert(
            (*dice.pick(&["b64", "zip", "cty", "x5c", "enc", "x", ""])).to_owned(),
            dice.pick(&odd).clone(),
        ),
    };
    header
}

fn with_odd_text(header: &str, dice: &mut Dice) -> Vec<u8> {
    let body = &header[1..header.len() - 1];
    match dice.below(10) {
        0 => format!("{{{body},\"alg\":\"none\"}}").into_bytes(),
        1 => format!("{{\"alg\":\"none\",{body}}}").into_bytes(),
        2 => format!("{{{body},{body}}}").into_bytes(),
        3 => format!("{{{body},}}").into_bytes(),
        4 => format!(" {{ {body} }}\n").into_bytes(),
        5 => format!("[{header}]").into_bytes(),
        6 => [b"\xef\xbb\xbf", header.as_bytes()].concat(),
        7 => [header.as_bytes(), b"\xff"].concat(),
        8 => header.replace("\"typ\"", "\"t\\u0079p\"").into_bytes(),
        _ => header.bytes().flat_map(|byte| [byte, 0]).collect(),
    }
}
