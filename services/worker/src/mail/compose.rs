//! What a mail says, from the read models at the moment it is sent.

use askama::Template;
use commands::{
    App, Outcome, Refusal,
    moments::{moment, offset_minutes, span},
    visible::{Piece, pieces},
};
use formats::Timestamp;
use model::request::Status;
use policy_engine::ActionType;
use projections::{
    mail_outbox::{Delivery, MailKind},
    request_queue::QueuedRequest,
};

use super::desk::Desk;

/// A mail's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Composed {
    /// One line, without control characters.
    pub(super) subject: String,
    /// For readers of plain text.
    pub(super) text: String,
    /// The same as HTML.
    pub(super) html: String,
    /// The thread it belongs to: one per request.
    pub(super) thread: Option<String>,
}

/// A line of facts: what it is, and its text.
struct Fact {
    label: &'static str,
    text: String,
}

/// What a mail says, before it is put into either form.
struct Letter {
    title: &'static str,
    lead: String,
    facts: Vec<Fact>,
    /// Somebody's own words.
    quote: Option<String>,
    /// Where the mail leads, and what is done there.
    link: Option<(String, &'static str)>,
    tenant: String,
    footer: &'static str,
}

impl Letter {
    /// The lines of somebody's own words: a new line is one in both forms, since each line is marked as theirs.
    fn quoted(&self) -> impl Iterator<Item = &str> {
        self.quote.iter().flat_map(|quote| quote.lines())
    }
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    letter: &'a Letter,
}

impl Html<'_> {
    fn pieces<'t>(&self, text: &'t str) -> Vec<Piece<'t>> {
        pieces(text)
    }
}

#[derive(Template)]
#[template(path = "mail.txt", escape = "none")]
struct Plain<'a> {
    letter: &'a Letter,
}

impl Plain<'_> {
    fn shown(&self, text: &str) -> String {
        shown(text)
    }
}

/// Text with unseen characters shown by their numbers.
fn shown(text: &str) -> String {
    pieces(text)
        .iter()
        .map(|piece| {
            if piece.escaped {
                format!("[{}]", piece.text)
            } else {
                piece.text.to_string()
            }
        })
        .collect()
}

/// Until when there is time. Nobody says in which time zone an approver is, so how long that is stands beside it.
fn deadline(request: &QueuedRequest, now: Timestamp) -> String {
    let end = moment(request.deadline, 0);
    format!(
        "Decide before {end}: {} after this mail was sent.",
        span(request.deadline.since(now))
    )
}

/// How far the requester's clock is ahead of UTC, in minutes.
fn offset(request: &QueuedRequest) -> i32 {
    let details = request.details.as_ref();
    details.map_or(0, |details| offset_minutes(details.action.at.as_str()))
}

/// Composes a mail; none where there is nothing to say any more.
///
/// # Errors
/// `UNAVAILABLE`
pub(super) async fn compose(app: &App, desk: &mut Desk<'_>, delivery: &Delivery) -> Outcome<Option<Composed>> {
    let mail = &delivery.mail;
    let request = desk.request(mail);
    let tenant = desk.tenant().map(|tenant| tenant.name.clone());
    let tenant_name = tenant.as_deref().unwrap_or("Portcullis");
    let Some(words) = words(desk, delivery, request.as_ref(), tenant_name, app.ambient().now()).await? else {
        return Ok(None);
    };
    let mut facts = Vec::new();
    if let Some(request) = &request {
        facts = request_facts(desk, request).await?;
    }
    let asks = matches!(
        mail.kind,
        MailKind::Submitted | MailKind::NoApprover | MailKind::Escalated
    );
    let invites = matches!(mail.kind, MailKind::Invited | MailKind::PasswordReset);
    let link = match &request {
        None if invites => {
            let old = mail.kind == MailKind::PasswordReset;
            app.invitation_link(desk.tx, mail.position, old).await?
        }
        Some(request) if asks => Some(app.link_for(desk.tx.tenant(), request.id, delivery.recipient).await?),
        _ => None,
    };
    let action = if invites {
        "Choose a password"
    } else {
        "Look at it and decide"
    };
    let letter = Letter {
        title: words.title,
        lead: words.lead,
        facts,
        quote: words.quote.filter(|quote| !quote.trim().is_empty()),
        link: link.map(|link| (link, action)),
        tenant: tenant.unwrap_or_default(),
        footer: if mail.kind == MailKind::Invited {
            "The link works once, within three days. If you did not expect it, leave it alone: nothing changes."
        } else if invites {
            "The link works once, within an hour. If you did not expect it, leave it alone: nothing changes."
        } else if asks {
            "The link is for you alone and decides nothing by itself: the page asks who you are first."
        } else {
            "This mail was sent automatically."
        },
    };
    let subject: String = shown(&words.subject).chars().take(180).collect();
    Ok(Some(Composed {
        subject,
        text: Plain { letter: &letter }.render().map_err(Refusal::internal)?,
        html: Html { letter: &letter }.render().map_err(Refusal::internal)?,
        thread: request.map(|request| request.id.to_string()),
    }))
}

struct Words {
    subject: String,
    title: &'static str,
    lead: String,
    quote: Option<String>,
}

/// The last part of a path or the first word of a command line, for subjects.
fn short(request: &QueuedRequest) -> String {
    let Some(details) = &request.details else {
        return "an action".to_owned();
    };
    let subject = details.action.subject().unwrap_or("an action");
    let name = subject
        .rsplit(['\\', '/'])
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(subject);
    if name.chars().count() > 60 {
        format!("{}…", name.chars().take(60).collect::<String>())
    } else {
        name.to_owned()
    }
}

fn requester(request: &QueuedRequest) -> &str {
    request
        .details
        .as_ref()
        .map_or("a person who was erased", |details| details.action.user.name.as_str())
}

async fn named(desk: &mut Desk<'_>, user: Option<formats::UserId>) -> Outcome<String> {
    let Some(user) = user else {
        return Ok("the clock".to_owned());
    };
    let row = desk.user(user).await?;
    Ok(row
        .and_then(|row| row.name.or(row.email))
        .unwrap_or_else(|| user.to_string()))
}

/// How a request ended, and by whom.
async fn settled(desk: &mut Desk<'_>, request: &QueuedRequest) -> Outcome<String> {
    let who = requester(request);
    let by = named(desk, request.settled_by).await?;
    Ok(match request.status {
        Status::Approved => format!("{by} approved the request of {who}."),
        Status::Denied => format!("{by} denied the request of {who}."),
        Status::Expired => format!("Nobody decided the request of {who} in time."),
        Status::Cancelled if request.settled_by.is_some() => format!("{by} took the request of {who} back."),
        Status::Cancelled => format!("The request of {who} was taken back."),
        Status::None | Status::Pending | Status::Escalated => {
            format!("The request of {who} is {}.", request.status.as_str())
        }
    })
}

async fn words(
    desk: &mut Desk<'_>,
    delivery: &Delivery,
    request: Option<&QueuedRequest>,
    tenant: &str,
    now: Timestamp,
) -> Outcome<Option<Words>> {
    let mail = &delivery.mail;
    if mail.kind == MailKind::ChannelLocked {
        let who = named(desk, mail.user).await?;
        return Ok(Some(Words {
            subject: format!("Locked after wrong attempts: {who}"),
            title: "An account was locked",
            lead: format!(
                "Too many wrong passwords or codes were given for {who}. The lock ends by itself; look at the audit trail for where they came from."
            ),
            quote: None,
        }));
    }
    if mail.kind == MailKind::Invited {
        return Ok(Some(Words {
            subject: "Your account: choose a password".to_owned(),
            title: "Welcome",
            lead: format!("An account was made for you at {tenant}. Choose a password to sign in."),
            quote: None,
        }));
    }
    if mail.kind == MailKind::PasswordReset {
        return Ok(Some(Words {
            subject: "Choose a new password".to_owned(),
            title: "Choose a new password",
            lead: format!("Somebody, probably you, asked for a new password for your account at {tenant}."),
            quote: None,
        }));
    }
    let Some(request) = request else {
        return Ok(None);
    };
    let (what, who) = (short(request), requester(request));
    let open = request.status.is_open();
    let last = request.decisions.last();
    let say = |subject: String, title: &'static str, lead: String, quote: Option<String>| {
        Some(Words {
            subject,
            title,
            lead,
            quote,
        })
    };
    let justification = request.details.as_ref().map(|details| details.justification.clone());
    Ok(match mail.kind {
        // Settled before the mail went out: the one that says so follows.
        MailKind::Submitted | MailKind::NoApprover | MailKind::Escalated if !open => None,
        MailKind::Submitted => say(
            format!("Approval wanted: {what} for {who}"),
            "Approval wanted",
            format!("{who} asks for permission. {}", deadline(request, now)),
            justification,
        ),
        MailKind::NoApprover => say(
            format!("No approver: {what} for {who}"),
            "Nobody else can decide this request",
            format!(
                "{who} asks for permission, and nobody whom the approval rule names can decide. {}",
                deadline(request, now)
            ),
            justification,
        ),
        MailKind::Escalated => say(
            format!("Escalated: {what} for {who}"),
            "A request was escalated to you",
            format!("{who} still waits for a decision. {}", deadline(request, now)),
            justification,
        ),
        MailKind::Handled => say(
            format!("No longer needed: {what} for {who}"),
            "This request is settled",
            format!("{} There is nothing left for you to do.", settled(desk, request).await?),
            last.and_then(|decision| decision.comment.clone())
                .or_else(|| request.cancel_reason.clone()),
        ),
        MailKind::Approved => {
            let until = request
                .grant
                .as_ref()
                .map(|grant| moment(grant.terms.not_after, offset(request)))
                .unwrap_or_default();
            let uses = request.grant.as_ref().and_then(|grant| grant.terms.uses);
            let uses = uses.map_or("any number of times".to_owned(), |n| {
                if n == 1 {
                    "once".to_owned()
                } else {
                    format!("{n} times")
                }
            });
            let by = named(desk, request.settled_by).await?;
            say(
                format!("Approved: {what}"),
                "Your request was approved",
                format!("{by} approved it. You may use it {uses} before {until}."),
                last.and_then(|decision| decision.comment.clone()),
            )
        }
        MailKind::Denied => {
            let by = named(desk, request.settled_by).await?;
            say(
                format!("Denied: {what}"),
                "Your request was denied",
                format!("{by} denied it."),
                last.and_then(|decision| decision.comment.clone()),
            )
        }
        MailKind::Expired => say(
            format!("Expired: {what}"),
            "Nobody decided your request in time",
            "You can ask again; the new request is linked to this one.".to_owned(),
            None,
        ),
        MailKind::Cancelled => say(
            format!("Cancelled: {what}"),
            "Your request was cancelled",
            "It is not waiting for a decision any more.".to_owned(),
            request.cancel_reason.clone(),
        ),
        MailKind::GrantRevoked => say(
            format!("Taken back: {what}"),
            "Your permission was taken back",
            "The action can't be used any more.".to_owned(),
            request.grant.as_ref().and_then(|grant| grant.reason.clone()),
        ),
        MailKind::GrantOverused => say(
            format!("Alert: {what} was used beyond its permission"),
            "A permission was used beyond its limit",
            format!("The endpoint of {who} reports a use that the permission does not cover. Look at the endpoint."),
            None,
        ),
        MailKind::ChannelLocked | MailKind::Invited | MailKind::PasswordReset => None,
    })
}

/// The whole action, nothing truncated.
async fn request_facts(desk: &mut Desk<'_>, request: &QueuedRequest) -> Outcome<Vec<Fact>> {
    let mut facts = Vec::new();
    let mut fact = |label, text: Option<String>| facts.extend(text.map(|text| Fact { label, text }));
    let kind = match request.action_type {
        ActionType::PrivilegeElevation => "run a program as administrator",
        ActionType::FileAccess => "open a protected file",
        ActionType::CommandLine => "run a restricted command",
    };
    fact("Wants to", Some(kind.to_owned()));
    if let Some(details) = &request.details {
        let action = &details.action;
        fact("Account", Some(action.user.name.clone()));
        if let Some(user) = request.user {
            fact("Person", Some(named(desk, Some(user)).await?));
        }
        fact("Machine", Some(action.machine.name.clone()));
        if let Some(application) = &action.application {
            fact("Program", Some(application.path.clone()));
            fact("SHA-256", application.sha256.clone());
            fact("Publisher", application.publisher.clone());
            fact("Certificate", application.certificate.clone());
        }
        fact("Command line", action.command_line.clone());
        fact("File", action.file.clone());
        fact("Working directory", details.cwd.clone());
    }
    fact("Risk", Some(format!("{} of 100", request.risk)));
    let mut names = Vec::new();
    for policy in &request.policies {
        let name = desk
            .policy(policy.id)
            .map_or_else(|| policy.id.to_string(), str::to_owned);
        names.push(format!("{name} (revision {})", policy.revision));
    }
    fact("Policies", Some(names.join(", ")).filter(|names| !names.is_empty()));
    let machine = desk.machine(request.endpoint);
    fact(
        "Endpoint",
        machine.map(|machine| format!("{machine} ({})", request.endpoint)),
    );
    fact("Request", Some(request.id.to_string()));
    fact("Digest", request.details.as_ref().map(|details| details.digest.clone()));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(quote: &str, program: &str) -> Letter {
        Letter {
            title: "Approval wanted",
            lead: "ACME\\dana asks for permission.".to_owned(),
            facts: vec![Fact {
                label: "Program",
                text: program.to_owned(),
            }],
            quote: Some(quote.to_owned()),
            link: Some(("https://pam.example.com/approve/x".to_owned(), "Look at it and decide")),
            tenant: "Acme".to_owned(),
            footer: "The link is for you alone.",
        }
    }

    #[test]
    fn hostile_text_is_whole_escaped_and_never_looks_like_a_line_of_the_mail() {
        let program = format!("C:\\<img src=x>\u{202e}gpj.exe\nDigest: 00 {}", "x".repeat(5_000));
        let letter = letter("please\nRisk: 0 of 100\r\n<b>now</b>", &program);
        let text = Plain { letter: &letter }.render().unwrap();
        assert!(
            text.contains("  > please\n  > Risk: 0 of 100\n  > <b>now</b>\n"),
            "{text}"
        );
        assert!(
            text.contains("Program: C:\\<img src=x>[U+202E]gpj.exe[\\n]Digest: 00 x"),
            "{text}"
        );
        assert!(text.contains(&"x".repeat(5_000)) && !text.contains('\u{202e}'));
        let html = Html { letter: &letter }.render().unwrap();
        assert!(!html.contains("<img") && !html.contains("<b>") && !html.contains('\u{202e}'));
        assert!(html.contains("[U+202E]") && html.contains(&"x".repeat(5_000)));
        assert!(html.contains("please<br>"), "{html}");
    }

    #[test]
    fn a_link_stands_in_each_form_once() {
        let letter = letter("why", "C:\\a.exe");
        let (text, html) = (
            Plain { letter: &letter }.render().unwrap(),
            Html { letter: &letter }.render().unwrap(),
        );
        for form in [text, html] {
            assert_eq!(form.matches("https://").count(), 1, "{form}");
        }
    }
}
