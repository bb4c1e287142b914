//! `ldap` objects.

use net::app::ldap::{
    Attribute, Body, Ldap, Message, Outcome, change_name, operation_name, result_name,
};
use serde_json::{Value, json};

use super::fields::Fields;
use super::text;

/// The `ldap` object of a request and its responses.
pub(crate) fn transaction<F: Fields>(out: &mut F, ldap: &Ldap) {
    if let Some(request) = &ldap.request {
        out.value("request", message(request));
    }
    if !ldap.responses.is_empty() {
        let list: Vec<Value> = ldap.responses.iter().map(message).collect();
        out.value("responses", list.into());
    }
    if ldap.responses_beyond > 0 {
        out.number("responses_beyond", ldap.responses_beyond);
    }
}

fn message(message: &Message) -> Value {
    let name = operation_name(message.operation);
    let mut object = json!({"operation": name, "message_id": message.id});
    let body = body(message);
    if !body.is_null() {
        object[name] = body;
    }
    object
}

fn body(message: &Message) -> Value {
    let dn = message.dn.as_deref().map_or(Value::Null, text);
    match &message.body {
        Body::None if message.dn.is_some() => json!({"dn": dn}),
        Body::None => Value::Null,
        Body::Bind { version, mechanism } => {
            let mut object = json!({"version": version, "name": dn});
            if let Some(mechanism) = mechanism {
                object["sasl"] = json!({"mechanism": text(mechanism)});
            }
            object
        }
        Body::Search { scope, deref_alias, size_limit, time_limit, types_only, attributes } => {
            json!({
                "base_object": dn, "scope": scope, "deref_alias": deref_alias,
                "size_limit": size_limit, "time_limit": time_limit, "types_only": types_only,
                "attributes": texts(attributes),
            })
        }
        Body::Modify(changes) => {
            let one = |change: &net::app::ldap::Change| {
                json!({
                    "operation": change_name(change.kind),
                    "modification": {
                        "attribute_type": text(&change.attribute.kind),
                        "attribute_values": texts(&change.attribute.values),
                    },
                })
            };
            json!({"object": dn, "changes": changes.iter().map(one).collect::<Vec<_>>()})
        }
        Body::Entry(attributes) if message.is_response() => {
            json!({"base_object": dn, "attributes": self::attributes(attributes, "type")})
        }
        Body::Entry(attributes) => {
            json!({"entry": dn, "attributes": self::attributes(attributes, "name")})
        }
        Body::ModifyDn { new_rdn, delete_old, new_superior } => {
            let mut object =
                json!({"entry": dn, "new_rdn": text(new_rdn), "delete_old_rdn": delete_old});
            if let Some(parent) = new_superior {
                object["new_superior"] = text(parent);
            }
            object
        }
        Body::Compare { description, value } => json!({
            "entry": dn,
            "attribute_value_assertion": {"description": text(description), "value": text(value)},
        }),
        Body::Abandon(id) => json!({"message_id": id}),
        Body::Extended(name) => json!({"name": text(name)}),
        Body::Reference(uris) => json!({"uris": texts(uris)}),
        Body::Outcome(outcome) => self::outcome(outcome),
    }
}

fn outcome(outcome: &Outcome) -> Value {
    let mut object = json!({
        "result_code": result_name(outcome.code),
        "matched_dn": text(&outcome.matched_dn),
        "message": text(&outcome.message),
    });
    if let Some(name) = &outcome.name {
        object["name"] = text(name);
    }
    object
}

fn texts(list: &[Vec<u8>]) -> Vec<Value> {
    list.iter().map(|item| text(item)).collect()
}

fn attributes(list: &[Attribute], key: &str) -> Vec<Value> {
    let one = |attribute: &Attribute| {
        let mut object = json!({"values": texts(&attribute.values)});
        object[key] = text(&attribute.kind);
        object
    };
    list.iter().map(one).collect()
}
