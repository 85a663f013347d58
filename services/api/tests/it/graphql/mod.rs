//! `/graphql` and `/graphql/ws`, as clients use them.

mod changes;
mod eligible;
mod fields;
mod http;
mod inventory;
mod limits;
mod requests;
mod socket;

use axum::http::{Method, header};
use serde_json::{Value, json};

use crate::world::{Browser, Reply, World, request};

/// Sends a document as somebody with a session.
pub async fn ask(browser: &Browser<'_>, query: &str, variables: Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    browser.post("/graphql", &body).await.expect(200).json()
}

/// The data of a document that has to be answered whole.
pub async fn data(browser: &Browser<'_>, query: &str, variables: Value) -> Value {
    let answer = ask(browser, query, variables).await;
    assert_eq!(answer["errors"], Value::Null, "{query}: {answer}");
    answer["data"].clone()
}

/// The code of the one error that a document has to be answered with.
pub async fn code(browser: &Browser<'_>, query: &str, variables: Value) -> String {
    let answer = ask(browser, query, variables).await;
    let errors = answer["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{query}: {answer}"));
    assert_eq!(errors.len(), 1, "{answer}");
    errors[0]["extensions"]["code"].as_str().unwrap().to_owned()
}

/// One mutation of this name with this input; `fields` are asked of its payload.
pub async fn change(browser: &Browser<'_>, name: &str, input: Value, fields: &str) -> Value {
    let data = data(browser, &mutation(name, fields), json!({ "input": input })).await;
    data[name].clone()
}

/// As [`change`], for one that has to be refused.
pub async fn refused(browser: &Browser<'_>, name: &str, input: Value) -> String {
    code(browser, &mutation(name, "__typename"), json!({ "input": input })).await
}

fn mutation(name: &str, fields: &str) -> String {
    let kind = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
    format!("mutation {kind}($input: {kind}Input!) {{ {name}(input: $input) {{ {fields} }} }}")
}

/// Sends a body with these headers beside those of the session.
pub async fn send(world: &World, browser: &Browser<'_>, headers: &[(&'static str, &str)], body: &Value) -> Reply {
    let ask = request(Method::POST, "/graphql")
        .with(header::COOKIE, &browser.cookie)
        .with("x-csrf-token", &browser.csrf);
    let ask = headers.iter().fold(ask, |ask, (name, value)| ask.with(*name, value));
    world.send(ask.json(body)).await
}
