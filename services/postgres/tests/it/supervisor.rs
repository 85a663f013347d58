//! A server's life: start, restart, death, and the ways it refuses.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use postgres_supervisor::{Error, Options, SUPERUSER, Supervisor, testing};
use sqlx::Row;

use crate::{connect, eventually, is_alive};

/// Ordinary tests need no flushing to disk.
fn quick(data_dir: &Path) -> Options {
    Options {
        durable: false,
        ..Options::new(data_dir)
    }
}

#[tokio::test]
async fn a_restart_finds_the_data_and_a_stop_leaves_no_process() {
    let dir = tempfile::tempdir().unwrap();
    let first = Supervisor::start(quick(dir.path())).await.unwrap();
    first.ensure_database("kept").await.unwrap();
    first.ensure_database("kept").await.unwrap();
    sqlx::query("create table note as select 'still here' as body")
        .execute(&mut connect(&first.url("kept", SUPERUSER)).await)
        .await
        .unwrap();
    first.stop().await.unwrap();
    assert!(first.exited().await.is_clean());
    assert!(!is_alive(first.pid()));
    first.stop().await.unwrap();

    let second = Supervisor::start(quick(dir.path())).await.unwrap();
    let row = sqlx::query("select body from note")
        .fetch_one(&mut connect(&second.url("kept", SUPERUSER)).await)
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "still here");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_is_durable_checked_and_reachable_through_its_private_socket_only() {
    let server = testing::server().await;
    let mut connection = connect(&server.url(SUPERUSER, SUPERUSER)).await;
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
    ] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(value, expected, "{setting}");
    }
    for private in [server.postgres().socket_dir(), server.postgres().cluster_dir()] {
        assert_eq!(
            fs::metadata(private).unwrap().permissions().mode() & 0o777,
            0o700,
            "{}",
            private.display()
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_role_is_let_in_by_its_own_name_and_has_no_rights() {
    let server = testing::server().await;
    let mut connection = connect(&server.url(SUPERUSER, "portcullis_app")).await;
    let row = sqlx::query(
        "select current_user::text, rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = current_user",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(row.get::<String, _>(0), "portcullis_app");
    assert_eq!([row.get::<bool, _>(1), row.get(2), row.get(3)], [false; 3]);
    server.stop().await;
}

#[tokio::test]
async fn a_killed_server_is_noticed_and_what_was_committed_is_there_after_the_next_start() {
    let mut server = testing::server().await;
    let exited = tokio::spawn(server.postgres().exited());
    let mut connection = connect(&server.url(SUPERUSER, SUPERUSER)).await;
    sqlx::query("create table note as select 7 as number")
        .execute(&mut connection)
        .await
        .unwrap();
    server.postgres().kill().await;
    let exit = exited.await.unwrap();
    assert!(!exit.is_clean(), "{exit}");

    // Its orphaned children may still be there: the start waits for them.
    server.restart().await;
    let number: i32 = sqlx::query_scalar("select number from note")
        .fetch_one(&mut connect(&server.url(SUPERUSER, SUPERUSER)).await)
        .await
        .unwrap();
    assert_eq!(number, 7);
    server.stop().await;
}

#[tokio::test]
async fn two_servers_never_share_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = Supervisor::start(quick(dir.path())).await.unwrap();
    let refused = Supervisor::start(quick(dir.path())).await.unwrap_err();
    assert!(matches!(refused, Error::InUse { .. }), "{refused}");
    connect(&first.url(SUPERUSER, SUPERUSER)).await;
    first.stop().await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_living_stranger_does_not_prevent_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let first = Supervisor::start(quick(dir.path())).await.unwrap();
    let pid_file = first.cluster_dir().join("postmaster.pid");
    let written = fs::read_to_string(&pid_file).unwrap();
    first.stop().await.unwrap();
    assert!(!pid_file.exists());
    // A server of the same account is the stranger that PostgreSQL itself takes for its predecessor.
    let stranger = testing::server().await;
    let forged = written.replacen(&first.pid().to_string(), &stranger.pid().to_string(), 1);
    fs::write(&pid_file, &forged).unwrap();
    fs::write(first.socket_dir().join(".s.PGSQL.5432.lock"), &forged).unwrap();

    let second = Supervisor::start(quick(dir.path())).await.unwrap();
    connect(&second.url(SUPERUSER, SUPERUSER)).await;
    second.stop().await.unwrap();
    stranger.stop().await;
}

#[tokio::test]
async fn a_long_data_directory_gets_its_socket_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(100));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let postgres = Supervisor::start(quick(&deep)).await.unwrap();
    let socket_dir = postgres.socket_dir().to_owned();
    assert!(!socket_dir.starts_with(&deep));
    connect(&postgres.url(SUPERUSER, SUPERUSER)).await;
    postgres.stop().await.unwrap();
    drop(postgres);
    assert!(!socket_dir.exists());
}

#[tokio::test]
async fn a_start_that_fails_shows_what_the_server_said() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        settings: vec![("no_such_setting".to_owned(), "1".to_owned())],
        ..quick(dir.path())
    };
    let refused = Supervisor::start(options).await.unwrap_err();
    assert!(matches!(refused, Error::NotStarted { .. }), "{refused}");
    assert!(refused.to_string().contains("no_such_setting"), "{refused}");
}

#[tokio::test]
async fn an_interrupted_first_start_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("cluster.unfinished")).unwrap();
    fs::write(dir.path().join("cluster.unfinished/half"), "").unwrap();
    let postgres = Supervisor::start(quick(dir.path())).await.unwrap();
    assert!(!postgres.cluster_dir().join("half").exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn data_of_another_major_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("cluster")).unwrap();
    fs::write(dir.path().join("cluster/PG_VERSION"), "9\n").unwrap();
    let refused = Supervisor::start(quick(dir.path())).await.unwrap_err().to_string();
    assert!(
        refused.contains("PostgreSQL 9, which made the existing data"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_dropped_server_stops_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Supervisor::start(quick(dir.path())).await.unwrap();
    let (pid, exited) = (postgres.pid(), postgres.exited());
    drop(postgres);
    assert!(exited.await.is_clean());
    eventually("the server is gone", || !is_alive(pid)).await;
}
