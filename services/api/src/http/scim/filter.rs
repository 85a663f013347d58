//! Filters (RFC 7644 § 3.4.2.2): read into a tree, and held against resources in memory.
//!
//! An attribute that is not known has no value. Of several values one has to match; `ne` is that none equals.

use formats::Timestamp;
use serde_json::Value;

use super::{
    path::AttrPath,
    schema::{Attribute, Kind, Resource},
};
use crate::Problem;

/// The longest filter, in bytes.
pub(super) const FILTER_MAX: usize = 4_096;
/// How deep brackets may be nested.
pub(super) const DEPTH_MAX: u32 = 20;
/// The most comparisons of a filter.
pub(super) const TERMS_MAX: u32 = 100;

/// A filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// The attribute has a value.
    Present(AttrPath),
    Compare(AttrPath, Operator, Value),
    /// One of the attribute's values is such.
    Has(AttrPath, Box<Filter>),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

/// 400 `INVALID_FILTER`
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::bad_request("INVALID_FILTER", detail).on("filter")
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// `INVALID_FILTER` with the place.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > FILTER_MAX {
            return Err(invalid(format!("a filter has {FILTER_MAX} bytes at most")));
        }
        let mut reader = Reader {
            text,
            at: 0,
            depth: 0,
            terms: 0,
        };
        let filter = reader.or()?;
        reader.space();
        if reader.at < text.len() {
            return Err(reader.wrong("and, or, or the end"));
        }
        Ok(filter)
    }

    /// Whether an attribute of this name is asked about.
    pub(super) fn mentions(&self, name: &str) -> bool {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.mentions(name) || b.mentions(name),
            Self::Not(inner) => inner.mentions(name),
            Self::Present(path) | Self::Compare(path, ..) | Self::Has(path, _) => path.name.eq_ignore_ascii_case(name),
        }
    }

    /// The text that an attribute has to equal, where everything that matches has it: what an index finds.
    pub(super) fn equal_to(&self, name: &str) -> Option<&str> {
        match self {
            Self::And(a, b) => a.equal_to(name).or_else(|| b.equal_to(name)),
            Self::Compare(path, Operator::Eq, Value::String(text))
                if path.name.eq_ignore_ascii_case(name) && path.inside.is_none() =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    /// Whether a resource is such.
    ///
    /// # Errors
    /// `INVALID_FILTER` where values can't be compared so.
    pub(super) fn matches(&self, resource: Resource, document: &Value) -> Result<bool, Problem> {
        self.holds(document, &|path| path.resolve(resource))
    }

    /// Whether a value of a list is such; names are those of the attributes inside.
    ///
    /// # Errors
    /// As [`Filter::matches`].
    pub(super) fn matches_value(&self, list: &'static Attribute, value: &Value) -> Result<bool, Problem> {
        self.holds(value, &|path| {
            let inside = super::schema::named(list.inside(), &path.name)?;
            Some(vec![inside])
        })
    }

    fn holds(
        &self,
        document: &Value,
        resolve: &dyn Fn(&AttrPath) -> Option<Vec<&'static Attribute>>,
    ) -> Result<bool, Problem> {
        match self {
            Self::And(a, b) => Ok(a.holds(document, resolve)? && b.holds(document, resolve)?),
            Self::Or(a, b) => Ok(a.holds(document, resolve)? || b.holds(document, resolve)?),
            Self::Not(inner) => Ok(!inner.holds(document, resolve)?),
            Self::Present(path) => Ok(found(document, resolve(path).as_deref())
                .iter()
                .any(|value| is_something(value))),
            Self::Has(path, filter) => {
                let Some(way) = resolve(path) else { return Ok(false) };
                let Some(list) = way.last() else { return Ok(false) };
                for value in found(document, Some(&way)) {
                    if filter.matches_value(list, value)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Compare(path, operator, wanted) => compare(document, resolve(path), *operator, wanted),
        }
    }
}

fn compare(
    document: &Value,
    way: Option<Vec<&'static Attribute>>,
    operator: Operator,
    wanted: &Value,
) -> Result<bool, Problem> {
    let mut way = way.unwrap_or_default();
    // Of a list of objects the value is meant.
    if let Some(value) = way.last().and_then(|last| super::schema::named(last.inside(), "value")) {
        way.push(value);
    }
    let Some(kind) = way.last().map(|last| last.kind) else {
        return Ok(operator == Operator::Ne);
    };
    if matches!(kind, Kind::Complex(_)) {
        return Err(invalid(
            "an attribute with attributes inside has no value of its own; name one inside",
        ));
    }
    let values = found(document, Some(&way));
    if wanted.is_null() {
        return match operator {
            Operator::Eq => Ok(values.is_empty()),
            Operator::Ne => Ok(!values.is_empty()),
            _ => Err(invalid("null is compared by eq and ne only")),
        };
    }
    let negated = operator == Operator::Ne;
    let operator = if negated { Operator::Eq } else { operator };
    for value in values {
        if one(kind, value, operator, wanted)? {
            return Ok(!negated);
        }
    }
    Ok(negated)
}

fn one(kind: Kind, value: &Value, operator: Operator, wanted: &Value) -> Result<bool, Problem> {
    if kind == Kind::Boolean {
        let wanted = super::body::truth(wanted).ok_or_else(|| invalid("a truth value is true or false"))?;
        return match operator {
            Operator::Eq => Ok(value.as_bool() == Some(wanted)),
            _ => Err(invalid("truth values are compared by eq and ne only")),
        };
    }
    let Some(wanted) = wanted.as_str() else {
        return Err(invalid("texts and moments are compared with texts in quotation marks"));
    };
    let Some(value) = value.as_str() else { return Ok(false) };
    if kind == Kind::DateTime && !matches!(operator, Operator::Co | Operator::Sw | Operator::Ew) {
        let read = |text: &str| text.parse::<Timestamp>();
        let wanted = read(wanted).map_err(|_| invalid(format!("{wanted} is no moment of RFC 3339")))?;
        return Ok(read(value).is_ok_and(|value| ordered(operator, value.cmp(&wanted))));
    }
    Ok(match kind {
        Kind::Exact | Kind::Reference(_) => texts(operator, value, wanted),
        _ => texts(operator, &value.to_lowercase(), &wanted.to_lowercase()),
    })
}

fn texts(operator: Operator, value: &str, wanted: &str) -> bool {
    match operator {
        Operator::Co => value.contains(wanted),
        Operator::Sw => value.starts_with(wanted),
        Operator::Ew => value.ends_with(wanted),
        other => ordered(other, value.cmp(wanted)),
    }
}

const fn ordered(operator: Operator, order: std::cmp::Ordering) -> bool {
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}

/// The values at the end of a way; lists are gone through.
fn found<'a>(document: &'a Value, way: Option<&[&'static Attribute]>) -> Vec<&'a Value> {
    let Some(way) = way else { return Vec::new() };
    let mut values = vec![document];
    for attribute in way {
        values = values
            .into_iter()
            .filter_map(|value| value.get(attribute.name))
            .flat_map(|value| match value {
                Value::Array(list) => list.iter().collect(),
                other => vec![other],
            })
            .filter(|value| !value.is_null())
            .collect();
    }
    values
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
    terms: u32,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) -> bool {
        let before = self.at;
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
        self.at > before
    }

    fn wrong(&self, wanted: &str) -> Problem {
        let at = self.text.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        invalid(format!("at character {at} of the filter {wanted} is wanted"))
    }

    fn take(&mut self, sign: char) -> bool {
        let has = self.rest().starts_with(sign);
        self.at += if has { sign.len_utf8() } else { 0 };
        has
    }

    /// Takes a word, whatever its case, where white space or a bracket follows.
    fn word(&mut self, word: &str) -> bool {
        let Some(next) = self.rest().get(..word.len()) else {
            return false;
        };
        let after = self.rest()[word.len()..].chars().next();
        let ends = after.is_none_or(|c| matches!(c, ' ' | '(' | ')' | ']'));
        let has = next.eq_ignore_ascii_case(word) && ends;
        self.at += if has { word.len() } else { 0 };
        has
    }

    fn or(&mut self) -> Result<Filter, Problem> {
        let mut filter = self.and()?;
        loop {
            let before = self.at;
            if !(self.space() && self.word("or")) {
                self.at = before;
                return Ok(filter);
            }
            filter = Filter::Or(Box::new(filter), Box::new(self.and()?));
        }
    }

    fn and(&mut self) -> Result<Filter, Problem> {
        let mut filter = self.term()?;
        loop {
            let before = self.at;
            if !(self.space() && self.word("and")) {
                self.at = before;
                return Ok(filter);
            }
            filter = Filter::And(Box::new(filter), Box::new(self.term()?));
        }
    }

    fn within(&mut self, close: char) -> Result<Filter, Problem> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(invalid(format!("brackets are nested {DEPTH_MAX} deep at most")));
        }
        let filter = self.or()?;
        self.depth -= 1;
        self.space();
        if self.take(close) {
            Ok(filter)
        } else {
            Err(self.wrong(&format!("`{close}`")))
        }
    }

    fn term(&mut self) -> Result<Filter, Problem> {
        self.space();
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(invalid(format!("a filter has {TERMS_MAX} comparisons at most")));
        }
        if self.take('(') {
            return self.within(')');
        }
        let before = self.at;
        if self.word("not") {
            self.space();
            if self.take('(') {
                return Ok(Filter::Not(Box::new(self.within(')')?)));
            }
            self.at = before;
        }
        let path = self.path()?;
        if self.take('[') {
            return Ok(Filter::Has(path, Box::new(self.within(']')?)));
        }
        if !self.space() {
            return Err(self.wrong("an operator"));
        }
        if self.word("pr") {
            return Ok(Filter::Present(path));
        }
        let operator = self.operator()?;
        self.space();
        let value = self.value()?;
        Ok(Filter::Compare(path, operator, value))
    }

    fn path(&mut self) -> Result<AttrPath, Problem> {
        let length = self
            .rest()
            .find(|c: char| !(c.is_ascii_alphanumeric() || ":._-$".contains(c)))
            .unwrap_or(self.rest().len());
        let path = AttrPath::parse(&self.rest()[..length]).ok_or_else(|| self.wrong("the name of an attribute"))?;
        self.at += length;
        Ok(path)
    }

    fn operator(&mut self) -> Result<Operator, Problem> {
        for (word, operator) in [
            ("eq", Operator::Eq),
            ("ne", Operator::Ne),
            ("co", Operator::Co),
            ("sw", Operator::Sw),
            ("ew", Operator::Ew),
            ("gt", Operator::Gt),
            ("ge", Operator::Ge),
            ("lt", Operator::Lt),
            ("le", Operator::Le),
        ] {
            if self.word(word) {
                return Ok(operator);
            }
        }
        Err(self.wrong("one of eq, ne, co, sw, ew, pr, gt, ge, lt, le"))
    }

    /// A value as JSON writes it: a text, a number, true, false or null.
    fn value(&mut self) -> Result<Value, Problem> {
        let rest = self.rest();
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.word(word) {
                return Ok(value);
            }
        }
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value @ (Value::String(_) | Value::Number(_)))) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            _ => Err(self.wrong("a text in quotation marks, a number, true, false or null")),
        }
    }
}
