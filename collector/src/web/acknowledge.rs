//! The page behind a signed link: what it is about, and one button.
//!
//! Works without the console and without scripts, on any telephone. Everything is escaped.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::{App, Failure};
use crate::oncall::Page;

/// Text for HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn shell(body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Pikett</title>\
         <link rel=\"stylesheet\" href=\"/page.css\"><main>{body}</main></html>"
    ))
}

fn expired() -> Response {
    let body = "<h1>This link is not valid any more</h1><p>Open the console instead.</p>";
    (StatusCode::NOT_FOUND, shell(body)).into_response()
}

fn describe(app: &App, page: &Page) -> String {
    let mut out = String::new();
    for alert in page.alerts.iter().take(20).filter_map(|id| app.alerts.get(id)) {
        out.push_str(&format!(
            "<li><b>{}</b> {}<br>{} = {}<br>{}</li>",
            escape(alert.severity.as_str()),
            escape(&alert.title),
            escape(&alert.entity.field),
            escape(&alert.entity.value),
            escape(&alert.explanation),
        ));
    }
    format!("<ul>{out}</ul>")
}

pub(super) async fn ask(State(app): State<App>, Path(token): Path<String>) -> Response {
    let Some(page) = app.pager.page_of(&token) else { return expired() };
    let body = format!(
        "<h1>{} calls</h1>{}<form method=\"post\"><button>I am on it</button></form>",
        "Pikett",
        describe(&app, &page)
    );
    shell(&body).into_response()
}

pub(super) async fn take(
    State(app): State<App>,
    Path(token): Path<String>,
) -> Result<Response, Failure> {
    let Some(page) = app.pager.acknowledge(&token)? else { return Ok(expired()) };
    tracing::info!(page = page.id, who = page.who, "acknowledged through a link");
    let body = format!(
        "<h1>Thank you, {}</h1><p>Nobody else is called for this.</p>{}",
        escape(&page.who),
        describe(&app, &page)
    );
    Ok(shell(&body).into_response())
}

#[cfg(test)]
mod tests {
    #[test]
    fn html_is_escaped() {
        assert_eq!(super::escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }
}
