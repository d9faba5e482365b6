//! Paths inside expressions (URL Conventions 5.1.1.14 and 5.1.1.15), lambdas, and arguments in parentheses.

use super::ast::{Arguments, Expr, Lambda, NameSegment, Path, PathRoot, PathSegment, QueryOptions};
use super::operand::leaf;
use super::options::COUNT_OPTIONS;
use super::parser::{Parse, Parser, Tree};

/// Parameters and, on the result of a function, a key.
const PARENS_MAX: usize = 2;

impl Parser<'_, '_> {
    /// A path that starts with `$` or `@`.
    pub(super) fn rooted_path(&mut self) -> Parse<Tree> {
        let start = self.pos;
        if self.peek() == Some(b'@') {
            let name = self.annotation()?;
            // An alias is a simple name. What has a namespace or a qualifier is an annotation.
            if !name.contains(['.', '#']) {
                return self.path(PathRoot::Alias(name), None);
            }
            let mut path = Path {
                root: PathRoot::Implicit,
                segments: vec![PathSegment::Annotation(name)],
            };
            let height = self.path_segments(&mut path)?;
            return self.node_over(Expr::Path(path), height);
        }
        self.pos += 1;
        let root = match self.name() {
            Some("it") => PathRoot::It,
            Some("this") => PathRoot::This,
            Some("root") => PathRoot::Root,
            _ => {
                self.pos = start;
                return Err(self.expected("an expression"));
            }
        };
        if root == PathRoot::Root && self.peek() != Some(b'/') {
            return Err(self.expected("'/' and an entity set after '$root'"));
        }
        self.path(root, None)
    }

    /// The rest of a path. `first` has been read up to its parentheses.
    pub(super) fn path(&mut self, root: PathRoot, first: Option<NameSegment>) -> Parse<Tree> {
        let mut path = Path {
            root,
            segments: Vec::new(),
        };
        let mut height = 0;
        if let Some(mut segment) = first {
            height = self.parens(&mut segment, Parser::expr)?;
            path.segments.push(PathSegment::Name(segment));
        }
        if self.peek() != Some(b'/') && height == 0 {
            return Ok(leaf(Expr::Path(path)));
        }
        let height = height.max(self.path_segments(&mut path)?);
        self.node_over(Expr::Path(path), height)
    }

    /// Segments with their slashes; returns the greatest height of what is inside.
    fn path_segments(&mut self, path: &mut Path) -> Parse<u32> {
        let mut height = 0;
        while self.eat(b'/') {
            self.spend_node()?;
            height = height.max(self.path_segment(&mut path.segments)?);
        }
        Ok(height)
    }

    fn path_segment(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        match self.peek() {
            Some(b'@') => {
                segments.push(PathSegment::Annotation(self.annotation()?));
                Ok(0)
            }
            Some(b'$') => self.system_segment(segments),
            _ => self.named_segment(segments),
        }
    }

    fn named_segment(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        let Some(name) = self.qualified_name() else {
            return Err(self.expected("a name after '/'"));
        };
        if self.peek() == Some(b'(') {
            if name.eq_ignore_ascii_case("any") {
                return self.any(segments);
            }
            if name.eq_ignore_ascii_case("all") {
                return self.all(segments);
            }
        }
        let mut segment = name_only(name);
        let height = self.parens(&mut segment, Parser::expr)?;
        segments.push(PathSegment::Name(segment));
        Ok(height)
    }

    /// `$count`, `$count(...)` or `$filter(...)`.
    fn system_segment(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        let start = self.pos;
        self.pos += 1;
        match self.name() {
            Some("count") if self.peek() == Some(b'(') => self.filtered_count(segments),
            Some("count") => {
                segments.push(PathSegment::Count(None));
                Ok(0)
            }
            Some("filter") => self.filter(segments),
            _ => {
                self.pos = start;
                Err(self.expected("a name, '$count' or '$filter(...)' after '/'"))
            }
        }
    }

    fn filtered_count(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        let mut options = Box::<QueryOptions>::default();
        let height = self.nested(|p| p.nested_options(COUNT_OPTIONS, &mut options))?;
        segments.push(PathSegment::Count(Some(options)));
        Ok(height)
    }

    fn filter(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        let (condition, key) = self.filter_segment(Parser::expr)?;
        segments.push(PathSegment::Filter(condition.expr, key));
        Ok(condition.height)
    }

    /// The rest of `$filter(...)`: the condition, with the height of the segment, and the key that may follow.
    pub(super) fn filter_segment(
        &mut self,
        key_value: fn(&mut Self) -> Parse<Tree>,
    ) -> Parse<(Tree, Option<Arguments>)> {
        self.expect(b'(', "after '$filter' in a path")?;
        self.skip_space();
        let mut tree = self.expr()?;
        self.skip_space();
        self.expect(b')', "after the condition of '$filter'")?;
        if self.peek() != Some(b'(') {
            return Ok((tree, None));
        }
        let (key, height) = self.arguments(key_value)?;
        tree.height = tree.height.max(height);
        Ok((tree, Some(key)))
    }

    fn any(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        self.pos += 1;
        self.skip_space();
        if self.eat(b')') {
            segments.push(PathSegment::Any(None));
            return Ok(0);
        }
        let (lambda, height) = self.lambda()?;
        segments.push(PathSegment::Any(Some(lambda)));
        Ok(height)
    }

    fn all(&mut self, segments: &mut Vec<PathSegment>) -> Parse<u32> {
        self.pos += 1;
        self.skip_space();
        let (lambda, height) = self.lambda()?;
        segments.push(PathSegment::All(lambda));
        Ok(height)
    }

    fn lambda(&mut self) -> Parse<(Box<Lambda>, u32)> {
        let variable = self.expect_name("a variable as in any(x:...)")?;
        self.skip_space();
        self.expect(b':', "after the lambda variable")?;
        self.skip_space();
        let predicate = self.expr()?;
        self.skip_space();
        self.expect(b')', "after the condition of the lambda")?;
        let lambda = Lambda {
            variable: variable.to_owned(),
            predicate: *predicate.expr,
        };
        Ok((Box::new(lambda), predicate.height))
    }

    /// `@Ns.Term#qualifier`, returned without the `@`.
    pub(super) fn annotation(&mut self) -> Parse<String> {
        let start = self.pos + 1;
        self.pos = start;
        if self.qualified_name().is_none() {
            return Err(self.expected("a name after '@'"));
        }
        if self.eat(b'#') {
            self.expect_name("a qualifier after '#'")?;
        }
        Ok(self.text()[start..self.pos].to_owned())
    }

    /// The parentheses after a name; returns the greatest height of what is inside.
    pub(super) fn parens(
        &mut self,
        segment: &mut NameSegment,
        value: fn(&mut Self) -> Parse<Tree>,
    ) -> Parse<u32> {
        let mut height = 0;
        while self.peek() == Some(b'(') && segment.parens.len() < PARENS_MAX {
            let (arguments, arguments_height) = self.arguments(value)?;
            height = height.max(arguments_height);
            segment.parens.push(arguments);
        }
        Ok(height)
    }

    /// `()`, `(a,b)` or `(x=a,y=b)`.
    pub(super) fn arguments(
        &mut self,
        value: fn(&mut Self) -> Parse<Tree>,
    ) -> Parse<(Arguments, u32)> {
        self.expect(b'(', "before the arguments")?;
        self.skip_space();
        if self.eat(b')') {
            return Ok((Arguments::Empty, 0));
        }
        let result = match self.at_argument_name() {
            true => self.named_arguments(value)?,
            false => self.positional_arguments(value)?,
        };
        self.skip_space();
        self.expect(b')', "after the argument list")?;
        Ok(result)
    }

    fn positional_arguments(
        &mut self,
        value: fn(&mut Self) -> Parse<Tree>,
    ) -> Parse<(Arguments, u32)> {
        let mut values = Vec::new();
        let mut height = 0;
        loop {
            let tree = value(self)?;
            height = height.max(tree.height);
            values.push(*tree.expr);
            if !self.eat_separator(b',') {
                return Ok((Arguments::Positional(values), height));
            }
        }
    }

    fn named_arguments(&mut self, value: fn(&mut Self) -> Parse<Tree>) -> Parse<(Arguments, u32)> {
        let mut values = Vec::new();
        let mut height = 0;
        loop {
            let name = self.expect_name("the name of an argument")?;
            self.skip_space();
            self.expect(b'=', "after the name of the argument")?;
            self.skip_space();
            let tree = value(self)?;
            height = height.max(tree.height);
            values.push((name.to_owned(), *tree.expr));
            if !self.eat_separator(b',') {
                return Ok((Arguments::Named(values), height));
            }
        }
    }

    /// Whether `name =` comes next.
    fn at_argument_name(&mut self) -> bool {
        let start = self.pos;
        let named =
            self.name().is_some() && self.text().as_bytes().get(self.after_space()) == Some(&b'=');
        self.pos = start;
        named
    }

    /// A value where only constants and aliases may stand: keys and parameters in a resource path.
    pub(super) fn constant(&mut self) -> Parse<Tree> {
        let start = self.pos;
        let tree = self.operand()?;
        let constant = match &*tree.expr {
            Expr::Literal(_) | Expr::Foreign(_) => true,
            Expr::Path(path) => matches!(path.root, PathRoot::Alias(_)) && path.segments.is_empty(),
            _ => false,
        };
        if !constant {
            self.pos = start;
            return Err(self.expected("a literal or an alias such as @p"));
        }
        Ok(tree)
    }
}

/// A name before its parentheses are read.
pub(super) fn name_only(name: &str) -> NameSegment {
    NameSegment {
        name: name.to_owned(),
        parens: Vec::new(),
        text: String::new(),
    }
}
