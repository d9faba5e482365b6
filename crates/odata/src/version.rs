//! The version of the protocol that a response or a request body speaks (Protocol 8.1.5).

use std::fmt;

/// `OData-Version`. The order is that of the versions, so that `min` negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 4.0
    V4_0,
    /// 4.01
    V4_01,
}

impl Version {
    /// As in the header `OData-Version` and the attribute `Version` of a metadata document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::V4_0 => "4.0",
            Version::V4_01 => "4.01",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
