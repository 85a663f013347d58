//! What the page shows.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use commands::{
    Outcome, Refusal,
    moments::{distance, moment},
    visible::{Piece, pieces},
};
use formats::Timestamp;
use model::request::{Flag, Status};
use policy_engine::ActionType;

use super::{
    form::Fields,
    html,
    view::{Found, Standing, Visit, find, name_of},
};
use crate::{ApiState, Problem, layers::Policy};

/// Has the browser load the page again after so many seconds.
const REFRESH: HeaderName = HeaderName::from_static("refresh");

/// A line of the action: what it is called, its text, and whether it is code.
pub(super) struct Line {
    label: &'static str,
    text: String,
    code: bool,
}

impl Line {
    fn pieces(&self) -> Vec<Piece<'_>> {
        if self.code {
            pieces(&self.text)
        } else {
            prose(&self.text)
        }
    }
}

/// Somebody's own words: their lines stay lines, everything else that is not seen is shown by number.
fn prose(text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            all.push(Piece {
                text: "\n".into(),
                escaped: false,
            });
        }
        all.extend(pieces(line));
    }
    all
}

/// What somebody said about the request.
pub(super) struct Said {
    who: String,
    what: String,
    at: String,
    comment: String,
}

impl Said {
    fn pieces(&self) -> Vec<Piece<'_>> {
        prose(&self.comment)
    }
}

/// The page of a request.
#[derive(Template)]
#[template(path = "approve.html")]
pub(super) struct Page {
    title: &'static str,
    /// What the state is, in one sentence.
    state: String,
    standing: Standing,
    tenant: String,
    address: String,
    email: String,
    /// The approver is signed in with this browser.
    signed_in: bool,
    /// Somebody else is.
    stranger: Option<String>,
    /// The decision needs a proof that is given with it: without a session, or where the tenant wants a fresh one.
    proof: bool,
    /// The approver has one-time codes.
    totp: bool,
    /// The approver has passkeys.
    passkey: bool,
    csrf: String,
    digest: String,
    lines: Vec<Line>,
    warnings: Vec<&'static str>,
    said: Vec<Said>,
    fields: Fields,
    notice: Option<String>,
    denial_needs_comment: bool,
    uses: String,
    minutes: u32,
}

impl Page {
    /// The page for this visit.
    ///
    /// # Errors
    /// `NOT_FOUND` where the request is gone; the database's.
    pub(super) async fn of(
        state: &ApiState,
        visit: &Visit,
        fields: Fields,
        notice: Option<String>,
    ) -> Result<Self, Problem> {
        let found = Self::found(state, visit).await?;
        let own = visit.own_session();
        let stranger = match (&visit.session, own) {
            (Some(session), None) => Some(session.caller.clone()),
            _ => None,
        };
        let stranger = match stranger {
            Some(caller) => Some(known_as(state, &caller).await?),
            None => None,
        };
        let now = state.app.ambient().now();
        let hidden = matches!(found.standing, Standing::NotYours | Standing::Behind);
        let details = found.row.details.as_ref();
        Ok(Self {
            title: title(&found),
            state: sentence(&found, now),
            standing: found.standing,
            tenant: found.tenant_name.clone(),
            address: visit.address(),
            email: visit.link.email.clone().unwrap_or_default(),
            signed_in: own.is_some(),
            stranger,
            proof: match own {
                Some(session) => state.app.needs_step_up(&session.caller).await?,
                None => true,
            },
            totp: visit.link.totp,
            passkey: visit.link.passkey,
            csrf: own.map(|session| visit.csrf(session)).unwrap_or_default(),
            digest: details.map(|details| details.digest.clone()).unwrap_or_default(),
            lines: if hidden { Vec::new() } else { lines(&found, now) },
            warnings: if hidden {
                Vec::new()
            } else {
                found.row.flags.iter().map(|flag| warning(*flag)).collect()
            },
            said: said(&found, now),
            fields,
            notice,
            denial_needs_comment: found.denial_needs_comment,
            uses: found.row.windows.uses.map_or("any number of times".to_owned(), times),
            minutes: found.row.windows.grant_minutes,
        })
    }

    async fn found(state: &ApiState, visit: &Visit) -> Outcome<Found> {
        find(state, visit).await?.ok_or_else(|| Refusal::not_found("link"))
    }

    fn open(&self) -> bool {
        matches!(self.standing, Standing::Open | Standing::Deniable)
    }

    fn may_approve(&self) -> bool {
        self.standing == Standing::Open
    }

    /// A passkey may be used here: the page has a script then, and only then.
    fn asks_passkey(&self) -> bool {
        self.open() && self.proof && self.passkey
    }

    /// The page as an answer, with no more leave to load things than it needs.
    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let policy = if self.asks_passkey() {
            Policy::PasskeyForm
        } else {
            Policy::Form
        };
        let mut response = html(status, self, policy);
        if self.standing == Standing::Behind {
            response.headers_mut().insert(REFRESH, HeaderValue::from_static("1"));
        }
        response
    }

    fn error(&self, field: &str) -> &str {
        self.fields.error(field).unwrap_or_default()
    }
}

async fn known_as(state: &ApiState, caller: &commands::Caller) -> Outcome<String> {
    let Some(user) = caller.user() else {
        return Ok("another account".to_owned());
    };
    let mut tx = state.app.reading(caller.tenant).await?;
    let row = projections::directory::user(&mut tx, user).await?;
    Ok(row
        .and_then(|row| row.email)
        .unwrap_or_else(|| "another account".to_owned()))
}

const fn title(found: &Found) -> &'static str {
    match (found.standing, found.row.status) {
        (Standing::Open | Standing::Deniable, _) => "A request waits for your decision",
        (Standing::Late, _) | (_, Status::Expired) => "The time to decide is over",
        (Standing::NotYours, _) => "This request is not yours to decide",
        (Standing::Behind, _) => "One moment",
        (_, Status::Approved) => "This request was approved",
        (_, Status::Denied) => "This request was denied",
        (_, Status::Cancelled) => "This request was taken back",
        _ => "This request is settled",
    }
}

fn sentence(found: &Found, now: Timestamp) -> String {
    let row = &found.row;
    let at = row.settled_at.map(|at| when(at, now)).unwrap_or_default();
    let by = row.settled_by.and_then(|user| name_of(&found.deciders, user));
    let by = by.map(|by| format!(" by {by}")).unwrap_or_default();
    match (found.standing, row.status) {
        (Standing::Open, _) => format!("It can be decided until {}.", when(row.deadline, now)),
        (Standing::Deniable, _) => format!(
            "It can be decided until {}. Its one-time code was yours: you may deny it, and others have to approve it.",
            when(row.deadline, now)
        ),
        (Standing::Late, Status::Pending) if !row.route.secondary.is_empty() => {
            let deadline = when(row.deadline, now);
            format!("It could be decided until {deadline}; now others are asked. Load this page again in a moment.")
        }
        (Standing::Late, _) => format!(
            "It could be decided until {}. Nothing was permitted.",
            when(row.deadline, now)
        ),
        (Standing::Behind, _) => {
            "Something was just decided here. This page shows it in a moment, by itself.".to_owned()
        }
        (Standing::NotYours, _) if !row.decisions.is_empty() => {
            "You have had your say; others have to agree too.".to_owned()
        }
        (Standing::NotYours, _) => "Others have been asked, or what you may do was changed since the mail.".to_owned(),
        (_, Status::Approved) => format!("Approved{by}, {at}."),
        (_, Status::Denied) => format!("Denied{by}, {at}."),
        (_, Status::Expired) => format!("Nobody decided in time; it ended {at}. Nothing was permitted."),
        (_, Status::Cancelled) => format!("Taken back{by}, {at}. Nothing was permitted."),
        _ => String::new(),
    }
}

/// The whole action. Nothing of it is shortened.
fn lines(found: &Found, now: Timestamp) -> Vec<Line> {
    let row = &found.row;
    let mut lines = Vec::new();
    let mut put = |label, text: Option<String>, code| {
        if let Some(text) = text {
            lines.push(Line { label, text, code });
        }
    };
    put("What", Some(kind(row.action_type).to_owned()), false);
    if let Some(details) = &row.details {
        let action = &details.action;
        put("Account", Some(action.user.name.clone()), true);
        put("Person", found.requester.clone(), false);
        put(
            "Machine",
            Some(found.machine.clone().unwrap_or_else(|| action.machine.name.clone())),
            true,
        );
        if let Some(application) = &action.application {
            put("Program", Some(application.path.clone()), true);
            put("SHA-256 of the program", application.sha256.clone(), true);
            put("Publisher", application.publisher.clone(), true);
            put("Certificate", application.certificate.clone(), true);
        }
        put("Command line", action.command_line.clone(), true);
        put("File", action.file.clone(), true);
        put("Working directory", details.cwd.clone(), true);
        put("Reason given", Some(details.justification.clone()), false);
        put("Digest of the action", Some(details.digest.clone()), true);
    } else {
        put(
            "Details",
            Some("They were erased with the person they are about.".to_owned()),
            false,
        );
    }
    put("Taken back because", row.cancel_reason.clone(), false);
    for (name, revision) in &found.policies {
        put("Policy", Some(format!("{name} (revision {revision})")), false);
    }
    let controls = if row.mfa {
        "Approval, then a one-time code"
    } else {
        "Approval"
    };
    put("Asked for", Some(controls.to_owned()), false);
    put("Risk", Some(format!("{} of 100", row.risk)), false);
    put(
        "Lasts",
        row.access_minutes
            .map(|minutes| format!("{minutes} minutes once it runs")),
        false,
    );
    put("Asked", Some(times(row.times)), false);
    put("Since", Some(when(row.submitted_at, now)), false);
    put(
        "Quorum",
        (row.route.quorum > 1).then(|| format!("{} people have to agree", row.route.quorum)),
        false,
    );
    lines
}

/// What somebody said, with what they took away from the grant.
fn verdict(decision: &projections::request_queue::Decision) -> String {
    let minutes = decision.grant_minutes.map(|minutes| format!("{minutes} minutes"));
    let limits: Vec<String> = minutes.into_iter().chain(decision.uses.map(times)).collect();
    match (decision.approved, limits.is_empty()) {
        (false, _) => "refused".to_owned(),
        (true, true) => "agreed".to_owned(),
        (true, false) => format!("agreed to {}", limits.join(", ")),
    }
}

fn said(found: &Found, now: Timestamp) -> Vec<Said> {
    let of = |decision: &projections::request_queue::Decision| Said {
        who: name_of(&found.deciders, decision.approver).unwrap_or_else(|| decision.approver.to_string()),
        what: verdict(decision),
        at: when(decision.at, now),
        comment: decision.comment.clone().unwrap_or_default(),
    };
    found.row.decisions.iter().map(of).collect()
}

const fn kind(action: ActionType) -> &'static str {
    match action {
        ActionType::PrivilegeElevation => "Run a program as administrator",
        ActionType::FileAccess => "Open a protected file",
        ActionType::CommandLine => "Run a restricted command",
    }
}

const fn warning(flag: Flag) -> &'static str {
    match flag {
        Flag::UnlinkedRequester => "The account that asks is linked to no person here.",
        Flag::AgentDiffers => "The server judged this action differently from what the machine said.",
        Flag::NoApprover => "Nobody whom the rule names can decide, so administrators are asked.",
        Flag::SelfApproval => "The requester has decided it themselves.",
        Flag::MfaOtherUser => "The one-time code came from another person than the requester.",
    }
}

fn times(times: u32) -> String {
    if times == 1 {
        "once".to_owned()
    } else {
        format!("{times} times")
    }
}

/// When it was or will be; nobody says in which time zone the approver is, so the distance stands beside it.
fn when(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", moment(at, 0), distance(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        Page {
            title: "A request waits for your decision",
            state: String::new(),
            standing: Standing::Open,
            tenant: "Acme".to_owned(),
            address: "/approve/pct_link_x".to_owned(),
            email: "ann@acme.example".to_owned(),
            signed_in: false,
            stranger: None,
            proof: true,
            totp: true,
            passkey: false,
            csrf: "c5".to_owned(),
            digest: "d1".to_owned(),
            lines: vec![Line {
                label: "Program",
                text: "C:\\<b>\u{202e}exe.\u{0}".to_owned(),
                code: true,
            }],
            warnings: Vec::new(),
            said: Vec::new(),
            fields: Fields::default(),
            notice: None,
            denial_needs_comment: false,
            uses: "once".to_owned(),
            minutes: 1_440,
        }
    }

    #[test]
    fn hostile_text_is_escaped_twice_over() {
        let text = page().render().unwrap();
        assert!(
            text.contains("C:\\&#60;b&#62;") || text.contains("C:\\&lt;b&gt;"),
            "{text}"
        );
        assert!(!text.contains('\u{202e}') && !text.contains('\0') && !text.contains("<b>"));
        assert!(text.contains("U+202E") && text.contains("U+0000"));
    }

    #[test]
    fn the_lines_of_a_reason_stay_lines_and_those_of_a_program_do_not() {
        let shown = |code| {
            let line = Line {
                label: "x",
                text: "a\r\nb\u{202e}\rc".to_owned(),
                code,
            };
            let parts: Vec<String> = line.pieces().into_iter().map(|piece| piece.text.into_owned()).collect();
            parts.concat()
        };
        assert_eq!(shown(false), "a\nbU+202E\\rc");
        assert_eq!(shown(true), "a\\r\\nbU+202E\\rc");
    }

    #[test]
    fn nobody_decides_without_a_session_or_a_code() {
        let signed_out = page().render().unwrap();
        assert!(signed_out.contains("name=\"code\"") && signed_out.contains("name=\"password\""));
        assert!(!signed_out.contains("name=\"csrf\""));
        let no_codes = Page { totp: false, ..page() }.render().unwrap();
        assert!(!no_codes.contains("value=\"approve\""));
        let signed_in = Page {
            signed_in: true,
            proof: false,
            ..page()
        }
        .render()
        .unwrap();
        assert!(signed_in.contains("name=\"csrf\" value=\"c5\"") && !signed_in.contains("name=\"password\""));
    }

    #[test]
    fn the_page_has_a_script_where_a_passkey_can_be_used_and_only_there() {
        assert!(!page().render().unwrap().contains("<script"));
        let passkey = |signed_in, totp| Page {
            signed_in,
            proof: !signed_in,
            totp,
            passkey: true,
            ..page()
        };
        let text = passkey(false, true).render().unwrap();
        assert!(text.contains("<script src=\"/approve/passkey.js\" defer></script>") && text.contains("name=\"code\""));
        assert!(text.contains("data-passkey=\"/approve/pct_link_x/passkey\" hidden"));
        let alone = passkey(false, false).render().unwrap();
        assert!(alone.contains("<noscript>") && !alone.contains("name=\"button\" value=\"approve\""));
        assert!(!passkey(true, true).render().unwrap().contains("<script"));
    }

    #[test]
    fn an_error_stands_at_its_field_and_is_bound_to_it() {
        let mut fields = Fields::default();
        fields.wrong("uses", "Write a number.");
        let text = Page {
            signed_in: true,
            fields,
            ..page()
        }
        .render()
        .unwrap();
        assert!(text.contains("id=\"uses-error\"") && text.contains("aria-describedby=\"uses-help uses-error\""));
        assert!(text.contains("aria-invalid=\"true\"") && text.contains("Write a number."));
    }

    #[test]
    fn a_settled_request_has_no_forms() {
        for standing in [Standing::Settled, Standing::Late, Standing::NotYours] {
            let text = Page {
                standing,
                signed_in: true,
                ..page()
            }
            .render()
            .unwrap();
            assert!(!text.contains("<form"), "{standing:?}");
        }
    }
}
