//! Syntax trees of request URLs, with every name still as text.
//!
//! What must hold: a tree says what was written, not what it means. A name with a dot is a qualified name (type cast or
//! operation); a name without one may be a property, an operation of a default namespace or a lambda variable. Chains of `and`
//! and `or` are flat lists, so that a long filter is wide and not deep: recursing over a tree is safe.

use crate::Value;
use crate::url::ParseError;

/// A parsed request target: path below the service root, and query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestUrl {
    /// What is addressed.
    pub path: ResourcePath,
    /// How the answer is shaped.
    pub options: QueryOptions,
}

/// The segments of a path below the service root; none is the service root itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourcePath {
    /// In the order of the URL. A single trailing slash is dropped.
    pub segments: Vec<Segment>,
}

/// One segment of a resource path (URL Conventions 4).
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// Anything that starts with a name: `Products`, `Products(1)`, `Ns.Type`, `Ns.Function(p=1)(2)`.
    Name(NameSegment),
    /// Text that is no name and can only be a key in key-as-segment form: `42`, `O'Neil`, `Smartphone/Tablet`.
    Key(KeySegment),
    /// `$metadata`
    Metadata,
    /// `$batch`
    Batch,
    /// `$entity`
    Entity,
    /// `$all`
    All,
    /// `$crossjoin(A,B)`
    CrossJoin(Vec<String>),
    /// `$count`
    Count,
    /// `$ref`
    Ref,
    /// `$value`
    Value,
    /// `$query`
    Query,
    /// `$each`
    Each,
    /// `$filter(...)`, with the key predicate that may follow it.
    Filter(Expr, Option<Arguments>),
}

/// A name and the parentheses after it.
#[derive(Clone, Debug, PartialEq)]
pub struct NameSegment {
    /// Simple or qualified name.
    pub name: String,
    /// Key predicate or parameters; a second pair is a key predicate on the result of a function.
    pub parens: Vec<Arguments>,
    /// The whole decoded segment, in case the binder takes it for a key value. Empty inside expressions.
    pub text: String,
}

/// A segment that can only be a key value.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySegment {
    /// The decoded segment.
    pub text: String,
    /// Why the segment is not a name: the answer for a binder that expects one here.
    pub not_a_name: ParseError,
}

/// What stands in one pair of parentheses after a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Arguments {
    /// `()`
    Empty,
    /// `(1)`: the value of a single key. More than one value is legal for no name that the grammar knows.
    Positional(Vec<Expr>),
    /// `(A=1,B='x')`: key or parameter values by name. In a resource path only literals and aliases.
    Named(Vec<(String, Expr)>),
}

/// The query of a URL, or the options in parentheses after an item of `$expand` or `$select`.
///
/// Absent and empty lists are the same, because an option without a value is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryOptions {
    /// `$filter`
    pub filter: Option<Expr>,
    /// `$orderby`
    pub orderby: Vec<OrderByItem>,
    /// `$select`
    pub select: Vec<SelectItem>,
    /// `$expand`
    pub expand: Vec<ExpandItem>,
    /// `$search`
    pub search: Option<Search>,
    /// `$top`
    pub top: Option<u64>,
    /// `$skip`
    pub skip: Option<u64>,
    /// `$count`
    pub count: Option<bool>,
    /// `$format`: a media type or an abbreviation such as `json`.
    pub format: Option<String>,
    /// `$compute`
    pub compute: Vec<ComputeItem>,
    /// `$apply`, not parsed.
    pub apply: Option<String>,
    /// `$skiptoken`
    pub skiptoken: Option<String>,
    /// `$deltatoken`
    pub deltatoken: Option<String>,
    /// `$id`
    pub id: Option<String>,
    /// `$index`
    pub index: Option<i64>,
    /// `$levels`; only inside `$expand`.
    pub levels: Option<Levels>,
    /// `$schemaversion`
    pub schemaversion: Option<String>,
    /// Parameter aliases without their `@`, in the order of the URL, each name once.
    pub aliases: Vec<(String, Expr)>,
    /// Everything else, decoded, in the order of the URL. Names may repeat.
    pub custom: Vec<(String, String)>,
}

/// One item of `$orderby`.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderByItem {
    /// What to order by.
    pub expr: Expr,
    /// Whether `desc` follows.
    pub descending: bool,
}

/// One item of `$select`.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItem {
    /// `*`
    Star,
    /// `Namespace.*`: all operations of the namespace, which is given without `.*`.
    Operations(String),
    /// A path.
    Path(SelectPath),
}

/// A path in `$select`.
#[derive(Clone, Debug, PartialEq)]
pub struct SelectPath {
    /// Properties, type casts (with a dot) and annotations (with `@`).
    pub segments: Vec<String>,
    /// `Function(Param1,Param2)`: the names that pick one overload.
    pub parameters: Option<Vec<String>>,
    /// `Property($select=...;$top=...)`
    pub options: Box<QueryOptions>,
}

/// One item of `$expand`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpandItem {
    /// What to expand.
    pub target: ExpandTarget,
    /// What to show of it.
    pub mode: ExpandMode,
    /// Nested options.
    pub options: Box<QueryOptions>,
}

/// What an `$expand` item names.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpandTarget {
    /// `*`: every navigation property.
    Star,
    /// `$value`: the media stream of the entity.
    Value,
    /// Navigation property with complex properties and casts before and a cast after it; annotations keep their `@`.
    Path(Vec<String>),
}

/// What an `$expand` item shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpandMode {
    /// The entities.
    #[default]
    Entities,
    /// `/$ref`
    Ref,
    /// `/$count`
    Count,
}

/// The value of `$levels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// `max`
    Max,
    /// A number, at least 1.
    Number(u32),
}

/// One item of `$compute`.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputeItem {
    /// What to compute.
    pub expr: Expr,
    /// The name after `as`.
    pub name: String,
}

/// A free-text search (URL Conventions 5.1.7).
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// A single word.
    Word(String),
    /// Text in double quotes, without them.
    Phrase(String),
    /// `NOT a`
    Not(Box<Search>),
    /// `a AND b`, and also `a b`; two or more.
    And(Vec<Search>),
    /// `a OR b`; two or more.
    Or(Vec<Search>),
}

/// An expression (`commonExpr`).
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A constant of a primitive type, or `null`.
    Literal(Value),
    /// A constant of a type that this crate has no values for.
    Foreign(Box<ForeignLiteral>),
    /// Properties, navigation, functions, lambdas: everything with slashes. Also a lone name.
    Path(Path),
    /// `not` and `-`.
    Unary(Unary, Box<Expr>),
    /// `and` and `or`, with two or more operands.
    Logical(Logical, Vec<Expr>),
    /// Every other operator between two operands.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `a in b`; `b` is a [`Expr::List`], a path or an alias.
    In(Box<Expr>, Box<Expr>),
    /// `(a,b)` after `in`, and `[a,b]`.
    List(Vec<Expr>),
    /// A built-in function other than the three that follow.
    Call(Function, Vec<Expr>),
    /// `cast(T)` and `cast(e,T)`
    Cast(Option<Box<Expr>>, String),
    /// `isof(T)` and `isof(e,T)`
    IsOf(Option<Box<Expr>>, String),
    /// `case(condition:result,...)`
    Case(Vec<(Expr, Expr)>),
    /// `{...}`, not parsed: the text with its braces, which are balanced.
    Json(String),
}

/// Constants that are recognised but have no [`Value`].
#[derive(Clone, Debug, PartialEq)]
pub enum ForeignLiteral {
    /// `Ns.Type'Member'`
    Enum {
        /// The qualified name of the enumeration type.
        type_name: String,
        /// Member names or numbers, with commas between.
        members: String,
    },
    /// `geography'SRID=0;Point(1 2)'`; the text is not checked.
    Geography(String),
    /// `geometry'SRID=0;Point(1 2)'`; the text is not checked.
    Geometry(String),
}

/// A path inside an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Where it starts.
    pub root: PathRoot,
    /// Empty only if the root is not [`PathRoot::Implicit`].
    pub segments: Vec<PathSegment>,
}

/// Where a path starts.
#[derive(Clone, Debug, PartialEq)]
pub enum PathRoot {
    /// At its first segment, which may be the name of a lambda variable.
    Implicit,
    /// `$it`
    It,
    /// `$this`
    This,
    /// `$root`
    Root,
    /// `@name`, without the `@`. With a dot it is an annotation and comes as [`PathSegment::Annotation`].
    Alias(String),
}

/// One step of a path inside an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum PathSegment {
    /// Property, navigation property, type cast, bound function, lambda variable.
    Name(NameSegment),
    /// `@Ns.Term#qualifier`, without the `@`.
    Annotation(String),
    /// `$count` and `$count($filter=...;$search=...)`
    Count(Option<Box<QueryOptions>>),
    /// `$filter(...)`, with the key predicate that may follow it.
    Filter(Box<Expr>, Option<Arguments>),
    /// `any()` and `any(x:...)`
    Any(Option<Box<Lambda>>),
    /// `all(x:...)`
    All(Box<Lambda>),
}

/// `x:predicate`
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    /// The variable.
    pub variable: String,
    /// What is tested for each element.
    pub predicate: Expr,
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Negate,
    /// `not`
    Not,
}

/// Connectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// `and`
    And,
    /// `or`
    Or,
}

/// Operators with two operands, other than the connectives and `in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the OData operators")]
pub enum Binary {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Has,
    Add,
    Sub,
    Mul,
    Div,
    DivBy,
    Mod,
}

/// Built-in functions (URL Conventions 5.1.1.5 to 5.1.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the OData functions")]
pub enum Function {
    Concat,
    Contains,
    EndsWith,
    IndexOf,
    Length,
    StartsWith,
    Substring,
    MatchesPattern,
    ToLower,
    ToUpper,
    Trim,
    HasSubset,
    HasSubsequence,
    Date,
    Day,
    FractionalSeconds,
    Hour,
    MaxDateTime,
    MinDateTime,
    Minute,
    Month,
    Now,
    Second,
    Time,
    TotalOffsetMinutes,
    TotalSeconds,
    Year,
    Ceiling,
    Floor,
    Round,
    GeoDistance,
    GeoIntersects,
    GeoLength,
}
