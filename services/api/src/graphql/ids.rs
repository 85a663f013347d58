//! Ids at the edge: TypeIDs as `ID`. An id of another tenant, of another kind or of no form at all is one that does not
//! exist.

use async_graphql::ID;
use commands::Refusal;
use formats::{TypedId, id::decode_suffix};
use uuid::Uuid;

use super::error::Answer;

/// The id of this kind, if it has its form.
pub(crate) fn typed<T: TypedId>(id: &ID) -> Option<T> {
    id.as_str().parse().ok()
}

/// The id of something that an input names.
///
/// # Errors
/// `NOT_FOUND` on the field
pub(crate) fn named<T: TypedId>(id: &ID, what: &str, field: &str) -> Answer<T> {
    typed(id).ok_or_else(|| Refusal::not_found(what).on(field).into())
}

/// The ids of a list in an input.
///
/// # Errors
/// `NOT_FOUND` on the entry
pub(crate) fn named_all<T: TypedId>(ids: &[ID], what: &str, field: &str) -> Answer<Vec<T>> {
    ids.iter()
        .enumerate()
        .map(|(i, id)| named(id, what, &format!("{field}[{i}]")))
        .collect()
}

/// The UUID of an id of any kind.
pub(crate) fn any(id: &ID) -> Option<Uuid> {
    let (prefix, suffix) = id.as_str().split_once('_')?;
    let known = (3..=5).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_lowercase());
    if known { decode_suffix(suffix).ok() } else { None }
}

/// As `ID`.
pub(crate) fn shown(id: impl TypedId) -> ID {
    ID(id.to_string())
}

/// The id of a stream as the API writes it. Roles, approval rules, the door for SCIM and operators' acts are one
/// stream a tenant, records one an endpoint.
pub(crate) fn of_stream(stream_type: &str, id: Uuid) -> ID {
    use formats::{
        CollectionId, DeploymentGroupId, EndpointId, PersonId, PolicyId, RequestId, ServiceAccountId, TeamId, TenantId,
        UserId,
    };
    match stream_type {
        "tenant" | "roles" | "approval_rules" | "scim" | "platform" => shown(TenantId::from_uuid(id)),
        "person" => shown(PersonId::from_uuid(id)),
        "user" => shown(UserId::from_uuid(id)),
        "team" => shown(TeamId::from_uuid(id)),
        "service_account" => shown(ServiceAccountId::from_uuid(id)),
        "deployment_group" => shown(DeploymentGroupId::from_uuid(id)),
        "endpoint" | "activity" => shown(EndpointId::from_uuid(id)),
        "collection" => shown(CollectionId::from_uuid(id)),
        "identity_provider" => shown(formats::IdentityProviderId::from_uuid(id)),
        "policy" => shown(PolicyId::from_uuid(id)),
        "request" => shown(RequestId::from_uuid(id)),
        _ => ID(id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use formats::{PolicyId, RequestId};

    use super::*;

    #[test]
    fn an_id_of_another_kind_is_one_that_does_not_exist() {
        let policy = shown(PolicyId::from_uuid(Uuid::from_u128(7)));
        assert_eq!(
            typed::<PolicyId>(&policy),
            Some(PolicyId::from_uuid(Uuid::from_u128(7)))
        );
        assert_eq!(typed::<RequestId>(&policy), None);
        assert_eq!(any(&policy), Some(Uuid::from_u128(7)));
        for none in ["", "_", "pol_", "pol_x", "../etc", "POL_01h2xcejqtf2nbrexx3vqjhp41"] {
            assert_eq!(any(&ID(none.to_owned())), None, "{none}");
        }
    }

    #[test]
    fn every_stream_has_an_id_of_its_own_kind() {
        for (stream_type, _) in model::catalogue::EVENT_TYPES {
            let id = of_stream(stream_type, Uuid::from_u128(9));
            assert_eq!(any(&id), Some(Uuid::from_u128(9)), "{stream_type}");
        }
    }
}
