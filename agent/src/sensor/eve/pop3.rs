//! `pop3` objects.

use net::app::pop3::Pop3;
use serde_json::{Value, json};

use super::fields::Fields;
use super::text;

/// The `pop3` object of a command with its response.
pub(crate) fn transaction<F: Fields>(out: &mut F, pop3: &Pop3) {
    let texts = |list: &[Vec<u8>]| list.iter().map(|item| text(item)).collect::<Vec<Value>>();
    if let Some(request) = &pop3.request {
        let arguments = texts(&request.arguments);
        out.value("request", json!({"command": text(&request.command), "args": arguments}));
    }
    if let Some(response) = &pop3.response {
        let status = if response.success { "OK" } else { "ERR" };
        out.value(
            "response",
            json!({
                "success": response.success, "status": status, "header": text(&response.header),
                "data": texts(&response.data),
            }),
        );
    }
}
