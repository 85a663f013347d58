//! Databases for tests.

use std::sync::atomic::{AtomicU32, Ordering};

use postgres_supervisor::{SUPERUSER, testing};
use sqlx::Connection;

use crate::connect;

async fn exists(admin_url: &str, name: &str) -> bool {
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut connect(admin_url).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn each_test_has_an_empty_database_of_its_own_that_goes_with_it() {
    let (first, second) = (testing::database().await, testing::database().await);
    assert_ne!(first.name, second.name);
    sqlx::query("create table mine (id int)")
        .execute(&mut connect(&first.url_admin).await)
        .await
        .unwrap();
    let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
        .fetch_one(&mut connect(&second.url_app).await)
        .await
        .unwrap();
    assert_eq!(tables, 0);

    // A connection left open does not keep it.
    let open = connect(&first.url("portcullis_purge")).await;
    let name = first.name.clone();
    drop(first);
    assert!(!exists(&second.url_admin, &name).await);
    drop(open);
}

#[tokio::test]
async fn the_server_s_role_cannot_touch_the_superuser_s_tables() {
    let database = testing::database().await;
    sqlx::query("create table secret (id int)")
        .execute(&mut connect(&database.url_admin).await)
        .await
        .unwrap();
    let refused = sqlx::query("select * from secret")
        .execute(&mut connect(&database.url_app).await)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn a_template_is_migrated_once_and_copied_for_each_test() {
    let migrated = AtomicU32::new(0);
    // The key is the process's own, since the server may be shared with other runs.
    let key = format!("copied {}", std::process::id());
    let make = || {
        testing::database_from(&key, async |url: String| {
            migrated.fetch_add(1, Ordering::SeqCst);
            // Left open on purpose.
            let mut connection = sqlx::PgConnection::connect(&url).await?;
            sqlx::query("create table note as select 'from the template' as body")
                .execute(&mut connection)
                .await?;
            std::mem::forget(connection);
            Ok::<_, sqlx::Error>(())
        })
    };
    let (first, second) = tokio::join!(make(), make());
    assert_eq!(migrated.load(Ordering::SeqCst), 1);
    sqlx::query("delete from note")
        .execute(&mut connect(&first.url_admin).await)
        .await
        .unwrap();
    let body: String = sqlx::query_scalar("select body from note")
        .fetch_one(&mut connect(&second.url_admin).await)
        .await
        .unwrap();
    assert_eq!(body, "from the template");
}

#[tokio::test]
#[should_panic(expected = "could not migrate the template")]
async fn a_migration_that_fails_fails_the_test() {
    testing::database_from("fails", async |_| Err::<(), _>("no such table")).await;
}

#[tokio::test]
async fn a_failed_migration_leaves_no_template_behind() {
    let key = format!("second attempt {}", std::process::id());
    let attempt = key.clone();
    let failed = tokio::spawn(async move {
        testing::database_from(&attempt, |_| async { Err::<(), _>("not yet") }).await;
    });
    assert!(failed.await.is_err());
    let database = testing::database_from(&key, async |url: String| {
        sqlx::query("create table note (id int)")
            .execute(&mut connect(&url).await)
            .await
            .map(drop)
    })
    .await;
    sqlx::query("select from note")
        .execute(&mut connect(&database.url(SUPERUSER)).await)
        .await
        .unwrap();
}
