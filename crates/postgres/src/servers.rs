//! The servers that may be the one, and in which order they are tried.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::timeout;
use tokio_postgres::{
    Client, Config, Connection, Socket, config::TargetSessionAttrs, tls::MakeTlsConnect,
};

use crate::{failure::Failure, url::Settings};

/// Servers of which each has the database, or may have it.
pub(crate) struct Servers {
    configs: Vec<Config>,
    /// The one that was connected to last.
    last: AtomicUsize,
    connect_timeout: Duration,
    description: String,
}

impl Servers {
    pub(crate) fn new(configs: Vec<Config>, connect_timeout: Duration, description: &str) -> Self {
        let description = description.to_owned();
        Self { configs, last: AtomicUsize::new(0), connect_timeout, description }
    }

    /// Connects to the first that is as it should be. Where that is the one that takes writes, it is
    /// looked for where it was the last time: a server before it may be one that does not answer.
    pub(crate) async fn connect<T>(
        &self,
        tls: &T,
    ) -> Result<(Client, Connection<Socket, T::Stream>), Failure>
    where
        T: MakeTlsConnect<Socket> + Clone,
    {
        let mut order: Vec<_> = self.configs.iter().enumerate().collect();
        let last = self.last.load(Ordering::Relaxed);
        let is_primary =
            |config: &Config| config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite;
        order.sort_by_key(|(number, config)| !(is_primary(config) && *number == last));
        let mut reasons = Vec::new();
        for (number, config) in order {
            match timeout(self.connect_timeout, config.connect(tls.clone())).await {
                Ok(Ok(connected)) => {
                    self.last.store(number, Ordering::Relaxed);
                    return Ok(connected);
                }
                Ok(Err(error)) => reasons.push(Failure::reason_of(&error)),
                Err(_) => reasons.push("no answer in time".to_owned()),
            }
        }
        Err(Failure::Unreachable(format!("{}: {}", self.description, reasons.join("; "))))
    }
}

/// The settings of each server, where the settings name several one after the other.
pub(crate) fn each_server(settings: &Settings) -> Vec<Settings> {
    let values = |name: &str| -> Vec<&str> {
        settings.get(name).map(|text| text.split(',').collect()).unwrap_or_default()
    };
    let lists = ["host", "hostaddr", "port"].map(|name| (name, values(name)));
    let count = lists[0].1.len().max(lists[1].1.len());
    // A single port is that of all.
    let fit = lists.iter().all(|(name, list)| {
        [0, count].contains(&list.len()) || (*name == "port" && list.len() == 1)
    });
    let is_random = settings.get("load_balance_hosts").is_some_and(|text| text == "random");
    if count <= 1 || !fit || is_random {
        return vec![settings.clone()];
    }
    let server = |number: usize| {
        let mut settings = settings.clone();
        for (name, list) in &lists {
            if let Some(value) = list.get(number).or_else(|| list.first()) {
                settings.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        settings
    };
    (0..count).map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_own_settings() {
        for (given, expected) in [
            (&[("host", "one"), ("port", "1")][..], &["one: 1"][..]),
            (&[("host", "one,two"), ("port", "1,2")], &["one: 1", "two: 2"]),
            (&[("host", "one,two"), ("port", "1")], &["one: 1", "two: 1"]),
            (&[("host", "one,two"), ("port", "1,2,3")], &["one,two: 1,2,3"]),
            (&[("hostaddr", "::1,::2"), ("port", "7")], &["::1: 7", "::2: 7"]),
            (
                &[("host", "one,two"), ("port", "1,2"), ("load_balance_hosts", "random")],
                &["one,two: 1,2"],
            ),
        ] {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let settings: Settings = given.iter().map(owned).collect();
            let servers = each_server(&settings).into_iter().map(|server| {
                let host = server.get("host").or_else(|| server.get("hostaddr"));
                format!("{}: {}", host.unwrap(), server["port"])
            });
            assert_eq!(servers.collect::<Vec<_>>(), expected, "{given:?}");
        }
    }
}
