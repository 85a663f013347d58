//! Errors of resolvers: a [`Refusal`] on its way to `errors[].extensions` (`api-schema/errors.md`).

use async_graphql::{Error, ErrorExtensionValues, Response, ServerError, Value as GraphValue};
use commands::Refusal;
use serde_json::Value;

/// Why a resolver gives no answer. It has no `Display`, so that no `?` turns it into a bare message.
#[derive(Debug, Clone)]
pub(crate) struct Fault(Box<Refusal>);

/// What a resolver gives back.
pub(crate) type Answer<T> = Result<T, Fault>;

impl<E> From<E> for Fault
where
    Refusal: From<E>,
{
    fn from(error: E) -> Self {
        Self(Box::new(error.into()))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let refusal = *fault.0;
        let mut error = Self::new(refusal.message.clone());
        error.extensions = Some(extensions(&refusal));
        error
    }
}

impl From<Fault> for ServerError {
    fn from(fault: Fault) -> Self {
        refuse(&fault.0)
    }
}

/// The refusal of bad input that a fault is; any other fault goes on.
pub(crate) fn first_refusal(fault: Fault) -> Answer<Refusal> {
    if fault.0.code == "BAD_INPUT" {
        Ok(*fault.0)
    } else {
        Err(fault)
    }
}

/// What may not be seen looks like what does not exist; any other fault goes on.
pub(crate) fn forbidden_is_none<T>(fault: Fault) -> Answer<Option<T>> {
    if fault.0.code == "FORBIDDEN" {
        Ok(None)
    } else {
        Err(fault)
    }
}

/// A refusal of the whole document: it is about no field.
pub(crate) fn refuse(refusal: &Refusal) -> ServerError {
    let mut error = ServerError::new(refusal.message.clone(), None);
    error.extensions = Some(extensions(refusal));
    error
}

/// `code`, and what else there is to say: `field`, `problems`, `retryAfter`, and what the code is about, such as `by`
/// and `at` of `ALREADY_DECIDED`.
fn extensions(refusal: &Refusal) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    let mut put = |name: &str, value: &Value| {
        if let Ok(value) = GraphValue::from_json(value.clone()) {
            values.set(name, value);
        }
    };
    match &refusal.details {
        Some(list @ Value::Array(_)) => put("problems", list),
        Some(Value::Object(details)) => details.iter().for_each(|(name, value)| put(name, value)),
        Some(other) => put("details", other),
        None => {}
    }
    if let Some(seconds) = refusal.retry_after {
        put("retryAfter", &seconds.into());
    }
    if let Some(field) = &refusal.field {
        put("field", &field.clone().into());
    }
    put("code", &refusal.code.into());
    values
}

/// Gives those errors a code that the library itself wrote: documents that don't fit the schema, and values that don't
/// fit their type.
pub(crate) fn name_errors(response: &mut Response) {
    for error in &mut response.errors {
        let named = error
            .extensions
            .as_ref()
            .is_some_and(|values| values.get("code").is_some());
        if !named {
            let code = if error.path.is_empty() {
                "INVALID_DOCUMENT"
            } else {
                "BAD_INPUT"
            };
            error.extensions.get_or_insert_default().set("code", code);
        }
    }
}

/// The code of the first error.
pub(crate) fn first_code(response: &Response) -> Option<String> {
    let values = response.errors.first()?.extensions.as_ref()?;
    match values.get("code")? {
        GraphValue::String(code) => Some(code.clone()),
        _ => None,
    }
}

/// What the read models don't know although it was carried out.
pub(crate) fn behind(position: u64) -> Refusal {
    let message = "it was carried out; what is shown is behind for the moment";
    let mut refusal = Refusal::new("READ_MODELS_BEHIND", 503, message);
    refusal.retry_after = Some(2);
    refusal.with(serde_json::json!({ "position": position }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(refusal: Refusal) -> Value {
        serde_json::to_value(Error::from(Fault::from(refusal))).unwrap()
    }

    #[test]
    fn a_refusal_keeps_its_code_field_and_details() {
        let refusal = Refusal::new("ALREADY_DECIDED", 409, "too late").with(json!({"by": "usr_1", "status": "denied"}));
        assert_eq!(
            shown(refusal.on("digest")),
            json!({
                "message": "too late",
                "extensions": {"by": "usr_1", "status": "denied", "field": "digest", "code": "ALREADY_DECIDED"},
            })
        );
    }

    #[test]
    fn several_wrong_fields_stand_in_a_list_whatever_the_use_case_called_it() {
        let problems = json!([{"field": "times[0].to", "code": "BAD_TIME", "message": "no"}]);
        for details in [problems.clone(), json!({ "problems": problems })] {
            let error = shown(Refusal::new("POLICY_REFUSED", 422, "no").with(details));
            assert_eq!(error["extensions"]["problems"], problems);
        }
    }
}
