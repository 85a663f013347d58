//! A master key behind a program: a small key service of a shell script, run as a process.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use eventstore::{CommandMasterKey, LocalMasterKey, MasterKey, MasterKeyError, Vault, VaultError};
use tempfile::TempDir;

use crate::world::{MASTER, World};

/// Keeps what it wraps in a file under a random name, and gives it back to whoever names it as it was named.
const SERVICE: &str = r#"#!/bin/sh
set -eu
dir=$1
read -r name
read -r data
case $2 in
wrap)
  id=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
  printf '%s\n%s\n' "$name" "$data" > "$dir/$id"
  printf %s "$id" | base64
  ;;
unwrap)
  id=$(printf %s "$data" | base64 -d)
  { read -r bound; read -r secret; } < "$dir/$id"
  [ "$bound" = "$name" ] || { echo "bound to another name" >&2; exit 3; }
  printf '%s\n' "$secret"
  ;;
esac
"#;

fn program(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn service(dir: &TempDir, key: &str) -> CommandMasterKey {
    let kept = dir.path().join(key);
    fs::create_dir_all(&kept).unwrap();
    let command = [
        program(dir.path(), "service", SERVICE),
        kept.to_str().unwrap().to_owned(),
    ];
    CommandMasterKey::new(&command, key).unwrap()
}

#[tokio::test]
async fn tenants_keys_are_opened_by_the_service_and_by_nothing_else() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let (pool, ambient) = (world.store.pool().clone(), world.ambient.clone());
    let local = Arc::new(LocalMasterKey::from_bytes(MASTER));
    let moving = Vault::new(
        pool.clone(),
        ambient.clone(),
        Arc::new(service(&dir, "one")),
        vec![local.clone()],
    );
    let before = moving.tenant(world.tenant).await.unwrap();
    moving.rewrap(world.tenant).await.unwrap();

    let vault = Vault::new(pool.clone(), ambient.clone(), Arc::new(service(&dir, "one")), vec![]);
    let after = vault.tenant(world.tenant).await.unwrap();
    assert_eq!(after.mac().expose(), before.mac().expose());
    let foreign = Vault::new(pool.clone(), ambient.clone(), local, vec![]);
    assert!(matches!(
        foreign.tenant(world.tenant).await,
        Err(VaultError::ForeignMasterKey { wanted, .. }) if wanted == "kms:one"
    ));
    // The service has it, and it is nowhere in the database.
    fs::remove_dir_all(dir.path().join("one")).unwrap();
    fs::create_dir(dir.path().join("one")).unwrap();
    let without = Vault::new(pool, ambient, Arc::new(service(&dir, "one")), vec![]);
    let error = without.tenant(world.tenant).await.unwrap_err();
    assert!(
        matches!(error, VaultError::Master(MasterKeyError::Service(_))),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrapped_key_opens_under_its_name_only() {
    let dir = tempfile::tempdir().unwrap();
    let key = service(&dir, "one");
    let wrapped = key.wrap(b"tenant a", b"secret", [0; 12]).await.unwrap();
    assert_eq!(key.unwrap(b"tenant a", &wrapped).await.unwrap().as_slice(), b"secret");
    let refused = key.unwrap(b"tenant b", &wrapped).await.unwrap_err();
    assert!(refused.to_string().contains("refused to unwrap"), "{refused}");
}

#[tokio::test]
async fn a_program_that_fails_is_named_and_nothing_it_was_told_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let answers = [
        ("#!/bin/sh\nexit 1\n", "refused to wrap"),
        ("#!/bin/sh\necho '?'\n", "one line of base64"),
        ("#!/bin/sh\nexit 0\n", "nothing"),
        ("#!/bin/sh\nhead -c 100000 /dev/zero\n", "too much"),
    ];
    for (n, (text, said)) in answers.into_iter().enumerate() {
        let command = [program(dir.path(), &format!("bad{n}"), text)];
        let key = CommandMasterKey::new(&command, "one").unwrap();
        let error = key.wrap(b"name", b"the secret", [0; 12]).await.unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(&command[0]), "{error}");
        assert!(
            !error.contains("the secret") && !error.contains("dGhlIHNlY3JldA"),
            "{error}"
        );
    }
    let missing = CommandMasterKey::new(&["/nowhere/at/all".to_owned()], "one").unwrap();
    let error = missing.wrap(b"name", b"secret", [0; 12]).await.unwrap_err().to_string();
    assert!(error.contains("does not start"), "{error}");
    assert!(CommandMasterKey::new(&[], "one").is_err());
    assert!(CommandMasterKey::new(&command_of("x"), "with space").is_err());
}

fn command_of(program: &str) -> [String; 1] {
    [program.to_owned()]
}
