//! `sessile sessions`.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;
use sessile::SessionHandle;

use super::{
    Target,
    backend::Session,
    output::{print_json, print_table, readable, time},
};

/// What `sessile sessions` can be told.
#[derive(Args, Debug)]
pub(crate) struct SessionsArguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the sessions of a user, oldest first.
    List {
        /// The user's id.
        #[arg(long, value_name = "ID")]
        user: String,
        #[command(flatten)]
        target: Target,
    },
    /// Shows one session with its payload and data.
    Show {
        /// The session's handle.
        handle: String,
        #[command(flatten)]
        target: Target,
    },
    /// Ends sessions, by their handles or all of a user. Their access tokens are good until they
    /// end wherever the store is not asked.
    Revoke {
        /// The sessions' handles.
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        handles: Vec<String>,
        /// All sessions of this user.
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        #[command(flatten)]
        target: Target,
    },
}

/// Does what was asked.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(arguments: &SessionsArguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::List { user, target } => {
            let sessions = target.open()?.sessions_of_user(user).await?;
            if target.json {
                print_json(&sessions)
            } else {
                list(&sessions);
                Ok(())
            }
        }
        Command::Show { handle, target } => {
            let Some(session) = target.open()?.session(&SessionHandle::new(handle)).await? else {
                bail!("there is no session of that handle");
            };
            if target.json { print_json(&session) } else { show(&session) }
        }
        Command::Revoke { handles, user, target } => {
            let backend = target.open()?;
            let revoked = if let Some(user) = user {
                backend.revoke_user(user).await?
            } else {
                let handles: Vec<_> = handles.iter().map(|text| SessionHandle::new(text)).collect();
                backend.revoke(&handles).await?
            };
            if target.json {
                return print_json(&json!({ "revoked": revoked }));
            }
            for handle in &revoked {
                println!("{}", readable(handle));
            }
            println!("{} revoked", revoked.len());
            Ok(())
        }
    }
}

fn list(sessions: &[Session]) {
    let rows = sessions.iter().map(|session| {
        [
            readable(&session.handle),
            readable(&session.tenant_id),
            time(session.created_at),
            time(session.expires_at),
            session.client_label.as_deref().map(readable).unwrap_or_default(),
        ]
    });
    print_table(["HANDLE", "TENANT", "CREATED", "EXPIRES", "CLIENT"], rows);
}

fn show(session: &Session) -> anyhow::Result<()> {
    let rows = [
        ("handle", readable(&session.handle)),
        ("user", readable(&session.user_id)),
        ("tenant", readable(&session.tenant_id)),
        ("created", time(session.created_at)),
        ("expires", time(session.expires_at)),
        ("client", session.client_label.as_deref().map(readable).unwrap_or_default()),
    ];
    for (name, value) in rows {
        println!("{name:8} {value}");
    }
    println!("payload  {}", serde_json::to_string_pretty(&session.jwt_payload)?);
    println!("data     {}", serde_json::to_string_pretty(&session.session_data)?);
    Ok(())
}
