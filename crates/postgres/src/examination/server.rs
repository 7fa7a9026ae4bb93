use sessile_core::clock::Clock;

use crate::{
    connection::{Connection, Template},
    failure::Failure,
    record::column_of,
};

/// How the connection to a database is protected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Encryption {
    /// By TLS of this version.
    Tls(String),
    /// Not at all, and it does not leave this machine.
    Local,
    /// Not at all.
    None,
}

/// A PostgreSQL server, and the connection to it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Which database it is, and where, for people.
    pub database: String,
    /// PostgreSQL's version as it numbers them itself: 130004 is 13.4.
    pub version: i32,
    /// The encoding of the database's text; Sessile needs `UTF8`.
    pub encoding: String,
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The user as whom the connection was made.
    pub user: String,
    /// Whether it follows another server and takes no writes.
    pub is_replica: bool,
    /// Whether transactions read only unless they say otherwise.
    pub is_read_only: bool,
    /// How far its clock is ahead of the one given, in milliseconds; less than zero where it is
    /// behind.
    pub clock_ahead: i64,
    /// How many connections this user may have to this database, if nobody else has any.
    pub connection_limit: i64,
    /// How many connections the server has now, this one included.
    pub connections: i64,
    /// How many connections a store with these options makes at most.
    pub connections_wanted: usize,
}

static SERVER: Template = Template {
    name: "examine_server",
    text: "SELECT current_setting('server_version_num')::integer,
            current_setting('server_encoding'),
            (SELECT s.version FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_backend_pid()),
            inet_client_addr() IS NULL
                OR inet_client_addr() <<= '127.0.0.0/8'::inet OR inet_client_addr() = '::1'::inet,
            current_user::text,
            pg_is_in_recovery(),
            current_setting('default_transaction_read_only')::boolean,
            (SELECT min(l.most)::bigint FROM (
                SELECT current_setting('max_connections')::integer
                    - CASE WHEN r.rolsuper THEN 0
                        ELSE current_setting('superuser_reserved_connections')::integer END AS most
                UNION ALL SELECT r.rolconnlimit WHERE r.rolconnlimit >= 0 AND NOT r.rolsuper
                UNION ALL SELECT d.datconnlimit WHERE d.datconnlimit >= 0 AND NOT r.rolsuper
            ) AS l),
            (SELECT sum(numbackends)::bigint FROM pg_catalog.pg_stat_database)
        FROM pg_catalog.pg_roles r, pg_catalog.pg_database d
        WHERE r.rolname = current_user AND d.datname = current_database()",
};

static CLOCK: Template = Template {
    name: "examine_clock",
    text: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint",
};

impl Server {
    pub(super) async fn look(
        connection: &Connection,
        clock: &dyn Clock,
        connections_wanted: usize,
    ) -> Result<Self, Failure> {
        const SILENT: Failure = Failure::Value("PostgreSQL does not say what it is");
        let rows = connection.query(&SERVER, &[]).await?;
        let row = rows.first().ok_or(SILENT)?;
        let encryption = match column_of::<Option<String>>(row, 2)? {
            Some(version) => Encryption::Tls(version),
            None if column_of(row, 3)? => Encryption::Local,
            None => Encryption::None,
        };
        Ok(Self {
            database: String::new(),
            version: column_of(row, 0)?,
            encoding: column_of(row, 1)?,
            encryption,
            user: column_of(row, 4)?,
            is_replica: column_of(row, 5)?,
            is_read_only: column_of(row, 6)?,
            clock_ahead: clock_ahead(connection, clock).await?,
            connection_limit: column_of(row, 7)?,
            connections: column_of(row, 8)?,
            connections_wanted,
        })
    }
}

/// Half of the way there and back is taken for the way there.
async fn clock_ahead(connection: &Connection, clock: &dyn Clock) -> Result<i64, Failure> {
    let mut ahead = 0;
    // The first time, the statement is prepared too, which would count as part of the way.
    for _ in 0..2 {
        let before = clock.now().as_millis();
        let rows = connection.query(&CLOCK, &[]).await?;
        let after = clock.now().as_millis();
        if let Some(row) = rows.first() {
            let there: i64 = column_of(row, 0)?;
            ahead = there - i64::midpoint(before, after);
        }
    }
    Ok(ahead)
}
