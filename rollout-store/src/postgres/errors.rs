//! What the errors of a server mean.

use std::io;

use postgres::Error;
use postgres::error::SqlState;

use crate::error::{OpenError, StoreError};

/// Why there is no connection.
pub(super) fn not_connected(error: &Error) -> OpenError {
    let why = told(error);
    let Some(code) = error.code() else {
        // The library keeps the kind to itself, but has a text for each.
        return match error.to_string().as_str() {
            "error performing TLS handshake" => OpenError::Tls(why),
            "invalid configuration" | "authentication error" => OpenError::Login(why),
            _ => OpenError::Unreachable(why),
        };
    };
    match code {
        &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            OpenError::Login(why)
        }
        &SqlState::INVALID_CATALOG_NAME => OpenError::NoDatabase(why),
        &SqlState::INSUFFICIENT_PRIVILEGE => {
            OpenError::NotAllowed { may_not: "connect to the database", why }
        }
        _ => OpenError::Unreachable(why),
    }
}

/// Whether the connection is gone, or of no use any more.
pub(super) fn is_loss(error: &Error) -> bool {
    use std::error::Error as _;
    const LOST: [SqlState; 4] = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    if let Some(code) = error.code() {
        return code.code().starts_with("08") || LOST.contains(code);
    }
    let garbled = ["unexpected message from server", "error parsing response from server"];
    error.is_closed()
        || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>)
        || garbled.contains(&error.to_string().as_str())
}

/// What an error of a connection that is there means.
pub(super) fn problem(error: &Error) -> StoreError {
    let why = told(error);
    match error.code() {
        Some(&SqlState::DISK_FULL) => StoreError::Full,
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION | &SqlState::INSUFFICIENT_PRIVILEGE) => {
            StoreError::ReadOnly
        }
        Some(
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::QUERY_CANCELED
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::T_R_SERIALIZATION_FAILURE,
        ) => StoreError::Busy,
        Some(
            &SqlState::DATA_CORRUPTED
            | &SqlState::INDEX_CORRUPTED
            | &SqlState::UNDEFINED_TABLE
            | &SqlState::UNDEFINED_COLUMN,
        ) => StoreError::Damaged(why),
        _ => StoreError::Database(why),
    }
}

/// An error of the library with its causes. It never has the password.
pub(super) fn told(error: &Error) -> String {
    use std::error::Error as _;
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
