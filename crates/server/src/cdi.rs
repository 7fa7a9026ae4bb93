//! The versions of the Core Driver Interface (CDI), and all that differs between them.

use std::{cmp::Ordering, fmt, str::FromStr};

use sessile_core::AccessTokenVersion;

/// A version of the interface that is known here, as the header `cdi-version` names it: `5.4`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CdiVersion(&'static Row);

/// A text that names no version that is known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CdiVersionError {
    /// It is no version number.
    #[error("cdi-version header is invalid")]
    Invalid,
    /// It is a version number, and none that is known here.
    #[error("cdi-version is not supported")]
    NotSupported,
}

impl CdiVersion {
    /// Every version, oldest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        VERSIONS.iter().map(Self)
    }

    /// The newest version of the paths without `/recipe`.
    pub(crate) fn newest_legacy() -> Self {
        Self(&VERSIONS[3])
    }

    /// The newest version.
    pub(crate) fn newest() -> Self {
        Self(&VERSIONS[VERSIONS.len() - 1])
    }

    /// The versions that it has most in common with, for metrics and logs.
    pub(crate) fn family(self) -> &'static str {
        match self.0.version {
            "2.0" | "2.1" | "2.2" | "2.3" => "2.0-2.3",
            "2.21" => "2.21",
            "3.0" | "3.1" => "3",
            "4.0" => "4",
            "5.6" => "5.6",
            version if version.starts_with("5.") => "5.0-5.5",
            _ => "2.7-2.20",
        }
    }

    /// How this version differs from the others.
    pub(crate) fn dialect(self) -> &'static Dialect {
        &self.0.dialect
    }
}

impl FromStr for CdiVersion {
    type Err = CdiVersionError;

    /// Reads a version; numbers that are left out count as 0.
    fn from_str(text: &str) -> Result<Self, CdiVersionError> {
        let wanted = numbers(text).ok_or(CdiVersionError::Invalid)?;
        VERSIONS
            .iter()
            .find(|row| numbers(row.version).is_some_and(|known| same(&known, &wanted)))
            .map(Self)
            .ok_or(CdiVersionError::NotSupported)
    }
}

impl Ord for CdiVersion {
    /// The older version is the lesser one.
    fn cmp(&self, other: &Self) -> Ordering {
        let position = |version: &Self| VERSIONS.iter().position(|row| row == version.0);
        position(self).cmp(&position(other))
    }
}

impl PartialOrd for CdiVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for CdiVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.version)
    }
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.split('.')
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
        .collect()
}

/// Whether two versions are the same one; missing numbers count as 0.
fn same(left: &[u32], right: &[u32]) -> bool {
    let length = left.len().max(right.len());
    let padded = |numbers: &[u32]| {
        let mut numbers = numbers.to_vec();
        numbers.resize(length, 0);
        numbers
    };
    padded(left).cmp(&padded(right)) == Ordering::Equal
}

/// Which paths a version has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Surface {
    /// `/session`, …: up to 2.3.
    Legacy,
    /// `/recipe/session`, …: from 2.4 on.
    Recipe,
}

/// Who says whether something is so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// The configuration of the app.
    Configuration,
    /// The request, which must.
    Request,
}

/// What a refresh is told of the kind of signing key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum KeyKindOnRefresh {
    /// Nothing: the session keeps its kind.
    Ignored,
    /// It may be told.
    Optional,
    /// It must be told.
    Required,
}

/// When the rows of sessions change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rotation {
    /// When the new tokens are used for the first time.
    OnUse,
    /// When they are issued.
    OnRefresh,
}

/// Which answers tell the public key that signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TellsSigningKey {
    /// None: there is `/.well-known/jwks.json`.
    Never,
    /// Creation, verification and the handshake.
    OnSuccess,
    /// These, and a verification that asks for a refresh.
    AlsoOnTryRefresh,
}

/// What the handshake tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Handshake {
    /// The attributes of cookies.
    Cookies,
    /// Lifetimes.
    Validities,
    /// There is none any more.
    Gone,
}

/// All that differs between versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Dialect {
    pub(crate) surface: Surface,
    /// The format of the access tokens that creation and refresh issue.
    pub(crate) access_token_version: AccessTokenVersion,
    pub(crate) rotation: Rotation,
    /// Whether tokens are told with path, domain, `secure` and `sameSite` of their cookies.
    pub(crate) cookie_attributes: bool,
    /// What stands for a cookie domain that is not configured.
    pub(crate) default_cookie_domain: Option<&'static str>,
    /// Who says whether tokens come with anti-CSRF tokens.
    pub(crate) anti_csrf: Decision,
    /// Whether a refresh must bring the anti-CSRF token: SDKs before 2.3 do not send it.
    pub(crate) refresh_checks_anti_csrf: bool,
    /// Whether creation and refresh also issue an `idRefreshToken`.
    pub(crate) id_refresh_token: bool,
    pub(crate) tells_signing_key: TellsSigningKey,
    /// Whether all valid keys are told beside the one that signs.
    pub(crate) tells_all_keys: bool,
    pub(crate) handshake: Handshake,
    /// Who says whether a static key signs for a new session.
    pub(crate) key_kind: Decision,
    pub(crate) key_kind_on_refresh: KeyKindOnRefresh,
    /// Who says whether a verification asks the store.
    pub(crate) check_database: Decision,
    /// Whether payloads are refused that name a claim of the access token.
    pub(crate) refuses_protected_claims: bool,
    /// Whether paths may name a tenant, and sessions tell theirs.
    pub(crate) tenants: bool,
    /// Whether sessions tell the recipe user id.
    pub(crate) recipe_user_id: bool,
    /// Whether what concerns a whole app is only for its public tenant.
    pub(crate) app_calls_need_public_tenant: bool,
    /// Whether verification is only for the public tenant.
    pub(crate) verify_needs_public_tenant: bool,
    /// Whether a request may shorten the validity of its access token.
    pub(crate) access_token_validity: bool,
    /// Whether answers name the kind of a token's reuse.
    pub(crate) reuse_subtype: bool,
    /// The status of `/config` for another process.
    pub(crate) not_allowed: &'static str,
}

const V2_0: Dialect = Dialect {
    surface: Surface::Legacy,
    access_token_version: AccessTokenVersion::V2,
    rotation: Rotation::OnUse,
    cookie_attributes: true,
    default_cookie_domain: Some("localhost"),
    anti_csrf: Decision::Configuration,
    refresh_checks_anti_csrf: false,
    id_refresh_token: true,
    tells_signing_key: TellsSigningKey::OnSuccess,
    tells_all_keys: false,
    handshake: Handshake::Cookies,
    key_kind: Decision::Configuration,
    key_kind_on_refresh: KeyKindOnRefresh::Ignored,
    check_database: Decision::Configuration,
    refuses_protected_claims: false,
    tenants: false,
    recipe_user_id: false,
    app_calls_need_public_tenant: false,
    verify_needs_public_tenant: false,
    access_token_validity: false,
    reuse_subtype: false,
    not_allowed: "NOT ALLOWED",
};
const V2_2: Dialect = Dialect { default_cookie_domain: None, ..V2_0 };
const V2_3: Dialect = Dialect { refresh_checks_anti_csrf: true, ..V2_2 };
const V2_7: Dialect = Dialect {
    surface: Surface::Recipe,
    cookie_attributes: false,
    anti_csrf: Decision::Request,
    tells_signing_key: TellsSigningKey::AlsoOnTryRefresh,
    handshake: Handshake::Validities,
    not_allowed: "NOT_ALLOWED",
    ..V2_3
};
const V2_9: Dialect = Dialect { tells_all_keys: true, ..V2_7 };
const V2_21: Dialect = Dialect {
    access_token_version: AccessTokenVersion::V3,
    id_refresh_token: false,
    tells_signing_key: TellsSigningKey::Never,
    tells_all_keys: false,
    handshake: Handshake::Gone,
    key_kind: Decision::Request,
    check_database: Decision::Request,
    refuses_protected_claims: true,
    ..V2_9
};
const V3_0: Dialect = Dialect {
    access_token_version: AccessTokenVersion::V4,
    key_kind_on_refresh: KeyKindOnRefresh::Optional,
    tenants: true,
    ..V2_21
};
const V4_0: Dialect =
    Dialect { access_token_version: AccessTokenVersion::V5, recipe_user_id: true, ..V3_0 };
const V5_0: Dialect = Dialect {
    key_kind_on_refresh: KeyKindOnRefresh::Required,
    app_calls_need_public_tenant: true,
    ..V4_0
};
const V5_6: Dialect = Dialect {
    rotation: Rotation::OnRefresh,
    verify_needs_public_tenant: true,
    access_token_validity: true,
    reuse_subtype: true,
    ..V5_0
};

#[derive(Debug, Eq, PartialEq)]
struct Row {
    version: &'static str,
    dialect: Dialect,
}

const fn row(version: &'static str, dialect: Dialect) -> Row {
    Row { version, dialect }
}

static VERSIONS: [Row; 29] = [
    row("2.0", V2_0),
    row("2.1", V2_0),
    row("2.2", V2_2),
    row("2.3", V2_3),
    row("2.7", V2_7),
    row("2.8", V2_7),
    row("2.9", V2_9),
    row("2.10", V2_9),
    row("2.11", V2_9),
    row("2.12", V2_9),
    row("2.13", V2_9),
    row("2.14", V2_9),
    row("2.15", V2_9),
    row("2.16", V2_9),
    row("2.17", V2_9),
    row("2.18", V2_9),
    row("2.19", V2_9),
    row("2.20", V2_9),
    row("2.21", V2_21),
    row("3.0", V3_0),
    row("3.1", V3_0),
    row("4.0", V4_0),
    row("5.0", V5_0),
    row("5.1", V5_0),
    row("5.2", V5_0),
    row("5.3", V5_0),
    row("5.4", V5_0),
    row("5.5", V5_0),
    row("5.6", V5_6),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_numbers() {
        for (text, version) in [("2.7", "2.7"), ("5.4.0", "5.4"), ("4", "4.0"), ("02.21", "2.21")] {
            assert_eq!(text.parse::<CdiVersion>().unwrap().to_string(), version);
        }
        for text in ["1.0", "2.4", "2.6", "2.70", "5.7", "5.4.1"] {
            assert_eq!(text.parse::<CdiVersion>(), Err(CdiVersionError::NotSupported), "{text}");
        }
        for text in ["", "a", "2.", ".7", "2..7", "-1", "+2.7", "2.7 ", "99999999999"] {
            assert_eq!(text.parse::<CdiVersion>(), Err(CdiVersionError::Invalid), "{text}");
        }
    }

    #[test]
    fn the_newest_are_the_newest_of_their_surface() {
        assert_eq!(CdiVersion::newest().to_string(), "5.6");
        assert_eq!(CdiVersion::newest_legacy().to_string(), "2.3");
        for version in CdiVersion::all() {
            assert!(version <= CdiVersion::newest());
            let legacy = version.dialect().surface == Surface::Legacy;
            assert_eq!(version <= CdiVersion::newest_legacy(), legacy);
            assert_eq!(legacy, "2.0 2.1 2.2 2.3".contains(&version.to_string()), "{version}");
        }
    }
}
