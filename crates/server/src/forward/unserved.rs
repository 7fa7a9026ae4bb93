use crate::path::find_below_tenant;

/// Paths of SuperTokens' core that are not served here, and what they are for; with `/*`, all below
/// them too. Of two that fit, the first counts.
const PATHS: [(&str, &str); 35] = [
    ("/recipe/signup", "email and password"),
    ("/recipe/signin", "email and password"),
    ("/recipe/user/password/*", "email and password"),
    ("/recipe/user/passwordhash/*", "email and password"),
    ("/recipe/signinup/code/*", "passwordless login"),
    ("/recipe/signinup/codes/*", "passwordless login"),
    ("/recipe/signinup", "login by third parties"),
    ("/recipe/users/by-email", "login by third parties"),
    ("/recipe/user/email/verify/*", "email verification"),
    ("/recipe/user/metadata/*", "user metadata"),
    ("/recipe/user/role/*", "user roles"),
    ("/recipe/user/roles", "user roles"),
    ("/recipe/role/*", "user roles"),
    ("/recipe/roles", "user roles"),
    ("/recipe/permission/roles", "user roles"),
    ("/recipe/userid/*", "the mapping of user ids"),
    ("/recipe/user", "users"),
    ("/recipe/users", "users"),
    ("/recipe/accountlinking/*", "account linking"),
    ("/recipe/dashboard/*", "the dashboard"),
    ("/recipe/totp/*", "one-time passwords (TOTP)"),
    ("/recipe/webauthn/*", "passkeys (WebAuthn)"),
    ("/recipe/oauth/*", "OAuth"),
    ("/recipe/saml/*", "SAML"),
    ("/recipe/multitenancy/*", "multi-tenancy beyond apps and tenants"),
    ("/bulk-import/*", "bulk import"),
    ("/users", "users"),
    ("/users/by-accountinfo", "users"),
    ("/users/count", "users"),
    ("/users/count/active", "users"),
    ("/users/search/tags", "users"),
    ("/user/remove", "users"),
    ("/user/search/tags", "users"),
    ("/requests/stats", "statistics of requests"),
    ("/ee/*", "licences"),
];

/// What a path of SuperTokens' core is for that is not served here; nothing for one that the core
/// does not have either.
pub(crate) fn recipe_of(path: &str) -> Option<&'static str> {
    find_below_tenant(path, |path| {
        let fits = |known: &str| match known.strip_suffix("/*") {
            None => path == known,
            Some(above) => path
                .strip_prefix(above)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        };
        PATHS.iter().find(|(known, _)| fits(known)).map(|(_, recipe)| *recipe)
    })
    .map(|(_, _, recipe)| recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_every_recipe_are_known() {
        for (path, recipe) in [
            ("/recipe/signup", "email and password"),
            ("/recipe/signinup", "login by third parties"),
            ("/recipe/signinup/code/consume", "passwordless login"),
            ("/appid-a/t1/Recipe/SignIn/", "email and password"),
            ("/t1/recipe/user/password/reset", "email and password"),
            ("/recipe/user/email/verify/token", "email verification"),
            ("/recipe/user/metadata/remove", "user metadata"),
            ("/recipe/user/roles", "user roles"),
            ("/recipe/user", "users"),
            ("/users/count", "users"),
            ("/appid-a/users", "users"),
            ("/user/remove", "users"),
            ("/recipe/totp/device", "one-time passwords (TOTP)"),
            ("/recipe/oauth/token", "OAuth"),
            ("/recipe/webauthn/signup", "passkeys (WebAuthn)"),
            ("/recipe/dashboard/user", "the dashboard"),
            ("/bulk-import/users", "bulk import"),
        ] {
            assert_eq!(recipe_of(path), Some(recipe), "{path}");
        }
        for path in [
            "/recipe",
            "/recipe/signups",
            "/recipe/signup/x",
            "/users/recipe/session",
            "/recipe/nothing",
            "/a/b/c",
            "",
            "/",
        ] {
            assert_eq!(recipe_of(path), None, "{path}");
        }
    }
}
