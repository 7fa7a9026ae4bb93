//! What a start reads, says and refuses.

use std::{fs, net::TcpListener};

use crate::support::{Server, command, failure, folder};

#[test]
fn file_environment_and_options_override_each_other_in_this_order() {
    let folder = folder();
    fs::write(
        folder.path().join("config.yaml"),
        "core_config_version: 0\nhost: 127.0.0.1\nport: 1\nbase_path: /file\n\
         access_token_validity: 7\napi_keys: hg40239oirjgBHD9450=Beew123-\n",
    )
    .unwrap();
    let arguments = ["--config", "config.yaml"];
    let server = Server::start(folder.path(), &arguments, &[("BASE_PATH", "variable/")]);
    assert!(server.line.ends_with("with its sessions in memory\n"), "{}", server.line);
    assert!(server.get("/file/hello", "").starts_with("404"), "the environment overrides the file");
    assert!(server.get("/variable/hello", "").ends_with("\r\n\r\nHello\n"));
    let key = "api-key: hg40239oirjgBHD9450=Beew123-\r\ncdi-version: 2.9\r\n";
    let handshake = server.call("POST", "/variable/recipe/handshake", key, "");
    assert!(handshake.contains("\"accessTokenValidity\":7000"), "{handshake}");
    let without = server.call("POST", "/variable/recipe/handshake", "cdi-version: 2.9\r\n", "");
    assert!(without.starts_with("401") && without.ends_with("\r\nInvalid API key\n"), "{without}");

    // Its process tells whoever knows its id where the file is.
    let known = server.get(&format!("/variable/config?pid={}", server.process_id()), "");
    let path = folder.path().canonicalize().unwrap().join("config.yaml");
    let path = path.display().to_string();
    assert!(known.contains("\"status\":\"OK\"") && known.contains(&path), "{known}");
    let other = server.get("/variable/config?pid=1", "");
    assert!(other.contains("NOT_ALLOWED"), "{other}");
}

#[test]
fn what_has_no_effect_is_one_line_each() {
    let folder = folder();
    fs::write(
        folder.path().join("config.yaml"),
        "argon2_iterations: 2\nnonsense: 1\npostgresql_host: db\n",
    )
    .unwrap();
    let server = Server::start(folder.path(), &["--config", "config.yaml"], &[]);
    let log = server.log();
    for said in [
        "argon2_iterations has no effect: There are no passwords here.",
        "nonsense is no key that is known here, and does nothing",
        "the keys postgresql_* have no effect without postgresql_user or postgresql_connection_uri",
    ] {
        assert_eq!(log.lines().filter(|line| line.contains(said)).count(), 1, "{said}: {log}");
    }
    let silent =
        Server::start(folder.path(), &["--config", "config.yaml"], &[("LOG_LEVEL", "none")]);
    assert_eq!(silent.log(), "");
}

#[test]
fn beyond_loopback_it_warns_unless_there_is_a_key() {
    let folder = folder();
    let host = ("SUPERTOKENS_HOST", "0.0.0.0");
    let open = Server::start(folder.path(), &[], &[host]);
    assert!(open.log().contains("can create sessions and sign JWTs there: set api_keys"));
    let key = ("API_KEYS", "hg40239oirjgBHD9450=Beew123-");
    let keyed = Server::start(folder.path(), &[], &[host, key]);
    assert!(!keyed.log().contains("WARN"), "{}", keyed.log());
    let loopback = Server::start(folder.path(), &[], &[]);
    assert!(!loopback.log().contains("WARN"), "{}", loopback.log());
    assert!(loopback.address.starts_with("127.0.0.1:"), "{}", loopback.address);
}

#[test]
fn the_address_of_a_client_is_that_of_its_connection() {
    let folder = folder();
    let denied = Server::start(folder.path(), &[], &[("IP_DENY_REGEX", r"127\.0\.0\.\d+")]);
    let answer = denied.get("/hello", "");
    assert!(answer.starts_with("403") && answer.ends_with("\r\nForbidden\n"), "{answer}");
    let quoted = r#""127\\.0\\.0\\.1""#;
    let allowed = Server::start(folder.path(), &[], &[("IP_ALLOW_REGEX", quoted)]);
    assert!(allowed.get("/hello", "").starts_with("200"));
}

/// Options, variables, and what is said of them.
type Case = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str);

#[test]
fn a_start_that_fails_names_the_key_and_no_value() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("unknown.yaml"), "nonsense: 1\n").unwrap();
    fs::write(path.join("wrong.yaml"), "access_token_validity: 0\n").unwrap();
    fs::write(path.join("damaged.yaml"), "postgresql_password: \"secret-value\n").unwrap();
    let unreachable = "PostgreSQL cannot be used: ";
    let cases: [Case; 12] = [
        (&["--config", "missing.yaml"], &[], "missing.yaml cannot be read: No such file"),
        (&["--config", "unknown.yaml", "--strict"], &[], "nonsense is no key that is known here"),
        (
            &["--config", "wrong.yaml"],
            &[],
            "'access_token_validity' must be between 1 and 86400000 seconds inclusive. The config \
             file can be found here: /",
        ),
        (&["--config", "damaged.yaml"], &[], "damaged.yaml cannot be understood: "),
        (&[], &[("SESSILE_CONFIG", "missing.yaml")], "missing.yaml cannot be read"),
        (&[], &[("SESSILE_CONFIG", ""), ("LOG_LEVEL", "x")], "'log_level' config must be one of"),
        (
            &[],
            &[("SUPERTOKENS_PORT", "secret-value")],
            "'port' must be of type int (in the environment variable SUPERTOKENS_PORT)",
        ),
        (&[], &[("API_KEYS", "secret-value")], "One of the API keys is too short."),
        (
            &[],
            &[
                ("POSTGRESQL_USER", "u"),
                ("POSTGRESQL_PASSWORD", "secret-value"),
                ("POSTGRESQL_HOST", "127.0.0.1"),
                ("POSTGRESQL_PORT", "1"),
            ],
            unreachable,
        ),
        (&["--store", "postgresql://u:secret-value@127.0.0.1:1/d"], &[], unreachable),
        (
            &["--store", "memory"],
            &[("POSTGRESQL_CONNECTION_URI", "postgresql://u:secret-value@db")],
            "both sessile_store (--store) and postgresql_user or postgresql_connection_uri are set",
        ),
        (&[], &[("SESSILE_STORE", "mysql://u:secret-value@db")], "a URL begins with postgresql://"),
    ];
    for (arguments, variables, expected) in cases {
        let said = failure(path, arguments, variables);
        assert!(said.starts_with("error: ") && said.contains(expected), "{said}");
        assert!(!said.contains("secret-value"), "{said}");
    }
    let names: Vec<_> = path.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "what does not start leaves nothing: {names:?}");
}

#[test]
fn a_port_that_is_taken_is_told() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = failure(folder.path(), &[], &[("SUPERTOKENS_PORT", &port)]);
    assert!(said.contains("choose another with --host or --port"), "{said}");
}

#[test]
fn it_lists_its_keys() {
    let folder = folder();
    let output = command(folder.path(), &["--list-keys"], &[]).output().unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && listed.contains("\n| `access_token_validity` | "));
}
