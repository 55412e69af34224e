//! Why a request is not even read: the word for log and metric, the status, the sentence.

use http::StatusCode;

/// A fault in the bytes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A line that ends with LF alone.
    BareLf,
    /// A CR without LF.
    BareCr,
    /// More than one empty line before the request line.
    EmptyLines,
    /// Not three words with one space between.
    RequestLine,
    /// The method is no token.
    Method,
    /// `CONNECT`, or a method longer than any.
    MethodUnknown,
    /// A byte that no target has.
    Target,
    /// A form of target that the method does not take, or another scheme.
    TargetForm,
    /// User information in the target.
    UserInformation,
    /// A target over the limit.
    TargetTooLong,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version,
    /// A folded field.
    Folded,
    /// A field name that is none: empty, with a space before the colon, without colon.
    FieldName,
    /// A control byte in a field value.
    ControlByte,
    /// No Host.
    HostMissing,
    /// More than one Host.
    HostRepeated,
    /// A Host that names no host.
    Host,
    /// A Content-Length that is no length.
    Length,
    /// More than one Content-Length.
    LengthRepeated,
    /// Content-Length and Transfer-Encoding together.
    LengthAndCoding,
    /// A Transfer-Encoding that does not say where the body ends.
    Coding,
    /// A transfer coding besides `chunked`.
    CodingUnknown,
    /// Transfer-Encoding in HTTP/1.0.
    CodingInOld,
    /// An expectation besides `100-continue`.
    Expectation,
    /// More fields than allowed.
    TooManyFields,
    /// A head over the limit.
    HeadTooLong,
    /// A head that did not arrive in time.
    HeadTimeout,
    /// A chunk whose size is no number, or too large.
    ChunkSize,
    /// A chunk extension with a control byte, or too long.
    ChunkExtension,
    /// A chunk longer or shorter than its size.
    ChunkEnd,
    /// A trailer that frames or routes, is malformed or too long.
    Trailer,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 31] = [
        Self::BareLf,
        Self::BareCr,
        Self::EmptyLines,
        Self::RequestLine,
        Self::Method,
        Self::MethodUnknown,
        Self::Target,
        Self::TargetForm,
        Self::UserInformation,
        Self::TargetTooLong,
        Self::Version,
        Self::Folded,
        Self::FieldName,
        Self::ControlByte,
        Self::HostMissing,
        Self::HostRepeated,
        Self::Host,
        Self::Length,
        Self::LengthRepeated,
        Self::LengthAndCoding,
        Self::Coding,
        Self::CodingUnknown,
        Self::CodingInOld,
        Self::Expectation,
        Self::TooManyFields,
        Self::HeadTooLong,
        Self::HeadTimeout,
        Self::ChunkSize,
        Self::ChunkExtension,
        Self::ChunkEnd,
        Self::Trailer,
    ];

    /// The word in log and metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.told().0
    }

    /// One sentence for whoever wrote the client.
    #[must_use]
    pub fn detail(self) -> &'static str {
        self.told().1
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::BareLf => ("bare_lf", "a line ends with LF instead of CRLF"),
            Self::BareCr => ("bare_cr", "a CR without LF"),
            Self::EmptyLines => ("empty_lines", "more than one empty line before the request"),
            Self::RequestLine => ("request_line", "the request line is not METHOD TARGET VERSION"),
            Self::Method => ("method", "the method is not a token"),
            Self::MethodUnknown => ("method_unknown", "this method is not implemented"),
            Self::Target => ("target", "a byte in the target that must be escaped"),
            Self::TargetForm => ("target_form", "a target that does not fit the method or the scheme"),
            Self::UserInformation => ("user_information", "user information in the target"),
            Self::TargetTooLong => ("target_too_long", "the target is longer than allowed"),
            Self::Version => ("version", "only HTTP/1.0 and HTTP/1.1 are spoken here"),
            Self::Folded => ("folded", "a field over several lines"),
            Self::FieldName => ("field_name", "a field name that is none"),
            Self::ControlByte => ("control_byte", "a control byte in a field value"),
            Self::HostMissing => ("host_missing", "no Host"),
            Self::HostRepeated => ("host_repeated", "more than one Host"),
            Self::Host => ("host", "a Host that names no host"),
            Self::Length => ("length", "a Content-Length that is no length"),
            Self::LengthRepeated => ("length_repeated", "more than one Content-Length"),
            Self::LengthAndCoding => ("length_and_coding", "both Content-Length and Transfer-Encoding"),
            Self::Coding => ("coding", "a Transfer-Encoding that does not end with one `chunked`"),
            Self::CodingUnknown => ("coding_unknown", "a transfer coding besides `chunked`"),
            Self::CodingInOld => ("coding_in_old", "Transfer-Encoding in HTTP/1.0"),
            Self::Expectation => ("expectation", "an expectation besides 100-continue"),
            Self::TooManyFields => ("too_many_fields", "more fields than allowed"),
            Self::HeadTooLong => ("head_too_long", "the head is longer than allowed"),
            Self::HeadTimeout => ("head_timeout", "the head did not arrive in time"),
            Self::ChunkSize => ("chunk_size", "a chunk size that is none"),
            Self::ChunkExtension => ("chunk_extension", "a chunk extension that is malformed or too long"),
            Self::ChunkEnd => ("chunk_end", "a chunk that does not end where it says"),
            Self::Trailer => ("trailer", "a trailer that is malformed, too long or not allowed"),
        }
    }

    /// The status that says so.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyFields | Self::HeadTooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::MethodUnknown | Self::CodingUnknown => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}
