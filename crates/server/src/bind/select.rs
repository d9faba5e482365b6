//! `$select` (URL Conventions 5.1.4): which properties a payload shows.

use highwater_odata::url::ast;

use super::error::{BindError, invalid_url, not_implemented, type_mismatch};
use super::options::Context;

/// What `$select` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    /// Positions of properties, ascending.
    pub(super) properties: Vec<usize>,
    /// Positions of navigation properties whose links are wanted, ascending.
    pub(super) navigations: Vec<usize>,
    /// Whether `*` was written, or nothing.
    pub(super) all: bool,
    /// Whether `Namespace.*` was written.
    pub(super) operations: bool,
    /// Whether anything was written.
    pub(super) explicit: bool,
}

pub(super) fn select(
    context: &Context<'_>,
    collection: usize,
    items: &[ast::SelectItem],
) -> Result<Selected, BindError> {
    let mut selected = Selected {
        all: items.is_empty(),
        explicit: !items.is_empty(),
        ..Selected::default()
    };
    for item in items {
        match item {
            ast::SelectItem::Star => selected.all = true,
            // Advertised operations: this service has none, so there is nothing to show.
            ast::SelectItem::Operations(namespace)
                if namespace == context.model.edm().namespace() =>
            {
                selected.operations = true;
            }
            ast::SelectItem::Operations(namespace) => {
                return Err(invalid_url(format!("There is no namespace {namespace}.")));
            }
            ast::SelectItem::Path(path) => select_path(context, collection, path, &mut selected)?,
        }
    }
    if selected.all {
        selected.properties = (0..context.model.properties(collection).len()).collect();
    }
    selected.properties.sort_unstable();
    selected.properties.dedup();
    selected.navigations.sort_unstable();
    selected.navigations.dedup();
    Ok(selected)
}

fn select_path(
    context: &Context<'_>,
    collection: usize,
    path: &ast::SelectPath,
    selected: &mut Selected,
) -> Result<(), BindError> {
    let mut segments = path.segments.as_slice();
    if let [first, rest @ ..] = segments
        && !rest.is_empty()
        && context.is_type_of(collection, first)
    {
        segments = rest;
    }
    let (name, rest) = segments
        .split_first()
        .ok_or_else(|| invalid_url("An item of $select is empty."))?;
    if path.segments.iter().any(|segment| segment.starts_with('@')) {
        return Err(not_implemented("Annotations in $select are not supported."));
    }
    let model = context.model;
    let property = model.property(collection, name);
    let navigation = model.navigation(collection, name);
    if property.is_none() && navigation.is_none() {
        return Err(context.unknown_member(collection, name));
    }
    if path.parameters.is_some() {
        return Err(invalid_url(format!(
            "{name} is no function and takes no parameters."
        )));
    }
    if !rest.is_empty() || *path.options != ast::QueryOptions::default() {
        let error = type_mismatch(format!(
            "{name} cannot be followed by a path or by options in $select."
        ));
        return Err(match navigation {
            Some(_) => error.hint(format!("Use $expand={name}($select=...).")),
            None => error,
        });
    }
    selected.properties.extend(property);
    selected.navigations.extend(navigation);
    Ok(())
}
