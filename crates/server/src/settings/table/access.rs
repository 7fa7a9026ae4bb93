//! Who may ask, from where, and in which versions.

use crate::{
    addresses::InvalidPattern,
    api_keys::ApiKeys,
    cdi::{CdiVersion, CdiVersionError},
    settings::key::{Effect, Given, Key, Kind, Problem, Scope, app, server},
};

pub(super) static KEYS: [Key; 6] = [
    app(
        "api_keys",
        Kind::Text,
        ("none", ""),
        "Keys with commas between them, of which a request must bring one. Each has 20 or more of \
         `=`, `-`, letters and digits, or is `sha256:` and the digest of such a key.",
        |config, given| {
            config.api_keys =
                ApiKeys::parse(given.text).map_err(|error| Problem::new(error.to_string()))?;
            Ok(())
        },
    ),
    server(
        "supertokens_saas_secret",
        Kind::Text,
        ("none", ""),
        "A key of 40 or more of the same characters that opens every app beside the keys of the \
         app. It needs `api_keys`, and does nothing else here.",
        |settings, given| {
            if given.text.chars().count() < 40 {
                return Err(Problem::new(
                    "supertokens_saas_secret is too short. Please use at least 40 characters",
                ));
            }
            let secret = ApiKeys::single(given.trimmed()).map_err(|_| {
                Problem::new(
                    "Invalid characters in supertokens_saas_secret key. Please only use '=', '-' \
                     and alpha-numeric (including capitals)",
                )
            })?;
            settings.server.supertokens_saas_secret = secret;
            Ok(())
        },
    ),
    Key {
        name: "ip_allow_regex",
        kind: Kind::Text,
        scope: Scope::Tenant,
        default: "none",
        unit: "",
        about: "A regular expression that the whole address of a client must match.",
        effect: Effect::App(|config, given| {
            let allowing = std::mem::take(&mut config.addresses).allowing(given.text);
            config.addresses = allowing.map_err(|error| invalid(error, given))?;
            Ok(())
        }),
    },
    Key {
        name: "ip_deny_regex",
        kind: Kind::Text,
        scope: Scope::Tenant,
        default: "none",
        unit: "",
        about: "A regular expression that the whole address of a client must not match. It is \
                looked at first.",
        effect: Effect::App(|config, given| {
            let denying = std::mem::take(&mut config.addresses).denying(given.text);
            config.addresses = denying.map_err(|error| invalid(error, given))?;
            Ok(())
        }),
    },
    app(
        "supertokens_max_cdi_version",
        Kind::Text,
        ("the newest", "CDI version"),
        "The newest version that is served, and assumed where a request names none. Also by its \
         old name, `supertokens_default_cdi_version`.",
        |config, given| {
            config.supertokens_max_cdi_version = Some(version(given)?);
            Ok(())
        },
    ),
    app(
        "supertokens_min_cdi_version",
        Kind::Text,
        ("the oldest", "CDI version"),
        "The oldest version that is served.",
        |config, given| {
            config.supertokens_min_cdi_version = Some(version(given)?);
            Ok(())
        },
    ),
];

fn invalid(_: InvalidPattern, given: &Given<'_>) -> Problem {
    let name = given.key.name;
    Problem::new(format!("Provided regular expression is invalid for {name} config"))
}

fn version(given: &Given<'_>) -> Result<CdiVersion, Problem> {
    given.trimmed().parse().map_err(|error| {
        let problem = match error {
            CdiVersionError::Invalid => "is not a valid semantic version",
            CdiVersionError::NotSupported => "is not a supported version",
        };
        Problem::new(format!("{} {problem}", given.key.name))
    })
}
