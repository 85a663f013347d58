//! Making a tenant: its row, its head, its keys and the first event of its log, all or nothing.

use std::collections::HashMap;

use crate::{
    Done, Envelope, ExecuteError, Store, StoreError, TenantTx,
    append::{Verdict, append_batch},
    encode,
    envelope::done,
};
use formats::TenantId;
use model::Noun;

/// A tenant to be made.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// Its id, which is also the id of its own stream.
    pub id: TenantId,
    /// What people type when they sign in: 1 to 63 lower-case letters, digits and inner hyphens. Unique.
    pub slug: String,
}

/// Why a tenant was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateTenantError<E: std::error::Error> {
    /// Another tenant has the slug.
    #[error("the name `{0}` is taken")]
    SlugTaken(String),
    /// Not a slug.
    #[error("`{0}` is not 1 to 63 lower-case letters, digits and inner hyphens")]
    SlugInvalid(String),
    /// The command was refused or the store failed.
    #[error(transparent)]
    Execute(#[from] ExecuteError<E>),
}

impl<E: std::error::Error> From<sqlx::Error> for CreateTenantError<E> {
    fn from(error: sqlx::Error) -> Self {
        Self::Execute(ExecuteError::Store(error.into()))
    }
}

impl<E: std::error::Error> From<StoreError> for CreateTenantError<E> {
    fn from(error: StoreError) -> Self {
        Self::Execute(ExecuteError::Store(error))
    }
}

impl Store {
    /// Makes a tenant by the command that creates its aggregate, whose event becomes position 1 of its log. Sent again
    /// under the same command id, it answers as the first time.
    ///
    /// # Errors
    /// [`CreateTenantError`]
    pub async fn create_tenant<A: Noun>(
        &self,
        tenant: NewTenant,
        envelope: &Envelope,
        command: A::Command,
    ) -> Result<Done<A::Event>, CreateTenantError<A::Error>> {
        if !is_slug(&tenant.slug) {
            return Err(CreateTenantError::SlugInvalid(tenant.slug));
        }
        let mut tx = TenantTx::begin(self.pool(), tenant.id).await?;
        let made = sqlx::query("insert into tenant (id, slug, created_at) values ($1, $2, $3) on conflict do nothing")
            .bind(tenant.id.uuid())
            .bind(&tenant.slug)
            .bind(self.ambient().now().to_datetime())
            .execute(&mut *tx)
            .await?;
        if made.rows_affected() == 0 {
            tx.rollback().await?;
            return if self.find_tenant(&tenant.slug).await? == Some(tenant.id) {
                // Made before: the stream says whether by this command.
                Ok(self
                    .execute::<A>(tenant.id, tenant.id.uuid(), envelope, |_| command.clone())
                    .await?)
            } else {
                Err(CreateTenantError::SlugTaken(tenant.slug))
            };
        }
        sqlx::query("insert into tenant_head (tenant_id) values ($1)")
            .bind(tenant.id.uuid())
            .execute(&mut *tx)
            .await?;
        let keys = self.vault().create_in(&mut tx).await.map_err(StoreError::from)?;
        let events = A::default().decide(command).map_err(ExecuteError::Refused)?;
        let mut people = HashMap::new();
        for person in encode::people(envelope, &events) {
            let key = self
                .vault()
                .person_of_new_tenant(&mut tx, &keys, person)
                .await
                .map_err(StoreError::from)?;
            people.insert(person, key);
        }
        let entry = self.entry_with::<A>(&keys, &people, tenant.id.uuid(), 0, envelope, &events)?;
        let verdicts = append_batch(&mut tx, true, &[(tenant.id, &entry)]).await?;
        match verdicts.into_iter().next() {
            Some(Verdict::Ok(written)) if written.first == 1 => {
                tx.commit().await?;
                self.doorbell().ring(tenant.id);
                Ok(done(written, events, false))
            }
            other => Err(StoreError::unwritable(A::TYPE, format!("a new log answered {other:?}")).into()),
        }
    }
}

fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::is_slug;

    #[test]
    fn slugs_are_short_and_plain() {
        for good in ["a", "acme", "acme-2", "0-0", &"a".repeat(63)] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "-a", "a-", "Acme", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }
}
