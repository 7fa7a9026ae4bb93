//! How long sessions, tokens and keys live.

use std::time::Duration;

use sessile_core::policy::LateRetry;

use crate::{
    config::RefreshRotation,
    settings::key::{Effect, Key, Kind, Problem, Scope, app},
};

pub(super) static KEYS: [Key; 9] = [
    app(
        "access_token_validity",
        Kind::Long,
        ("3600", "s"),
        "How long an access token is good for: 1 to 86400000.",
        |config, given| {
            let problem = "'access_token_validity' must be between 1 and 86400000 seconds \
                           inclusive.";
            let seconds = given.within(1..=86_400_000, Problem::of_file(problem))?;
            config.access_token_validity = Duration::from_secs(seconds);
            Ok(())
        },
    ),
    app(
        "refresh_token_validity",
        Kind::Double,
        ("144000", "min"),
        "How long a session lives without being refreshed; longer than an access token.",
        |config, given| {
            config.refresh_token_validity = given.duration(60_000.0)?;
            Ok(())
        },
    ),
    app(
        "access_token_dynamic_signing_key_update_interval",
        Kind::Double,
        ("168", "h"),
        "How long after one dynamic signing key the next is made: 1 or more. Also by its old name, \
         `access_token_signing_key_update_interval`.",
        |config, given| {
            config.access_token_dynamic_signing_key_update_interval =
                given.duration(3_600_000.0)?;
            Ok(())
        },
    ),
    app(
        "access_token_signing_key_dynamic",
        Kind::Boolean,
        ("true", ""),
        "Whether dynamic keys sign for CDI below 2.21; later, requests say so.",
        |config, given| {
            config.access_token_signing_key_dynamic = given.boolean()?;
            Ok(())
        },
    ),
    app(
        "access_token_blacklisting",
        Kind::Boolean,
        ("false", ""),
        "Whether CDI below 2.21 asks the store at every verification; later, requests say so.",
        |config, given| {
            config.access_token_blacklisting = given.boolean()?;
            Ok(())
        },
    ),
    app(
        "refresh_token_rotation_grace_period",
        Kind::Long,
        ("30", "s"),
        "How long the previous refresh token is still answered, from CDI 5.6 on, and under \
         `sessile_refresh_rotation: idempotent` for all: 0 to 300.",
        |config, given| {
            let problem = "'refresh_token_rotation_grace_period' must be between 0 and 300 seconds \
                           inclusive.";
            let seconds = given.within(0..=i64::MAX, Problem::of_file(problem))?;
            config.refresh_token_rotation_grace_period = Duration::from_secs(seconds);
            Ok(())
        },
    ),
    app(
        "access_token_validity_jitter",
        Kind::Double,
        ("0", ""),
        "By which part of its validity an access token may be shorter, at random: 0 to 0.25. \
         SuperTokens' core has 0.05.",
        |config, given| {
            let share = given.number()?;
            if !(0.0..=0.25).contains(&share) {
                let problem =
                    "'access_token_validity_jitter' must be between 0 and 0.25 inclusive.";
                return Err(Problem::of_file(problem));
            }
            config.access_token_validity_jitter = share;
            Ok(())
        },
    ),
    Key {
        name: "recent_token_reuse_behaviour",
        kind: Kind::Text,
        scope: Scope::Server,
        default: "TOKEN_THEFT",
        unit: "`TOKEN_THEFT`, `UNAUTHORISED`",
        about: "What a refresh token is called that comes again after its grace period, where \
                refreshes rotate. The session ends either way.",
        effect: Effect::App(|config, given| {
            config.recent_token_reuse_behaviour = match given.trimmed().to_uppercase().as_str() {
                "TOKEN_THEFT" => LateRetry::TokenTheft,
                "UNAUTHORISED" => LateRetry::Unauthorised,
                _ => {
                    return Err(Problem::new(
                        "recent_token_reuse_behaviour property is not set correctly. It must be \
                         one of [TOKEN_THEFT, UNAUTHORISED]",
                    ));
                }
            };
            Ok(())
        }),
    },
    app(
        "sessile_refresh_rotation",
        Kind::Text,
        ("supertokens", "`supertokens`, `idempotent`"),
        "What a refresh does with the token that it replaces: as SuperTokens' core, by the version \
         of each request; or for all versions the same next token for whoever asks again within \
         the grace period.",
        |config, given| {
            config.refresh_rotation = match given.trimmed() {
                "supertokens" => RefreshRotation::SuperTokens,
                "idempotent" => RefreshRotation::Idempotent,
                _ => {
                    return Err(Problem::new(
                        "'sessile_refresh_rotation' must be either \"supertokens\" or \
                         \"idempotent\"",
                    ));
                }
            };
            Ok(())
        },
    ),
];
