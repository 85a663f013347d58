//! Sending mails again. What becomes of a mail is state beside the log; that somebody asked for it is in the log.

use formats::UserId;
use model::tenant::{Tenant, TenantCommand};
use projections::mail_outbox::{self, DeliveryStatus};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Refusal};

impl App {
    /// Puts a mail that was refused or given up back into the queue, under its old `Message-ID`.
    ///
    /// # Errors
    /// `MAIL_NOT_ENDED` for one that waits, was sent or had nothing to say; `NOT_FOUND`, `FORBIDDEN`.
    pub async fn resend_mail(&self, caller: &Caller, position: u64, part: u32, recipient: UserId) -> Outcome<()> {
        caller.demand(Act::WritePeople)?;
        let mut tx = self.reading(caller.tenant).await?;
        let mail = mail_outbox::find(&mut tx, position, part, recipient).await?;
        drop(tx);
        let mail = mail.ok_or_else(|| Refusal::not_found("mail"))?;
        if !matches!(mail.status, DeliveryStatus::Refused | DeliveryStatus::Failed) {
            return Err(not_ended());
        }
        let content = json!({ "cause": position, "part": part, "recipient": recipient });
        let command = TenantCommand::ResendMail {
            cause: position,
            part,
            recipient,
        };
        self.run::<Tenant>(caller, "resendMail", caller.tenant.uuid(), &content, command)
            .await?;
        let mut tx = self.writing(caller.tenant).await?;
        if !mail_outbox::resend(&mut tx, position, part, recipient, self.ambient().now()).await? {
            return Err(not_ended());
        }
        Ok(tx.commit().await?)
    }
}

fn not_ended() -> Refusal {
    let message = "only a mail that was refused or given up is sent again";
    Refusal::new("MAIL_NOT_ENDED", 409, message)
}
