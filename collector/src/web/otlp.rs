//! OpenTelemetry logs (OTLP 1.x): over HTTP as protobuf or JSON under `/v1/logs`, over gRPC under
//! the service's own path, both on the port of the console and with a token for ingest.
//!
//! An answer goes out only when the records are durable. A record is never refused alone: what can
//! be decoded becomes events ([`record`]). What the specification calls not retryable is answered
//! with 400, and with 503 when the collector cannot take events now.

use api::ErrorCode;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use serde_json::json;

use super::access::Caller;
use super::{App, Failure, body, foreign};

mod json;
mod message;
mod record;

use message::{Export, Exported, Status};

/// Media type of protobuf bodies.
const PROTOBUF: &str = "application/x-protobuf";

pub(super) async fn http(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let json = is_json(request.headers());
    match take_http(&app, &caller, request, json).await {
        Ok(()) if json => axum::Json(json!({})).into_response(),
        Ok(()) => protobuf(StatusCode::OK, Exported {}.encode_to_vec()),
        Err(failure) => {
            app.telemetry.count("pikett_otlp_refused", "requests of OTLP refused", &[], 1);
            let (code, message) = (grpc_code(&failure) as i32, failure.to_string());
            if json {
                let answer = json!({ "code": code, "message": message });
                return (failure.status(), axum::Json(answer)).into_response();
            }
            protobuf(failure.status(), Status { code, message }.encode_to_vec())
        }
    }
}

fn protobuf(status: StatusCode, body: Vec<u8>) -> Response {
    let media = [(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF))];
    (status, media, body).into_response()
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(|media| media.trim_start().starts_with("application/json"))
}

async fn take_http(
    app: &App,
    caller: &Caller,
    request: Request,
    json: bool,
) -> Result<(), Failure> {
    let packing = body::Packing::of(request.headers())?;
    let bytes = body::read(request).await?;
    take(app, caller, move || decode(packing.unpack(bytes)?, json)).await
}

fn decode(bytes: Bytes, json: bool) -> Result<Export, Failure> {
    if json {
        return json::read(&bytes)
            .map_err(|error| Failure::bad(format!("body is no OTLP in JSON: {error}")));
    }
    Export::decode(bytes)
        .map_err(|error| Failure::bad(format!("body is no OTLP in protobuf: {error}")))
}

/// Makes events of what `export` gives and stores them.
async fn take(
    app: &App,
    caller: &Caller,
    export: impl FnOnce() -> Result<Export, Failure> + Send + 'static,
) -> Result<(), Failure> {
    let (sender, now) = (foreign::sender(caller)?, app.now());
    let made = tokio::task::spawn_blocking(move || record::events(export()?, now)).await;
    let (events, left_out) = made.map_err(|error| Failure::internal(&error))??;
    if !events.is_empty() {
        foreign::store(app, sender, events).await?;
    }
    for (reason, _, count) in left_out.by_reason() {
        foreign::left_out(app, "otlp", reason, count);
    }
    Ok(())
}

/// The code of gRPC for a failure.
fn grpc_code(failure: &Failure) -> tonic::Code {
    match failure.code() {
        ErrorCode::BadRequest => tonic::Code::InvalidArgument,
        ErrorCode::TooLarge => tonic::Code::ResourceExhausted,
        ErrorCode::Unavailable => tonic::Code::Unavailable,
        _ => tonic::Code::Internal,
    }
}

/// The one method of the service.
struct Service {
    app: App,
    caller: Caller,
}

impl tonic::server::UnaryService<Export> for Service {
    type Response = Exported;
    type Future = std::pin::Pin<
        Box<dyn Future<Output = Result<tonic::Response<Exported>, tonic::Status>> + Send>,
    >;

    fn call(&mut self, request: tonic::Request<Export>) -> Self::Future {
        let (app, caller) = (self.app.clone(), self.caller.clone());
        Box::pin(async move {
            let export = request.into_inner();
            match take(&app, &caller, move || Ok(export)).await {
                Ok(()) => Ok(tonic::Response::new(Exported {})),
                Err(failure) => {
                    app.telemetry.count("pikett_otlp_refused", "requests of OTLP refused", &[], 1);
                    Err(tonic::Status::new(grpc_code(&failure), failure.to_string()))
                }
            }
        })
    }
}

pub(super) async fn grpc(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    use tonic::codec::CompressionEncoding::{Gzip, Zstd};
    let codec = tonic_prost::ProstCodec::<Exported, Export>::default();
    let mut server = tonic::server::Grpc::new(codec)
        .accept_compressed(Gzip)
        .accept_compressed(Zstd)
        .max_decoding_message_size(body::MAX_BODY);
    server.unary(Service { app, caller }, request).await.map(axum::body::Body::new)
}

#[cfg(test)]
mod tests;
