//! `$expand` (URL Conventions 5.1.3): related rows inside rows.

use highwater_core::query::{ExpandMode, Logical};
use highwater_odata::context::ExpandedName;
use highwater_odata::payload::{self, ExpandShape};
use highwater_odata::url::ast::{self, QueryOptions};

use super::env::{Binder, Env};
use super::error::{BindError, invalid_url, not_implemented, option_not_allowed, too_complex};
use super::operator;
use super::options::BoundQuery;

/// One navigation property to be expanded.
pub(super) struct Expanded {
    pub(super) relation: usize,
    pub(super) mode: ExpandMode,
    pub(super) bound: BoundQuery,
    pub(super) shape: ExpandShape,
    /// What the context URL says; `None` where only references or the number are wanted.
    pub(super) name: Option<ExpandedName>,
}

/// An item of `$expand` whose navigation property is known.
#[derive(Clone, Copy)]
struct Item<'i> {
    navigation: usize,
    mode: ast::ExpandMode,
    options: &'i QueryOptions,
    /// How many levels are to be expanded, this one included.
    levels: usize,
}

impl Binder<'_> {
    /// `depth` is the number of expansions around this one.
    pub(super) fn expand(
        &mut self,
        collection: usize,
        items: &[ast::ExpandItem],
        depth: usize,
    ) -> Result<Vec<Expanded>, BindError> {
        self.expand_items(collection, items, depth)?
            .into_iter()
            .map(|item| self.expand_one(collection, item, depth))
            .collect()
    }

    /// Finds the navigation properties; `*` stands for those that are not named.
    fn expand_items<'i>(
        &self,
        collection: usize,
        items: &'i [ast::ExpandItem],
        depth: usize,
    ) -> Result<Vec<Item<'i>>, BindError> {
        let navigations = self.context.model.navigations(collection);
        let mut found: Vec<Item<'i>> = Vec::new();
        let mut star = None;
        for item in items {
            let path = match &item.target {
                ast::ExpandTarget::Path(path) => path,
                ast::ExpandTarget::Star => {
                    star = Some(item);
                    continue;
                }
                ast::ExpandTarget::Value => {
                    return Err(invalid_url(
                        "Entities of this service have no media stream to expand.",
                    ));
                }
            };
            let navigation = self.expand_path(collection, path)?;
            if found.iter().any(|item| item.navigation == navigation) {
                return Err(invalid_url(format!(
                    "{} is expanded twice.",
                    navigations[navigation].name
                )));
            }
            let target = self.context.model.target(&navigations[navigation]);
            found.push(Item {
                navigation,
                mode: item.mode,
                options: &item.options,
                levels: self.levels(item.options.levels, target == collection, depth)?,
            });
        }
        if let Some(star) = star {
            self.levels(star.options.levels, false, depth)?;
            let named: Vec<usize> = found.iter().map(|item| item.navigation).collect();
            let others = (0..navigations.len()).filter(|navigation| !named.contains(navigation));
            found.extend(others.map(|navigation| Item {
                navigation,
                mode: star.mode,
                options: &star.options,
                levels: 1,
            }));
        }
        Ok(found)
    }

    fn expand_path(&self, collection: usize, path: &[String]) -> Result<usize, BindError> {
        let model = self.context.model;
        let segments = match path {
            [cast, rest @ ..] if !rest.is_empty() && self.context.is_type_of(collection, cast) => {
                rest
            }
            path => path,
        };
        let (name, rest) = segments
            .split_first()
            .ok_or_else(|| invalid_url("An item of $expand is empty."))?;
        let Some(navigation) = model.navigation(collection, name) else {
            if model.property(collection, name).is_some() {
                return Err(invalid_url(format!(
                    "{name} is no navigation property and cannot be expanded. Use $select."
                )));
            }
            return Err(self.context.unknown_member(collection, name));
        };
        let target = model.target(&model.navigations(collection)[navigation]);
        match rest {
            [] => Ok(navigation),
            [cast] if self.context.is_type_of(target, cast) => Ok(navigation),
            [next, ..] => Err(invalid_url(format!(
                "{name}/{next}: a path cannot be expanded. Use $expand={name}($expand={next})."
            ))),
        }
    }

    /// How many levels to write out (URL Conventions 5.1.3.6).
    fn levels(
        &self,
        levels: Option<ast::Levels>,
        is_recursive: bool,
        depth: usize,
    ) -> Result<usize, BindError> {
        let max = self.context.limits.expand_depth_max;
        let levels = match levels {
            None | Some(ast::Levels::Number(0 | 1)) => return Ok(1),
            Some(_) if !is_recursive => {
                return Err(not_implemented(
                    "$levels is only supported for a navigation property that leads to its own entity set.",
                ));
            }
            Some(ast::Levels::Max) => max.saturating_sub(depth).max(1),
            Some(ast::Levels::Number(levels)) => usize::try_from(levels).unwrap_or(usize::MAX),
        };
        if levels.saturating_add(depth) > max {
            return Err(too_deep(max));
        }
        Ok(levels)
    }

    fn expand_one(
        &mut self,
        collection: usize,
        item: Item<'_>,
        depth: usize,
    ) -> Result<Expanded, BindError> {
        let limits = self.context.limits;
        self.expands += 1;
        if self.expands > limits.expand_nodes_max {
            return Err(too_complex(format!(
                "$expand names more than {} navigation properties, * and $levels written out. Split the request.",
                limits.expand_nodes_max
            )));
        }
        if depth >= limits.expand_depth_max {
            return Err(too_deep(limits.expand_depth_max));
        }
        let model = self.context.model;
        let navigation = &model.navigations(collection)[item.navigation];
        let target = model.target(navigation);
        check_options(&navigation.name, navigation.collection, item)?;
        let mut bound = self.query(target, item.options, false, depth + 1)?;
        let env = Env::root(target, false);
        if let Some(shown) = self.fixed_filter(env.current)? {
            let filter = bound.query.filter.take();
            let conditions = std::iter::once(shown).chain(filter).collect();
            bound.query.filter = operator::join(Logical::And, conditions);
        }
        let name = match item.mode {
            ast::ExpandMode::Entities => Some(ExpandedName {
                name: navigation.name.clone(),
                recursive: item.levels > 1,
                inner: bound.select.clone(),
            }),
            ast::ExpandMode::Ref | ast::ExpandMode::Count => None,
        };
        if item.levels > 1 {
            self.expand_again(target, item, depth, &mut bound)?;
        }
        if item.mode != ast::ExpandMode::Entities {
            bound.query.columns.clear();
        }
        let (mode, shown) = match item.mode {
            ast::ExpandMode::Entities => (ExpandMode::Entities, payload::ExpandMode::Entities),
            ast::ExpandMode::Ref => (ExpandMode::References, payload::ExpandMode::References),
            ast::ExpandMode::Count => (ExpandMode::Count, payload::ExpandMode::Count),
        };
        Ok(Expanded {
            relation: navigation.source,
            mode,
            shape: ExpandShape {
                navigation: item.navigation,
                mode: shown,
                shape: bound.shape.clone(),
            },
            bound,
            name,
        })
    }

    /// `$levels`: the same item once more, inside.
    fn expand_again(
        &mut self,
        collection: usize,
        item: Item<'_>,
        depth: usize,
        bound: &mut BoundQuery,
    ) -> Result<(), BindError> {
        let again = Item {
            levels: item.levels - 1,
            ..item
        };
        if bound
            .shape
            .expand
            .iter()
            .any(|inner| inner.navigation == item.navigation)
        {
            return Err(invalid_url(
                "A navigation property with $levels is expanded once more inside itself. Leave one of both out.",
            ));
        }
        let inner = self.expand_one(collection, again, depth + 1)?;
        bound.query.expand.push(highwater_core::Expand {
            relation: inner.relation,
            query: inner.bound.query,
            mode: inner.mode,
        });
        bound.shape.expand.push(inner.shape);
        Ok(())
    }
}

fn too_deep(max: usize) -> BindError {
    too_complex(format!(
        "$expand is nested deeper than {max} levels. Read the inner entities separately."
    ))
}

/// What applies to a collection does not apply to a single entity.
fn check_options(name: &str, is_collection: bool, item: Item<'_>) -> Result<(), BindError> {
    let options = item.options;
    if options.apply.is_some() || !options.compute.is_empty() {
        return Err(not_implemented(
            "$apply and $compute inside $expand are not supported.",
        ));
    }
    if !options.aliases.is_empty() {
        return Err(not_implemented(
            "Parameter aliases inside $expand are not supported. Give them as query options of the request.",
        ));
    }
    if is_collection {
        return Ok(());
    }
    if item.mode == ast::ExpandMode::Count {
        return Err(invalid_url(format!(
            "{name}/$count: {name} leads to a single entity, which has no number."
        )));
    }
    let only_collections = ["$filter", "$search", "$orderby", "$top", "$skip", "$count"];
    match options
        .system_names()
        .find(|option| only_collections.contains(option))
    {
        None => Ok(()),
        Some(option) => Err(option_not_allowed(format!(
            "{option} does not apply to {name}, which leads to a single entity."
        ))),
    }
}
