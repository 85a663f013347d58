//! What the catalogue says: every tenant table is walled off, every key begins with the tenant, nothing bypasses the
//! walls, and the log is append-only. Runs over whatever tables all migrations have made.

use sqlx::{AssertSqlSafe, PgPool, Row};

use crate::world::{World, join};

/// Without row-level security (`docs/quality.md § 2`): tables with ids, positions and times only, in which a tenant is
/// found before anything else is known, and the platform's own, which belong to no tenant.
const ROUTING: [&str; 7] = [
    "tenant",
    "tenant_head",
    "projection_checkpoint",
    "tenant_work",
    "endpoint_route",
    "platform_credential",
    "tenant_purge",
];

/// Everything in the catalogue that breaks a rule.
async fn offences(admin: &PgPool) -> Vec<String> {
    let rows = sqlx::query(
        "with t as (
           select c.oid, c.relname, c.relkind, c.relrowsecurity and c.relforcerowsecurity as walled
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
             and c.relname <> all ($1)
         )
         select format('%s is not walled off by forced row-level security', relname) as offence from t where not walled
         union all
         select format('%s has no policy on app.tenant', relname) from t where not exists (
           select from pg_policy p where p.polrelid = t.oid
             and pg_get_expr(p.polqual, p.polrelid) like '%tenant_id = (current_setting(''app.tenant''::text))::uuid%')
         union all
         select format('%s has a policy that lets more through', relname) from t join pg_policy p on p.polrelid = t.oid
           where pg_get_expr(p.polqual, p.polrelid) not like '%current_setting(''app.tenant''::text)%'
             or pg_get_expr(p.polqual, p.polrelid) like '% OR %'
         union all
         select format('index %s does not begin with tenant_id', i.indexrelid::regclass)
           from t join pg_index i on i.indrelid = t.oid
           left join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
           where a.attname is distinct from 'tenant_id'
         union all
         select format('%s is owned by the server''s role', relname) from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and pg_get_userbyid(c.relowner) like 'portcullis%'
         union all
         select format('%s is a view that does not check its caller', c.relname) from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and (c.relkind = 'm' or (c.relkind = 'v'
             and not coalesce(c.reloptions @> array['security_invoker=true'], false)))
         union all
         select format('%s is forgotten by the purge', c.relname) from pg_class c
           join pg_namespace n on n.oid = c.relnamespace
           where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
             and c.relname not in ('tenant', 'tenant_purge', 'platform_credential', '_sqlx_migrations')
             and not (
               exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id'
                 and not a.attisdropped)
               and has_table_privilege('portcullis_purge', c.oid, 'select')
               and has_table_privilege('portcullis_purge', c.oid, 'delete'))
         union all
         select format('function %s sees through the walls', p.proname) from pg_proc p
           join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'public' and (p.prosecdef or p.proleakproof)
         union all
         select format('role %s is not bound by row-level security', rolname) from pg_roles
           where rolname like 'portcullis%' and (rolsuper or rolbypassrls)",
    )
    .bind(&ROUTING[..])
    .fetch_all(admin)
    .await
    .unwrap();
    rows.iter().map(|row| row.get("offence")).collect()
}

#[tokio::test]
async fn every_tenant_table_is_walled_off_and_every_index_begins_with_the_tenant() {
    let world = World::new().await;
    assert_eq!(offences(&world.admin).await, Vec::<String>::new());
}

/// The broken variants: each is named.
#[tokio::test]
async fn control_the_catalogue_check_names_each_hole() {
    let world = World::new().await;
    sqlx::raw_sql(
        "alter table claim no force row level security;
         create index by_type on events (event_type);
         create view peep as select * from events;
         create materialized view hoard as select * from stream;
         create table loose (tenant_id uuid primary key);
         create table nameless (id uuid primary key);
         create policy wider on stream using (tenant_id = current_setting('app.tenant')::uuid or true);
         create function through() returns int language sql security definer as 'select 1';",
    )
    .execute(&world.admin)
    .await
    .unwrap();
    let found = offences(&world.admin).await.join("\n");
    for hole in [
        "claim is not walled off",
        "loose is not walled off",
        "loose has no policy",
        "loose is forgotten by the purge",
        "nameless is forgotten by the purge",
        "stream has a policy that lets more through",
        "by_type does not begin with tenant_id",
        "peep is a view",
        "hoard is a view",
        "function through sees",
    ] {
        assert!(found.contains(hole), "{hole} is missing in\n{found}");
    }
}

#[tokio::test]
async fn the_log_refuses_to_be_changed_by_the_server_and_by_its_owner() {
    let world = World::new().await;
    let tenant = world.tenant.uuid();
    let set = format!("set app.tenant = '{tenant}';");
    let change = [
        "update events set event_type = 'x'",
        "delete from events",
        "truncate events",
    ];
    let app = PgPool::connect(&world.database.url_app).await.unwrap();
    for (pool, who) in [(&app, "the server"), (&world.admin, "the owner")] {
        for table in ["events", "command"] {
            for statement in change {
                let statement = statement.replace("events", table).replace("event_type", "stream_type");
                let error = sqlx::raw_sql(AssertSqlSafe(format!("{set} {statement}")))
                    .execute(pool)
                    .await
                    .expect_err(&format!("{who}: {statement}"));
                let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default();
                assert_eq!(code, "42501", "{who}: {statement}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_role_that_sees_every_tenant_is_refused_by_the_server() {
    let world = World::new().await;
    let refused = eventstore::connect(&world.database.url_admin, 1).await;
    assert!(matches!(refused, Err(eventstore::ConnectError::Role(_))), "{refused:?}");
}

#[tokio::test]
async fn migrations_run_twice_change_nothing() {
    let world = World::new().await;
    join(&world.store, world.tenant, world.id(), "a@example.test")
        .await
        .unwrap();
    eventstore::migrate(&world.admin).await.unwrap();
    assert_eq!(world.positions(world.tenant).await, [1, 2]);
}
