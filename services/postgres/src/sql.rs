//! The few statements with names in them that cannot be parameters.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::error::{Doing, Error};

/// The port in the socket's file name. No network port is opened.
pub(crate) const PORT: u16 = 5432;

/// The address of a database behind a socket, understood by sqlx and by libpq (`psql ADDRESS`).
pub(crate) fn socket_url(socket_dir: &Path, role: &str, database: &str) -> String {
    let host = encode(&socket_dir.to_string_lossy());
    format!("postgres://{}@{host}:{PORT}/{}", encode(role), encode(database))
}

/// Percent-encodes everything but letters, digits, `-`, `_` and `.`.
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// A name as a quoted identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) async fn connect(url: &str) -> Result<PgConnection, Error> {
    PgConnection::connect(url)
        .await
        .doing(|| "connect to PostgreSQL".to_owned())
}

/// Runs one statement that was put together from quoted identifiers.
pub(crate) async fn run(connection: &mut PgConnection, statement: String) -> Result<(), Error> {
    let what = || format!("run `{statement}`");
    connection
        .execute(AssertSqlSafe(statement.clone()))
        .await
        .doing(what)
        .map(drop)
}

pub(crate) async fn database_exists(connection: &mut PgConnection, name: &str) -> Result<bool, Error> {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .doing(|| format!("look for the database {name}"))
}

pub(crate) async fn role_exists(connection: &mut PgConnection, name: &str) -> Result<bool, Error> {
    sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .doing(|| format!("look for the role {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_socket_directory_as_its_host() {
        let url = socket_url(Path::new("/run/a b"), "portcullis_app", "main");
        assert_eq!(url, "postgres://portcullis_app@%2Frun%2Fa%20b:5432/main");
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        assert_eq!(options.get_socket().unwrap(), Path::new("/run/a b"));
        assert_eq!(
            (options.get_username(), options.get_database()),
            ("portcullis_app", Some("main"))
        );
    }

    #[test]
    fn quotes_inside_a_name_are_doubled() {
        assert_eq!(identifier("a\"; drop"), "\"a\"\"; drop\"");
    }
}
