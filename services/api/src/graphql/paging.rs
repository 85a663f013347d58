//! Cursor connections (`docs/contracts.md § 3`) over the read models' pages.

use async_graphql::{
    ObjectType, OutputType, SimpleObject,
    connection::{Connection as Relay, Edge, EmptyFields},
};
use commands::Refusal;
use projections::{Cursor, Page, Paged, page::LIMIT_MAX};

use super::error::Answer;

/// How many rows a page has where nothing is said.
const USUAL: u32 = 50;

/// A list in pages: `edges`, `nodes`, `pageInfo` and the fields of `F`.
pub(crate) type Connection<T, F = EmptyFields> = Relay<String, T, F, EmptyFields>;

/// How many there are in all.
#[derive(Debug, Clone, Copy, Default, SimpleObject)]
pub(crate) struct Total {
    /// How many there are in all; null where counting is not cheap.
    pub(crate) total_count: Option<i32>,
}

impl Total {
    /// A known number.
    pub(crate) fn known(count: u64) -> Self {
        Self {
            total_count: Some(count.try_into().unwrap_or(i32::MAX)),
        }
    }
}

/// The part of a list that the arguments ask for.
///
/// # Errors
/// `BAD_INPUT` for both directions at once, or a number outside 1 to 200.
pub(crate) fn page(
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> Answer<Page> {
    let backward = last.is_some() || before.is_some();
    if backward && (first.is_some() || after.is_some()) {
        return Err(Refusal::bad_input("last", "give first and after, or last and before").into());
    }
    let (limit, field, from) = if backward {
        (last, "last", before)
    } else {
        (first, "first", after)
    };
    let limit = match limit {
        None => USUAL,
        Some(limit) => u32::try_from(limit)
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| Refusal::bad_input(field, format!("{field} has to be 1 to {LIMIT_MAX}")))?,
    };
    Ok(Page {
        limit,
        from: from.map(Cursor::from),
        backward,
    })
}

/// What a page costs: its rows, each with what is asked of it.
pub(crate) fn cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let rows = first
        .or(last)
        .map_or(USUAL, |rows| u32::try_from(rows).unwrap_or(1))
        .clamp(1, LIMIT_MAX);
    1 + usize::try_from(rows).unwrap_or(usize::MAX).saturating_mul(child.max(1))
}

/// A page that was read, as a connection.
pub(crate) fn connect<R, T: OutputType, F: ObjectType>(
    page: &Page,
    found: Paged<R>,
    fields: F,
    node: impl Fn(R) -> T,
) -> Connection<T, F> {
    let beyond = page.from.is_some();
    let (has_previous, has_next) = if page.backward {
        (found.more, beyond)
    } else {
        (beyond, found.more)
    };
    let mut connection = Connection::with_additional_fields(has_previous, has_next, fields);
    connection.edges = found
        .edges
        .into_iter()
        .map(|edge| Edge::new(edge.cursor.as_str().to_owned(), node(edge.node)))
        .collect();
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_one_way_and_has_at_most_200_rows() {
        assert_eq!(page(None, None, None, None).unwrap(), Page::first(50));
        let back = page(None, None, Some(3), Some("x".to_owned())).unwrap();
        assert!(back.backward && back.limit == 3);
        assert!(page(Some(1), None, Some(1), None).is_err());
        assert!(page(None, Some("x".into()), None, Some("y".into())).is_err());
        for wrong in [0, -1, 201, i32::MAX] {
            assert!(page(Some(wrong), None, None, None).is_err(), "{wrong}");
            assert!(page(None, None, Some(wrong), None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_page_costs_its_rows_even_where_the_arguments_are_wrong() {
        assert_eq!(cost(Some(200), None, 10), 2_001);
        assert_eq!(cost(None, None, 2), 101);
        assert_eq!(cost(Some(i32::MAX), None, 1), 201);
        assert_eq!(cost(Some(-5), None, 1), 2);
    }
}
