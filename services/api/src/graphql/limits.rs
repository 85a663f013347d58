//! Limits of documents, counted before anything of them is executed (`docs/contracts.md § 3`).
//!
//! First the text: how many tokens, how deeply nested. Then the document with its fragments put in: how many fields,
//! how deep, how many aliases, repetitions, directives and root fields. Fragments are counted once each and their sums
//! added up, so that one which would grow to a billion fields is refused without being grown.

use std::collections::{HashMap, HashSet};

use async_graphql::Positioned;
use async_graphql::{
    Name,
    parser::{
        parse_query,
        types::{ExecutableDocument, FragmentDefinition, OperationType, Selection, SelectionSet},
    },
};
use commands::{Outcome, Refusal};

/// The longest body, in bytes.
pub(crate) const BODY: usize = 256 * 1024;
/// The most tokens of a document.
const TOKENS: usize = 5_000;
/// The deepest nesting of brackets of any kind.
const BRACKETS: usize = 64;
/// The most fields, with fragments put in.
const FIELDS: usize = 1_000;
/// The deepest nesting of fields, with fragments put in. Introspection needs 13.
pub(crate) const DEPTH: usize = 16;
/// The most that a document may cost: fields times the rows they are asked of.
pub(crate) const COMPLEXITY: usize = 20_000;
/// The most aliases, with fragments put in.
const ALIASES: usize = 30;
/// How often one selection may name the same field.
const REPEATED: usize = 10;
/// The most directives, with fragments put in.
const DIRECTIVES: usize = 50;
/// The most operations and fragments.
const DEFINITIONS: usize = 50;
/// The most variables of an operation.
const VARIABLES: usize = 50;
/// The most root fields of a query and of a mutation.
const QUERIES: usize = 20;
const MUTATIONS: usize = 10;

/// A document within the limits, and what it is about.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) document: ExecutableDocument,
    /// The kind of the operation that is asked for; none where the name fits none.
    pub(crate) kind: Option<OperationType>,
    /// The operation's name, as the document has it.
    pub(crate) name: Option<String>,
}

impl Checked {
    /// That every variable has a value which has to have one. The library would only find out while it executes.
    ///
    /// # Errors
    /// `BAD_INPUT` on the variable
    pub(crate) fn check_variables(&self, has_value: impl Fn(&str) -> bool) -> Outcome<()> {
        let asked = self.document.operations.iter().find(|(name, definition)| {
            Some(definition.node.ty) == self.kind && name.map(|name| name.as_str()) == self.name.as_deref()
        });
        let variables = asked
            .map(|(_, definition)| definition.node.variable_definitions.as_slice())
            .unwrap_or_default();
        for variable in variables {
            let (variable, name) = (&variable.node, variable.node.name.node.as_str());
            if !variable.var_type.node.nullable && variable.default_value.is_none() && !has_value(name) {
                let message = format!("the variable ${name} needs a value");
                return Err(Refusal::new("BAD_INPUT", 400, message).on(format!("variables.{name}")));
            }
        }
        Ok(())
    }
}

/// Reads a document and holds it to the limits.
///
/// # Errors
/// `INVALID_DOCUMENT` for what is no document, `QUERY_TOO_LARGE` with the limit that it breaks,
/// `INTROSPECTION_DISABLED`.
pub(crate) fn check(query: &str, operation: Option<&str>, introspection: bool) -> Outcome<Checked> {
    check_text(query)?;
    let document = parse_query(query).map_err(|error| invalid(error.to_string()))?;
    let operations = document.operations.iter().count();
    within(
        "operations and fragments",
        operations + document.fragments.len(),
        DEFINITIONS,
    )?;
    let mut sizes = Sizes {
        fragments: &document.fragments,
        known: HashMap::new(),
        open: HashSet::new(),
    };
    for (_, definition) in document.operations.iter() {
        let set = &definition.node.selection_set.node;
        within("fields", sizes.of(set)?, FIELDS)?;
        within("variables", definition.node.variable_definitions.len(), VARIABLES)?;
        let directives = definition.node.directives.len();
        let mut counted = Counted {
            directives,
            ..Counted::default()
        };
        counted.walk(&[set], &document.fragments, 1)?;
        within("aliases", counted.aliases, ALIASES)?;
        within("directives", counted.directives, DIRECTIVES)?;
        if counted.introspects && !introspection {
            return Err(Refusal::new(
                "INTROSPECTION_DISABLED",
                400,
                "this server does not describe its schema",
            ));
        }
        match definition.node.ty {
            OperationType::Query => within("root fields", counted.roots, QUERIES)?,
            OperationType::Mutation => within("root fields", counted.roots, MUTATIONS)?,
            OperationType::Subscription => within("root fields", counted.roots, 1)?,
        }
    }
    let mut chosen = document.operations.iter().filter(|(name, _)| match operation {
        Some(wanted) => name.is_some_and(|name| name.as_str() == wanted),
        None => operations == 1,
    });
    let chosen = chosen
        .next()
        .map(|(name, definition)| (name.map(ToString::to_string), definition.node.ty));
    let (name, kind) = chosen.map_or((None, None), |(name, kind)| (name, Some(kind)));
    Ok(Checked { document, kind, name })
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("INVALID_DOCUMENT", 400, message)
}

fn within(what: &str, count: usize, most: usize) -> Outcome<()> {
    if count <= most {
        return Ok(());
    }
    Err(Refusal::new(
        "QUERY_TOO_LARGE",
        400,
        format!("this document has too many {what}: at most {most} are taken"),
    ))
}

/// Counts tokens and nesting without a parser, which would itself go as deep as the text does.
fn check_text(query: &str) -> Outcome<()> {
    let mut rest = query.as_bytes();
    let (mut tokens, mut depth) = (0, 0_usize);
    while let Some(&byte) = rest.first() {
        let length = match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                rest = &rest[1..];
                continue;
            }
            b'#' => {
                rest = &rest[rest
                    .iter()
                    .position(|byte| matches!(byte, b'\n' | b'\r'))
                    .unwrap_or(rest.len())..];
                continue;
            }
            b'"' => string_length(rest),
            b'{' | b'[' | b'(' => {
                depth += 1;
                within("nested brackets", depth, BRACKETS)?;
                1
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                1
            }
            byte if is_word(byte) => rest.iter().take_while(|byte| is_word(**byte)).count(),
            _ => 1,
        };
        tokens += 1;
        within("tokens", tokens, TOKENS)?;
        rest = &rest[length.min(rest.len())..];
    }
    Ok(())
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The length of the string, or block string, that a text begins with.
fn string_length(text: &[u8]) -> usize {
    if text.starts_with(b"\"\"\"") {
        let mut at = 3;
        while at < text.len() {
            if text[at..].starts_with(b"\\\"\"\"") {
                at += 4;
            } else if text[at..].starts_with(b"\"\"\"") {
                return at + 3;
            } else {
                at += 1;
            }
        }
        return at;
    }
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' | b'\n' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// How many selections a set has once its fragments are put in.
struct Sizes<'a> {
    fragments: &'a Fragments,
    known: HashMap<&'a str, usize>,
    open: HashSet<&'a str>,
}

impl<'a> Sizes<'a> {
    fn of(&mut self, set: &'a SelectionSet) -> Outcome<usize> {
        let mut sum: usize = 0;
        for item in &set.items {
            let inner = match &item.node {
                Selection::Field(field) => self.of(&field.node.selection_set.node)?,
                Selection::InlineFragment(fragment) => self.of(&fragment.node.selection_set.node)?,
                Selection::FragmentSpread(spread) => self.of_fragment(spread.node.fragment_name.node.as_str())?,
            };
            sum = sum.saturating_add(1).saturating_add(inner);
        }
        Ok(sum)
    }

    fn of_fragment(&mut self, name: &'a str) -> Outcome<usize> {
        if let Some(known) = self.known.get(name) {
            return Ok(*known);
        }
        let Some(fragment) = self.fragments.get(name) else {
            return Err(invalid(format!("there is no fragment `{name}`")));
        };
        if !self.open.insert(name) {
            return Err(invalid(format!("the fragment `{name}` contains itself")));
        }
        let size = self.of(&fragment.node.selection_set.node)?;
        self.open.remove(name);
        self.known.insert(name, size);
        Ok(size)
    }
}

/// What an operation has, with its fragments put in. To be counted only once its size is known to be small.
#[derive(Debug, Default)]
struct Counted {
    aliases: usize,
    directives: usize,
    roots: usize,
    introspects: bool,
}

impl Counted {
    /// Goes through the selections of one place: several sets where a field is named several times.
    fn walk(&mut self, sets: &[&SelectionSet], fragments: &Fragments, depth: usize) -> Outcome<()> {
        within("levels", depth, DEPTH)?;
        let mut fields: HashMap<&str, Vec<&SelectionSet>> = HashMap::new();
        let mut waiting: Vec<&SelectionSet> = sets.to_vec();
        while let Some(set) = waiting.pop() {
            for item in &set.items {
                self.directives += item.node.directives().len();
                match &item.node {
                    Selection::Field(field) => {
                        let field = &field.node;
                        self.aliases += usize::from(field.alias.is_some());
                        let name = field.name.node.as_str();
                        if depth == 1 {
                            self.roots += 1;
                            self.introspects |= matches!(name, "__schema" | "__type");
                        }
                        let same = fields.entry(field.response_key().node.as_str()).or_default();
                        same.push(&field.selection_set.node);
                        within("repetitions of one field", same.len(), REPEATED)?;
                    }
                    Selection::InlineFragment(fragment) => waiting.push(&fragment.node.selection_set.node),
                    Selection::FragmentSpread(spread) => {
                        if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                            self.directives += fragment.node.directives.len();
                            waiting.push(&fragment.node.selection_set.node);
                        }
                    }
                }
            }
        }
        for sets in fields.values() {
            let inner: Vec<&SelectionSet> = sets.iter().copied().filter(|set| !set.items.is_empty()).collect();
            if !inner.is_empty() {
                self.walk(&inner, fragments, depth + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(query: &str) -> Option<&'static str> {
        check(query, None, true).err().map(|refusal| refusal.code)
    }

    #[test]
    fn an_honest_document_passes_and_is_named() {
        let query = "query Queue($n: Int) { requests(first: $n) { nodes { id ...Parts } } } fragment Parts on Request { status }";
        let checked = check(query, None, false).unwrap();
        assert_eq!(
            (checked.kind, checked.name.as_deref()),
            (Some(OperationType::Query), Some("Queue"))
        );
        let two = "query A { viewer { roles } } mutation B { expire(input: {requestId: \"x\"}) { position } }";
        assert_eq!(check(two, None, false).unwrap().kind, None);
        assert_eq!(
            check(two, Some("B"), false).unwrap().kind,
            Some(OperationType::Mutation)
        );
        assert_eq!(check(two, Some("C"), false).unwrap().kind, None);
    }

    #[test]
    fn a_variable_that_has_to_have_a_value_is_missed() {
        let query = "query A($id: ID!, $n: Int, $m: Int! = 3) { a } query B { a }";
        let checked = check(query, Some("A"), false).unwrap();
        assert!(checked.check_variables(|name| name == "id").is_ok());
        let missed = checked.check_variables(|_| false).unwrap_err();
        assert_eq!(missed.field.as_deref(), Some("variables.id"));
        assert!(
            check(query, Some("B"), false)
                .unwrap()
                .check_variables(|_| false)
                .is_ok()
        );
    }

    #[test]
    fn a_fragment_bomb_is_refused_without_being_grown() {
        let mut query = "query { ...F0 }".to_owned();
        for n in 0..40 {
            query.push_str(&format!(
                " fragment F{n} on Query {{ ...F{} ...F{} ...F{} }}",
                n + 1,
                n + 1,
                n + 1
            ));
        }
        query.push_str(" fragment F40 on Query { viewer { roles } }");
        assert_eq!(code(&query), Some("QUERY_TOO_LARGE"));
    }

    #[test]
    fn a_fragment_that_contains_itself_is_no_document() {
        let query = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(code(query), Some("INVALID_DOCUMENT"));
        assert_eq!(code("{ ...Gone }"), Some("INVALID_DOCUMENT"));
    }

    #[test]
    fn depth_counts_through_fragments() {
        let nested = |levels: usize| format!("{}id{}", "{ a ".repeat(levels - 1) + "{", "}".repeat(levels));
        assert_eq!(code(&nested(DEPTH)), None);
        assert_eq!(code(&nested(DEPTH + 1)), Some("QUERY_TOO_LARGE"));
        let half = nested(9);
        let through = format!(
            "{{ a {{ a {{ a {{ a {{ a {{ a {{ a {{ a {{ ...F }} }} }} }} }} }} }} }} }} fragment F on X {half}"
        );
        assert_eq!(code(&through), Some("QUERY_TOO_LARGE"));
    }

    #[test]
    fn text_nested_deeper_than_a_parser_can_go_is_refused_and_strings_hide_nothing() {
        for open in ["{a", "[", "(a:"] {
            assert_eq!(code(&open.repeat(100_000)), Some("QUERY_TOO_LARGE"), "{open}");
        }
        let hidden = "{ a #}\n".repeat(5_000);
        assert_eq!(code(&hidden), Some("QUERY_TOO_LARGE"));
        let hidden = r#"{ a(b: "}") "#.repeat(5_000);
        assert_eq!(code(&hidden), Some("QUERY_TOO_LARGE"));
        let brackets_in_text = format!(
            r#"{{ a(b: "{}", c: """{}""") }}"#,
            "{".repeat(200),
            "[\\\"\"\"".repeat(200)
        );
        assert_eq!(code(&brackets_in_text), None);
    }

    #[test]
    fn aliases_repetitions_roots_and_directives_are_counted_through_fragments() {
        let many = |item: &dyn Fn(usize) -> String, n: usize| (0..n).map(|n| item(n) + " ").collect::<String>();
        let aliases = many(&|n| format!("a{n}: id"), ALIASES + 1);
        assert_eq!(code(&format!("{{ viewer {{ {aliases} }} }}")), Some("QUERY_TOO_LARGE"));
        assert_eq!(
            code(&format!("{{ viewer {{ ...F }} }} fragment F on V {{ {aliases} }}")),
            Some("QUERY_TOO_LARGE")
        );
        assert_eq!(
            code(&format!("{{ viewer {{ {} }} }}", "id ".repeat(REPEATED + 1))),
            Some("QUERY_TOO_LARGE")
        );
        assert_eq!(
            code(&format!(
                "{{ {} }} fragment F on Query {{ a }}",
                "...F ".repeat(REPEATED + 1)
            )),
            Some("QUERY_TOO_LARGE")
        );
        let split = format!("{{ {} {} }}", "a { id } ".repeat(2), "a { id id id id id id } ");
        assert_eq!(code(&split), None);
        assert_eq!(
            code(&format!("{{ a {{ {0} }} a {{ {0} }} }}", "id ".repeat(6))),
            Some("QUERY_TOO_LARGE")
        );
        let roots = many(&|n| format!("f{n}"), QUERIES + 1);
        assert_eq!(code(&format!("{{ {roots} }}")), Some("QUERY_TOO_LARGE"));
        assert_eq!(
            code(&format!("mutation {{ {} }}", many(&|n| format!("f{n}"), MUTATIONS + 1))),
            Some("QUERY_TOO_LARGE")
        );
        assert_eq!(code("subscription { a b }"), Some("QUERY_TOO_LARGE"));
        let directives = "@include(if: true) ".repeat(DIRECTIVES + 1);
        assert_eq!(code(&format!("{{ a {directives} }}")), Some("QUERY_TOO_LARGE"));
        assert_eq!(code(&format!("query {directives} {{ a }}")), Some("QUERY_TOO_LARGE"));
    }

    #[test]
    fn long_documents_are_refused_by_their_tokens() {
        assert_eq!(code(&format!("{{ {} }}", "a ".repeat(TOKENS))), Some("QUERY_TOO_LARGE"));
        assert_eq!(
            code(&format!("{{ a }} {}", "fragment F on Q { a } ".repeat(DEFINITIONS))),
            Some("INVALID_DOCUMENT")
        );
    }

    #[test]
    fn introspection_is_refused_where_it_is_switched_off_and_a_type_name_never() {
        for query in [
            "{ __schema { types { name } } }",
            "{ ...F } fragment F on Query { x: __type(name: \"A\") { name } }",
        ] {
            assert_eq!(check(query, None, false).unwrap_err().code, "INTROSPECTION_DISABLED");
            assert!(check(query, None, true).is_ok());
        }
        assert!(check("{ __typename viewer { __typename } }", None, false).is_ok());
    }

    #[test]
    fn what_is_no_document_is_told_so() {
        for query in ["", "{", "query", "{ a(b: ) }", "\"", "\"\"\"", "😀"] {
            assert_eq!(code(query), Some("INVALID_DOCUMENT"), "{query:?}");
        }
    }
}
