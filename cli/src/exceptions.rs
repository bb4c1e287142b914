//! `pikett exceptions`: list, preview, add and end exceptions of a collector.
//!
//! The collector judges; what is asked and answered is shown here. A token needs the scope `read`, and `tune`
//! for what changes something.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::remote::{Remote, encode, say};
use crate::terminal::plain;

/// `pikett exceptions ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum Exceptions {
    /// List exceptions: how they stand and what they suppressed.
    List {
        #[command(flatten)]
        remote: Remote,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
    /// What an exception would have suppressed; 1 when it would have hidden a true positive.
    Preview {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        draft: Draft,
        /// Days to look back.
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make an exception; it holds at once.
    Add {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        draft: Draft,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Title; that of the alert or rule when absent.
        #[arg(long, default_value = "")]
        title: String,
        /// Days it holds, at most 180.
        #[arg(long)]
        days: Option<u32>,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
    /// End an exception now.
    End {
        #[command(flatten)]
        remote: Remote,
        /// Identity of the exception.
        id: String,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What it is about.
#[derive(Debug, Args)]
pub(crate) struct Draft {
    /// Alert to make it from: its rule, and the conditions the collector proposes unless some are given.
    #[arg(long, required_unless_present = "rule", conflicts_with = "rule")]
    alert: Option<String>,
    /// Rule.
    #[arg(long)]
    rule: Option<String>,
    /// Engine of the rule: signature, sigma, correlation, anomaly or intel.
    #[arg(long, default_value = "sigma")]
    engine: String,
    /// `FIELD=VALUE`, or `FIELD|HOW=VALUE` with contains, startswith, endswith or cidr (repeatable). All must
    /// hold; several values of one field are alternatives.
    #[arg(long = "where", value_name = "FIELD[|HOW]=VALUE", value_parser = condition)]
    conditions: Vec<Written>,
}

/// A condition as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    field: String,
    how: String,
    value: String,
}

fn condition(text: &str) -> Result<Written, String> {
    let (name, value) = text.split_once('=').ok_or("write FIELD=VALUE or FIELD|HOW=VALUE")?;
    let (field, how) = name.split_once('|').unwrap_or((name, "is"));
    if !["is", "contains", "startswith", "endswith", "cidr"].contains(&how) {
        return Err(format!("{how:?} is none of contains, startswith, endswith and cidr"));
    }
    Ok(Written { field: field.trim().to_owned(), how: how.to_owned(), value: value.to_owned() })
}

/// Conditions as the collector takes them: values of one field together.
fn together(written: &[Written]) -> Vec<Value> {
    let mut out: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for one in written {
        match out.iter_mut().find(|(field, how, _)| (*field, *how) == (&one.field, &one.how)) {
            Some((.., values)) => values.push(&one.value),
            None => out.push((&one.field, &one.how, vec![&one.value])),
        }
    }
    let value = |(field, how, values)| json!({ "field": field, "how": how, "values": values });
    out.into_iter().map(value).collect()
}

impl Draft {
    /// Engine, rule and conditions, those that are missing asked of the collector.
    fn whole(&self, remote: &Remote) -> Result<Value> {
        let mut draft = json!({
            "engine": self.engine, "rule_id": self.rule, "conditions": together(&self.conditions),
        });
        let Some(alert) = &self.alert else {
            if self.conditions.is_empty() {
                bail!("say --where, or --alert to have the conditions proposed");
            }
            return Ok(draft);
        };
        let path = format!("/api/v1/alerts/{}/exception", encode(alert));
        let proposal: Value = remote.client()?.get(&path)?;
        let ticked = proposal.get("offers").and_then(Value::as_array).into_iter().flatten();
        let ticked = ticked.filter(|one| one.get("ticked") == Some(&json!(true)));
        let proposed: Vec<Value> = ticked
            .map(|one| json!({ "field": one.get("field"), "values": one.get("values") }))
            .collect();
        if let Some(draft) = draft.as_object_mut() {
            for name in ["engine", "rule_id"] {
                draft.insert(name.to_owned(), proposal.get(name).cloned().unwrap_or_default());
            }
            if self.conditions.is_empty() {
                draft.insert("conditions".to_owned(), proposed.into());
            }
        }
        Ok(draft)
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// An exception on one line.
fn line(one: &Value) -> String {
    let unused = one.get("unused") == Some(&json!(true));
    let rule = one
        .get("rule_id")
        .and_then(Value::as_str)
        .map_or_else(|| one.get("rules").unwrap_or(&Value::Null).to_string(), str::to_owned);
    plain(&format!(
        "{} {:8} until {} suppressed {:<6} {} ({}) by {}: {}",
        text(one, "id"),
        if unused { "unused" } else { text(one, "standing") },
        text(one, "expires").get(..10).unwrap_or_default(),
        number(one, "hits"),
        text(one, "title"),
        rule,
        text(one, "author"),
        text(one, "reason"),
    ))
}

/// A preview in lines.
fn seen(preview: &Value) -> Vec<String> {
    let mut out = vec![plain(text(preview, "words"))];
    let kinds = [("true_positives", "true positive"), ("doubtful", "not judged yet, or critical")];
    for (name, kind) in kinds {
        for one in preview.get(name).and_then(Value::as_array).into_iter().flatten() {
            let (id, title, entity) = (text(one, "id"), text(one, "title"), text(one, "entity"));
            out.push(plain(&format!("  {kind}: {id} {title} ({entity})")));
        }
    }
    for id in preview.get("untestable").and_then(Value::as_array).into_iter().flatten() {
        let id = id.as_str().unwrap_or_default();
        out.push(plain(&format!("  true positive without events, not tested: {id}")));
    }
    out
}

/// Runs `pikett exceptions`.
pub(crate) fn run(command: &Exceptions) -> Result<ExitCode> {
    match command {
        Exceptions::List { remote, json } => {
            let answer: Value = remote.client()?.get("/api/v1/exceptions")?;
            if *json {
                say(&answer.to_string());
                return Ok(ExitCode::SUCCESS);
            }
            for name in ["exceptions", "files"] {
                let all = answer.get(name).and_then(Value::as_array);
                all.into_iter().flatten().for_each(|one| say(&line(one)));
            }
            Ok(ExitCode::SUCCESS)
        }
        Exceptions::Preview { remote, draft, days, json } => {
            let mut body = draft.whole(remote)?;
            if let Some(body) = body.as_object_mut() {
                body.insert("days".to_owned(), (*days).into());
            }
            let answer: Value = remote.client()?.post("/api/v1/exceptions/preview", &body)?;
            let lines = if *json { vec![answer.to_string()] } else { seen(&answer) };
            lines.iter().for_each(|line| say(line));
            let hides = number(&answer, "true_positives_count") > 0;
            Ok(if hides { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Exceptions::Add { remote, draft, reason, title, days, json } => {
            let mut body = draft.whole(remote)?;
            if let Some(body) = body.as_object_mut() {
                body.insert("reason".to_owned(), reason.as_str().into());
                body.insert("title".to_owned(), title.as_str().into());
                body.insert("days".to_owned(), (*days).into());
                body.insert("alert".to_owned(), draft.alert.clone().into());
            }
            let answer: Value = remote.client()?.post("/api/v1/exceptions/add", &body)?;
            say(&if *json { answer.to_string() } else { line(&answer) });
            Ok(ExitCode::SUCCESS)
        }
        Exceptions::End { remote, id, reason, json } => {
            let path = format!("/api/v1/exceptions/{}/end", encode(id));
            let answer: Value = remote.client()?.post(&path, &json!({ "reason": reason }))?;
            say(&if *json { answer.to_string() } else { line(&answer) });
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn conditions_are_read_and_put_together_by_field() {
        let read: Vec<Written> =
            ["src_ip|cidr=10.0.0.0/8", "user.name=a=b", "user.name=c", "x|contains=|"]
                .into_iter()
                .map(|text| condition(text).unwrap())
                .collect();
        expect![[
            r#"[{"field":"src_ip","how":"cidr","values":["10.0.0.0/8"]},{"field":"user.name","how":"is","values":["a=b","c"]},{"field":"x","how":"contains","values":["|"]}]"#
        ]]
        .assert_eq(&Value::from(together(&read)).to_string());
        for (wrong, words) in [("x", "write FIELD=VALUE"), ("x|re=y", "\"re\" is none of")] {
            assert!(condition(wrong).unwrap_err().contains(words), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_is_one_line_without_what_drives_a_terminal() {
        let one = json!({
            "id": "e1", "standing": "active", "unused": true, "expires": "2027-01-31T00:00:00Z",
            "hits": 3, "title": "Scanner\u{1b}[2J", "rule_id": "r", "author": "alice", "reason": "it scans",
        });
        expect![
            "e1 unused   until 2027-01-31 suppressed 3      Scanner�[2J (r) by alice: it scans"
        ]
        .assert_eq(&line(&one));
        let preview = json!({
            "words": "would have", "true_positives": [{"id": "a", "title": "t\n", "entity": "10.0.0.1"}],
            "doubtful": [{"id": "b", "title": "u", "entity": "x"}], "untestable": ["c"],
        });
        expect![[r#"
            would have
              true positive: a t� (10.0.0.1)
              not judged yet, or critical: b u (x)
              true positive without events, not tested: c"#]]
        .assert_eq(&seen(&preview).join("\n"));
    }
}
