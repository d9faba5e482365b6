//! Next links of nested collections: plain URLs that skip what was shown (Protocol 11.2.6.7).
//!
//! Unlike the links of a round they promise no snapshot: `$expand` is not tracked, and a nested collection that does not fit is
//! read on as the current state.

use std::fmt::Write as _;

use highwater_odata::payload::ExpandShape;
use highwater_odata::url::ast::{ExpandItem, ExpandTarget, Levels, QueryOptions};
use percent_encoding::utf8_percent_encode;

use super::Exchange;
use super::page::{NestedLink, NestedLinks};
use crate::bind::BoundQuery;
use crate::links::{OPTION, SEGMENT};

pub(super) fn nested_links(
    x: &Exchange<'_>,
    bound: &BoundQuery,
    options: &QueryOptions,
) -> NestedLinks {
    NestedLinks {
        root: x.request.root.clone(),
        expansions: links_of(x, bound.collection, &bound.shape.expand, &options.expand),
    }
}

fn links_of(
    x: &Exchange<'_>,
    collection: usize,
    shapes: &[ExpandShape],
    items: &[ExpandItem],
) -> Vec<NestedLink> {
    shapes
        .iter()
        .map(|shape| {
            let navigation = &x.model.navigations(collection)[shape.navigation];
            let item = item_of(items, &navigation.name);
            let options = item.map(|item| inner_options(item, &navigation.name));
            let options = options.unwrap_or_default();
            NestedLink {
                segment: utf8_percent_encode(&navigation.name, SEGMENT).to_string(),
                options: option_text(&options),
                skip: options.skip.unwrap_or(0),
                top: options.top,
                expansions: links_of(
                    x,
                    x.model.target(navigation),
                    &shape.shape.expand,
                    &options.expand,
                ),
            }
        })
        .collect()
}

/// The item that names a navigation property, or the star that stands for it.
fn item_of<'i>(items: &'i [ExpandItem], name: &str) -> Option<&'i ExpandItem> {
    let named = items.iter().find(|item| match &item.target {
        ExpandTarget::Path(path) => path.iter().any(|segment| segment == name),
        ExpandTarget::Star | ExpandTarget::Value => false,
    });
    named.or_else(|| {
        items
            .iter()
            .find(|item| matches!(item.target, ExpandTarget::Star))
    })
}

/// The options of an item, with what `$levels` leaves to do written out.
fn inner_options(item: &ExpandItem, name: &str) -> QueryOptions {
    let mut options = (*item.options).clone();
    let rest = match options.levels.take() {
        Some(Levels::Max) => Some(Levels::Max),
        Some(Levels::Number(levels)) if levels > 1 => Some(Levels::Number(levels - 1)),
        Some(Levels::Number(_)) | None => None,
    };
    if let (Some(levels), ExpandTarget::Path(_)) = (rest, &item.target) {
        let mut again = item.clone();
        again.target = ExpandTarget::Path(vec![name.to_owned()]);
        again.options.levels = Some(levels);
        options.expand.push(again);
    }
    options
}

/// Everything but `$skip` and `$top`, ready for a URL.
fn option_text(options: &QueryOptions) -> String {
    let mut text = String::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            let value = utf8_percent_encode(&value, OPTION);
            let _ = write!(text, "${name}={value}&");
        }
    };
    let show = |value: Option<String>| value.unwrap_or_default();
    put(
        "filter",
        show(options.filter.as_ref().map(ToString::to_string)),
    );
    put(
        "search",
        show(options.search.as_ref().map(ToString::to_string)),
    );
    put("select", joined(&options.select));
    put("expand", joined(&options.expand));
    put("orderby", joined(&options.orderby));
    put("count", show(options.count.map(|count| count.to_string())));
    text
}

fn joined<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(",")
}
