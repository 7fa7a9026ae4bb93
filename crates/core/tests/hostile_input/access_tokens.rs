//! Access tokens of every version that somebody changed, made up or had signed.

use base64::{
    Engine as _, alphabet,
    engine::{
        GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};
use sessile_core::{AccessTokenVersion, Algorithm, SessionService};

use crate::target::{KINDS, LEGACY_HEADER, Target};

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// Presents tokens that must all be refused, and sees to it that they leave no trace.
async fn refuse_all<T: AsRef<str>>(target: &Target, tokens: impl IntoIterator<Item = T>) -> usize {
    let before = target.snapshot().await;
    let mut number = 0;
    for token in tokens {
        target.present_access_token(token.as_ref(), false).await;
        number += 1;
    }
    assert!(target.snapshot().await == before);
    let own = target.present_access_token(target.access_token(), true).await;
    assert!(own, "the session's own token is as good as before");
    number
}

#[tokio::test]
async fn a_token_cut_off_anywhere_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let token = target.access_token();
        let beginnings = (0..token.len()).map(|length| &token[..length]);
        let ends = (1..=token.len()).map(|start| &token[start..]);
        assert_eq!(refuse_all(&target, beginnings.chain(ends)).await, 2 * token.len());
    }
}

#[tokio::test]
async fn a_token_with_any_bit_changed_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let token = target.access_token();
        // The eighth bit makes what is no text; every other bit of a byte has its turn.
        let changed = (0..token.len()).flat_map(|index| {
            [index % 7, (index + 3) % 7].map(|bit| {
                let mut bytes = token.as_bytes().to_vec();
                bytes[index] ^= 1 << bit;
                String::from_utf8(bytes).unwrap()
            })
        });
        assert_eq!(refuse_all(&target, changed).await, 2 * token.len());
    }
}

#[tokio::test]
async fn a_token_of_any_excessive_length_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let [header, claims, signature] = parts(target.access_token());
        let long = "A".repeat(64 * 1024);
        let huge = "A".repeat(4_000_000);
        let mut of_us = target.claims();
        of_us["filler"] = json!("x".repeat(64 * 1024));
        let tokens = [
            format!("{header}.{claims}.{signature}{long}"),
            format!("{header}.{claims}{long}.{signature}"),
            format!("{header}{long}.{claims}.{signature}"),
            format!("{huge}.{huge}.{huge}"),
            ".".repeat(4_000_000),
            target.sign_claims(of_us.to_string()),
        ];
        refuse_all(&target, tokens).await;
    }
}

/// Writes base64 in ways that the version does not.
fn otherwise_encoded(version: AccessTokenVersion, bytes: &[u8]) -> Vec<String> {
    let own = match version {
        AccessTokenVersion::V2 => STANDARD.encode(bytes),
        _ => URL_SAFE_NO_PAD.encode(bytes),
    };
    let mut encodings = vec![
        STANDARD.encode(bytes),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
        format!("{own}="),
        format!("{own}===="),
        format!("={own}"),
        format!("{own} "),
        format!(" {own}"),
        format!("{own}\r\n"),
        format!("\t{own}"),
        format!("{own}\0"),
        format!("{own}%3D"),
        own.chars().rev().collect(),
        own.to_lowercase(),
    ];
    let (half, other_half) = own.split_at(own.len() / 2);
    for between in [" ", "\n", "=", "-+", "\u{200b}"] {
        encodings.push(format!("{half}{between}{other_half}"));
    }
    encodings.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    encodings.push(bytes.iter().map(|byte| format!("%{byte:02X}")).collect());
    encodings.retain(|encoding| *encoding != own);
    // The bits after the last byte mean nothing, and are zero in what we write.
    if !bytes.len().is_multiple_of(3) {
        let loose = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
        let alphabet = match version {
            AccessTokenVersion::V2 => &alphabet::STANDARD,
            _ => &alphabet::URL_SAFE,
        };
        let reader = GeneralPurpose::new(alphabet, loose);
        let digits = own.trim_end_matches('=').len();
        let other = alphabet.as_str().chars().filter_map(|digit| {
            let text = format!("{}{digit}{}", &own[..digits - 1], &own[digits..]);
            (text != own && reader.decode(&text).unwrap() == bytes).then_some(text)
        });
        let before = encodings.len();
        encodings.extend(other);
        assert!(encodings.len() > before);
    }
    encodings
}

#[tokio::test]
async fn a_part_that_is_encoded_otherwise_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let token = target.access_token();
        let [header, claims, signature] = parts(token);
        let mut tokens = Vec::new();
        // Signed as they stand: the encoding alone is the reason.
        for other in otherwise_encoded(target.version, &target.decode(header)) {
            tokens.push(target.sign_parts(&other, claims));
        }
        // Of three lengths, so that every number of spare bits has its turn.
        for filler in ["", "x", "xx"] {
            let mut claims = target.claims();
            claims["role"] = json!(format!("ünï?>~{filler}"));
            let text = claims.to_string();
            assert!(target.present_access_token(&target.sign_claims(&text), true).await);
            for other in otherwise_encoded(target.version, text.as_bytes()) {
                tokens.push(target.sign_parts(header, &other));
            }
        }
        for other in otherwise_encoded(target.version, &target.decode(signature)) {
            tokens.push(format!("{header}.{claims}.{other}"));
        }
        for token in [
            format!("{token} "),
            format!(" {token}"),
            format!("{token}\r\n"),
            format!("\"{token}\""),
            format!("Bearer {token}"),
            token.replace('.', "%2E"),
            token.replace('.', "\u{ff0e}"),
            token.replace('.', ","),
            token.replace('.', ".."),
            format!(".{token}"),
            format!("{token}."),
            // The five parts of an encrypted token, and its JSON serialisation.
            format!("{header}.{claims}.{claims}.{claims}.{signature}"),
            json!({ "payload": claims, "protected": header, "signature": signature }).to_string(),
        ] {
            tokens.push(token);
        }
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn every_other_algorithm_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let token = target.access_token();
        let [_, claims, signature] = parts(token);
        let header: Value = serde_json::from_slice(&target.header()).unwrap();
        let names = [
            "none",
            "None",
            "NONE",
            "nOnE",
            "",
            " ",
            "HS256",
            "HS384",
            "HS512",
            "RS1",
            "RS256",
            "RS384",
            "RS512",
            "PS256",
            "ES256",
            "ES256K",
            "ES384",
            "ES512",
            "EdDSA",
            "Ed25519",
            "Ed448",
            "dir",
            "A128KW",
            "ES256 ",
            "es256",
            "eddsa",
            "ES256\u{0}",
            "ES256,none",
        ];
        let mut tokens = Vec::new();
        for name in names.into_iter().filter(|name| header["alg"] != *name) {
            let mut header = header.clone();
            header["alg"] = json!(name);
            let header = target.encode(header.to_string().as_bytes());
            tokens.extend([
                format!("{header}.{claims}."),
                format!("{header}.{claims}"),
                format!("{header}.{claims}.{signature}"),
                target.sign_parts(&header, claims),
            ]);
        }
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn a_token_is_of_the_version_that_its_header_says() {
    let targets = [
        Target::of_kind((AccessTokenVersion::V2, Algorithm::Rs256)).await,
        Target::of_kind((AccessTokenVersion::V5, Algorithm::Rs256)).await,
    ];
    let [old, new] = &targets;
    // The claims of the one under the header of the other, in either encoding.
    let padded = |target: &Target| {
        let mut text = target.claims().to_string();
        while text.len().is_multiple_of(3) {
            text.push(' ');
        }
        text
    };
    let (old_claims, new_claims) = (padded(old), padded(new));
    let new_header = parts(new.access_token())[0];
    for target in &targets {
        let mut tokens = vec![
            target.sign_parts(LEGACY_HEADER, &STANDARD.encode(&new_claims)),
            target.sign_parts(LEGACY_HEADER, &URL_SAFE_NO_PAD.encode(&old_claims)),
            target.sign_parts(LEGACY_HEADER.trim_end_matches('='), &STANDARD.encode(&old_claims)),
            target.sign_parts(new_header, &URL_SAFE_NO_PAD.encode(&old_claims)),
            target.sign_parts(new_header, &STANDARD.encode(&new_claims)),
        ];
        for header in [
            json!({ "alg": "RS256", "typ": "JWT", "version": "2", "kid": target.forge.key_id })
                .to_string(),
            r#"{"version":"2","typ":"JWT","alg":"RS256"}"#.to_owned(),
            r#"{"alg":"RS256","typ":"JWT","version":"0"}"#.to_owned(),
        ] {
            tokens
                .push(target.sign_parts(&STANDARD.encode(&header), &STANDARD.encode(&old_claims)));
            tokens.push(target.sign_parts(
                &URL_SAFE_NO_PAD.encode(&header),
                &URL_SAFE_NO_PAD.encode(&new_claims),
            ));
        }
        refuse_all(target, tokens).await;
    }
}

#[tokio::test]
async fn an_unknown_key_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let stranger = Target::of_kind(kind).await;
        let mut tokens = vec![stranger.access_token().to_owned()];
        if kind.0 != AccessTokenVersion::V2 {
            let header: Value = serde_json::from_slice(&target.header()).unwrap();
            let claims = target.claims().to_string();
            let long = "d".repeat(30_000);
            for key_id in ["", "d-", "d-0", "s-1", "D-1700000000000", "\u{0}", "ключ", &long] {
                let mut header = header.clone();
                header["kid"] = json!(key_id);
                tokens.push(target.forge.sign(&header.to_string(), claims.as_bytes()));
                tokens.push(stranger.forge.sign(&header.to_string(), claims.as_bytes()));
            }
        }
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn a_header_that_is_no_header_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let header = String::from_utf8(target.header()).unwrap();
        let body = &header[1..header.len() - 1];
        let claims = target.encode(target.claims().to_string().as_bytes());
        let mut headers: Vec<Vec<u8>> = [
            format!("{{{body},{body}}}"),
            format!("{{{body},\"alg\":\"none\"}}"),
            format!("{{\"alg\":\"none\",{body}}}"),
            format!("{{{body},\"\":\"\"}}"),
            format!("{{{body},\"x\":1e400}}"),
            format!("{{{body},\"x\":01}}"),
            format!("{{{body},}}"),
            format!("{{{body}}}{{{body}}}"),
            format!("[{header}]"),
            format!("\"{}\"", header.replace('"', "\\\"")),
            header.replace(':', "="),
            header.to_uppercase(),
            "[".repeat(20_000),
            "{\"alg\":".repeat(6000),
            format!("{{{body},\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000)),
            "null".to_owned(),
            "0".to_owned(),
            "1e400".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            String::new(),
        ]
        .into_iter()
        .map(String::into_bytes)
        .collect();
        headers.push([header.as_bytes(), b"\xff"].concat());
        headers.push(header.bytes().flat_map(|byte| [byte, 0]).collect());
        for name in ["alg", "typ", "version", "kid"] {
            // Over-long, half a surrogate, and not UTF-8 at all, within a text.
            for wrong in [&b"\xc0\xaf"[..], b"\xed\xa0\x80", b"\xff", b"\\ud800", b"\\x41", b"\0"] {
                let mut value: Value = serde_json::from_str(&header).unwrap();
                if value.get(name).is_none() {
                    continue;
                }
                value[name] = json!("@");
                let text = value.to_string();
                let (before, after) = text.split_once('@').unwrap();
                headers.push([before.as_bytes(), wrong, after.as_bytes()].concat());
            }
        }
        let tokens =
            headers.iter().map(|header| target.sign_parts(&target.encode(header), &claims));
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn white_space_around_a_header_is_json_all_the_same() {
    for kind in KINDS.into_iter().filter(|kind| kind.0 != AccessTokenVersion::V2) {
        let target = Target::of_kind(kind).await;
        let header = String::from_utf8(target.header()).unwrap();
        let claims = target.claims().to_string();
        for (header, is_json) in [
            (format!(" {header}"), true),
            (format!("\t\r\n{header} \n"), true),
            (format!("\u{c}{header}"), false),
            (format!(" [{header}]"), false),
        ] {
            let token = target.forge.sign(&header, claims.as_bytes());
            assert_eq!(target.present_access_token(&token, is_json).await, is_json, "{header:?}");
        }
    }
}

/// The claims that a version has, and the JSON type of each: `t`ext, `o`ptional text, `i`nteger,
/// object `m`ap; upper-case where the claim may be missing.
fn claim_types(version: AccessTokenVersion) -> &'static [(&'static str, char)] {
    const NEW: [(&str, char); 9] = [
        ("sub", 't'),
        ("sessionHandle", 't'),
        ("refreshTokenHash1", 't'),
        ("parentRefreshTokenHash1", 'o'),
        ("antiCsrfToken", 'o'),
        ("exp", 'i'),
        ("iat", 'i'),
        ("tId", 'n'),
        ("rsub", 't'),
    ];
    const OLD: [(&str, char); 8] = [
        ("userId", 't'),
        ("sessionHandle", 't'),
        ("refreshTokenHash1", 't'),
        ("parentRefreshTokenHash1", 'O'),
        ("antiCsrfToken", 'O'),
        ("expiryTime", 'i'),
        ("timeCreated", 'i'),
        ("userData", 'm'),
    ];
    match version {
        AccessTokenVersion::V2 => &OLD,
        AccessTokenVersion::V3 => NEW.split_at(7).0,
        AccessTokenVersion::V4 => NEW.split_at(8).0,
        _ => &NEW,
    }
}

/// Whether a claim may be what it is.
fn is_of_type(kind: char, value: Option<&Value>) -> bool {
    match (kind, value) {
        ('O', None) => true,
        (_, None) => false,
        ('t', Some(value)) => value.is_string(),
        ('o' | 'O', Some(value)) => value.is_string() || value.is_null(),
        ('i', Some(value)) => value.is_i64(),
        ('n', Some(value)) => value.as_str().is_some_and(|text| {
            (1..=64).contains(&text.len())
                && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        }),
        (_, Some(value)) => value.is_object(),
    }
}

fn odd_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1_900_000_000),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1.5),
        json!(1_900_000_000.0),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("1900000000"),
        json!("\u{0}"),
        json!("ünï 😀"),
        json!("a_b"),
        json!([]),
        json!(["x"]),
        json!({}),
        json!({ "x": "y" }),
    ]
}

#[tokio::test]
async fn a_signed_claim_of_another_type_is_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let own = target.claims();
        let mut refused = Vec::new();
        for (name, expected) in claim_types(kind.0) {
            let mut without = own.clone();
            without.as_object_mut().unwrap().remove(*name);
            let mut variants = vec![without];
            for odd in odd_values() {
                let mut changed = own.clone();
                changed[name] = odd;
                variants.push(changed);
            }
            for claims in variants {
                let token = target.sign_claims(claims.to_string());
                if is_of_type(*expected, claims.get(name)) {
                    // It may have expired.
                    target.present_access_token(&token, true).await;
                    assert!(target.engine.identify(&token).await.unwrap().is_some(), "{claims}");
                } else {
                    refused.push(token);
                }
            }
        }
        assert!(refused.len() > 100);
        refuse_all(&target, refused).await;
    }
}

#[tokio::test]
async fn signed_claims_that_are_no_json_object_are_refused() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let own = target.claims();
        let text = own.to_string();
        let body = &text[1..text.len() - 1];
        let expiry = if kind.0 == AccessTokenVersion::V2 { "expiryTime" } else { "exp" };
        let written = format!("\"{expiry}\":{}", own[expiry]);
        assert!(text.contains(&written));
        let mut all: Vec<Vec<u8>> = [
            "1e400",
            "-1e400",
            "01700000000",
            "+1700000000",
            "1700000000.",
            ".5",
            "0x10",
            "1_000",
            "NaN",
            "Infinity",
            "-",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999999999",
            "1700000000e0",
            "17e8",
            "٣",
            "true",
            "\"\"",
            "",
        ]
        .into_iter()
        .map(|number| text.replace(&written, &format!("\"{expiry}\":{number}")))
        .chain([
            format!("[{text}]"),
            format!("[{text},{text}]"),
            format!("{text}{text}"),
            format!("{text},"),
            format!("{{{body},}}"),
            format!("{{{body},\"a\":1e400}}"),
            format!("{{{body},\"a\":01}}"),
            format!("{{{body},\"a\":\"\\ud800\"}}"),
            format!("{{{body},\"a\":\"\\udc00\\ud800\"}}"),
            format!("{{{body},\"a\":\"\n\"}}"),
            format!("{{{body},a:1}}"),
            format!("{{{body},'a':1}}"),
            format!("{{{body}/* */}}"),
            format!("{{{body},\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000)),
            format!("{{{body},\"a\":{}1{}}}", "{\"a\":".repeat(5000), "}".repeat(5000)),
            format!("\u{feff}{text}"),
            format!("{text}\0"),
            "{\"a\":".repeat(8000),
            "[".repeat(40_000),
            "\"".to_owned(),
            "null".to_owned(),
            "{}".to_owned(),
            "[]".to_owned(),
            "\"text\"".to_owned(),
            String::new(),
        ])
        .map(String::into_bytes)
        .collect();
        for wrong in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"] {
            let value = [format!("{{{body},\"a\":\"").as_bytes(), wrong, b"\"}"].concat();
            let name = [format!("{{{body},\"").as_bytes(), wrong, b"\":1}"].concat();
            all.extend([value, name, [text.as_bytes(), wrong].concat()]);
        }
        all.push(text.bytes().flat_map(|byte| [byte, 0]).collect());
        let tokens = all.iter().map(|claims| target.sign_claims(claims));
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn of_a_signed_claim_that_comes_twice_the_last_counts() {
    for kind in KINDS {
        let target = Target::of_kind(kind).await;
        let text = target.claims().to_string();
        let body = &text[1..text.len() - 1];
        let user = if kind.0 == AccessTokenVersion::V2 { "userId" } else { "sub" };
        let first = target.sign_claims(format!("{{\"{user}\":\"mallory\",{body}}}"));
        let last = target.sign_claims(format!("{{{body},\"{user}\":\"mallory\"}}"));
        assert_eq!(target.engine.read(&first).await.unwrap().user_id(), "alice");
        assert_eq!(target.engine.read(&last).await.unwrap().user_id(), "mallory");
        // The last counts where it is of the wrong type, too.
        let wrong = target.sign_claims(format!("{{{body},\"{user}\":1}}"));
        refuse_all(&target, [wrong]).await;
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Targets are made once, because keys of RSA take long.
fn targets() -> Vec<Target> {
    block_on(async {
        let mut targets = Vec::new();
        for kind in KINDS {
            targets.push(Target::of_kind(kind).await);
        }
        targets
    })
}

/// Runs a property on every target with as many cases each.
fn for_all<S: Strategy>(
    cases: u32,
    strategy: impl Fn(&Target) -> S,
    property: impl AsyncFn(&Target, S::Value),
) {
    for target in targets() {
        let before = block_on(target.snapshot());
        let config =
            ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let result = runner.run(&strategy(&target), |value| {
            block_on(property(&target, value));
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{:?}: {failure}", target.version);
        }
        assert!(block_on(target.snapshot()) == before);
    }
}

#[test]
fn made_up_texts_are_refused() {
    for_all(
        200,
        |target| {
            let header = parts(target.access_token())[0].to_owned();
            let part = prop_oneof![
                any::<String>(),
                "[A-Za-z0-9_-]{0,80}",
                "[A-Za-z0-9+/=]{0,80}",
                prop::collection::vec(any::<u8>(), 0..80).prop_map(|b| URL_SAFE_NO_PAD.encode(b)),
                any_json().prop_map(|json| URL_SAFE_NO_PAD.encode(json.to_string())),
                Just(header),
            ];
            prop_oneof![
                any::<String>(),
                prop::collection::vec(part, 0..6).prop_map(|parts| parts.join(".")),
            ]
        },
        async |target, token| {
            target.present_access_token(&token, false).await;
        },
    );
}

#[test]
fn signed_bytes_that_are_no_claims_are_refused() {
    for_all(
        100,
        |_| {
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                any_json().prop_map(|json| json.to_string().into_bytes()),
            ]
        },
        async |target, claims| {
            target.present_access_token(&target.sign_claims(claims), false).await;
        },
    );
}

#[test]
fn signed_claims_are_taken_where_all_have_their_type() {
    for_all(
        100,
        |target| {
            let claims = claim_types(target.version);
            let names = claims.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
            let name = prop_oneof![3 => prop::sample::select(names), 1 => any::<String>()];
            let value = prop_oneof![prop::sample::select(odd_values()), any_json()];
            prop::collection::vec((name, prop::option::weighted(0.9, value)), 1..4)
        },
        async |target, changes| {
            let mut claims = target.claims();
            for (name, value) in changes {
                match value {
                    Some(value) => claims[name] = value,
                    None => drop(claims.as_object_mut().unwrap().remove(&name)),
                }
            }
            let types = claim_types(target.version);
            let expected = types.iter().all(|(name, kind)| is_of_type(*kind, claims.get(*name)));
            let token = target.sign_claims(claims.to_string());
            let is_good = target.present_access_token(&token, expected).await;
            assert!(expected || !is_good);
            let identified = target.engine.identify(&token).await.unwrap();
            assert_eq!(identified.is_some(), expected, "{claims}");
            if let Some(session) = identified {
                assert!(session.claims().len() <= claims.as_object().unwrap().len());
            }
        },
    );
}
