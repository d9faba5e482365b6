//! Entity ids that come from clients: absolute URLs of this service, absolute paths, or relative to the service root
//! (Protocol 4.3; URL Conventions 4.3).

use highwater_odata::url;

use super::Exchange;
use crate::bind::{self, Context, Resource, Rows, What};
use crate::http::error::{ApiError, Code};
use crate::service::ODATA_MOUNT;

/// The entity that an id names.
///
/// # Errors
///
/// 400 if it is not an id, or the id of an entity elsewhere; 404 if it names nothing that this service has.
pub(super) fn rows_of(x: &Exchange<'_>, id: &str) -> Result<Rows, ApiError> {
    let path = below_root(&x.request.root, id).ok_or_else(|| {
        ApiError::new(
            Code::InvalidUrl,
            format!(
                "{id:?} is not the id of an entity of this service. Ids are relative to {} or begin with it.",
                x.request.root
            ),
        )
    })?;
    let limits = &x.core.settings.limits;
    let path = url::parse_path(path, &bind::url_limits(limits))?;
    // Aliases of the request mean nothing in an id.
    let context = Context::new(x.model, limits, &[], x.request.now());
    match bind::resolve(&context, &path)? {
        Resource::Rows(rows) if rows.what == What::Entity => Ok(rows),
        _ => Err(ApiError::new(
            Code::InvalidUrl,
            format!("{id:?} does not name a single entity."),
        )),
    }
}

fn below_root<'i>(root: &str, id: &'i str) -> Option<&'i str> {
    if let Some(path) = id.strip_prefix(root) {
        return Some(path);
    }
    // Scheme and host may be spelled differently behind a proxy, but not the path.
    let root_path = root
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|start| &rest[start..]))
        .unwrap_or(ODATA_MOUNT);
    if let Some(path) = id.strip_prefix(root_path) {
        return Some(path);
    }
    let is_relative = !id.starts_with('/') && !id.contains("://");
    is_relative.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::below_root;

    #[test]
    fn ids_below_the_root() {
        for (id, expected) in [
            ("T(1)", Some("T(1)")),
            ("http://h/odata/T(1)", Some("T(1)")),
            ("/odata/T(1)", Some("T(1)")),
            ("http://other/odata/T(1)", None),
            ("/elsewhere/T(1)", None),
            ("ftp://h/odata/T(1)", None),
        ] {
            assert_eq!(below_root("http://h/odata/", id), expected, "{id}");
        }
    }
}
