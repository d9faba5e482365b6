//! Expressions (URL Conventions 5.1.1): every name gets its column, every operator its types.

use highwater_core::query::{Arithmetic, Comparison, Logical};
use highwater_core::{Expr, Function};
use highwater_odata::url::{self, ast};
use highwater_odata::{PrimitiveType, Value};

use super::env::{Binder, Env, Row};
use super::error::{BindError, invalid_literal, invalid_url, not_implemented, type_mismatch};
use super::function;
use super::literal;
use super::operator::{self, Mismatch};
use super::options::Context;
use super::path::Reached;
use crate::model::ServiceModel;
use crate::settings::Limits;

/// How much of an expression an error quotes, in characters.
const EXCERPT_CHARS_MAX: usize = 60;

/// Parses the operator's row filter of one collection.
pub(crate) fn parse_filter(text: &str, limits: &Limits) -> Result<ast::Expr, url::ParseError> {
    url::parse_expression("the filter", text, &url_limits(limits))
}

/// The parser's share of the limits.
pub(crate) fn url_limits(limits: &Limits) -> url::Limits {
    url::Limits {
        depth_max: u32::try_from(limits.filter_depth_max).unwrap_or(u32::MAX),
        nodes_max: u32::try_from(limits.filter_nodes_max).unwrap_or(u32::MAX),
        url_bytes_max: limits.url_max_bytes,
    }
}

/// Whether the operator's row filter of a collection can be bound.
pub(crate) fn check_fixed_filter(
    model: &ServiceModel,
    limits: &Limits,
    collection: usize,
) -> Result<(), BindError> {
    let context = Context::without_request(model, limits);
    let mut binder = Binder::new(&context);
    let env = Env::root(collection, true);
    binder.fixed_filter(env.current)?;
    if binder.volatile {
        return Err(invalid_url(
            "now() cannot be used in a fixed filter: what a client may see would change although no row does.",
        ));
    }
    Ok(())
}

impl Binder<'_> {
    /// The operator's filter over a row; `None` if all rows are shown (or if it is the operator who asks).
    pub(super) fn fixed_filter(&mut self, row: Row) -> Result<Option<Expr>, BindError> {
        if self.is_operator {
            return Ok(None);
        }
        let Some(filter) = &self.context.model.collection(row.collection).filter else {
            return Ok(None);
        };
        let env = Env {
            current: row,
            it: Some(row),
            this: row,
            variable: None,
            outer: None,
        };
        self.as_operator(|binder| binder.condition(&env, filter))
            .map(Some)
    }

    /// A Boolean expression.
    pub(super) fn condition(&mut self, env: &Env<'_>, expr: &ast::Expr) -> Result<Expr, BindError> {
        let bound = self.value(env, expr)?;
        if bound.ty() == PrimitiveType::Boolean || operator::is_null(&bound) {
            return Ok(bound);
        }
        let error = type_mismatch(format!(
            "{} must be true or false, but it is {}.",
            show(expr),
            bound.ty()
        ));
        Err(match expr {
            ast::Expr::Path(_) => error.hint("Compare it with something, as in Name eq 'x'."),
            _ => error,
        })
    }

    /// An expression with a primitive value.
    pub(super) fn value(&mut self, env: &Env<'_>, expr: &ast::Expr) -> Result<Expr, BindError> {
        match self.operand(env, expr)? {
            Reached::Value(value) => Ok(value),
            Reached::Entity(path) => Err(type_mismatch(format!(
                "{} leads to an entity of {}, but a value is needed.",
                show(expr),
                self.context.model.name(path.row.collection)
            ))
            .hint("Add a property to the path.")),
            Reached::Collection(path) => Err(type_mismatch(format!(
                "{} leads to many entities of {}, but a value is needed.",
                show(expr),
                self.context.model.name(path.target)
            ))
            .hint("Use any, all or $count.")),
        }
    }

    fn operand(&mut self, env: &Env<'_>, expr: &ast::Expr) -> Result<Reached, BindError> {
        self.nested(|binder| match expr {
            ast::Expr::Path(path) => binder.path(env, path),
            other => binder.compound(env, other).map(Reached::Value),
        })
    }

    fn compound(&mut self, env: &Env<'_>, expr: &ast::Expr) -> Result<Expr, BindError> {
        match expr {
            ast::Expr::Literal(value) => {
                self.pay_literal(literal::len_bytes(value))?;
                Ok(Expr::Literal(value.clone()))
            }
            ast::Expr::Unary(ast::Unary::Not, operand) => {
                Ok(Expr::Not(Box::new(self.condition(env, operand)?)))
            }
            ast::Expr::Unary(ast::Unary::Negate, operand) => {
                let value = self.value(env, operand)?;
                let ty = value.ty();
                operator::negate(value).ok_or_else(|| {
                    type_mismatch(format!(
                        "{}: the minus sign needs a number or a duration, not {ty}.",
                        show(expr)
                    ))
                })
            }
            ast::Expr::Logical(logical, operands) => self.logical(env, *logical, operands),
            ast::Expr::Binary(op, left, right) => self.binary(env, expr, *op, left, right),
            ast::Expr::In(element, list) => self.is_in(env, element, list),
            ast::Expr::Call(name, arguments) => self.call(env, *name, arguments),
            ast::Expr::Cast(operand, ty) => self.cast(env, operand.as_deref(), ty),
            ast::Expr::Case(branches) => self.case(env, branches),
            ast::Expr::IsOf(..) => Err(not_implemented(
                "isof is not supported: no entity type of this service is derived from another.",
            )),
            // Legal where collections are compared or searched (hassubset), so it is not an error of the request (Protocol 9.3.1).
            ast::Expr::List(_) => Err(not_implemented(format!(
                "{}: a list is supported after the operator in only.",
                show(expr)
            ))),
            ast::Expr::Json(_) => Err(not_implemented(
                "Complex values in expressions are not supported.",
            )),
            ast::Expr::Foreign(foreign) => Err(match &**foreign {
                ast::ForeignLiteral::Enum { type_name, .. } => invalid_literal(format!(
                    "There is no enumeration type {type_name}: this service has none."
                )),
                ast::ForeignLiteral::Geography(_) | ast::ForeignLiteral::Geometry(_) => {
                    not_implemented("Geographic values are not supported.")
                }
            }),
            ast::Expr::Path(_) => self.value(env, expr),
        }
    }

    fn logical(
        &mut self,
        env: &Env<'_>,
        logical: ast::Logical,
        operands: &[ast::Expr],
    ) -> Result<Expr, BindError> {
        let bound = operands
            .iter()
            .map(|operand| self.condition(env, operand))
            .collect::<Result<Vec<Expr>, BindError>>()?;
        let op = match logical {
            ast::Logical::And => Logical::And,
            ast::Logical::Or => Logical::Or,
        };
        operator::join(op, bound).ok_or_else(|| invalid_url("An operator has no operands."))
    }

    fn binary(
        &mut self,
        env: &Env<'_>,
        expr: &ast::Expr,
        op: ast::Binary,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Result<Expr, BindError> {
        let op = match Infix::from(op) {
            Infix::Compare(op) => return self.compare(env, expr, op, left, right),
            Infix::Arithmetic(op) => op,
            Infix::Has => {
                return Err(type_mismatch(format!(
                    "{}: has tests flags of an enumeration, and this service has no enumeration types.",
                    show(expr)
                )));
            }
        };
        let bound = (self.value(env, left)?, self.value(env, right)?);
        operator::arithmetic(op, bound.0, bound.1).map_err(|Mismatch { left, right }| {
            type_mismatch(format!(
                "{}: {left} and {right} do not go together here.",
                show(expr)
            ))
        })
    }

    fn compare(
        &mut self,
        env: &Env<'_>,
        expr: &ast::Expr,
        op: Comparison,
        left: &ast::Expr,
        right: &ast::Expr,
    ) -> Result<Expr, BindError> {
        let (left_bound, right_bound) = match (self.operand(env, left)?, self.operand(env, right)?)
        {
            // `Artist eq null`: whether there is a related entity (Protocol 13.2.2).
            (Reached::Entity(path), Reached::Value(null))
            | (Reached::Value(null), Reached::Entity(path))
                if operator::is_null(&null) && matches!(op, Comparison::Eq | Comparison::Ne) =>
            {
                let exists = self.follow(path, Expr::Literal(Value::Boolean(true)))?;
                return Ok(Expr::Compare(op, Box::new(exists), Box::new(null)));
            }
            (Reached::Value(left), Reached::Value(right)) => (left, right),
            (Reached::Entity(_), _) | (_, Reached::Entity(_)) => {
                return Err(type_mismatch(format!(
                    "{}: an entity can only be compared with null, by eq or ne.",
                    show(expr)
                ))
                .hint("Add a property to the path."));
            }
            (Reached::Collection(_), _) | (_, Reached::Collection(_)) => {
                return Err(type_mismatch(format!(
                    "{}: a collection cannot be compared.",
                    show(expr)
                ))
                .hint("Use any, all or $count."));
            }
        };
        let literal = literal_text(&left_bound).or(literal_text(&right_bound));
        operator::compare(op, left_bound, right_bound)
            .map_err(|mismatch| incomparable(expr, literal.as_deref(), mismatch))
    }

    fn is_in(
        &mut self,
        env: &Env<'_>,
        element: &ast::Expr,
        list: &ast::Expr,
    ) -> Result<Expr, BindError> {
        let element_bound = self.value(env, element)?;
        match list {
            ast::Expr::List(items) => self.in_list(env, element_bound, element, items),
            ast::Expr::Path(ast::Path {
                root: ast::PathRoot::Alias(name),
                segments,
            }) if segments.is_empty() => {
                let outermost = env.outermost();
                let bound = self.alias(name, |binder, value| match value {
                    ast::Expr::List(items) => {
                        binder.in_list(&outermost, element_bound.clone(), element, items)
                    }
                    other => Err(type_mismatch(format!(
                        "@{name} is {}, but the operator in needs a list such as [1,2].",
                        show(other)
                    ))),
                })?;
                bound.ok_or_else(|| {
                    invalid_url(format!(
                        "The parameter alias @{name} has no value, but the operator in needs a list."
                    ))
                })
            }
            other => Err(not_implemented(format!(
                "{}: the operator in is only supported with a list of values.",
                show(other)
            ))),
        }
    }

    fn in_list(
        &mut self,
        env: &Env<'_>,
        element: Expr,
        written: &ast::Expr,
        items: &[ast::Expr],
    ) -> Result<Expr, BindError> {
        let mut bound = Vec::with_capacity(items.len());
        let mut element = element;
        for item in items {
            let value = self.value(env, item)?;
            let literal = literal_text(&value);
            let (unified, value) = operator::unify(element, value).map_err(|mismatch| {
                let text = format!("{} in (..., {}, ...)", show(written), show(item));
                mismatch_error(&text, literal.as_deref(), mismatch)
            })?;
            element = unified;
            bound.push(value);
        }
        if bound.is_empty() {
            return Ok(Expr::Literal(Value::Boolean(false)));
        }
        Ok(Expr::In(Box::new(element), bound))
    }

    fn call(
        &mut self,
        env: &Env<'_>,
        name: ast::Function,
        arguments: &[ast::Expr],
    ) -> Result<Expr, BindError> {
        let arguments = arguments
            .iter()
            .map(|argument| self.value(env, argument))
            .collect::<Result<Vec<Expr>, BindError>>()?;
        function::call(name, arguments, || {
            self.volatile = true;
            Ok(function::instant(&self.context.now))
        })
    }

    fn cast(
        &mut self,
        env: &Env<'_>,
        operand: Option<&ast::Expr>,
        type_name: &str,
    ) -> Result<Expr, BindError> {
        let Some(operand) = operand else {
            return Err(not_implemented(
                "cast of the entity itself is not supported: no entity type of this service is derived from another.",
            ));
        };
        let concrete = || {
            PrimitiveType::ALL
                .into_iter()
                .filter(|&ty| ty != PrimitiveType::Any)
        };
        // The namespace Edm need not be written (Protocol 13.2.1, number 9).
        let Some(ty) = concrete().find(|ty| type_name == ty.name() || type_name == ty.short_name())
        else {
            return Err(type_mismatch(format!(
                "Nothing can be cast to {type_name}; use a primitive type such as Edm.String."
            ))
            .nearest(type_name, concrete().map(PrimitiveType::name)));
        };
        let value = self.value(env, operand)?;
        if value.ty() == ty {
            return Ok(value);
        }
        Ok(match &value {
            Expr::Literal(Value::Null) => value,
            // What does not spell a value of the type is null (URL Conventions 5.1.1.10.1).
            Expr::Literal(Value::String(text)) => {
                Expr::Literal(literal::from_text(text, ty).unwrap_or(Value::Null))
            }
            _ => operator::cast(value, ty),
        })
    }

    fn case(
        &mut self,
        env: &Env<'_>,
        branches: &[(ast::Expr, ast::Expr)],
    ) -> Result<Expr, BindError> {
        let mut arguments = Vec::with_capacity(2 * branches.len());
        let mut ty = PrimitiveType::Any;
        for (condition, result) in branches {
            arguments.push(self.condition(env, condition)?);
            let value = self.value(env, result)?;
            ty = operator::common_type(ty, value.ty()).ok_or_else(|| {
                type_mismatch(format!(
                    "The results of case have different types: {} is {}, others are {ty}.",
                    show(result),
                    value.ty()
                ))
            })?;
            arguments.push(value);
        }
        Ok(Expr::Call(Function::Case, arguments, ty))
    }
}

/// An operator between two values, by how it is bound.
enum Infix {
    Compare(Comparison),
    Arithmetic(Arithmetic),
    Has,
}

impl From<ast::Binary> for Infix {
    fn from(op: ast::Binary) -> Infix {
        match op {
            ast::Binary::Eq => Infix::Compare(Comparison::Eq),
            ast::Binary::Ne => Infix::Compare(Comparison::Ne),
            ast::Binary::Gt => Infix::Compare(Comparison::Gt),
            ast::Binary::Ge => Infix::Compare(Comparison::Ge),
            ast::Binary::Lt => Infix::Compare(Comparison::Lt),
            ast::Binary::Le => Infix::Compare(Comparison::Le),
            ast::Binary::Has => Infix::Has,
            ast::Binary::Add => Infix::Arithmetic(Arithmetic::Add),
            ast::Binary::Sub => Infix::Arithmetic(Arithmetic::Sub),
            ast::Binary::Mul => Infix::Arithmetic(Arithmetic::Mul),
            ast::Binary::Div => Infix::Arithmetic(Arithmetic::Div),
            ast::Binary::DivBy => Infix::Arithmetic(Arithmetic::DivBy),
            ast::Binary::Mod => Infix::Arithmetic(Arithmetic::Mod),
        }
    }
}

fn literal_text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(Value::String(text)) => Some(text.clone()),
        _ => None,
    }
}

fn incomparable(expr: &ast::Expr, literal: Option<&str>, mismatch: Mismatch) -> BindError {
    mismatch_error(&show(expr), literal, mismatch)
}

fn mismatch_error(
    text: &str,
    literal: Option<&str>,
    Mismatch { left, right }: Mismatch,
) -> BindError {
    use PrimitiveType as T;
    let other = if left == T::String { right } else { left };
    let error = type_mismatch(format!("{text}: {left} and {right} cannot be compared."));
    if left != T::String && right != T::String {
        return error;
    }
    match literal {
        Some(_) if other.is_numeric() || other == T::Boolean => {
            error.hint("Numbers, true and false are written without quotes.")
        }
        Some(literal) => error.hint(format!("'{literal}' is not a valid {other}.")),
        None => error.hint("Text is written in single quotes; other values can be converted with cast(...,Edm.String)."),
    }
}

/// An expression as it would stand in a URL, cut to a length that a message can bear.
pub(super) fn show(expr: &ast::Expr) -> String {
    let text = expr.to_string();
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
