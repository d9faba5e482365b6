//! System query options (URL Conventions 5.1) and their values, at the top level and nested in `$expand` and `$select`.
//!
//! What must hold: each option occurs once, wherever options may stand. A value is parsed in place, so a nested one ends where
//! its grammar ends, whatever quotes, brackets and semicolons it contains.

use std::collections::HashSet;

use super::ast::{ComputeItem, Levels, OrderByItem, QueryOptions};
use super::parser::{Parse, Parser};

/// A system query option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SystemOption {
    Apply,
    Compute,
    Count,
    DeltaToken,
    Expand,
    Filter,
    Format,
    Id,
    Index,
    Levels,
    OrderBy,
    SchemaVersion,
    Search,
    Select,
    Skip,
    SkipToken,
    Top,
}

use SystemOption as O;

/// Names as the specification spells them, with the dollar sign that 4.01 allows to leave out.
const OPTIONS: [(SystemOption, &str); 17] = [
    (O::Apply, "$apply"),
    (O::Compute, "$compute"),
    (O::Count, "$count"),
    (O::DeltaToken, "$deltatoken"),
    (O::Expand, "$expand"),
    (O::Filter, "$filter"),
    (O::Format, "$format"),
    (O::Id, "$id"),
    (O::Index, "$index"),
    (O::Levels, "$levels"),
    (O::OrderBy, "$orderby"),
    (O::SchemaVersion, "$schemaversion"),
    (O::Search, "$search"),
    (O::Select, "$select"),
    (O::Skip, "$skip"),
    (O::SkipToken, "$skiptoken"),
    (O::Top, "$top"),
];

/// What may stand in parentheses after `$count` (ABNF `expandCountOption`).
pub(super) const COUNT_OPTIONS: Allowed = Allowed {
    system: &[O::Filter, O::Search],
    aliases: false,
};
/// After `/$ref` in `$expand` (ABNF `expandRefOption`).
pub(super) const REF_OPTIONS: Allowed = Allowed {
    system: &[O::Filter, O::Search, O::OrderBy, O::Skip, O::Top, O::Count],
    aliases: false,
};
/// After `*` in `$expand`.
pub(super) const STAR_OPTIONS: Allowed = Allowed {
    system: &[O::Levels],
    aliases: false,
};
/// After a navigation property in `$expand` (ABNF `expandOption`, and `$apply` of the aggregation extension).
pub(super) const EXPAND_OPTIONS: Allowed = Allowed {
    system: &[
        O::Filter,
        O::Search,
        O::OrderBy,
        O::Skip,
        O::Top,
        O::Count,
        O::Select,
        O::Expand,
        O::Compute,
        O::Levels,
        O::Apply,
    ],
    aliases: true,
};
/// After a property in `$select` (ABNF `selectOption`).
pub(super) const SELECT_OPTIONS: Allowed = Allowed {
    system: &[
        O::Filter,
        O::Search,
        O::Count,
        O::OrderBy,
        O::Skip,
        O::Top,
        O::Compute,
        O::Select,
    ],
    aliases: true,
};

/// The options that a pair of parentheses may hold.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    system: &'static [SystemOption],
    aliases: bool,
}

impl SystemOption {
    /// Finds an option whatever its case, with or without `$` (Protocol 13.2.1, items 6 and 7).
    pub(super) fn find(name: &str) -> Option<SystemOption> {
        let bare = name.strip_prefix('$').unwrap_or(name);
        let mut options = OPTIONS.iter();
        let found = options.find(|(_, full)| full[1..].eq_ignore_ascii_case(bare));
        found.map(|(option, _)| *option)
    }

    pub(super) fn name(self) -> &'static str {
        let entry = OPTIONS.iter().find(|(option, _)| *option == self);
        entry.expect("every option is in the table").1
    }

    /// Whether the value is opaque here, so that a plus sign in it stands for itself.
    pub(super) fn is_raw(self) -> bool {
        matches!(
            self,
            O::DeltaToken | O::SkipToken | O::Format | O::Id | O::SchemaVersion
        )
    }
}

impl QueryOptions {
    /// The system query options that are present, with their `$`, in alphabetical order.
    pub fn system_names(&self) -> impl Iterator<Item = &'static str> {
        let present = [
            self.apply.is_some(),
            !self.compute.is_empty(),
            self.count.is_some(),
            self.deltatoken.is_some(),
            !self.expand.is_empty(),
            self.filter.is_some(),
            self.format.is_some(),
            self.id.is_some(),
            self.index.is_some(),
            self.levels.is_some(),
            !self.orderby.is_empty(),
            self.schemaversion.is_some(),
            self.search.is_some(),
            !self.select.is_empty(),
            self.skip.is_some(),
            self.skiptoken.is_some(),
            self.top.is_some(),
        ];
        let named = OPTIONS.iter().zip(present);
        named.filter_map(|((_, name), present)| present.then_some(*name))
    }

    /// The value of a parameter alias, whose name is given without `@`.
    pub fn alias(&self, name: &str) -> Option<&super::ast::Expr> {
        let mut aliases = self.aliases.iter();
        aliases.find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

/// Which options have been seen in one place.
#[derive(Default)]
pub(super) struct Seen {
    system: u32,
    aliases: HashSet<String>,
}

impl Seen {
    /// Notes a system option; false if it is a repetition.
    pub(super) fn system(&mut self, option: SystemOption) -> bool {
        let bit = 1 << option as u32;
        let new = self.system & bit == 0;
        self.system |= bit;
        new
    }

    /// Notes an alias; false if it is a repetition.
    pub(super) fn alias(&mut self, name: &str) -> bool {
        self.aliases.insert(name.to_owned())
    }
}

impl Parser<'_, '_> {
    /// `(option;option)`; returns the greatest height of what is inside.
    pub(super) fn nested_options(
        &mut self,
        allowed: Allowed,
        options: &mut QueryOptions,
    ) -> Parse<u32> {
        self.expect(b'(', "before the options")?;
        let mut seen = Seen::default();
        let mut height = 0;
        loop {
            self.skip_space();
            height = height.max(self.nested_option(allowed, options, &mut seen)?);
            if !self.eat_separator(b';') {
                break;
            }
        }
        self.skip_space();
        self.expect(b')', "or ';' after the option")?;
        Ok(height)
    }

    fn nested_option(
        &mut self,
        allowed: Allowed,
        options: &mut QueryOptions,
        seen: &mut Seen,
    ) -> Parse<u32> {
        let start = self.pos;
        let is_alias = self.eat(b'@');
        let dollar = usize::from(!is_alias && self.eat(b'$'));
        let Some(name) = self.name() else {
            return Err(self.expected("a query option"));
        };
        let name = &self.text()[self.pos - name.len() - dollar..self.pos];
        if is_alias {
            if !allowed.aliases {
                return Err(self.error_at(start, "parameter aliases are not allowed here"));
            }
            if !seen.alias(name) {
                return Err(self.error_at(start, format!("the alias '@{name}' is given twice")));
            }
            self.expect(b'=', "after the alias")?;
            let value = self.expr()?;
            options.aliases.push((name.to_owned(), *value.expr));
            return Ok(value.height);
        }
        let Some(option) = SystemOption::find(name) else {
            return Err(self.error_at(start, format!("unknown query option '{name}'")));
        };
        if !allowed.system.contains(&option) {
            let message = format!("'{}' is not allowed here", option.name());
            return Err(self.error_at(start, message));
        }
        if !seen.system(option) {
            let message = format!("'{}' is given twice", option.name());
            return Err(self.error_at(start, message));
        }
        self.expect(b'=', "after the name of the option")?;
        self.option_value(option, options)
    }

    /// The value of an option, up to where its grammar ends.
    pub(super) fn option_value(
        &mut self,
        option: SystemOption,
        options: &mut QueryOptions,
    ) -> Parse<u32> {
        let mut height = 0;
        match option {
            O::Filter => {
                let tree = self.expr()?;
                height = tree.height;
                options.filter = Some(*tree.expr);
            }
            O::Compute => height = self.compute(&mut options.compute)?,
            O::OrderBy => height = self.orderby(&mut options.orderby)?,
            O::Expand => height = self.expand(&mut options.expand)?,
            O::Select => height = self.select(&mut options.select)?,
            O::Search => {
                let (search, search_height) = self.search()?;
                height = search_height;
                options.search = Some(search);
            }
            O::Top => options.top = Some(self.natural("$top")?),
            O::Skip => options.skip = Some(self.natural("$skip")?),
            O::Count => options.count = Some(self.boolean()?),
            O::Index => options.index = Some(self.index()?),
            O::Levels => options.levels = Some(self.levels()?),
            O::Apply => options.apply = Some(self.balanced()?),
            O::Format => options.format = Some(self.raw()?),
            O::SkipToken => options.skiptoken = Some(self.raw()?),
            O::DeltaToken => options.deltatoken = Some(self.raw()?),
            O::Id => options.id = Some(self.raw()?),
            O::SchemaVersion => options.schemaversion = Some(self.schema_version()?),
        }
        Ok(height)
    }

    fn orderby(&mut self, items: &mut Vec<OrderByItem>) -> Parse<u32> {
        let mut height = 0;
        loop {
            let tree = self.expr()?;
            height = height.max(tree.height);
            self.skip_space();
            let descending = self.eat_keyword("desc");
            if !descending {
                self.eat_keyword("asc");
            }
            items.push(OrderByItem {
                expr: *tree.expr,
                descending,
            });
            if !self.eat_separator(b',') {
                return Ok(height);
            }
        }
    }

    fn compute(&mut self, items: &mut Vec<ComputeItem>) -> Parse<u32> {
        let mut height = 0;
        loop {
            let tree = self.expr()?;
            height = height.max(tree.height);
            self.skip_space();
            if !self.eat_keyword("as") {
                return Err(self.expected("'as' and a name after the expression"));
            }
            self.skip_space();
            let name = self.expect_name("a name after 'as'")?.to_owned();
            items.push(ComputeItem {
                expr: *tree.expr,
                name,
            });
            if !self.eat_separator(b',') {
                return Ok(height);
            }
        }
    }

    /// Digits. What does not fit is more than any collection has, so the largest number will do.
    fn natural(&mut self, option: &str) -> Parse<u64> {
        let rest = self.rest();
        let digits = &rest[..rest.bytes().take_while(u8::is_ascii_digit).count()];
        if digits.is_empty() {
            return Err(self.expected(&format!("a whole number, 0 or more, for {option}")));
        }
        self.pos += digits.len();
        Ok(digits.parse().unwrap_or(u64::MAX))
    }

    fn boolean(&mut self) -> Parse<bool> {
        if self.eat_keyword("true") {
            return Ok(true);
        }
        if self.eat_keyword("false") {
            return Ok(false);
        }
        Err(self.expected("true or false"))
    }

    fn index(&mut self) -> Parse<i64> {
        let negative = self.eat(b'-');
        let position: u64 = self.natural("$index")?;
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        Ok(if negative { -position } else { position })
    }

    fn levels(&mut self) -> Parse<Levels> {
        if self.eat_keyword("max") {
            return Ok(Levels::Max);
        }
        if self.peek() == Some(b'0') {
            return Err(self.expected("'max' or a number from 1 on without leading zeros"));
        }
        let levels = self.natural("$levels")?;
        Ok(Levels::Number(u32::try_from(levels).unwrap_or(u32::MAX)))
    }

    /// Everything that is left. Only for options that cannot be nested.
    fn raw(&mut self) -> Parse<String> {
        if self.at_end() {
            return Err(self.expected("a value"));
        }
        let text = self.rest().to_owned();
        self.pos = self.text().len();
        Ok(text)
    }

    fn schema_version(&mut self) -> Parse<String> {
        let text = self.raw()?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if text != "*" && !text.bytes().all(plain) {
            return Err(self.error_at(0, "expected '*' or a schema version"));
        }
        Ok(text)
    }

    /// Text up to a semicolon or parenthesis that is not inside quotes or parentheses.
    fn balanced(&mut self) -> Parse<String> {
        let start = self.pos;
        let mut open = 0_u32;
        while let Some(byte) = self.peek() {
            match byte {
                b'\'' => {
                    self.string()?;
                    continue;
                }
                b'(' => open += 1,
                b')' if open == 0 => break,
                b')' => open -= 1,
                b';' if open == 0 => break,
                _ => {}
            }
            self.pos += 1;
        }
        if self.pos == start {
            return Err(self.expected("a value"));
        }
        Ok(self.text()[start..self.pos].to_owned())
    }
}
