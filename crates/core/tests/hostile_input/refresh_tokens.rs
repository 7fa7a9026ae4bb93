//! Refresh tokens of both formats that somebody changed, made up or sealed with the right keys.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::json;
use sessile_core::{Error, SessionService, UnauthorisedReason, policy::RefreshTokenFormat};

use crate::{
    sealing::{SessileSealer, SuperTokensSealer, fields},
    support::{counting_store::Intent, hexadecimal, unauthorised},
    target::{FORMATS, Target},
};

async fn refuse_all<T: AsRef<str>>(target: &Target, tokens: impl IntoIterator<Item = T>) {
    let before = target.snapshot().await;
    for token in tokens {
        target.refuse_refresh_token(token.as_ref()).await;
    }
    assert!(target.snapshot().await == before);
    let next = target.engine.exchange(target.refresh_token()).await;
    assert!(next.is_ok(), "the session's own token is as good as before");
}

#[tokio::test]
async fn a_token_cut_off_anywhere_is_refused() {
    for format in FORMATS {
        let target = Target::of_format(format).await;
        let token = target.refresh_token();
        let beginnings = (0..token.len()).map(|length| &token[..length]);
        let ends = (1..=token.len()).map(|start| &token[start..]);
        refuse_all(&target, beginnings.chain(ends)).await;
    }
}

#[tokio::test]
async fn a_token_with_any_bit_changed_is_refused() {
    for format in FORMATS {
        let target = Target::of_format(format).await;
        let token = target.refresh_token();
        let changed = (0..token.len()).flat_map(|index| {
            (0..7).map(move |bit| {
                let mut bytes = token.as_bytes().to_vec();
                bytes[index] ^= 1 << bit;
                String::from_utf8(bytes).unwrap()
            })
        });
        // See `another_spelling_of_the_version_is_another_token`.
        let changed = changed.filter(|changed| !changed.ends_with(".v2"));
        refuse_all(&target, changed).await;
    }
}

#[tokio::test]
async fn a_token_that_is_written_otherwise_is_refused() {
    for format in FORMATS {
        let target = Target::of_format(format).await;
        let token = target.refresh_token();
        let long = "A".repeat(16 * 1024);
        let mut tokens = vec![
            format!("{token} "),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token}="),
            format!("{token}A"),
            format!("{token}\0"),
            format!("{token}."),
            format!(".{token}"),
            format!("{token}{token}"),
            format!("Bearer {token}"),
            format!("\"{token}\""),
            token.replace('.', ","),
            token.replace('.', ".."),
            token.replace('.', "%2E"),
            token.to_lowercase(),
            token.to_uppercase(),
            token.chars().rev().collect(),
            format!("{token}{long}"),
            format!("{long}{token}"),
            format!("srt1.{long}"),
            format!("{long}.{long}.V2"),
            "x".repeat(4_000_000),
            ".".repeat(4_000_000),
            format!("srt1.{token}"),
            token.replace("srt1.", ""),
            token.replace("srt1.", "srt1"),
            token.replace("srt1.", "srt2."),
            token.replace("srt1.", "SRT1."),
        ];
        let (before, sealed, after) = match format {
            RefreshTokenFormat::Sessile => ("srt1.", &token[5..], ""),
            RefreshTokenFormat::SuperTokens => {
                let (sealed, after) = token.split_at(token.find('.').unwrap());
                ("", sealed, after)
            }
        };
        let bytes = match format {
            RefreshTokenFormat::Sessile => URL_SAFE_NO_PAD.decode(sealed).unwrap(),
            RefreshTokenFormat::SuperTokens => STANDARD.decode(sealed).unwrap(),
        };
        let encodings = [
            STANDARD.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            URL_SAFE.encode(&bytes),
            URL_SAFE_NO_PAD.encode(&bytes),
            hexadecimal(&bytes),
            format!("{sealed}="),
            format!("{} {}", &sealed[..40], &sealed[40..]),
            format!("{}\n{}", &sealed[..40], &sealed[40..]),
            STANDARD.encode([bytes.as_slice(), &[0]].concat()),
            URL_SAFE_NO_PAD.encode([bytes.as_slice(), &[0]].concat()),
        ];
        tokens.extend(encodings.iter().map(|encoding| format!("{before}{encoding}{after}")));
        if format == RefreshTokenFormat::SuperTokens {
            let [sealed, nonce, _] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
            for version in ["", "V", "V0", "V3", "V22", "2", "V2 ", " V2", "V2.V2", "ⅤⅡ"] {
                tokens.push(format!("{sealed}.{nonce}.{version}"));
            }
            let other = hexadecimal(digest(&SHA256, b"").as_ref());
            for nonce in ["", &other, &nonce.to_uppercase(), &nonce[1..], &format!("{nonce}0")] {
                tokens.push(format!("{sealed}.{nonce}.V2"));
            }
            for sealed in ["", "AAAA", "AAAAAAAAAAAAAAAA", &"A".repeat(40)] {
                tokens.push(format!("{sealed}.{nonce}.V2"));
            }
        }
        // Not every change changes every format.
        tokens.retain(|changed| changed != token);
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn a_token_of_another_engine_or_kind_is_refused() {
    for format in FORMATS {
        let target = Target::of_format(format).await;
        let mut tokens = vec![target.access_token().to_owned()];
        for format in FORMATS {
            tokens.push(Target::of_format(format).await.refresh_token().to_owned());
        }
        refuse_all(&target, tokens).await;
    }
}

#[tokio::test]
async fn sealed_fields_that_are_none_are_refused() {
    let target = Target::of_format(RefreshTokenFormat::Sessile).await;
    let sealer = SessileSealer::of(&target).await;
    let handle = target.issued.session.handle().as_str().as_bytes();
    let good = fields(handle, b"alice", Some(&[7; 32]), Some(b"anti"), b"1700000000000");
    assert!(target.engine.describe_refresh_token(&sealer.seal(&good)).await.is_some());

    let mut contents = Vec::new();
    contents.extend((0..good.len()).map(|length| good[..length].to_vec()));
    for more in [&[0][..], &[0, 0, 0, 0], b"more"] {
        contents.push([good.as_slice(), more].concat());
    }
    // Every length there is, and more than there can be.
    let mut start = 0;
    for optional in [false, false, true, true, false] {
        start += usize::from(optional);
        for length in [u32::MAX, u32::MAX - 3, 1 << 31, 1 << 24, good.len() as u32] {
            let mut changed = good.clone();
            changed[start..start + 4].copy_from_slice(&length.to_be_bytes());
            contents.push(changed);
        }
        if optional {
            for present in [2, 0x7f, 0xff] {
                let mut changed = good.clone();
                changed[start - 1] = present;
                contents.push(changed);
            }
        }
        let length = u32::from_be_bytes(good[start..start + 4].try_into().unwrap());
        start += 4 + length as usize;
    }
    assert_eq!(start, good.len());
    for length in [0, 1, 31, 33, 64] {
        contents.push(fields(handle, b"alice", Some(&vec![7; length]), None, b"0"));
    }
    for number in ["", " 1", "1 ", "1.0", "1e3", "x", "9223372036854775808", "\u{663}"] {
        contents.push(fields(handle, b"alice", None, None, number.as_bytes()));
    }
    contents.push(fields(b"\xff", b"alice", None, None, b"0"));
    contents.push(fields(handle, b"\xc0\xaf", None, None, b"0"));
    contents.push(fields(handle, b"alice", None, Some(b"\xed\xa0\x80"), b"0"));
    contents.push(fields(handle, b"alice", None, None, b"\xff"));
    contents.push(vec![0; 20]);
    contents.push(vec![0xff; 20]);
    refuse_all(&target, contents.iter().map(|content| sealer.seal(content))).await;
}

#[tokio::test]
async fn sealed_json_that_is_no_token_is_refused() {
    let target = Target::of_format(RefreshTokenFormat::SuperTokens).await;
    let sealer = SuperTokensSealer::of(&target).await;
    let handle = target.issued.session.handle().as_str();
    let good = json!({ "sessionHandle": handle, "userId": "alice", "nonce": "n" });
    let seal = |content: &str| sealer.seal(content.as_bytes(), "n");
    assert!(target.engine.describe_refresh_token(&seal(&good.to_string())).await.is_some());

    let mut tokens = Vec::new();
    for name in ["sessionHandle", "userId", "nonce"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        tokens.push(seal(&without.to_string()));
    }
    for name in
        ["sessionHandle", "userId", "nonce", "parentRefreshTokenHash1", "antiCsrfToken", "tenantId"]
    {
        for wrong in [json!(1), json!(true), json!(["n"]), json!({ "n": "n" }), json!(1e300)] {
            let mut changed = good.clone();
            changed[name] = wrong;
            tokens.push(seal(&changed.to_string()));
        }
    }
    let digits = "0123456789abcdef".repeat(4);
    for parent in [
        "",
        "0",
        &digits[1..],
        &digits.to_uppercase(),
        &format!("{digits}00"),
        &digits.replace('0', "+"),
        &"ü".repeat(32),
        &"g".repeat(64),
    ] {
        let mut changed = good.clone();
        changed["parentRefreshTokenHash1"] = json!(parent);
        tokens.push(seal(&changed.to_string()));
    }
    let text = good.to_string();
    let body = &text[1..text.len() - 1];
    for content in [
        format!("[{text}]"),
        format!("{text}{text}"),
        format!("{{{body},{body}}}"),
        format!("{{{body},}}"),
        format!("{{{body},\"a\":01}}"),
        format!("{{{body},\"tenantId\":{}{}}}", "[".repeat(3000), "]".repeat(3000)),
        format!("\u{feff}{text}"),
        "[".repeat(8000),
        "null".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        tokens.push(seal(&content));
    }
    for wrong in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80"] {
        let content = [format!("{{{body},\"tenantId\":\"").as_bytes(), wrong, b"\"}"].concat();
        tokens.push(sealer.seal(&content, "n"));
    }
    refuse_all(&target, tokens).await;
}

#[tokio::test]
async fn a_sealed_token_of_no_session_finds_none() {
    for format in FORMATS {
        let target = Target::of_format(format).await;
        let before = target.snapshot().await;
        let long = "h".repeat(4000);
        for handle in ["", "_", "__", "a_b_c", "../..", "' OR 1=1 --", "\u{0}", "😀", &long] {
            let token = match format {
                RefreshTokenFormat::Sessile => {
                    let content = fields(handle.as_bytes(), b"alice", None, None, b"0");
                    SessileSealer::of(&target).await.seal(&content)
                }
                RefreshTokenFormat::SuperTokens => {
                    let content =
                        json!({ "sessionHandle": handle, "userId": "alice", "nonce": "" });
                    SuperTokensSealer::of(&target).await.seal(content.to_string().as_bytes(), "")
                }
            };
            target.engine.store().take_calls();
            let refused = target.engine.exchange(&token).await;
            assert_eq!(unauthorised(refused), UnauthorisedReason::SessionNotFound, "{handle}");
            assert_eq!(target.engine.store().take_calls(), [Intent::Rotate, Intent::Get]);
        }
        assert!(target.snapshot().await == before);
    }
}

/// The last part of a SuperTokens token is written in several ways, of which each is another
/// token: only who has a good one can make them, and is told what every replay is.
#[tokio::test]
async fn another_spelling_of_the_version_is_another_token() {
    for version in ["v2", "V1", "v1"] {
        let target = Target::of_format(RefreshTokenFormat::SuperTokens).await;
        let token = target.refresh_token().replace(".V2", &format!(".{version}"));
        let refused = target.engine.exchange(&token).await;
        assert!(matches!(refused, Err(Error::TokenTheftDetected { .. })), "{version}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn made_up_texts_are_refused(
        texts in prop::collection::vec(
            prop_oneof![
                any::<String>(),
                "srt1\\.[A-Za-z0-9_-]{0,200}",
                "[A-Za-z0-9+/]{0,100}={0,2}\\.[0-9a-f]{0,64}\\.[vV][0-9]{1,2}",
                prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| format!("srt1.{}", URL_SAFE_NO_PAD.encode(bytes))),
                prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| format!("{}..V2", STANDARD.encode(bytes))),
            ],
            1..40,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let target = Target::of_format(RefreshTokenFormat::Sessile).await;
            refuse_all(&target, texts).await;
        });
    }
}
