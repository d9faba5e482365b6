//! Syntax trees back to text, decoded and with every operator in parentheses.
//!
//! What must hold: parsing the text with large enough limits gives an equal tree, for every tree that the parser can produce.

use std::fmt::{Display, Formatter, Result};

use super::ast::{
    Arguments, Binary, ComputeItem, ExpandItem, ExpandMode, ExpandTarget, Expr, ForeignLiteral,
    Levels, Logical, NameSegment, OrderByItem, Path, PathRoot, PathSegment, QueryOptions, Search,
    SelectItem, SelectPath, Unary,
};
use crate::literal::format_literal;
use crate::{PrimitiveType, Value};

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Binary::Eq => "eq",
            Binary::Ne => "ne",
            Binary::Gt => "gt",
            Binary::Ge => "ge",
            Binary::Lt => "lt",
            Binary::Le => "le",
            Binary::Has => "has",
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::DivBy => "divby",
            Binary::Mod => "mod",
        })
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::Literal(value) => f.write_str(&format_literal(value.as_ref())),
            Expr::Foreign(literal) => literal.fmt(f),
            Expr::Path(path) => path.fmt(f),
            Expr::Unary(Unary::Not, operand) => write!(f, "(not {operand})"),
            // `-1` would be read as a literal.
            Expr::Unary(Unary::Negate, operand) if is_number(operand) => {
                write!(f, "(-({operand}))")
            }
            Expr::Unary(Unary::Negate, operand) => write!(f, "(-{operand})"),
            Expr::Logical(logical, operands) => {
                let word = match logical {
                    Logical::And => " and ",
                    Logical::Or => " or ",
                };
                f.write_str("(")?;
                separated(f, operands, word)?;
                f.write_str(")")
            }
            Expr::Binary(binary, left, right) => write!(f, "({left} {binary} {right})"),
            Expr::In(left, right) => match &**right {
                Expr::List(items) => {
                    write!(f, "({left} in (")?;
                    separated(f, items, ",")?;
                    f.write_str("))")
                }
                right => write!(f, "({left} in {right})"),
            },
            Expr::List(items) => {
                f.write_str("[")?;
                separated(f, items, ",")?;
                f.write_str("]")
            }
            Expr::Call(function, arguments) => {
                write!(f, "{}(", function.name())?;
                separated(f, arguments, ",")?;
                f.write_str(")")
            }
            Expr::Cast(operand, ty) => type_function(f, "cast", operand.as_deref(), ty),
            Expr::IsOf(operand, ty) => type_function(f, "isof", operand.as_deref(), ty),
            Expr::Case(branches) => {
                f.write_str("case(")?;
                for (at, (condition, result)) in branches.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    // Without the spaces `1:2` would look like a time.
                    write!(f, "{comma}{condition} : {result}")?;
                }
                f.write_str(")")
            }
            Expr::Json(text) => f.write_str(text),
        }
    }
}

fn is_number(expr: &Expr) -> bool {
    let Expr::Literal(value) = expr else {
        return false;
    };
    matches!(
        value,
        Value::Integer(_)
            | Value::Double(_)
            | Value::Lexical(
                PrimitiveType::Decimal
                    | PrimitiveType::Date
                    | PrimitiveType::DateTimeOffset
                    | PrimitiveType::TimeOfDay
                    | PrimitiveType::Guid,
                _
            )
    )
}

fn type_function(f: &mut Formatter<'_>, name: &str, operand: Option<&Expr>, ty: &str) -> Result {
    match operand {
        Some(operand) => write!(f, "{name}({operand},{ty})"),
        None => write!(f, "{name}({ty})"),
    }
}

fn separated<T: Display>(f: &mut Formatter<'_>, items: &[T], separator: &str) -> Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

impl Display for ForeignLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (prefix, text) = match self {
            ForeignLiteral::Enum { type_name, members } => (&type_name[..], members),
            ForeignLiteral::Geography(text) => ("geography", text),
            ForeignLiteral::Geometry(text) => ("geometry", text),
        };
        write!(f, "{prefix}'{}'", text.replace('\'', "''"))
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.root {
            PathRoot::Implicit => {}
            PathRoot::It => f.write_str("$it")?,
            PathRoot::This => f.write_str("$this")?,
            PathRoot::Root => f.write_str("$root")?,
            PathRoot::Alias(name) => write!(f, "@{name}")?,
        }
        for (at, segment) in self.segments.iter().enumerate() {
            if at > 0 || self.root != PathRoot::Implicit {
                f.write_str("/")?;
            }
            segment.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for PathSegment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            PathSegment::Name(name) => name.fmt(f),
            PathSegment::Annotation(name) => write!(f, "@{name}"),
            PathSegment::Count(None) => f.write_str("$count"),
            PathSegment::Count(Some(options)) => {
                f.write_str("$count")?;
                nested(f, options)
            }
            PathSegment::Filter(condition, key) => {
                write!(f, "$filter({condition})")?;
                key.iter().try_for_each(|key| key.fmt(f))
            }
            PathSegment::Any(None) => f.write_str("any()"),
            PathSegment::Any(Some(lambda)) => {
                write!(f, "any({}:{})", lambda.variable, lambda.predicate)
            }
            PathSegment::All(lambda) => write!(f, "all({}:{})", lambda.variable, lambda.predicate),
        }
    }
}

impl Display for NameSegment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.name)?;
        self.parens
            .iter()
            .try_for_each(|arguments| arguments.fmt(f))
    }
}

impl Display for Arguments {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("(")?;
        match self {
            Arguments::Empty => {}
            Arguments::Positional(values) => separated(f, values, ",")?,
            Arguments::Named(values) => {
                for (at, (name, value)) in values.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={value}")?;
                }
            }
        }
        f.write_str(")")
    }
}

impl Display for Search {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            // As a word it could be taken for an operator.
            Search::Word(word) if matches!(&word[..], "AND" | "OR" | "NOT") => {
                write!(f, "\"{word}\"")
            }
            Search::Word(word) => f.write_str(word),
            // Only half-typed input contains a double quote; see the parser.
            Search::Phrase(text) if text.is_empty() || text.contains('"') => {
                write!(f, "'{}'", text.replace('\'', "''"))
            }
            Search::Phrase(text) => write!(f, "\"{text}\""),
            Search::Not(operand) => write!(f, "NOT {operand}"),
            Search::And(parts) => {
                f.write_str("(")?;
                separated(f, parts, " AND ")?;
                f.write_str(")")
            }
            Search::Or(parts) => {
                f.write_str("(")?;
                separated(f, parts, " OR ")?;
                f.write_str(")")
            }
        }
    }
}

impl Display for OrderByItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let direction = if self.descending { " desc" } else { "" };
        write!(f, "{}{direction}", self.expr)
    }
}

impl Display for ComputeItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} as {}", self.expr, self.name)
    }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            SelectItem::Star => f.write_str("*"),
            SelectItem::Operations(namespace) => write!(f, "{namespace}.*"),
            SelectItem::Path(path) => path.fmt(f),
        }
    }
}

impl Display for SelectPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        separated(f, &self.segments, "/")?;
        match &self.parameters {
            Some(parameters) => write!(f, "({})", parameters.join(",")),
            None => nested(f, &self.options),
        }
    }
}

impl Display for ExpandItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.target {
            ExpandTarget::Star => f.write_str("*")?,
            ExpandTarget::Value => f.write_str("$value")?,
            ExpandTarget::Path(segments) => separated(f, segments, "/")?,
        }
        f.write_str(match self.mode {
            ExpandMode::Entities => "",
            ExpandMode::Ref => "/$ref",
            ExpandMode::Count => "/$count",
        })?;
        nested(f, &self.options)
    }
}

impl Display for Levels {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Levels::Max => f.write_str("max"),
            Levels::Number(levels) => levels.fmt(f),
        }
    }
}

/// Options in parentheses, or nothing if there are none.
fn nested(f: &mut Formatter<'_>, options: &QueryOptions) -> Result {
    let mut separator = "(";
    let mut start = |f: &mut Formatter<'_>, name: &str| {
        let result = write!(f, "{separator}{name}=");
        separator = ";";
        result
    };
    if let Some(filter) = &options.filter {
        start(f, "$filter")?;
        filter.fmt(f)?;
    }
    if let Some(search) = &options.search {
        start(f, "$search")?;
        search.fmt(f)?;
    }
    if let Some(apply) = &options.apply {
        start(f, "$apply")?;
        f.write_str(apply)?;
    }
    if !options.compute.is_empty() {
        start(f, "$compute")?;
        separated(f, &options.compute, ",")?;
    }
    if !options.select.is_empty() {
        start(f, "$select")?;
        separated(f, &options.select, ",")?;
    }
    if !options.expand.is_empty() {
        start(f, "$expand")?;
        separated(f, &options.expand, ",")?;
    }
    if !options.orderby.is_empty() {
        start(f, "$orderby")?;
        separated(f, &options.orderby, ",")?;
    }
    if let Some(skip) = options.skip {
        start(f, "$skip")?;
        skip.fmt(f)?;
    }
    if let Some(top) = options.top {
        start(f, "$top")?;
        top.fmt(f)?;
    }
    if let Some(count) = options.count {
        start(f, "$count")?;
        count.fmt(f)?;
    }
    if let Some(levels) = options.levels {
        start(f, "$levels")?;
        levels.fmt(f)?;
    }
    for (name, value) in &options.aliases {
        start(f, &format!("@{name}"))?;
        value.fmt(f)?;
    }
    match separator {
        "(" => Ok(()),
        _ => f.write_str(")"),
    }
}
