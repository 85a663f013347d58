//! What is said of one route.

use serde_json::{Map, Value, json};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Anyone.
    Nobody,
    /// A session, an API key or an access token.
    User,
    /// An agent's access token.
    Agent,
    /// A platform credential.
    Platform,
    /// A SCIM token. Problems come in SCIM's form.
    Scim,
}

/// What a body looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Nothing.
    Empty,
    /// JSON of this schema of `schemas.json`.
    Json(&'static str),
    /// SCIM's JSON of this schema of `schemas.json`.
    Scim(&'static str),
    /// Something else, by its media type.
    Other(&'static str),
}

impl Shape {
    fn content(self) -> Option<Value> {
        match self {
            Self::Empty => None,
            Self::Json(name) => Some(json!({ "application/json": { "schema": reference(name) } })),
            Self::Scim(name) => Some(json!({ "application/scim+json": { "schema": reference(name) } })),
            Self::Other(kind) => Some(json!({ kind: { "schema": { "type": "string" } } })),
        }
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// What a door says of a route.
#[derive(Debug, Clone)]
pub struct Op {
    name: &'static str,
    summary: &'static str,
    login: Login,
    takes: Shape,
    answers: Vec<(u16, &'static str, Shape)>,
    errors: Vec<(u16, &'static str)>,
    parameters: Vec<Value>,
}

impl Op {
    /// A route with a name of its own, in one sentence.
    #[must_use]
    pub const fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            name,
            summary,
            login: Login::Nobody,
            takes: Shape::Empty,
            answers: Vec::new(),
            errors: Vec::new(),
            parameters: Vec::new(),
        }
    }

    /// Who may call it.
    #[must_use]
    pub const fn by(mut self, login: Login) -> Self {
        self.login = login;
        self
    }

    /// What it takes.
    #[must_use]
    pub const fn takes(mut self, shape: Shape) -> Self {
        self.takes = shape;
        self
    }

    /// What it answers.
    #[must_use]
    pub fn answers(mut self, status: u16, meaning: &'static str, shape: Shape) -> Self {
        self.answers.push((status, meaning, shape));
        self
    }

    /// How it refuses, beyond what follows from who may call it and what it takes.
    #[must_use]
    pub fn refuses(mut self, status: u16, codes: &'static str) -> Self {
        self.errors.push((status, codes));
        self
    }

    /// A parameter in the query.
    #[must_use]
    pub fn query(mut self, name: &'static str, kind: &'static str, meaning: &'static str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "query", "required": false, "description": meaning, "schema": { "type": kind },
        }));
        self
    }

    /// A header that is looked at.
    #[must_use]
    pub fn header(mut self, name: &'static str, meaning: &'static str) -> Self {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": meaning, "schema": { "type": "string" },
        }));
        self
    }
}

/// A route as it is described.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) op: Op,
}

impl Operation {
    pub(super) fn describe(&self) -> Value {
        let op = &self.op;
        let mut described = json!({
            "operationId": op.name,
            "summary": op.summary,
            "tags": [self.path.split('/').nth(1).unwrap_or_default()],
            "parameters": self.parameters(),
            "responses": self.responses(),
        });
        if let Some(content) = op.takes.content() {
            described["requestBody"] = json!({ "required": true, "content": content });
        }
        let security = match op.login {
            Login::Nobody => return described,
            Login::User => json!([{ "session": [] }, { "bearer": [] }]),
            Login::Agent => json!([{ "agent": [] }]),
            Login::Platform => json!([{ "platform": [] }]),
            Login::Scim => json!([{ "scim": [] }]),
        };
        described["security"] = security;
        described
    }

    fn changes(&self) -> bool {
        self.method != "get"
    }

    fn parameters(&self) -> Vec<Value> {
        let mut parameters: Vec<Value> = self
            .path
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split('}').next())
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        parameters.extend(self.op.parameters.iter().cloned());
        if self.changes() && self.op.login != Login::Nobody {
            parameters.push(json!({
                "name": "Idempotency-Key", "in": "header", "required": false, "schema": { "type": "string", "maxLength": 255 },
                "description": "The same key with the same body has the first answer again; with another body it is 422.",
            }));
        }
        parameters
    }

    fn responses(&self) -> Value {
        let op = &self.op;
        let mut responses = Map::new();
        for (status, meaning, shape) in &op.answers {
            let mut answer = json!({ "description": meaning });
            if let Some(content) = shape.content() {
                answer["content"] = content;
            }
            responses.insert(status.to_string(), answer);
        }
        for (status, codes) in self.refusals() {
            let slot = responses.entry(status.to_string()).or_insert_with(|| {
                let (kind, schema) = match op.login {
                    Login::Scim => ("application/scim+json", "ScimError"),
                    _ => ("application/problem+json", "Problem"),
                };
                json!({ "description": "", "content": { kind: { "schema": reference(schema) } } })
            });
            let said = slot["description"].as_str().unwrap_or_default();
            slot["description"] = if said.is_empty() {
                codes.into()
            } else {
                format!("{said}, {codes}").into()
            };
        }
        Value::Object(responses)
    }

    /// The route's own refusals and those that follow from its kind.
    fn refusals(&self) -> Vec<(u16, &'static str)> {
        let op = &self.op;
        let mut refusals = Vec::new();
        if op.takes != Shape::Empty {
            let other: &[_] = match op.takes {
                Shape::Json(_) => &[(400, "MALFORMED_JSON, BODY_BROKEN"), (422, "BAD_INPUT")],
                Shape::Scim(_) => &[(400, "MALFORMED_JSON, BODY_BROKEN, BAD_INPUT")],
                Shape::Empty | Shape::Other(_) => &[(400, "BODY_BROKEN"), (422, "BAD_INPUT")],
            };
            refusals.extend(other);
            refusals.extend([
                (408, "BODY_TOO_SLOW"),
                (413, "BODY_TOO_LONG"),
                (415, "UNSUPPORTED_MEDIA_TYPE"),
            ]);
        }
        if op.login != Login::Nobody {
            refusals.push((401, "UNAUTHENTICATED"));
            refusals.push((403, "FORBIDDEN"));
        }
        if op.login == Login::User && self.changes() {
            refusals.push((403, "CSRF_TOKEN, CROSS_SITE"));
        }
        if self.path.contains('{') {
            refusals.push((404, "NOT_FOUND"));
        }
        if op.login != Login::Nobody || self.changes() {
            refusals.push((429, "RATE_LIMITED"));
            refusals.push((503, "UNAVAILABLE, BUSY, TIMEOUT"));
        }
        refusals.extend(&op.errors);
        refusals
    }
}
