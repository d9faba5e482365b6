//! Operators of `commonExpr` (URL Conventions 5.1.1.16).
//!
//! What must hold: operators are kept on an explicit stack, so that a long or right-leaning expression needs no call stack;
//! only parentheses, arguments and lambdas recurse. `not` binds tighter than every infix operator except `has` and `in`.

use super::ast::{Binary, Expr, Logical, Unary};
use super::parser::{Parse, Parser, Tree, name_length};

/// An operator between two operands.
#[derive(Clone, Copy)]
enum Infix {
    Binary(Binary),
    Logical(Logical),
    In,
}

/// An operator that waits for its right operand.
#[derive(Clone, Copy)]
enum Pending {
    Unary(Unary),
    Binary(Binary),
    Logical(Logical),
}

/// Greater binds tighter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precedence {
    Or,
    And,
    Equality,
    Relational,
    Additive,
    Multiplicative,
    Unary,
    Primary,
}

impl Infix {
    const ALL: &'static [(&'static str, Infix)] = &[
        ("eq", Infix::Binary(Binary::Eq)),
        ("ne", Infix::Binary(Binary::Ne)),
        ("gt", Infix::Binary(Binary::Gt)),
        ("ge", Infix::Binary(Binary::Ge)),
        ("lt", Infix::Binary(Binary::Lt)),
        ("le", Infix::Binary(Binary::Le)),
        ("and", Infix::Logical(Logical::And)),
        ("or", Infix::Logical(Logical::Or)),
        ("in", Infix::In),
        ("has", Infix::Binary(Binary::Has)),
        ("add", Infix::Binary(Binary::Add)),
        ("sub", Infix::Binary(Binary::Sub)),
        ("mul", Infix::Binary(Binary::Mul)),
        ("divby", Infix::Binary(Binary::DivBy)),
        ("div", Infix::Binary(Binary::Div)),
        ("mod", Infix::Binary(Binary::Mod)),
    ];

    fn precedence(self) -> Precedence {
        match self {
            Infix::Binary(binary) => Pending::Binary(binary).precedence(),
            Infix::Logical(logical) => Pending::Logical(logical).precedence(),
            Infix::In => Precedence::Primary,
        }
    }
}

impl Pending {
    fn precedence(self) -> Precedence {
        match self {
            Pending::Unary(_) => Precedence::Unary,
            Pending::Logical(Logical::And) => Precedence::And,
            Pending::Logical(Logical::Or) => Precedence::Or,
            Pending::Binary(binary) => match binary {
                Binary::Eq | Binary::Ne => Precedence::Equality,
                Binary::Gt | Binary::Ge | Binary::Lt | Binary::Le => Precedence::Relational,
                Binary::Add | Binary::Sub => Precedence::Additive,
                Binary::Mul | Binary::Div | Binary::DivBy | Binary::Mod => {
                    Precedence::Multiplicative
                }
                Binary::Has => Precedence::Primary,
            },
        }
    }
}

/// A finished operand.
struct Operand {
    tree: Tree,
    /// Whether it was put together at this level, so that `a and b and c` may grow it. `(a and b) and c` must not.
    open: bool,
}

/// What is read but not yet put together.
#[derive(Default)]
struct Stack {
    operands: Vec<Operand>,
    pending: Vec<Pending>,
}

impl Parser<'_, '_> {
    /// `commonExpr`; stops where no operator follows.
    pub(super) fn expr(&mut self) -> Parse<Tree> {
        self.nested(Self::operators)
    }

    fn operators(&mut self) -> Parse<Tree> {
        let mut stack = Stack::default();
        loop {
            while let Some(unary) = self.eat_prefix() {
                self.spend_node()?;
                stack.pending.push(Pending::Unary(unary));
                // Each prefix operator will be one level of the tree.
                self.check_height(stack.pending.len() as u32)?;
            }
            let tree = self.primary()?;
            let infix = self.eat_infix(Precedence::Or, Precedence::Multiplicative);
            if infix.is_none() && stack.pending.is_empty() {
                return Ok(tree);
            }
            stack.operands.push(Operand { tree, open: false });
            let waiting = match infix {
                None => {
                    self.reduce(&mut stack, Precedence::Or)?;
                    let root = stack.operands.pop().expect("one operand is left");
                    return Ok(root.tree);
                }
                Some(Infix::Binary(binary)) => Pending::Binary(binary),
                Some(Infix::Logical(logical)) => Pending::Logical(logical),
                Some(Infix::In) => unreachable!("`in` belongs to `primary`"),
            };
            self.spend_node()?;
            self.reduce(&mut stack, waiting.precedence())?;
            stack.pending.push(waiting);
            self.skip_space();
        }
    }

    /// Puts together what binds at least as tightly as `precedence`: all operators are left-associative.
    fn reduce(&mut self, stack: &mut Stack, precedence: Precedence) -> Parse<()> {
        while let Some(&pending) = stack.pending.last() {
            if pending.precedence() < precedence {
                break;
            }
            stack.pending.pop();
            let last = stack.operands.pop().expect("an operator has operands");
            let operand = match pending {
                Pending::Unary(unary) => {
                    let expr = Expr::Unary(unary, last.tree.expr);
                    self.node_over(expr, last.tree.height)?
                }
                Pending::Binary(binary) => {
                    let left = stack.operands.pop().expect("a left operand").tree;
                    self.binary(binary, left, last.tree)?
                }
                Pending::Logical(logical) => {
                    let left = stack.operands.pop().expect("a left operand");
                    self.logical(logical, left, last.tree)?
                }
            };
            stack.operands.push(Operand {
                tree: operand,
                open: true,
            });
        }
        Ok(())
    }

    fn binary(&mut self, binary: Binary, left: Tree, right: Tree) -> Parse<Tree> {
        let height = left.height.max(right.height);
        let expr = Expr::Binary(binary, left.expr, right.expr);
        self.node_over(expr, height)
    }

    fn logical(&mut self, logical: Logical, left: Operand, right: Tree) -> Parse<Tree> {
        match *left.tree.expr {
            Expr::Logical(same, mut operands) if left.open && same == logical => {
                operands.push(*right.expr);
                let height = (left.tree.height - 1).max(right.height);
                self.node_over(Expr::Logical(logical, operands), height)
            }
            expr => {
                let height = left.tree.height.max(right.height);
                self.node_over(Expr::Logical(logical, vec![expr, *right.expr]), height)
            }
        }
    }

    /// An operand with the `has` and `in` that follow it.
    fn primary(&mut self) -> Parse<Tree> {
        let mut left = self.operand()?;
        while let Some(infix) = self.eat_infix(Precedence::Primary, Precedence::Primary) {
            self.spend_node()?;
            self.skip_space();
            left = match infix {
                Infix::In => self.members(left)?,
                _ => self.flags(left)?,
            };
        }
        Ok(left)
    }

    fn flags(&mut self, left: Tree) -> Parse<Tree> {
        let right = self.operand()?;
        self.binary(Binary::Has, left, right)
    }

    /// What may stand after `in`. Parentheses are always a list there.
    fn members(&mut self, left: Tree) -> Parse<Tree> {
        let start = self.pos;
        let right = match self.peek() {
            Some(b'(') => self.list(b'(', b')')?,
            _ => self.operand()?,
        };
        if !matches!(*right.expr, Expr::List(_) | Expr::Path(_)) {
            let message = "expected a list such as (1,2,3), a collection or an alias after 'in'";
            return Err(self.error_at(start, message));
        }
        let height = left.height.max(right.height);
        self.node_over(Expr::In(left.expr, right.expr), height)
    }

    /// Takes `not` or `-`. A minus sign in front of a number belongs to the number.
    fn eat_prefix(&mut self) -> Option<Unary> {
        if self.peek() == Some(b'-') {
            let number = &self.rest()[1..];
            let infinity = &number[..name_length(number)] == "INF";
            if infinity || number.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            self.pos += 1;
            self.skip_space();
            return Some(Unary::Negate);
        }
        let start = self.pos;
        if self.eat_keyword("not") {
            let spaced = self.after_space() > self.pos;
            let operand_follows = spaced && !self.at_operator_or_end();
            if operand_follows || self.peek() == Some(b'(') {
                self.skip_space();
                return Some(Unary::Not);
            }
            // A property that happens to be called `not`.
            self.pos = start;
        }
        None
    }

    fn at_operator_or_end(&self) -> bool {
        let after = self.after_space();
        after == self.text().len() || self.peek_infix().is_some()
    }

    /// Takes the infix operator that comes next if its precedence lies in the range.
    fn eat_infix(&mut self, from: Precedence, to: Precedence) -> Option<Infix> {
        let (infix, end) = self.peek_infix()?;
        let wanted = (from..=to).contains(&infix.precedence());
        if wanted {
            self.pos = end;
        }
        wanted.then_some(infix)
    }

    fn peek_infix(&self) -> Option<(Infix, usize)> {
        let start = self.after_space();
        let word = &self.text().as_bytes()[start..];
        let letters = word
            .iter()
            .take(6)
            .take_while(|b| b.is_ascii_alphabetic())
            .count();
        let end = start + letters;
        // What follows must not continue the word, and an operator is not the first step of a path.
        let next = self.text()[end..].chars().next();
        if next.is_some_and(|c| c == '_' || c == '/' || c == '.' || c.is_alphanumeric()) {
            return None;
        }
        let (_, infix) = Infix::ALL
            .iter()
            .find(|(name, _)| word[..letters].eq_ignore_ascii_case(name.as_bytes()))?;
        Some((*infix, end))
    }
}
