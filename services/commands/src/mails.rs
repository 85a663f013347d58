//! Sending mails again. What becomes of a mail is state beside the log, so this is no event.

use formats::UserId;
use projections::mail_outbox::{self, DeliveryStatus};

use crate::{Act, App, Caller, Outcome, Refusal};

impl App {
    /// Puts a mail that was refused or given up back into the queue, under its old `Message-ID`.
    ///
    /// # Errors
    /// `MAIL_NOT_ENDED` for one that waits, was sent or had nothing to say; `NOT_FOUND`, `FORBIDDEN`.
    pub async fn resend_mail(&self, caller: &Caller, position: u64, part: u32, recipient: UserId) -> Outcome<()> {
        caller.demand(Act::WritePeople)?;
        let mut tx = self.writing(caller.tenant).await?;
        let now = self.ambient().now();
        if mail_outbox::resend(&mut tx, position, part, recipient, now).await? {
            return Ok(tx.commit().await?);
        }
        match mail_outbox::find(&mut tx, position, part, recipient).await? {
            None => Err(Refusal::not_found("mail")),
            Some(mail) if mail.status == DeliveryStatus::Queued => {
                Err(Refusal::new("MAIL_NOT_ENDED", 409, "this mail is still on its way"))
            }
            Some(_) => Err(Refusal::new(
                "MAIL_NOT_ENDED",
                409,
                "this mail was neither refused nor given up",
            )),
        }
    }
}
