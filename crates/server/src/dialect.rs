//! One module for each wire protocol.

pub(crate) mod odata;
