//! Pages of lists: keyset cursors that clients may keep and hand back, but not read.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

/// The most rows a page has.
pub const LIMIT_MAX: u32 = 200;

/// A place in a list: the sort key of one row, as opaque text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor(String);

impl Cursor {
    /// The place of the row with this sort key: a tuple of numbers, strings or ids, not a map.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`] where the key has no JSON form.
    pub fn of<K: Serialize>(key: &K) -> Result<Self, ReadError> {
        Ok(Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(key)?)))
    }

    /// The sort key.
    ///
    /// # Errors
    /// [`ReadError::Cursor`] where a client made it up, or took it from another list.
    pub fn key<K: DeserializeOwned>(&self) -> Result<K, ReadError> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| ReadError::Cursor)?;
        serde_json::from_slice(&bytes).map_err(|_| ReadError::Cursor)
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many rows, 1 to [`LIMIT_MAX`]; see [`Page::limit`].
    pub limit: u32,
    /// The row next to which the page lies; none for the beginning (backward: the end) of the list.
    pub from: Option<Cursor>,
    /// Whether the page lies before that row rather than after it. Rows come in the list's order either way.
    pub backward: bool,
}

impl Page {
    /// The first rows of a list.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self {
            limit,
            from: None,
            backward: false,
        }
    }

    /// The rows after a place.
    #[must_use]
    pub const fn after(cursor: Cursor, limit: u32) -> Self {
        Self {
            limit,
            from: Some(cursor),
            backward: false,
        }
    }

    /// The limit within its bounds.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.clamp(1, LIMIT_MAX) as usize
    }

    /// What a statement has to ask for: one row more than the page holds, to see whether the list goes on.
    #[must_use]
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit.clamp(1, LIMIT_MAX)) + 1
    }

    /// The sort key to begin at.
    ///
    /// # Errors
    /// As [`Cursor::key`].
    pub fn key<K: DeserializeOwned>(&self) -> Result<Option<K>, ReadError> {
        self.from.as_ref().map(Cursor::key).transpose()
    }

    /// Makes the page of rows that were fetched in the direction of travel, at most [`Page::fetch`] of them.
    ///
    /// # Errors
    /// As [`Cursor::of`].
    pub fn cut<T, K: Serialize>(&self, mut rows: Vec<T>, key: impl Fn(&T) -> K) -> Result<Paged<T>, ReadError> {
        let more = rows.len() > self.limit();
        rows.truncate(self.limit());
        if self.backward {
            rows.reverse();
        }
        let edges = rows
            .into_iter()
            .map(|node| {
                Ok(Edge {
                    cursor: Cursor::of(&key(&node))?,
                    node,
                })
            })
            .collect::<Result<_, ReadError>>()?;
        Ok(Paged { edges, more })
    }
}

/// A row and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge<T> {
    /// The row.
    pub node: T,
    /// Its place in the list.
    pub cursor: Cursor,
}

/// A part of a list, in the list's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Paged<T> {
    /// The rows.
    pub edges: Vec<Edge<T>>,
    /// Whether the list goes on in the direction of travel.
    pub more: bool,
}

impl<T> Paged<T> {
    /// The same page of other rows.
    pub fn map<U>(self, f: impl Fn(T) -> U) -> Paged<U> {
        let edges = self
            .edges
            .into_iter()
            .map(|edge| Edge {
                node: f(edge.node),
                cursor: edge.cursor,
            })
            .collect();
        Paged { edges, more: self.more }
    }

    /// The rows without their places.
    pub fn nodes(self) -> Vec<T> {
        self.edges.into_iter().map(|edge| edge.node).collect()
    }
}

/// Why a query gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database refused, or was away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The client's cursor is not one of this list.
    #[error("this cursor is not one of this list")]
    Cursor,
    /// A stored row has another shape than the program expects: a defect.
    #[error("a stored row cannot be read: {0}")]
    Unreadable(String),
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_gives_its_key_back_and_refuses_another_lists() {
        let cursor = Cursor::of(&(7u64, "a")).unwrap();
        assert_eq!(cursor.key::<(u64, String)>().unwrap(), (7, "a".to_owned()));
        assert!(matches!(cursor.key::<(String, u64)>(), Err(ReadError::Cursor)));
        assert!(matches!(
            Cursor::from("?".to_owned()).key::<u64>(),
            Err(ReadError::Cursor)
        ));
    }

    #[test]
    fn a_page_shows_whether_the_list_goes_on_and_keeps_its_order() {
        let forward = Page::first(2).cut(vec![1, 2, 3], |n| *n).unwrap();
        assert!(forward.more);
        assert_eq!(forward.nodes(), [1, 2]);
        let backward = Page {
            backward: true,
            ..Page::first(2)
        }
        .cut(vec![9, 8], |n| *n)
        .unwrap();
        assert!(!backward.more);
        assert_eq!(backward.nodes(), [8, 9]);
    }
}
