//! Sessions as rows.

use sessile_core::{
    SessionHandle,
    clock::Timestamp,
    rotation::TokenHash,
    store::{Owner, SessionRecord},
};
use tokio_postgres::{Row, types::FromSql};

use crate::failure::Failure;

/// The columns of a [`SessionRecord`] in the order in which [`session`] reads them, of the session
/// `s` and what is kept beside it, `e`.
macro_rules! columns {
    () => {
        concat!(crate::record::kept_columns!(), ", {primary_user|s.app_id|s.user_id}")
    };
}

/// The same but for the last, which is not kept with the session. A SuperTokens core replaces the
/// token and leaves the sealed child, which is then none; and it moves the expiry and knows of no
/// end.
macro_rules! kept_columns {
    () => {
        "s.session_handle, s.user_id, s.refresh_token_hash_2, s.prev_refresh_token_hash_2, \
         s.refresh_token_rotated_at, \
         CASE WHEN e.sealed_child_hash = s.refresh_token_hash_2 THEN e.sealed_child END, \
         coalesce(s.jwt_user_payload, '{}'), coalesce(s.session_data, '{}'), \
         s.created_at_time, least(s.expires_at, e.ends_at), e.ends_at, e.client_label, \
         s.use_static_key"
    };
}

/// Names for the [`columns`] in another statement that they are read from.
macro_rules! column_names {
    () => {
        "session_handle, user_id, refresh_token_hash, previous_refresh_token_hash, rotated_at, \
         sealed_child, jwt_payload, session_data, created_at, expires_at, ends_at, client_label, \
         use_static_key, primary_user_id"
    };
}

/// That the session `$s` is the one that `$other`, or three expressions, name.
macro_rules! same_session {
    ($s:literal, $app:literal, $tenant:literal, $handle:literal) => {
        concat!(
            $s,
            ".app_id = ",
            $app,
            " AND ",
            $s,
            ".tenant_id = ",
            $tenant,
            " AND ",
            $s,
            ".session_handle = ",
            $handle
        )
    };
    ($s:literal, $other:literal) => {
        concat!(
            $s,
            ".app_id = ",
            $other,
            ".app_id AND ",
            $s,
            ".tenant_id = ",
            $other,
            ".tenant_id AND ",
            $s,
            ".session_handle = ",
            $other,
            ".session_handle"
        )
    };
}

/// What is kept beside the session `s`, if there is anything.
macro_rules! beside_session {
    () => {
        concat!(" LEFT JOIN {sessile_session} e ON ", same_session!("e", "s"))
    };
}

pub(crate) use {beside_session, column_names, columns, kept_columns, same_session};

/// Reads the [`columns`], which begin at column `first`.
pub(crate) fn session(row: &Row, first: usize) -> Result<SessionRecord, Failure> {
    let hash = |column| column_of::<&str>(row, column).and_then(hash_from_text);
    let time = |column| column_of(row, column).map(Timestamp::from_millis);
    let Owner { user_id, primary_user_id } = owner(row, first + 1, first + 13)?;
    Ok(SessionRecord {
        handle: SessionHandle::new(column_of(row, first)?),
        user_id,
        primary_user_id,
        refresh_token_hash: hash(first + 2)?,
        previous_refresh_token_hash: column_of::<Option<&str>>(row, first + 3)?
            .map(hash_from_text)
            .transpose()?,
        rotated_at: column_of::<Option<i64>>(row, first + 4)?.map(Timestamp::from_millis),
        sealed_child: column_of(row, first + 5)?,
        jwt_payload: column_of(row, first + 6)?,
        session_data: column_of(row, first + 7)?,
        created_at: time(first + 8)?,
        expires_at: time(first + 9)?,
        ends_at: column_of::<Option<i64>>(row, first + 10)?
            .map_or(Timestamp::MAX, Timestamp::from_millis),
        client_label: column_of(row, first + 11)?,
        use_static_key: column_of(row, first + 12)?,
    })
}

/// Reads the account in one column, and its primary user in another.
pub(crate) fn owner(row: &Row, account: usize, primary_user: usize) -> Result<Owner, Failure> {
    let user_id: String = column_of(row, account)?;
    let primary_user_id: Option<String> = column_of(row, primary_user)?;
    // An account may be its own primary user.
    let primary_user_id = primary_user_id.filter(|primary_user| *primary_user != user_id);
    Ok(Owner { user_id, primary_user_id })
}

/// The value of a column.
pub(crate) fn column_of<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Failure> {
    row.try_get(column).map_err(|error| Failure::of_statement(&error))
}

/// The hash in lower-case hexadecimal digits, as SuperTokens' core keeps it.
pub(crate) fn hash_to_text(hash: &TokenHash) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in hash.as_bytes() {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn hash_from_text(text: &str) -> Result<TokenHash, Failure> {
    const UNREADABLE: Failure =
        Failure::Value("the hash of a refresh token in the database is not 64 hexadecimal digits");
    let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| UNREADABLE)?;
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(UNREADABLE),
    };
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks().0) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Ok(TokenHash::from_bytes(bytes))
}

/// Whether PostgreSQL can have a text: it keeps all but the NUL character.
pub(crate) fn can_be_kept(text: &str) -> bool {
    !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_64_lower_case_digits() {
        let hash = TokenHash::from_bytes(std::array::from_fn(|index| (index * 8) as u8));
        let text = hash_to_text(&hash);
        assert!(text.starts_with("0008101820") && text.len() == 64, "{text}");
        assert!(hash_from_text(&text).is_ok_and(|read| read == hash));
        assert!(hash_from_text(&text.to_uppercase()).is_ok_and(|read| read == hash));
        for bad in [
            "",
            "00",
            &"g".repeat(64),
            &"/".repeat(64),
            &"@".repeat(64),
            &"0".repeat(63),
            &"ä".repeat(32),
        ] {
            assert!(hash_from_text(bad).is_err(), "{bad}");
        }
    }
}
