//! The messages of OTLP logs, by the field numbers of `opentelemetry/proto/logs/v1/logs.proto`,
//! `common/v1/common.proto` and `resource/v1/resource.proto`. Fields of no use here are not
//! decoded: protobuf skips what it does not know.

use prost::{Message, Oneof};

/// `ExportLogsServiceRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Export {
    /// Records by what they come from.
    #[prost(message, repeated, tag = "1")]
    pub(super) resource_logs: Vec<ResourceLogs>,
}

/// `ExportLogsServiceResponse` without a partial success: all was taken.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Exported {}

/// `google.rpc.Status`, the body of failures over HTTP.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Status {
    /// Code of gRPC.
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    /// Words.
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

/// Records of one resource.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceLogs {
    /// What they come from.
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    /// Records by what wrote them.
    #[prost(message, repeated, tag = "2")]
    pub(super) scope_logs: Vec<ScopeLogs>,
}

/// A host, a container, a service.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    /// What is known of it.
    #[prost(message, repeated, tag = "1")]
    pub(super) attributes: Vec<KeyValue>,
}

/// Records of one library or program.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeLogs {
    /// Which.
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<Scope>,
    /// Its records.
    #[prost(message, repeated, tag = "2")]
    pub(super) log_records: Vec<LogRecord>,
}

/// `InstrumentationScope`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Scope {
    /// Name.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Version.
    #[prost(string, tag = "2")]
    pub(super) version: String,
}

/// One log record.
#[derive(Clone, PartialEq, Message)]
pub(super) struct LogRecord {
    /// When it happened, nanoseconds since the epoch; 0 when unknown.
    #[prost(fixed64, tag = "1")]
    pub(super) time_unix_nano: u64,
    /// 1 (trace) to 24 (fatal); 0 when unknown.
    #[prost(int32, tag = "2")]
    pub(super) severity_number: i32,
    /// As its source calls it.
    #[prost(string, tag = "3")]
    pub(super) severity_text: String,
    /// What it says.
    #[prost(message, optional, tag = "5")]
    pub(super) body: Option<AnyValue>,
    /// What is known of it.
    #[prost(message, repeated, tag = "6")]
    pub(super) attributes: Vec<KeyValue>,
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "9")]
    pub(super) trace_id: Vec<u8>,
    /// 8 bytes.
    #[prost(bytes = "vec", tag = "10")]
    pub(super) span_id: Vec<u8>,
    /// When it was seen first, nanoseconds since the epoch; 0 when unknown.
    #[prost(fixed64, tag = "11")]
    pub(super) observed_time_unix_nano: u64,
    /// Which kind of event it is, for those that have one.
    #[prost(string, tag = "12")]
    pub(super) event_name: String,
}

/// An attribute.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    /// Dotted name.
    #[prost(string, tag = "1")]
    pub(super) key: String,
    /// Value.
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<AnyValue>,
}

/// A value of any kind. Nesting is limited to a hundred levels by the decoder.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    /// The value.
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) value: Option<Any>,
}

/// Kinds of values.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Any {
    /// Text.
    #[prost(string, tag = "1")]
    Text(String),
    /// Truth.
    #[prost(bool, tag = "2")]
    Bool(bool),
    /// Whole number.
    #[prost(int64, tag = "3")]
    Int(i64),
    /// Number.
    #[prost(double, tag = "4")]
    Double(f64),
    /// List.
    #[prost(message, tag = "5")]
    List(List),
    /// Map.
    #[prost(message, tag = "6")]
    Map(Map),
    /// Bytes.
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

/// `ArrayValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    /// Its elements.
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<AnyValue>,
}

/// `KeyValueList`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Map {
    /// Its entries.
    #[prost(message, repeated, tag = "1")]
    pub(super) values: Vec<KeyValue>,
}
