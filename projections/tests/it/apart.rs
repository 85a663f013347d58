//! Tenants apart: every statement of every read model finds its rows by the tenant, by itself and not only because
//! row-level security adds the condition.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::world::World;

/// The statements of the crate, each with the file it is in: the literals that are handed to `sqlx::query`.
fn statements(folder: &Path, found: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            statements(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            for piece in source.split("sqlx::query").skip(1) {
                let literal = piece.trim_start_matches("_scalar").trim_start_matches('(').trim_start();
                if let Some(literal) = literal.strip_prefix('"') {
                    let end = literal
                        .match_indices('"')
                        .find(|(at, _)| !literal[..*at].ends_with('\\'))
                        .unwrap()
                        .0;
                    found.push((path.display().to_string(), literal[..end].replace("\\\"", "\"")));
                }
            }
        }
    }
}

/// Scans of a tenant's table in a plan that don't find their rows by the tenant.
fn holes(plan: &Value, tables: &BTreeSet<String>, found: &mut Vec<String>) {
    let text = |key: &str| plan[key].as_str().unwrap_or_default();
    let plans = plan["Plans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let by_tenant = |scan: &Value| {
        scan["Index Cond"]
            .as_str()
            .is_some_and(|condition| condition.contains("tenant_id"))
    };
    let table = text("Relation Name");
    if tables.contains(table) && text("Node Type") != "ModifyTable" {
        fn all(plan: &Value, test: &dyn Fn(&Value) -> bool) -> bool {
            match plan["Node Type"].as_str() {
                Some("BitmapOr") => plan["Plans"].as_array().unwrap().iter().all(|part| all(part, test)),
                Some("BitmapAnd") => plan["Plans"].as_array().unwrap().iter().any(|part| all(part, test)),
                _ => test(plan),
            }
        }
        let whole = match text("Node Type") {
            "Bitmap Heap Scan" => all(&plans[0], &by_tenant),
            _ => by_tenant(plan),
        };
        if !whole {
            found.push(format!("{} of {table}", text("Node Type")));
        }
    }
    plans.iter().for_each(|part| holes(part, tables, found));
}

/// What is wrong with the plan of a statement. As the superuser, for whom row-level security adds nothing.
async fn explain(connection: &mut PgConnection, statement: &str, tables: &BTreeSet<String>) -> Vec<String> {
    let prepare = sqlx::raw_sql(AssertSqlSafe(format!("prepare looked_at as {statement}")));
    let prepared = prepare.execute(&mut *connection).await;
    assert!(prepared.is_ok(), "{prepared:?}: {statement}");
    let parameters: i32 =
        sqlx::query_scalar("select cardinality(parameter_types) from pg_prepared_statements where name = 'looked_at'")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    let nulls = vec!["null"; usize::try_from(parameters).unwrap()].join(", ");
    let arguments = if nulls.is_empty() {
        String::new()
    } else {
        format!("({nulls})")
    };
    let explain = format!("explain (format json) execute looked_at{arguments}");
    let plan: Value = sqlx::raw_sql(AssertSqlSafe(explain))
        .fetch_one(&mut *connection)
        .await
        .unwrap()
        .get(0);
    sqlx::raw_sql("deallocate looked_at")
        .execute(&mut *connection)
        .await
        .unwrap();
    let mut found = Vec::new();
    holes(&plan[0]["Plan"], tables, &mut found);
    found
}

#[tokio::test]
async fn every_statement_of_every_read_model_finds_its_rows_by_the_tenant() {
    let world = World::new().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class where relforcerowsecurity and relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&world.admin)
    .await
    .unwrap();
    let tables: BTreeSet<String> = tables.into_iter().collect();
    let mut all = Vec::new();
    statements(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let of_a_tenant = |statement: &str| {
        let mut words = statement.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| tables.contains(word))
    };
    all.retain(|(_, statement)| of_a_tenant(statement));
    assert!(all.len() > 100, "only {} statements were found", all.len());
    let mut connection = PgConnection::connect(&world.database.url_admin).await.unwrap();
    let settings = format!(
        "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set app.tenant = '{}'",
        world.tenant.uuid()
    );
    sqlx::raw_sql(AssertSqlSafe(settings))
        .execute(&mut connection)
        .await
        .unwrap();
    let mut wrong = Vec::new();
    for (file, statement) in &all {
        for hole in explain(&mut connection, statement, &tables).await {
            wrong.push(format!("{hole} in {file}: {statement}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));

    let forgetful = "select p.name from policy p join collection c on c.build = p.build where p.tenant_id = $1";
    assert_eq!(
        explain(&mut connection, forgetful, &tables).await.len(),
        1,
        "the check sees what was forgotten"
    );
}
