//! The page of a link that shows nothing.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::html;
use crate::{Problem, layers::Policy};

/// The page where there is nothing to show.
#[derive(Template)]
#[template(path = "approve_gone.html")]
pub(super) struct Gone {
    title: &'static str,
    text: String,
    status: StatusCode,
    retry_after: Option<u32>,
}

impl Gone {
    /// The page for this problem.
    pub(super) fn of(problem: &Problem) -> Self {
        let (title, text) = match problem.status() {
            StatusCode::NOT_FOUND => (
                "This link leads nowhere",
                "It is not complete, or what it was about does not exist any more. Open it from the mail again.",
            ),
            _ if problem.refusal().code == "TENANT_SUSPENDED" => (
                "Nothing is decided here now",
                "The organisation is suspended. Ask whoever runs this installation.",
            ),
            StatusCode::TOO_MANY_REQUESTS => ("Too many attempts", "Wait a minute, then load this page again."),
            status if status.is_server_error() => (
                "This does not work right now",
                "Nothing was decided. Load this page again in a moment.",
            ),
            _ => (
                "This form was not accepted",
                "Nothing was decided. Open the link from the mail again.",
            ),
        };
        let retry_after = problem.refusal().retry_after;
        Self {
            title,
            text: text.to_owned(),
            status: problem.status(),
            retry_after,
        }
    }
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        let mut response = html(self.status, &self, Policy::Form);
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(axum::http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_not_good_has_a_page_that_says_so() {
        let page = Gone::of(&Problem::not_found("link"));
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        let text = page.render().unwrap();
        assert!(text.contains("This link leads nowhere") && text.contains("<h1>"));
        assert!(!text.contains("<script") && !text.contains("style="));
    }
}
