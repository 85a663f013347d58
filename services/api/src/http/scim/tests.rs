//! Filters and patches on their own.

use serde_json::{Map, Value, json};

use super::{
    filter::{DEPTH_MAX, FILTER_MAX, Filter, TERMS_MAX},
    patch::{OPERATIONS_MAX, Patch},
    schema::{ENTERPRISE, Resource},
    show::Wanted,
    users,
};

fn dana() -> Value {
    json!({
        "id": "usr_1", "userName": "Dana@Example.test", "externalId": "00uA", "active": true, "title": "Engineer (QA)",
        "name": { "givenName": "Dana", "familyName": "Doe" },
        "emails": [
            { "value": "dana@example.test", "type": "work", "primary": true },
            { "value": "dana@home.test", "type": "home" }
        ],
        "meta": { "created": "2026-03-02T09:00:00.000Z" },
        ENTERPRISE: { "department": "Sales", "manager": { "value": "usr_2" } },
    })
}

fn holds(filter: &str) -> bool {
    Filter::parse(filter)
        .and_then(|filter| filter.matches(Resource::User, &dana()))
        .unwrap_or_else(|problem| panic!("{filter}: {problem:?}"))
}

fn refused(filter: &str) -> (&'static str, String) {
    let problem = Filter::parse(filter)
        .and_then(|filter| filter.matches(Resource::User, &dana()))
        .expect_err(filter);
    (problem.code(), problem.refusal().message.clone())
}

#[test]
fn every_operator_compares_as_the_attribute_says() {
    for filter in [
        r#"userName eq "dana@example.test""#,
        r#"USERNAME EQ "DANA@EXAMPLE.TEST""#,
        r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "DANA""#,
        r#"externalId eq "00uA""#,
        r#"externalId ne "00ua""#,
        r#"userName co "@example""#,
        r#"userName ew ".TEST""#,
        r#"title pr"#,
        r#"title eq "engineer (qa)""#,
        "active eq true",
        r#"active eq "True""#,
        "active ne false",
        r#"meta.created gt "2026-03-02T08:59:59Z""#,
        r#"meta.created ge "2026-03-02T10:00:00+01:00""#,
        r#"meta.created lt "2026-03-03T00:00:00Z""#,
        r#"meta.created le "2026-03-02T09:00:00Z""#,
        r#"name.familyName gt "Dance""#,
        r#"emails eq "dana@home.test""#,
        r#"emails.type eq "home""#,
        r#"emails[type eq "home" and value ew "home.test"]"#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "sales""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "usr_2""#,
        "nickName eq null",
        r#"unknown ne "x""#,
    ] {
        assert!(holds(filter), "{filter}");
    }
    for filter in [
        r#"externalId eq "00ua""#,
        "nickName pr",
        "emails[type eq \"work\" and value ew \"home.test\"]",
        r#"emails ne "dana@home.test""#,
        "unknown pr",
        r#"unknown eq "x""#,
        "active eq false",
    ] {
        assert!(!holds(filter), "{filter}");
    }
}

#[test]
fn and_binds_closer_than_or_and_brackets_closer_than_both() {
    assert!(holds(r#"title pr or nickName pr and active eq false"#));
    assert!(!holds(r#"(title pr or nickName pr) and active eq false"#));
    assert!(holds(r#"not (nickName pr) and not(active eq false)"#));
    assert!(holds(r#"((title pr))"#));
}

#[test]
fn a_filter_that_is_none_is_refused_with_the_place() {
    for filter in [
        "userName",
        "userName eq",
        "userName is \"x\"",
        "eq \"x\"",
        "userName eq 'x'",
        "userName eq \"x",
        "(userName pr",
        "userName pr)",
        "userName pr userName pr",
        "emails[type eq \"x\"",
        "userName eq \"x\" and",
        "1st pr",
        "active gt true",
        "active eq \"perhaps\"",
        "userName eq 3",
        "title gt null",
        "name eq \"x\"",
        "meta.created gt \"yesterday\"",
        "usеrName pr",
    ] {
        assert_eq!(refused(filter).0, "INVALID_FILTER", "{filter}");
    }
    assert!(
        refused("title pr xor").1.contains("character 10"),
        "{:?}",
        refused("title pr xor")
    );
}

#[test]
fn a_filter_is_bounded_in_length_depth_and_terms() {
    let deep = |n: usize| format!("{}title pr{}", "(".repeat(n), ")".repeat(n));
    assert!(holds(&deep(DEPTH_MAX as usize)));
    assert_eq!(refused(&deep(DEPTH_MAX as usize + 1)).0, "INVALID_FILTER");
    let wide = |n: usize| vec!["title pr"; n].join(" or ");
    assert!(holds(&wide(TERMS_MAX as usize)));
    assert_eq!(refused(&wide(TERMS_MAX as usize + 1)).0, "INVALID_FILTER");
    let long = |n: usize| format!("title eq \"{}\"", "x".repeat(n));
    assert!(!holds(&long(FILTER_MAX - 11)));
    assert_eq!(refused(&long(FILTER_MAX)).0, "INVALID_FILTER");
}

fn patched(operations: Value) -> Result<Map<String, Value>, &'static str> {
    let Value::Object(mut document) = dana() else {
        unreachable!()
    };
    let Value::Object(body) = json!({ "Operations": operations }) else {
        unreachable!()
    };
    let result = Patch::read(&body).and_then(|patch| patch.apply(Resource::User, &mut document));
    result.map(|()| document).map_err(|problem| problem.code())
}

#[test]
fn operations_come_in_any_case_and_paths_reach_into_lists_and_extensions() {
    let document = patched(json!([
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new@example.test" },
        { "op": "ADD", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+49 1" },
        { "op": "replace", "path": "name.familyName", "value": "Roe" },
        { "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter", "value": "7" },
        { "op": "Replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "usr_3" },
        { "op": "remove", "path": "title" },
        { "op": "remove", "path": "emails[type eq \"home\"]" },
        { "op": "replace", "path": "roles[primary eq \"True\"].value", "value": "ignored" },
    ]))
    .unwrap();
    assert_eq!(
        document["emails"],
        json!([{ "value": "new@example.test", "type": "work", "primary": true }])
    );
    assert_eq!(
        document["phoneNumbers"],
        json!([{ "type": "mobile", "value": "+49 1" }])
    );
    assert_eq!(document["name"], json!({ "givenName": "Dana", "familyName": "Roe" }));
    assert_eq!(document[ENTERPRISE]["costCenter"], "7");
    assert!(!document.contains_key("title") && !document.contains_key("roles"));
    let wanted = users::wanted(&document, true).unwrap();
    assert_eq!(wanted.email, "new@example.test");
    assert_eq!(
        wanted.profile.attributes[ENTERPRISE]["manager"],
        json!({ "value": "usr_3" })
    );
}

#[test]
fn a_value_without_a_path_has_paths_for_names() {
    let document = patched(json!([{ "op": "Add", "value": {
        "displayName": "D. Roe", "name.familyName": "Roe", "emails[type eq \"work\"].value": "d@example.test",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Law", "id": "other", "unknown": 1,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "division": "North" }, "active": "False"
    } }]))
    .unwrap();
    assert_eq!(
        (&document["displayName"], &document["id"]),
        (&json!("D. Roe"), &json!("usr_1"))
    );
    assert_eq!(document["name"]["familyName"], "Roe");
    assert_eq!(document["emails"][0]["value"], "d@example.test");
    assert_eq!(document[ENTERPRISE]["department"], "Law");
    assert_eq!(document[ENTERPRISE]["division"], "North");
    assert!(!users::wanted(&document, true).unwrap().active);
}

#[test]
fn a_patch_that_cannot_be_carried_out_is_refused_by_its_kind() {
    for (operations, code) in [
        (json!([{ "op": "swap", "path": "title" }]), "INVALID_SYNTAX"),
        (json!(["x"]), "INVALID_SYNTAX"),
        (json!([{ "op": "remove" }]), "NO_TARGET"),
        (
            json!([{ "op": "replace", "path": "emails[type co \"x\"].value", "value": "y" }]),
            "NO_TARGET",
        ),
        (json!([{ "op": "replace", "path": "id", "value": "x" }]), "MUTABILITY"),
        (json!([{ "op": "add", "path": "groups", "value": [] }]), "MUTABILITY"),
        (
            json!([{ "op": "add", "path": "emails[type eq", "value": "x" }]),
            "INVALID_PATH",
        ),
        (
            json!([{ "op": "add", "path": "emails[type eq]", "value": "x" }]),
            "INVALID_FILTER",
        ),
        (json!([{ "op": "add", "path": "..", "value": "x" }]), "INVALID_PATH"),
        (
            json!([{ "op": "add", "path": "a".repeat(2_000), "value": "x" }]),
            "INVALID_PATH",
        ),
        (json!([{ "op": "add", "value": "x" }]), "BAD_INPUT"),
        (
            Value::Array(vec![json!({ "op": "remove", "path": "title" }); OPERATIONS_MAX + 1]),
            "TOO_MANY",
        ),
    ] {
        assert_eq!(patched(operations.clone()), Err(code), "{operations:.80}");
    }
    // What is gone already is removed without complaint: identity providers send it twice.
    assert!(patched(json!([{ "op": "remove", "path": "emails[value eq \"gone\"]" }])).is_ok());
}

#[test]
fn members_are_added_and_removed_in_every_way_that_is_in_use() {
    let mut document = Map::from_iter([("members".to_owned(), json!([{ "value": "a" }, { "value": "b" }]))]);
    let Value::Object(body) = json!({ "Operations": [
        { "op": "Add", "path": "members", "value": [{ "$ref": null, "value": "c" }] },
        { "op": "add", "value": { "members": [{ "value": "d", "display": "D" }] } },
        { "op": "Remove", "path": "members", "value": [{ "value": "a" }] },
        { "op": "remove", "path": "members[value eq \"b\"]" },
    ] }) else {
        unreachable!()
    };
    Patch::read(&body)
        .unwrap()
        .apply(Resource::Group, &mut document)
        .unwrap();
    let values: Vec<_> = document["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["value"].clone())
        .collect();
    assert_eq!(values, ["c", "d"]);
}

#[test]
fn what_is_not_known_is_ignored_and_what_is_known_has_to_be_of_its_kind() {
    let body = |more: Value| {
        let Value::Object(mut map) = dana() else { unreachable!() };
        map.extend(more.as_object().unwrap().clone());
        map
    };
    let wanted = users::wanted(
        &body(json!({ "password": "secret", "x": { "y": 1 }, "Active": "TRUE" })),
        true,
    )
    .unwrap();
    assert!(!format!("{wanted:?}").contains("secret"));
    for (more, field) in [
        (json!({ "active": "perhaps" }), "active"),
        (json!({ "userName": "" }), "userName"),
        (json!({ "userName": 7 }), "userName"),
        (json!({ "userName": "da\u{202e}na" }), "userName"),
        (json!({ "displayName": "a\u{0007}" }), "displayName"),
        (json!({ "title": "x".repeat(2_000) }), "title"),
        (json!({ "name": "Dana" }), "name"),
        (json!({ "emails": [{ "value": ["x"] }] }), "emails[0].value"),
        (json!({ "emails": vec![json!({ "value": "x@y" }); 51] }), "emails"),
        (json!({ "userName": "dana", "emails": [] }), "emails"),
    ] {
        let problem = users::wanted(&body(more.clone()), true).unwrap_err();
        assert_eq!(problem.refusal().field.as_deref(), Some(field), "{more:.80}");
    }
}

#[test]
fn wanted_attributes_are_shown_and_id_and_schemas_always() {
    let Value::Object(document) = dana() else {
        unreachable!()
    };
    let names = |only: &str, without: &str| {
        let list = |text: &str| if text.is_empty() { vec![] } else { vec![text.to_owned()] };
        let map = Wanted::new(&list(only), &list(without)).of(document.clone());
        (map.keys().cloned().collect::<Vec<_>>().join(" "), Value::Object(map))
    };
    assert_eq!(names("USERNAME, emails.value", "").0, "emails id userName");
    assert_eq!(
        names("emails.value", "").1["emails"][0],
        json!({ "value": "dana@example.test" })
    );
    let (kept, map) = names("", "emails.type,id,title");
    assert!(kept.contains("id") && !kept.contains("title"));
    assert_eq!(map["emails"][1], json!({ "value": "dana@home.test" }));
}
