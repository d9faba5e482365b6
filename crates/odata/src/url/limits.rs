//! Bounds on what a URL may ask of the parser and of whoever walks the tree.

/// The longest request target that is parsed, in bytes as sent.
pub const URL_BYTES_MAX: usize = 64 * 1024;
/// The greatest height of an expression, a search or a nest of `$expand`.
pub const DEPTH_MAX: u32 = 100;
/// The greatest number of operators, operands, path segments and list items of one URL.
pub const NODES_MAX: u32 = 20_000;

/// Bounds for one call of the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The greatest height of a tree. The parser needs a few kilobytes of stack for each level.
    pub depth_max: u32,
    /// The greatest number of nodes of all trees together.
    pub nodes_max: u32,
    /// The longest request target, or text given to one of the other entry points, in bytes.
    pub url_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth_max: DEPTH_MAX,
            nodes_max: NODES_MAX,
            url_bytes_max: URL_BYTES_MAX,
        }
    }
}
