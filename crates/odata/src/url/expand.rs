//! `$expand` and `$select` (URL Conventions 5.1.3 and 5.1.4), which nest other options.

use super::ast::{ExpandItem, ExpandMode, ExpandTarget, QueryOptions, SelectItem, SelectPath};
use super::options::{
    Allowed, COUNT_OPTIONS, EXPAND_OPTIONS, REF_OPTIONS, SELECT_OPTIONS, STAR_OPTIONS,
};
use super::parser::{Parse, Parser};

impl Parser<'_, '_> {
    pub(super) fn expand(&mut self, items: &mut Vec<ExpandItem>) -> Parse<u32> {
        let mut height = 0;
        loop {
            self.spend_node()?;
            let (item, item_height) = self.nested(Self::expand_item)?;
            height = height.max(item_height);
            items.push(item);
            if !self.eat_separator(b',') {
                return Ok(height);
            }
        }
    }

    fn expand_item(&mut self) -> Parse<(ExpandItem, u32)> {
        if self.eat_system_name("$value") {
            return Ok((expand_item(ExpandTarget::Value), 1));
        }
        if self.eat(b'*') {
            let mut item = expand_item(ExpandTarget::Star);
            if self.eat_system_name("/$ref") {
                item.mode = ExpandMode::Ref;
                return Ok((item, 1));
            }
            let height = self.item_options(STAR_OPTIONS, &mut item.options)?;
            return Ok((item, height));
        }
        let mut path = vec![self.path_name()?];
        let mut mode = ExpandMode::Entities;
        while self.peek() == Some(b'/') {
            self.spend_node()?;
            if self.eat_system_name("/$ref") {
                mode = ExpandMode::Ref;
                break;
            }
            if self.eat_system_name("/$count") {
                mode = ExpandMode::Count;
                break;
            }
            self.pos += 1;
            path.push(self.path_name()?);
        }
        let mut item = expand_item(ExpandTarget::Path(path));
        item.mode = mode;
        let allowed = match mode {
            ExpandMode::Entities => EXPAND_OPTIONS,
            ExpandMode::Ref => REF_OPTIONS,
            ExpandMode::Count => COUNT_OPTIONS,
        };
        let height = self.item_options(allowed, &mut item.options)?;
        Ok((item, height))
    }

    /// The options after an item, if there are any; returns the height of the item.
    fn item_options(&mut self, allowed: Allowed, options: &mut QueryOptions) -> Parse<u32> {
        if self.peek() != Some(b'(') {
            return Ok(1);
        }
        let height = 1 + self.nested_options(allowed, options)?;
        self.check_height(height)?;
        Ok(height)
    }

    pub(super) fn select(&mut self, items: &mut Vec<SelectItem>) -> Parse<u32> {
        let mut height = 0;
        loop {
            self.spend_node()?;
            let (item, item_height) = self.nested(Self::select_item)?;
            height = height.max(item_height);
            items.push(item);
            if !self.eat_separator(b',') {
                return Ok(height);
            }
        }
    }

    fn select_item(&mut self) -> Parse<(SelectItem, u32)> {
        if self.eat(b'*') {
            return Ok((SelectItem::Star, 1));
        }
        let mut item = SelectPath {
            segments: vec![self.path_name()?],
            parameters: None,
            options: Box::default(),
        };
        if item.segments[0].starts_with('@') || !self.rest().starts_with(".*") {
            while self.eat(b'/') {
                self.spend_node()?;
                item.segments.push(self.path_name()?);
            }
        } else {
            self.pos += 2;
            return Ok((SelectItem::Operations(item.segments.remove(0)), 1));
        }
        let mut height = 1;
        if self.peek() == Some(b'(') {
            if self.at_option() {
                height = self.item_options(SELECT_OPTIONS, &mut item.options)?;
            } else {
                item.parameters = Some(self.parameter_names()?);
            }
        }
        Ok((SelectItem::Path(item), height))
    }

    /// Whether the parentheses that come next hold options and not the parameter names of an overload.
    fn at_option(&mut self) -> bool {
        let start = self.pos;
        self.pos += 1;
        self.skip_space();
        let marked = matches!(self.peek(), Some(b'$' | b'@'));
        let is_option = marked || (self.name().is_some() && self.peek() == Some(b'='));
        self.pos = start;
        is_option
    }

    fn parameter_names(&mut self) -> Parse<Vec<String>> {
        self.expect(b'(', "before the parameter names")?;
        self.skip_space();
        let mut names = Vec::new();
        if self.eat(b')') {
            return Ok(names);
        }
        loop {
            self.spend_node()?;
            names.push(
                self.expect_name("the name of a parameter, or options such as $top=5")?
                    .to_owned(),
            );
            if !self.eat_separator(b',') {
                break;
            }
        }
        self.skip_space();
        self.expect(b')', "or ',' after the parameter name")?;
        Ok(names)
    }

    /// One name of a `$select` or `$expand` path; annotations keep their `@`.
    fn path_name(&mut self) -> Parse<String> {
        if self.peek() == Some(b'@') {
            return Ok(format!("@{}", self.annotation()?));
        }
        match self.qualified_name() {
            Some(name) => Ok(name.to_owned()),
            None => Err(self.expected("a property name")),
        }
    }

    /// Takes a name that starts with `$` or `/$`; these are case-sensitive.
    fn eat_system_name(&mut self, name: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(name) else {
            return false;
        };
        let complete = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if complete {
            self.pos += name.len();
        }
        complete
    }
}

fn expand_item(target: ExpandTarget) -> ExpandItem {
    ExpandItem {
        target,
        mode: ExpandMode::Entities,
        options: Box::default(),
    }
}
