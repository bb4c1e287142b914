//! Every route, what it needs and what it does: the one table that router, documentation and the
//! test of access share.

use axum::routing::{MethodRouter, any, get, post, put};

use super::access::Need;
use super::{
    App, acknowledge, admin, agents, alerts, audit, elastic, exceptions, export, hec, hunts,
    oncall, openapi, otlp, probes, redactions, search, searches, session, storage,
};
use crate::auth::Role;
use crate::auth::token::Scope;

/// One route.
#[derive(Clone, Copy)]
pub struct Route {
    /// Method.
    pub method: &'static str,
    /// Path, parameters in braces.
    pub path: &'static str,
    /// What it needs.
    pub need: Need,
    /// What it does, in words.
    pub summary: &'static str,
    /// Makes its handler.
    pub(super) handler: fn() -> MethodRouter<App>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {} {:?}", self.method, self.path, self.need)
    }
}

const VIEW: Need = Need::Either(Role::Viewer, Scope::Read);
const RESPOND: Need = Need::Either(Role::Responder, Scope::Respond);
const HUNT: Need = Need::Either(Role::Analyst, Scope::Read);
const TUNE: Need = Need::Either(Role::Analyst, Scope::Tune);
const ADMIN: Need = Need::User(Role::Admin);
const INGEST: Need = Need::Token(Scope::Ingest);
const SPEAKS: Need = Need::Tokens(&[Scope::Ingest, Scope::Read]);

macro_rules! routes {
    ($($method:literal $path:literal $need:expr, $handler:expr, $summary:literal;)*) => {
        &[$(Route {
            method: $method,
            path: $path,
            need: $need,
            summary: $summary,
            handler: || $handler,
        }),*]
    };
}

/// All routes.
pub const ROUTES: &[Route] = routes! {
    "POST" "/api/v1/login" Need::Public, post(session::login), "Begin a session";
    "GET" "/api/v1/session" Need::Session, get(session::session), "Who is logged in";
    "POST" "/api/v1/logout" Need::Session, post(session::logout), "End the session";
    "POST" "/api/v1/password" Need::Session, post(session::password), "Change the own password";
    "POST" "/api/v1/search" VIEW, post(search::search), "Find, count and group events";
    "GET" "/api/v1/tail" VIEW, get(search::tail), "Events as they arrive (server-sent events)";
    "GET" "/api/v1/export" VIEW, get(export::export), "All events or rows of a search as NDJSON, a summary last";
    "GET" "/api/v1/completeness" VIEW, get(search::completeness), "How complete a window of time is, and every reason why not";
    "GET" "/api/v1/fields" VIEW, get(search::fields), "Fields: the dictionary and those that events have, with their numbers";
    "POST" "/api/v1/complete" VIEW, post(search::suggest), "What could stand at a place of a query";
    "GET" "/api/v1/searches" VIEW, get(searches::list), "Kept searches: one's own and shared ones";
    "POST" "/api/v1/searches/save" Need::User(Role::Analyst), post(searches::save), "Keep a search, or change one";
    "DELETE" "/api/v1/searches/{id}" Need::User(Role::Analyst), axum::routing::delete(searches::remove), "Remove a kept search";
    "GET" "/api/v1/alerts" VIEW, get(alerts::list), "Alerts, newest first";
    "GET" "/api/v1/alerts/{id}" VIEW, get(alerts::show), "One alert";
    "POST" "/api/v1/alerts/{id}/action" RESPOND, post(alerts::act), "Acknowledge, close, reopen";
    "GET" "/api/v1/alerts/{id}/exception" VIEW, get(exceptions::propose), "An exception proposed from an alert";
    "GET" "/api/v1/exceptions" VIEW, get(exceptions::list), "Exceptions, how they stand and what they suppressed";
    "POST" "/api/v1/exceptions/preview" VIEW, post(exceptions::preview), "What an exception would have suppressed";
    "POST" "/api/v1/exceptions/add" TUNE, post(exceptions::add), "Make an exception; refused when it would have hidden a true positive";
    "POST" "/api/v1/exceptions/{id}/end" TUNE, post(exceptions::end), "End an exception now";
    "GET" "/api/v1/rules/settings" HUNT, get(hunts::means), "Names of fields, placeholders and exceptions that rules have here";
    "POST" "/api/v1/rules/preview" HUNT, post(hunts::begin), "Begin to run a rule over the stored past";
    "GET" "/api/v1/rules/preview/{id}" HUNT, get(hunts::show), "How far a preview is, and what would have fired";
    "POST" "/api/v1/rules/preview/{id}/cancel" HUNT, post(hunts::cancel), "Stop a preview";
    "GET" "/api/v1/agents" VIEW, get(agents::list), "Agents, their state and their ledger";
    "POST" "/api/v1/agents/{id}" ADMIN, post(agents::change), "Revoke or readmit an agent";
    "GET" "/api/v1/ledger" VIEW, get(agents::ledger), "The collector's own ledger";
    "POST" "/api/v1/enrolments" ADMIN, post(agents::enrol), "Make a one-time enrolment token";
    "GET" "/api/v1/oncall" VIEW, get(oncall::show), "Who is on call, and the schedule";
    "PUT" "/api/v1/oncall/schedule" ADMIN, put(oncall::set), "Change the schedule";
    "GET" "/api/v1/oncall/pages" VIEW, get(oncall::pages), "History of pages";
    "GET" "/api/v1/users" ADMIN, get(admin::users), "Users";
    "POST" "/api/v1/users/add" ADMIN, post(admin::add_user), "Add a user; gives a first password";
    "PUT" "/api/v1/users/{name}" ADMIN, put(admin::change_user).delete(admin::remove_user), "Change or (DELETE) remove a user";
    "GET" "/api/v1/tokens" ADMIN, get(admin::tokens), "Tokens";
    "POST" "/api/v1/tokens/add" ADMIN, post(admin::add_token), "Make a token; shown once";
    "DELETE" "/api/v1/tokens/{name}" ADMIN, axum::routing::delete(admin::remove_token), "Remove a token";
    "GET" "/api/v1/retention" VIEW, get(storage::retention), "How long each class of data lasts, where it lies, what goes and moves next, what was destroyed, with signed proof";
    "GET" "/api/v1/deletions" ADMIN, get(admin::deletions), "Partitions whose keys were destroyed, with signed proof";
    "GET" "/api/v1/redactions" ADMIN, get(redactions::list), "What was redacted, with signed proof, and what is not done yet";
    "GET" "/api/v1/redactions/{id}" ADMIN, get(redactions::show), "One redaction: how far it is, or what stays of it";
    "POST" "/api/v1/redactions" ADMIN, post(redactions::redact), "Redact events or fields of them: without `confirm` says what it would do";
    "GET" "/api/v1/audit" ADMIN, get(audit::list), "What people and programs did and asked for, newest first, and whether the chain is whole";
    "POST" "/api/v1/audit/check" ADMIN, post(audit::check), "Look through the whole audit log now";
    "GET" "/api/v1/openapi.json" VIEW, get(openapi::document), "This document";
    "GET" "/ack/{token}" Need::Public, get(acknowledge::ask).post(acknowledge::take), "Acknowledge through a page's link";
    "POST" "/_bulk" INGEST, post(elastic::bulk).put(elastic::bulk), "Elasticsearch bulk ingest";
    "POST" "/{index}/_bulk" INGEST, post(elastic::bulk_into).put(elastic::bulk_into), "Elasticsearch bulk ingest";
    "GET" "/_cluster/health" SPEAKS, get(elastic::health), "Elasticsearch cluster health";
    "GET" "/_cluster/settings" SPEAKS, get(elastic::settings), "Elasticsearch cluster settings: none";
    "GET" "/_nodes" SPEAKS, get(elastic::nodes), "Elasticsearch nodes: this one";
    "GET" "/_nodes/{what}" SPEAKS, get(elastic::nodes), "Elasticsearch nodes: this one";
    "GET" "/_license" SPEAKS, get(elastic::license), "Elasticsearch licence, for shippers that ask";
    "GET" "/_elastic" SPEAKS, any(elastic::identity), "Version identity, also under / for programs";
    "GET" "/_index_template/{name}" SPEAKS, get(elastic::absent), "Elasticsearch templates: none";
    "PUT" "/_index_template/{name}" INGEST, put(elastic::acknowledge), "Elasticsearch templates: change nothing";
    "GET" "/_component_template/{name}" SPEAKS, get(elastic::absent), "Elasticsearch templates: none";
    "PUT" "/_component_template/{name}" INGEST, put(elastic::acknowledge), "Elasticsearch templates: change nothing";
    "GET" "/_template/{name}" SPEAKS, get(elastic::absent), "Elasticsearch templates: none";
    "PUT" "/_template/{name}" INGEST, put(elastic::acknowledge), "Elasticsearch templates: change nothing";
    "GET" "/_ilm/policy/{name}" SPEAKS, get(elastic::absent), "Elasticsearch policies: none";
    "PUT" "/_ilm/policy/{name}" INGEST, put(elastic::acknowledge), "Elasticsearch policies: change nothing";
    "GET" "/_ingest/pipeline/{name}" SPEAKS, get(elastic::absent), "Elasticsearch pipelines: none";
    "PUT" "/_ingest/pipeline/{name}" INGEST, put(elastic::acknowledge), "Elasticsearch pipelines: change nothing";
    "GET" "/_data_stream/{name}" SPEAKS, get(elastic::absent), "Elasticsearch data streams: none";
    "PUT" "/_data_stream/{name}" INGEST, put(elastic::acknowledge), "Elasticsearch data streams: change nothing";
    "POST" "/_search" VIEW, post(elastic::search).get(elastic::search), "Elasticsearch search";
    "POST" "/{index}/_search" VIEW, post(elastic::search_of).get(elastic::search_of), "Elasticsearch search";
    "POST" "/_search/scroll" VIEW, post(elastic::scroll_on).get(elastic::scroll_on).delete(elastic::clear), "Elasticsearch scrolling";
    "POST" "/_msearch" VIEW, post(elastic::multi).get(elastic::multi), "Elasticsearch searches, several";
    "POST" "/{index}/_msearch" VIEW, post(elastic::multi_of).get(elastic::multi_of), "Elasticsearch searches, several";
    "POST" "/_count" VIEW, post(elastic::count).get(elastic::count), "Elasticsearch count";
    "POST" "/{index}/_count" VIEW, post(elastic::count_of).get(elastic::count_of), "Elasticsearch count";
    "POST" "/_field_caps" VIEW, post(elastic::caps).get(elastic::caps), "Elasticsearch fields";
    "POST" "/{index}/_field_caps" VIEW, post(elastic::caps_of).get(elastic::caps_of), "Elasticsearch fields";
    "GET" "/_mapping" VIEW, get(elastic::mapping), "Elasticsearch mapping";
    "GET" "/{index}/_mapping" VIEW, get(elastic::mapping_of), "Elasticsearch mapping";
    "GET" "/_cat/indices" VIEW, get(elastic::cat_indices), "Elasticsearch indices";
    "GET" "/_cat/indices/{index}" VIEW, get(elastic::cat_indices), "Elasticsearch indices";
    "POST" "/services/collector" INGEST, post(hec::events), "Splunk HEC: events";
    "POST" "/services/collector/event" INGEST, post(hec::events), "Splunk HEC: events";
    "POST" "/services/collector/event/1.0" INGEST, post(hec::events), "Splunk HEC: events";
    "POST" "/services/collector/raw" INGEST, post(hec::raw), "Splunk HEC: lines of text";
    "POST" "/services/collector/raw/1.0" INGEST, post(hec::raw), "Splunk HEC: lines of text";
    "POST" "/services/collector/ack" INGEST, post(hec::acknowledgements), "Splunk HEC: not needed, every answer is an acknowledgement";
    "GET" "/services/collector/health" Need::Public, get(hec::health), "Splunk HEC: whether it answers";
    "GET" "/services/collector/health/1.0" Need::Public, get(hec::health), "Splunk HEC: whether it answers";
    "POST" "/v1/logs" INGEST, post(otlp::http), "OTLP logs over HTTP";
    "POST" "/opentelemetry.proto.collector.logs.v1.LogsService/Export" INGEST, post(otlp::grpc), "OTLP logs over gRPC";
    "GET" "/metrics" Need::Either(Role::Viewer, Scope::Metrics), get(probes::metrics), "Prometheus metrics";
    "GET" "/healthz" Need::Public, get(probes::health), "Whether the process answers";
    "GET" "/readyz" Need::Public, get(probes::ready), "Whether events can be taken";
};
