//! A running server: SuperTokens' core or Sessile.

use sessile::{AppId, Secret};

use super::report::{Finding, Report};
use crate::administration::RunningServer;

/// The versions of the Core Driver Interface that today's SDKs want one of.
const WANTED: &str = "5.";

pub(super) async fn examine(url: &str, api_key: Option<Secret>) -> Report {
    let server = match RunningServer::new(url, api_key, &AppId::default()) {
        Ok(server) => server,
        Err(error) => return Report::new(vec![Finding::problem("server", format!("{error:#}"))]),
    };
    let hello = match server.hello().await {
        Ok(()) => Finding::ok("server", "answers, and has its database"),
        Err(error) => Finding::problem("server", format!("{error:#}")),
    };
    let versions = match server.versions().await {
        Ok(versions) => judge(&versions),
        Err(error) => Finding::problem("versions", format!("{error:#}")),
    };
    Report::new(vec![hello, versions])
}

fn judge(versions: &[String]) -> Finding {
    let list = versions.join(", ");
    if versions.iter().any(|version| version.starts_with(WANTED)) {
        Finding::ok("versions", format!("Core Driver Interface {list}"))
    } else {
        Finding::note("versions", format!("Core Driver Interface {list}: none of {WANTED}x"))
            .advise("check that the SDK of your application knows one of them")
    }
}
