//! What a mail says, from the read models at the moment it is sent.

use askama::Template;
use commands::{App, Outcome, Refusal, visible::pieces};
use formats::Timestamp;
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

/// A line of facts: what it is, and its text with every unseen character shown by its number.
struct Fact {
    label: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    title: &'a str,
    lead: &'a str,
    facts: &'a [Fact],
    quote: Option<&'a str>,
    link: Option<&'a str>,
    action: &'a str,
    tenant: &'a str,
    footer: &'a str,
}

#[derive(Template)]
#[template(path = "mail.txt", escape = "none")]
struct Text<'a> {
    title: &'a str,
    lead: &'a str,
    facts: &'a [Fact],
    quote: Option<&'a str>,
    link: Option<&'a str>,
    action: &'a str,
    tenant: &'a str,
    footer: &'a str,
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

fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// Composes a mail; none where there is nothing to say any more.
///
/// # Errors
/// `UNAVAILABLE`
pub(super) async fn compose(app: &App, desk: &mut Desk<'_>, delivery: &Delivery) -> Outcome<Option<Composed>> {
    let tenant_name = desk.tenant().map_or_else(String::new, |t| t.name.clone());
    let mail = &delivery.mail;
    let request = desk.request(mail);
    let Some(words) = words(desk, delivery, request.as_ref()).await? else {
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
        None if invites => app.invitation_link(desk.tx, mail.position).await?,
        Some(request) if asks => Some(app.link_for(desk.tx.tenant(), request.id, delivery.recipient).await?),
        _ => None,
    };
    let quote = words.quote.as_deref().map(shown);
    let lead = shown(&words.lead);
    let footer = if invites {
        "The link works once, within three days. If you did not expect it, leave it alone: nothing changes."
    } else if asks {
        "The link is for you alone and decides nothing by itself: the page asks who you are first."
    } else {
        "This mail was sent automatically."
    };
    let html = Html {
        title: &words.title,
        lead: &lead,
        facts: &facts,
        quote: quote.as_deref(),
        link: link.as_deref(),
        action: if invites {
            "Choose a password"
        } else {
            "Look at it and decide"
        },
        tenant: &tenant_name,
        footer,
    };
    let text = Text {
        title: &words.title,
        lead: &lead,
        facts: &facts,
        quote: quote.as_deref(),
        link: link.as_deref(),
        action: if invites {
            "Choose a password"
        } else {
            "Look at it and decide"
        },
        tenant: &tenant_name,
        footer,
    };
    let html = html.render().map_err(Refusal::internal)?;
    let text = text.render().map_err(Refusal::internal)?;
    let subject: String = shown(&words.subject).chars().take(180).collect();
    Ok(Some(Composed {
        subject,
        text,
        html,
        thread: request.map(|request| request.id.to_string()),
    }))
}

struct Words {
    subject: String,
    title: String,
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

async fn words(desk: &mut Desk<'_>, delivery: &Delivery, request: Option<&QueuedRequest>) -> Outcome<Option<Words>> {
    let mail = &delivery.mail;
    if mail.kind == MailKind::ChannelLocked {
        let who = named(desk, mail.user).await?;
        return Ok(Some(Words {
            subject: format!("Locked after wrong attempts: {who}"),
            title: "An account was locked".to_owned(),
            lead: format!(
                "Too many wrong passwords or codes were given for {who}. The lock ends by itself; look at the audit trail for where they came from."
            ),
            quote: None,
        }));
    }
    if mail.kind == MailKind::Invited {
        return Ok(Some(Words {
            subject: "Your account: choose a password".to_owned(),
            title: "Welcome".to_owned(),
            lead: "An account was made for you. Choose a password to sign in.".to_owned(),
            quote: None,
        }));
    }
    if mail.kind == MailKind::PasswordReset {
        return Ok(Some(Words {
            subject: "Choose a new password".to_owned(),
            title: "Choose a new password".to_owned(),
            lead: "Somebody, probably you, asked for a new password for this account.".to_owned(),
            quote: None,
        }));
    }
    let Some(request) = request else {
        return Ok(None);
    };
    let (what, who) = (short(request), requester(request));
    let open = request.status.is_open();
    let last = request.decisions.last();
    let say = |subject: String, title: &str, lead: String, quote: Option<String>| {
        Some(Words {
            subject,
            title: title.to_owned(),
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
            format!("{who} asks for permission. Decide before {}.", moment(request.deadline)),
            justification,
        ),
        MailKind::NoApprover => say(
            format!("No approver: {what} for {who}"),
            "Nobody else can decide this request",
            format!(
                "{who} asks for permission, and nobody whom the approval rule names can decide. Decide before {}.",
                moment(request.deadline)
            ),
            justification,
        ),
        MailKind::Escalated => say(
            format!("Escalated: {what} for {who}"),
            "A request was escalated to you",
            format!(
                "{who} still waits for a decision. Decide before {}.",
                moment(request.deadline)
            ),
            justification,
        ),
        MailKind::Handled => {
            let by = named(desk, request.settled_by).await?;
            say(
                format!("No longer needed: {what} for {who}"),
                "This request is settled",
                format!(
                    "The request of {who} is {} ({by}). There is nothing left for you to do.",
                    request.status.as_str()
                ),
                last.and_then(|decision| decision.comment.clone()),
            )
        }
        MailKind::Approved => {
            let until = request
                .grant
                .as_ref()
                .map(|grant| moment(grant.terms.not_after))
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
    let mut fact = |label, text: &str| {
        facts.push(Fact {
            label,
            text: shown(text),
        })
    };
    if let Some(details) = &request.details {
        let action = &details.action;
        fact("Person", &action.user.name);
        fact("Machine", &action.machine.name);
        if let Some(application) = &action.application {
            fact("Program", &application.path);
            for (label, value) in [
                ("SHA-256", &application.sha256),
                ("Publisher", &application.publisher),
                ("Certificate", &application.certificate),
            ] {
                if let Some(value) = value {
                    fact(label, value);
                }
            }
        }
        if let Some(line) = &action.command_line {
            fact("Command line", line);
        }
        if let Some(file) = &action.file {
            fact("File", file);
        }
        if let Some(cwd) = &details.cwd {
            fact("Working directory", cwd);
        }
    }
    let kind = match request.action_type {
        policy_engine::ActionType::PrivilegeElevation => "run as administrator",
        policy_engine::ActionType::FileAccess => "open a protected file",
        policy_engine::ActionType::CommandLine => "run a restricted command",
    };
    fact("Wants to", kind);
    fact("Risk", &format!("{} of 100", request.risk));
    let mut names = Vec::new();
    for policy in &request.policies {
        let name = desk.policy(policy.id).await?.unwrap_or_else(|| policy.id.to_string());
        names.push(format!("{name} (revision {})", policy.revision));
    }
    if !names.is_empty() {
        facts.push(Fact {
            label: "Policies",
            text: shown(&names.join(", ")),
        });
    }
    if let Some(machine) = desk.machine(request.endpoint).await? {
        facts.push(Fact {
            label: "Endpoint",
            text: shown(&format!("{machine} ({})", request.endpoint)),
        });
    }
    facts.push(Fact {
        label: "Request",
        text: request.id.to_string(),
    });
    if let Some(details) = &request.details {
        facts.push(Fact {
            label: "Digest",
            text: details.digest.clone(),
        });
    }
    Ok(facts)
}
