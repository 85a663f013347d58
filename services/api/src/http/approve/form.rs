//! The page's forms: what they send, and what is wrong with it.

use model::request::Narrowing;
use serde::Deserialize;

/// The most uses of a grant and the longest window, in minutes (`docs/domain.md § 3`).
const USES_MAX: u32 = 1_000;
const MINUTES_MAX: u32 = 43_200;

/// Which button was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Button {
    SignIn,
    Approve,
    Deny,
}

/// Everything that a form of the page may send.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sent {
    pub(super) button: Button,
    #[serde(default)]
    pub(super) csrf: String,
    #[serde(default)]
    pub(super) digest: String,
    #[serde(default)]
    pub(super) password: String,
    #[serde(default)]
    pub(super) code: String,
    /// The answer of a passkey, JSON, put there by the page's script.
    #[serde(default)]
    pub(super) passkey: String,
    #[serde(default)]
    pub(super) comment: String,
    #[serde(default)]
    pub(super) uses: String,
    #[serde(default)]
    pub(super) minutes: String,
    /// Not used: there so that password managers know whose password it is.
    #[serde(default, rename = "email")]
    _email: String,
}

/// What is written into the fields of a page that is shown again, and what is wrong with each. Never a secret.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) comment: String,
    pub(super) uses: String,
    pub(super) minutes: String,
    pub(super) wrong: Vec<(&'static str, String)>,
}

impl Fields {
    pub(super) fn again(sent: &Sent) -> Self {
        Self {
            comment: sent.comment.clone(),
            uses: sent.uses.clone(),
            minutes: sent.minutes.clone(),
            wrong: Vec::new(),
        }
    }

    pub(super) fn wrong(&mut self, field: &'static str, message: impl Into<String>) {
        self.wrong.push((field, message.into()));
    }

    pub(super) fn error(&self, field: &str) -> Option<&str> {
        self.wrong
            .iter()
            .find(|(name, _)| *name == field)
            .map(|(_, message)| message.as_str())
    }
}

/// The name that a field of a refusal has on the page, if it stands there.
pub(super) fn on_page(field: &str) -> Option<&'static str> {
    Some(match field {
        "comment" => "comment",
        "uses" => "uses",
        "grantMinutes" | "grant_minutes" | "minutes" => "minutes",
        "code" => "code",
        "passkey" => "passkey",
        "password" => "password",
        _ => return None,
    })
}

/// What the approver takes away from the grant; says on the fields what is wrong.
pub(super) fn narrowing(sent: &Sent, fields: &mut Fields) -> Option<Narrowing> {
    let uses = number(&sent.uses, USES_MAX);
    let minutes = number(&sent.minutes, MINUTES_MAX);
    if uses.is_err() {
        fields.wrong(
            "uses",
            format!("Write a whole number from 1 to {USES_MAX}, or leave it empty."),
        );
    }
    if minutes.is_err() {
        fields.wrong(
            "minutes",
            format!("Write a whole number from 1 to {MINUTES_MAX}, or leave it empty."),
        );
    }
    Some(Narrowing {
        uses: uses.ok()?,
        grant_minutes: minutes.ok()?,
    })
}

fn number(text: &str, most: u32) -> Result<Option<u32>, ()> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().ok().filter(|n| (1..=most).contains(n)).map(Some).ok_or(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Result<Sent, serde_urlencoded::de::Error> {
        serde_urlencoded::from_str(text)
    }

    #[test]
    fn a_narrower_grant_is_read_and_a_wrong_number_is_told_on_its_field() {
        let good = sent("button=approve&uses=+2+&minutes=").unwrap();
        let mut fields = Fields::again(&good);
        assert_eq!(
            narrowing(&good, &mut fields),
            Some(Narrowing {
                uses: Some(2),
                grant_minutes: None
            })
        );
        for bad in ["0", "1001", "-1", "2.5", "two", "99999999999"] {
            let sent = sent(&format!("button=approve&uses={bad}&minutes=5")).unwrap();
            let mut fields = Fields::again(&sent);
            assert_eq!(narrowing(&sent, &mut fields), None, "{bad}");
            assert!(fields.error("uses").is_some() && fields.error("minutes").is_none());
        }
    }

    #[test]
    fn a_form_that_is_not_ours_is_refused() {
        assert!(sent("button=expire").is_err());
        assert!(sent("comment=hi").is_err());
        assert!(sent("button=approve&status=approved").is_err());
    }
}
