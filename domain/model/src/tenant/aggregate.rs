//! The state of a tenant and its decisions.

use std::time::Duration;

use formats::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    KeySetChanged, LogRestored, MailResent, Settings, SettingsChanged, TenantCommand, TenantCreated,
    TenantDeletionCancelled, TenantDeletionRequested, TenantError, TenantEvent, TenantResumed, TenantSuspended,
};
use crate::{Noun, aggregate::aggregate, request::Windows, text};

/// The least time between the request of a deletion and the deletion.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest window, in minutes: 30 days.
pub(crate) const WINDOW_MAX: u32 = 30 * 24 * 60;

/// A tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    id: Option<TenantId>,
    suspended: bool,
    purge_at: Option<Timestamp>,
    epoch: u32,
    key_set: u64,
    settings: Settings,
}

aggregate!(Tenant, "tenant", TenantCommand, TenantEvent, TenantError);

impl Tenant {
    /// Whether its doors refuse.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.suspended || self.purge_at.is_some()
    }

    /// The word in the routing table, where doors look before they know anything else of it.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match (self.purge_at, self.suspended) {
            (Some(_), _) => "deleting",
            (None, true) => "suspended",
            (None, false) => "active",
        }
    }

    /// When its deletion may begin, where one was asked for.
    #[must_use]
    pub const fn purge_at(&self) -> Option<Timestamp> {
        self.purge_at
    }

    /// The epoch of its log, from 1.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The version of its key set, from 1.
    #[must_use]
    pub const fn key_set_version(&self) -> u64 {
        self.key_set
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether it was created.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.id.is_some()
    }

    fn fold(&mut self, event: TenantEvent) {
        match event {
            TenantEvent::TenantCreated(e) => {
                self.id = Some(e.tenant);
                self.epoch = 1;
                self.key_set = 1;
                self.settings = *e.settings;
            }
            TenantEvent::TenantSuspended(_) => self.suspended = true,
            TenantEvent::TenantResumed(_) => self.suspended = false,
            TenantEvent::TenantDeletionRequested(e) => self.purge_at = Some(e.purge_at),
            TenantEvent::TenantDeletionCancelled(_) => self.purge_at = None,
            TenantEvent::SettingsChanged(e) => self.settings = *e.settings,
            TenantEvent::KeySetChanged(e) => self.key_set = e.version,
            TenantEvent::LogRestored(e) => self.epoch = e.epoch,
            TenantEvent::MailResent(_) => {}
        }
    }
}

impl Noun for Tenant {
    fn decide(&self, command: TenantCommand) -> Result<Vec<TenantEvent>, TenantError> {
        use TenantCommand as C;
        if let C::CreateTenant {
            tenant,
            slug,
            name,
            settings,
        } = command
        {
            if self.id.is_some() {
                return Err(TenantError::AlreadyExists);
            }
            check_settings(&settings)?;
            let slug = text::slug(&slug).map_err(|error| TenantError::Text {
                field: "slug".into(),
                error,
            })?;
            let name = text::name(&name).map_err(|error| TenantError::Text {
                field: "name".into(),
                error,
            })?;
            return Ok(vec![
                TenantCreated {
                    tenant,
                    slug,
                    name,
                    settings,
                }
                .into(),
            ]);
        }
        if self.id.is_none() {
            return Err(TenantError::NotFound);
        }
        Ok(vec![match command {
            C::CreateTenant { .. } => return Err(TenantError::AlreadyExists),
            C::SuspendTenant { .. } if self.suspended => return Err(TenantError::AlreadySuspended),
            C::SuspendTenant { reason } => TenantSuspended {
                reason: words(&reason)?,
            }
            .into(),
            C::ResumeTenant { .. } if !self.suspended => return Err(TenantError::NotSuspended),
            C::ResumeTenant { reason } => TenantResumed {
                reason: words(&reason)?,
            }
            .into(),
            C::RequestTenantDeletion { at, purge_at } => match self.purge_at {
                Some(purge_at) => return Err(TenantError::DeletionRequested { purge_at }),
                None if purge_at < at + GRACE => return Err(TenantError::GraceTooShort),
                None => TenantDeletionRequested { purge_at }.into(),
            },
            C::CancelTenantDeletion { at, reason } => match self.purge_at {
                None => return Err(TenantError::NoDeletionRequested),
                Some(purge_at) if at >= purge_at => return Err(TenantError::DeletionDue { purge_at }),
                Some(_) => TenantDeletionCancelled {
                    reason: words(&reason)?,
                }
                .into(),
            },
            C::ChangeSettings { settings } if *settings == self.settings => return Ok(Vec::new()),
            C::ChangeSettings { settings } => {
                check_settings(&settings)?;
                SettingsChanged { settings }.into()
            }
            C::ChangeKeySet { version, .. } if version != self.key_set + 1 => {
                return Err(TenantError::Version {
                    field: "version",
                    wanted: self.key_set + 1,
                });
            }
            C::ChangeKeySet {
                version,
                purpose,
                active,
                withdrawn,
            } => KeySetChanged {
                version,
                purpose,
                active,
                withdrawn,
            }
            .into(),
            C::ResendMail { cause, part, recipient } => MailResent { cause, part, recipient }.into(),
            C::RestoreLog { epoch, .. } if epoch != self.epoch + 1 => {
                return Err(TenantError::Version {
                    field: "epoch",
                    wanted: u64::from(self.epoch) + 1,
                });
            }
            C::RestoreLog { epoch, reason } => LogRestored {
                epoch,
                reason: words(&reason)?,
            }
            .into(),
        }])
    }
}

fn words(reason: &str) -> Result<String, TenantError> {
    text::free_text(reason, 0).map_err(|error| TenantError::Text {
        field: "reason".into(),
        error,
    })
}

fn check_settings(settings: &Settings) -> Result<(), TenantError> {
    check_windows(&settings.windows, "settings.windows").map_err(|(field, most)| TenantError::OutOfRange {
        field,
        least: 1,
        most,
    })?;
    if !(1..=4_096).contains(&settings.justification_min) {
        return Err(TenantError::OutOfRange {
            field: "settings.justificationMin".into(),
            least: 1,
            most: 4_096,
        });
    }
    if settings.default_approvers.len() > 200 {
        return Err(TenantError::OutOfRange {
            field: "settings.defaultApprovers".into(),
            least: 0,
            most: 200,
        });
    }
    if let Some(address) = &settings.reply_to {
        text::email(address).map_err(|error| TenantError::Text {
            field: "settings.replyTo".into(),
            error,
        })?;
    }
    if let Some(problem) = policy_engine::validate::baseline(&settings.baseline).into_iter().next() {
        return Err(TenantError::Baseline {
            field: format!("settings.{}", problem.field),
            message: problem.message,
        });
    }
    Ok(())
}

/// The field that is out of range and the most it may be.
pub(crate) fn check_windows(windows: &Windows, at: &str) -> Result<(), (String, u32)> {
    let bounded = [
        ("pendingMinutes", windows.pending_minutes, WINDOW_MAX),
        ("escalatedMinutes", windows.escalated_minutes, WINDOW_MAX),
        ("grantMinutes", windows.grant_minutes, WINDOW_MAX),
        ("uses", windows.uses.unwrap_or(1), 1_000),
    ];
    for (field, value, most) in bounded {
        if value == 0 || value > most {
            return Err((format!("{at}.{field}"), most));
        }
    }
    Ok(())
}
