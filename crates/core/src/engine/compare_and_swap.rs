use super::Sessions;
use crate::{
    error::{Error, GeneralError, UnauthorisedReason},
    identifier::SessionHandle,
    json::{JsonObject, data_to_text, object_from_text},
    store::{DataReplacement, DataVersion, Store},
};

/// How often [`Sessions::modify_session_data`] tries before it gives up.
const ATTEMPTS: usize = 64;

/// Session data with the version that it had when it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionedData {
    /// The data.
    pub session_data: JsonObject,
    /// Its version.
    pub version: DataVersion,
}

/// How a compare-and-swap ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "after a conflict nothing is stored"]
pub enum DataUpdate {
    /// The data was replaced.
    Updated,
    /// Another request changed the data since it was read; nothing was changed.
    Conflict,
}

impl<S: Store> Sessions<S> {
    /// The data kept with a session, with its version for
    /// [`compare_and_swap_session_data`](Self::compare_and_swap_session_data). One store call.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when there is no such session.
    pub async fn get_versioned_session_data(
        &self,
        handle: &SessionHandle,
    ) -> Result<VersionedData, Error> {
        let row = self.engine.require_session(handle).await?;
        Ok(VersionedData {
            session_data: object_from_text(&row.session_data)?,
            version: DataVersion::of(&row.session_data),
        })
    }

    /// Overwrites the data kept with a session if it is still the version that was read. One
    /// store call.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when there is no such session.
    pub async fn compare_and_swap_session_data(
        &self,
        handle: &SessionHandle,
        session_data: &JsonObject,
        version: DataVersion,
    ) -> Result<DataUpdate, Error> {
        let text = data_to_text(session_data)?;
        let (store, now) = (self.store(), self.engine.now());
        match store.replace_session_data(self.app(), handle, text, Some(version), now).await? {
            DataReplacement::Replaced => Ok(DataUpdate::Updated),
            DataReplacement::Conflict => Ok(DataUpdate::Conflict),
            DataReplacement::NoSession => Err(UnauthorisedReason::SessionNotFound.into()),
        }
    }

    /// Changes the data kept with a session so that no other request's change is lost: `change`
    /// is applied to what is stored, again if another request was first. Two store calls, and two
    /// more each time that it was.
    ///
    /// # Errors
    /// [`Error::Unauthorised`] when there is no such session;
    /// [`GeneralError::TooMuchContention`] when others keep being first.
    ///
    /// ```
    /// # use sessile_core::{NewSession, SessionService, Sessions, memory::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sessile_core::Error> {
    /// # let sessions = Sessions::builder(MemoryStore::new()).build().await?;
    /// # let issued = sessions.create_session(NewSession::new("alice")).await?;
    /// # let handle = issued.session.handle();
    /// let data = sessions
    ///     .modify_session_data(handle, |data| {
    ///         let visits = data.get("visits").and_then(|visits| visits.as_u64()).unwrap_or(0);
    ///         data.insert("visits".to_owned(), (visits + 1).into());
    ///     })
    ///     .await?;
    /// assert_eq!(data["visits"], 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn modify_session_data(
        &self,
        handle: &SessionHandle,
        mut change: impl FnMut(&mut JsonObject) + Send,
    ) -> Result<JsonObject, Error> {
        for _ in 0..ATTEMPTS {
            let VersionedData { mut session_data, version } =
                self.get_versioned_session_data(handle).await?;
            change(&mut session_data);
            match self.compare_and_swap_session_data(handle, &session_data, version).await? {
                DataUpdate::Updated => return Ok(session_data),
                DataUpdate::Conflict => {}
            }
        }
        Err(GeneralError::TooMuchContention.into())
    }
}
