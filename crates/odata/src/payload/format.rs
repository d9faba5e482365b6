//! How a JSON payload is written: the parameters of its media type (JSON Format 3).

use std::fmt::Write as _;

use crate::Version;

/// Version and format parameters of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// Decides the names of control information and the shape of removed entities.
    pub version: Version,
    /// How much control information is written.
    pub metadata: MetadataLevel,
    /// Whether 64-bit integers and decimals are written as strings (JSON Format 3.2).
    pub ieee754_compatible: bool,
    /// Whether decimals may keep an exponent (JSON Format 3.3).
    pub exponential_decimals: bool,
    /// Whether the client asked for the streaming order. It always gets it; this only says so in the media type.
    pub streaming: bool,
}

/// The format parameter `metadata` (JSON Format 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetadataLevel {
    /// Only what a client cannot do without: counts and links to further pages.
    None,
    /// What a client cannot compute from the metadata document.
    Minimal,
    /// Everything.
    Full,
}

impl Format {
    /// Minimal metadata and numbers as JSON numbers.
    pub const fn new(version: Version) -> Format {
        Format {
            version,
            metadata: MetadataLevel::Minimal,
            ieee754_compatible: false,
            exponential_decimals: false,
            streaming: false,
        }
    }

    /// What control information begins with: 4.0 payloads must keep the prefix, 4.01 payloads should drop it (JSON Format 4.5).
    pub(crate) const fn prefix(&self) -> &'static str {
        match self.version {
            Version::V4_0 => "@odata.",
            Version::V4_01 => "@",
        }
    }

    /// The media type for `Content-Type`. It names the metadata level always and other parameters only if they were asked for
    /// (Protocol 8.2.1); 4.0 wants the prefix in parameter names, 4.01 does not.
    pub fn content_type(&self) -> String {
        let prefix = match self.version {
            Version::V4_0 => "odata.",
            Version::V4_01 => "",
        };
        let metadata = match self.metadata {
            MetadataLevel::None => "none",
            MetadataLevel::Minimal => "minimal",
            MetadataLevel::Full => "full",
        };
        let mut text = format!("application/json;{prefix}metadata={metadata}");
        if self.streaming {
            write!(text, ";{prefix}streaming=true").expect("writing to a string never fails");
        }
        if self.ieee754_compatible {
            text.push_str(";IEEE754Compatible=true");
        }
        if self.exponential_decimals {
            text.push_str(";ExponentialDecimals=true");
        }
        text
    }
}
