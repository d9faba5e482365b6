//! The body of an error answer, the same in 4.0 and 4.01 (JSON Format 21.1, Protocol 9.4).

use super::text::write_string;

/// What a person and a program should know about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// A stable word for programs. Not empty.
    pub code: String,
    /// A sentence for a person. Not empty.
    pub message: String,
    /// The part of the request that is wrong, such as the name of a property or query option.
    pub target: Option<String>,
    /// Several failures of one request.
    pub details: Vec<ErrorDetail>,
}

/// One of several failures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDetail {
    /// A stable word for programs. Not empty.
    pub code: String,
    /// A sentence for a person. Not empty.
    pub message: String,
    /// The part of the request that is wrong.
    pub target: Option<String>,
}

impl ErrorBody {
    /// A failure without target and details.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> ErrorBody {
        ErrorBody {
            code: code.into(),
            message: message.into(),
            target: None,
            details: Vec::new(),
        }
    }

    /// The body.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = b"{\"error\":{".to_vec();
        write_members(&mut out, &self.code, &self.message, self.target.as_deref());
        if !self.details.is_empty() {
            out.extend_from_slice(b",\"details\":[");
            for (index, detail) in self.details.iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
                write_members(
                    &mut out,
                    &detail.code,
                    &detail.message,
                    detail.target.as_deref(),
                );
                out.push(b'}');
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}}");
        out
    }
}

fn write_members(out: &mut Vec<u8>, code: &str, message: &str, target: Option<&str>) {
    out.extend_from_slice(b"\"code\":");
    write_string(out, code);
    out.extend_from_slice(b",\"message\":");
    write_string(out, message);
    if let Some(target) = target {
        out.extend_from_slice(b",\"target\":");
        write_string(out, target);
    }
}
