//! How the rows follow from the log.

use eventstore::TenantTx;
use formats::{IdentityProviderId, Timestamp};
use model::{catalogue::AnyEvent, identity_provider::IdentityProviderEvent as Event};

use super::store::{self, ProviderView};
use crate::{Build, Delta, Envelope, FlushError, FoldError, projection::BoxFuture, touched::Touched};

#[derive(Debug, Default)]
pub(super) struct ProvidersDelta {
    providers: Touched<IdentityProviderId, (Event, Timestamp)>,
}

impl Delta for ProvidersDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        // The runner gives nothing of other streams.
        if let AnyEvent::IdentityProvider(e) = &event.event {
            let provider = IdentityProviderId::from_uuid(event.stream_id);
            self.providers.push(provider, (e.clone(), event.recorded_at));
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move { store::flush(tx, build.number, self.providers).await })
    }
}

pub(super) fn apply(row: &mut Option<ProviderView>, event: Event, at: Timestamp) {
    if let Event::IdentityProviderConfigured(e) = event {
        *row = Some(ProviderView {
            id: e.provider,
            definition: *e.definition,
            has_secret: e.secret_id.is_some(),
            ceiling: e.ceiling,
            disabled: false,
            checked_at: None,
            problem: None,
            created_at: at,
            updated_at: at,
            removed_at: None,
        });
        return;
    }
    let Some(row) = row else { return };
    match event {
        Event::IdentityProviderConfigured(_) => {}
        Event::IdentityProviderChanged(e) => {
            row.definition = *e.definition;
            row.has_secret = e.secret_id.is_some();
            row.ceiling = e.ceiling;
            row.updated_at = at;
        }
        Event::IdentityProviderChecked(e) => {
            row.checked_at = Some(at);
            row.problem = e.problem;
        }
        Event::IdentityProviderDisabled(_) => row.disabled = true,
        Event::IdentityProviderEnabled(_) => row.disabled = false,
        Event::IdentityProviderRemoved(_) => row.removed_at = Some(at),
        // Ignored: stands in the audit trail.
        Event::ProviderSignInRefused(_) => {}
    }
}
