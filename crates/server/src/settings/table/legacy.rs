//! What SDKs up to CDI 2.3 are told.

use crate::settings::key::{Key, Kind, Problem, server};

pub(super) static KEYS: [Key; 7] = [
    server(
        "access_token_path",
        Kind::Text,
        ("/", ""),
        "Path of the cookies of the access token and of the `idRefreshToken`.",
        |settings, given| {
            given.text.clone_into(&mut settings.server.legacy.access_token_path);
            Ok(())
        },
    ),
    server(
        "refresh_api_path",
        Kind::Text,
        ("/session/refresh", ""),
        "Path of the refresh token's cookie.",
        |settings, given| {
            given.text.clone_into(&mut settings.server.legacy.refresh_api_path);
            Ok(())
        },
    ),
    server(
        "cookie_domain",
        Kind::Text,
        ("none", ""),
        "Domain of all cookies; where there is none, CDI 2.0 and 2.1 are told `localhost`.",
        |settings, given| {
            settings.server.legacy.cookie_domain = Some(given.text.to_owned());
            Ok(())
        },
    ),
    server(
        "cookie_secure",
        Kind::Boolean,
        ("false", ""),
        "Whether cookies are for https alone.",
        |settings, given| {
            settings.server.legacy.cookie_secure = given.boolean()?;
            Ok(())
        },
    ),
    server(
        "cookie_same_site",
        Kind::Text,
        ("lax", "`none`, `lax`, `strict`"),
        "The attribute `SameSite` of cookies; `none` needs `enable_anti_csrf`.",
        |settings, given| {
            let value = given.trimmed().to_lowercase();
            if !["none", "lax", "strict"].contains(&value.as_str()) {
                return Err(Problem::new(
                    "'cookie_same_site' must be either \"none\", \"strict\" or \"lax\"",
                ));
            }
            settings.server.legacy.cookie_same_site = value;
            Ok(())
        },
    ),
    server(
        "enable_anti_csrf",
        Kind::Boolean,
        ("false", ""),
        "Whether tokens come with anti-CSRF tokens; later, requests say so.",
        |settings, given| {
            settings.server.legacy.enable_anti_csrf = given.boolean()?;
            Ok(())
        },
    ),
    server(
        "session_expired_status_code",
        Kind::Integer,
        ("401", ""),
        "The status by which front ends know that a session is over: 400 to 599.",
        |settings, given| {
            let problem =
                "'session_expired_status_code' must be a value between 400 and 599, inclusive";
            let code = given.within(400..=599, Problem::new(problem))?;
            settings.server.legacy.session_expired_status_code =
                u16::try_from(code).map_err(|_| given.wrong_type())?;
            Ok(())
        },
    ),
];
