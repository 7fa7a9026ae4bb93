use std::{fmt, time::Duration};

use sessile_core::{policy::SigningKeyKind, store::StoreError};
use tokio::runtime::Handle;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use crate::{
    names::{InvalidName, Names, Naming},
    ownership::Ownership,
    servers::each_server,
    store::PostgresStore,
    tls::Tls,
    url::{InvalidSettings, Settings, connection_string, settings_of},
};

/// How to open a [`PostgresStore`].
///
/// ```no_run
/// use std::time::Duration;
/// use sessile_postgres::PostgresOptions;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresOptions::from_url("postgresql://sessile@db.example/shop?sslmode=verify-full")?
///     .schema("auth")?
///     .request_timeout(Duration::from_secs(5))
///     .open()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresOptions {
    settings: Settings,
    naming: Naming,
    pub(crate) readers: usize,
    pub(crate) writers: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) ownership: Option<Ownership>,
    pub(crate) legacy_key_kind: SigningKeyKind,
    pub(crate) runtime: Option<Handle>,
}

/// A server that went away without a word, while nobody waited for it, is noticed within a minute, in
/// seconds and numbers.
const DEAD_PEER: &[(&str, &str)] =
    &[("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_retries", "3")];

/// How to connect, worked out of the options.
pub(crate) struct Target {
    /// Each that may be the one.
    pub(crate) servers: Vec<Config>,
    pub(crate) tls: Tls,
    /// Hosts and database, for error messages.
    pub(crate) description: String,
}

impl PostgresOptions {
    /// Reads a URL as libpq does:
    /// `postgresql://[user[:password]@][host[:port][,…]][/database][?name=value&…]`.
    ///
    /// Where it names several hosts, they are tried in that order, and one is used that takes
    /// writes unless `target_session_attrs` says otherwise. `sslmode` is `disable`, `allow`,
    /// `prefer` (the default), `require`, `verify-ca` or `verify-full`; `sslrootcert`, `sslcert`
    /// and `sslkey` name files in PEM.
    ///
    /// # Errors
    /// [`InvalidSettings`] when it is no such URL.
    pub fn from_url(url: &str) -> Result<Self, InvalidSettings> {
        let options = Self {
            settings: settings_of(url)?,
            naming: Naming::default(),
            readers: 2,
            writers: 4,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            ownership: None,
            legacy_key_kind: SigningKeyKind::Dynamic,
            runtime: None,
        };
        // What is wrong is said here rather than when the store is opened.
        options.target()?;
        Ok(options)
    }

    /// One of the settings that a URL may have, named as in libpq (`host`, `port`, `user`,
    /// `password`, `dbname`, `sslmode`, …), in place of what the URL says of it.
    ///
    /// # Errors
    /// [`InvalidSettings`] when there is no such setting, or not with this value.
    pub fn setting(mut self, name: &str, value: &str) -> Result<Self, InvalidSettings> {
        if name == "host" && !value.contains(',') {
            // Several ports, of the hosts that it replaces, would not fit one host.
            self.settings.remove("port");
        }
        self.settings.insert(name.to_owned(), value.to_owned());
        self.target()?;
        Ok(self)
    }

    /// The schema that the tables are in; `public` unless this is called. It is made if it is not
    /// there.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn schema(self, schema: &str) -> Result<Self, InvalidName> {
        self.with_naming(|naming| schema.clone_into(&mut naming.schema))
    }

    /// Begins the name of every table, with an underscore after it.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn table_prefix(self, prefix: &str) -> Result<Self, InvalidName> {
        self.with_naming(|naming| prefix.clone_into(&mut naming.prefix))
    }

    /// The whole name of the table that is otherwise called `session_info`.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn session_info_table(self, name: &str) -> Result<Self, InvalidName> {
        self.with_naming(|naming| naming.session_info_table = Some(name.to_owned()))
    }

    /// The whole name of the table that is otherwise called `key_value`.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn key_value_table(self, name: &str) -> Result<Self, InvalidName> {
        self.with_naming(|naming| naming.key_value_table = Some(name.to_owned()))
    }

    fn with_naming(mut self, change: impl FnOnce(&mut Naming)) -> Result<Self, InvalidName> {
        change(&mut self.naming);
        Names::new(&self.naming)?;
        Ok(self)
    }

    /// The number of connections that all reads share; at least one. The default is 2.
    #[must_use]
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// The number of connections that write; at least one. The default is 4. What comes while they
    /// are busy is gathered into their next statements. A request that waits for another program's
    /// lock has one to itself meanwhile.
    #[must_use]
    pub fn writers(mut self, writers: usize) -> Self {
        self.writers = writers.max(1);
        self
    }

    /// How long to wait for a connection. The default is five seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take in all before it fails. The default is ten seconds.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Whose database it is, in place of what the store keeps of that; see [`Ownership`].
    #[must_use]
    pub fn ownership(mut self, ownership: Ownership) -> Self {
        self.ownership = Some(ownership);
        self
    }

    /// What becomes of the one signing key that a core 2.x kept: a dynamic one, which is the
    /// default, or a static one, where that core had `access_token_signing_key_dynamic: false`.
    #[must_use]
    pub fn legacy_signing_key(mut self, kind: SigningKeyKind) -> Self {
        self.legacy_key_kind = kind;
        self
    }

    /// Serves the connections in this runtime, whose timers and input must be enabled, rather than
    /// in a thread of the store's own. A request of one of its tasks then changes no thread, which
    /// is faster; but the store must not be used any more once the runtime has ended.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The database and its hosts, for messages: no user and no password.
    ///
    /// # Errors
    /// [`InvalidSettings`] when a file that they name has changed, and cannot be used any more.
    pub fn description(&self) -> Result<String, InvalidSettings> {
        Ok(self.target()?.description)
    }

    /// Connects to the database, and makes the tables that are missing.
    ///
    /// # Errors
    /// As [`PostgresStore::open`].
    pub async fn open(self) -> Result<PostgresStore, StoreError> {
        PostgresStore::open_with(self).await
    }

    pub(crate) fn names(&self) -> Result<Names, InvalidName> {
        Names::new(&self.naming)
    }

    pub(crate) fn target(&self) -> Result<Target, InvalidSettings> {
        let mut settings = self.settings.clone();
        let tls = Tls::take(&mut settings)?;
        let chooses_server = settings.contains_key("target_session_attrs");
        let names_program = settings.contains_key("application_name");
        let acknowledged_within = match settings.remove("tcp_user_timeout") {
            None => self.request_timeout,
            Some(text) => Duration::from_millis(text.parse().map_err(|_| {
                InvalidSettings("tcp_user_timeout is not a number of milliseconds".into())
            })?),
        };
        for (name, value) in DEAD_PEER {
            settings.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        let read = |settings: &Settings| {
            let mut config: Config =
                connection_string(settings).parse().map_err(|error: tokio_postgres::Error| {
                    // Its source names the setting, never the value.
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    InvalidSettings(source.unwrap_or_else(|| error.to_string()))
                })?;
            if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
                config.host("localhost");
            }
            Ok::<_, InvalidSettings>(config)
        };
        let all = read(&settings)?;
        if all.get_user().is_none() {
            return Err(InvalidSettings("no user is named".into()));
        }
        let are_several = all.get_hosts().len().max(all.get_hostaddrs().len()) > 1;
        let mut servers = Vec::new();
        for server in each_server(&settings) {
            let mut config = read(&server)?;
            let is_local = |host: &Host| !matches!(host, Host::Tcp(_));
            let is_local =
                !config.get_hosts().is_empty() && config.get_hosts().iter().all(is_local);
            // As libpq: nobody listens in on a socket of this machine.
            config.ssl_mode(if is_local { SslMode::Disable } else { tls.mode });
            if are_several && !chooses_server {
                config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
            if !names_program {
                config.application_name("sessile");
            }
            if !acknowledged_within.is_zero() {
                config.tcp_user_timeout(acknowledged_within);
            }
            config.connect_timeout(self.connect_timeout);
            servers.push(config);
        }
        Ok(Target { servers, tls, description: description(&all) })
    }
}

fn description(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let ports = config.get_ports();
        let port = ports.get(index).or_else(|| ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(folder) => format!("{}:{port}", folder.display()),
        }
    });
    let hosts = hosts.collect::<Vec<_>>().join(", ");
    let database = config.get_dbname().or_else(|| config.get_user()).unwrap_or_default();
    format!("database '{database}' at {hosts}")
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresOptions")
            .field("host", &self.settings.get("host"))
            .field("dbname", &self.settings.get("dbname"))
            .field("naming", &self.naming)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, InvalidSettings> {
        PostgresOptions::from_url(url)?.target()
    }

    #[test]
    fn several_hosts_mean_one_that_takes_writes() {
        use TargetSessionAttrs::{Any, ReadWrite};

        let attributes = |url| {
            let servers = target(url).unwrap().servers.into_iter();
            servers.map(|config| config.get_target_session_attrs()).collect::<Vec<_>>()
        };
        assert_eq!(attributes("postgresql://a@one"), [Any]);
        assert_eq!(attributes("postgresql://a@one,two"), [ReadWrite, ReadWrite]);
        assert_eq!(attributes("postgresql://a@one,two?target_session_attrs=any"), [Any, Any]);
        assert_eq!(attributes("postgresql://a@one,two?load_balance_hosts=random"), [ReadWrite]);
    }

    #[test]
    fn a_setting_takes_the_place_of_the_urls() {
        let options = PostgresOptions::from_url("postgresql://a:b@one:1,two:2/shop").unwrap();
        let options = options.setting("host", "three").unwrap().setting("port", "3").unwrap();
        assert_eq!(options.target().unwrap().description, "database 'shop' at three:3");
    }

    #[test]
    fn bad_settings_are_named() {
        for (url, problem) in [
            ("postgresql://host", "no user is named"),
            ("postgresql://a@host?sslmode=maybe", "sslmode"),
            ("postgresql://a@host?colour=red", "colour"),
            ("postgresql://a@host?keepalives=x", "keepalives"),
            ("postgresql://a@host?sslmode=verify-full&sslrootcert=%2Fno%2Ffile", "/no/file"),
            ("postgresql://a@host?sslcert=%2Fno%2Ffile", "sslkey"),
        ] {
            let error = target(url).map(|target| target.description).unwrap_err().to_string();
            assert!(error.contains(problem), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let options = PostgresOptions::from_url("postgresql://a:very-secret@host/db").unwrap();
        assert!(!format!("{options:?}").contains("very-secret"));
        assert!(!options.target().unwrap().description.contains("very-secret"));
    }
}
