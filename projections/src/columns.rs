//! How ids, moments, positions and documents go into rows and come back.

use eventstore::TenantTx;
use formats::{Timestamp, TypedId};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Row,
    postgres::PgRow,
    types::{Json, time::OffsetDateTime},
};
use uuid::Uuid;

use crate::{Envelope, FlushError, ReadError};

/// Who did something, when and where in the log: what rows keep of an event besides what it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stamp {
    pub(crate) position: u64,
    pub(crate) at: Timestamp,
    pub(crate) actor: formats::Actor,
}

impl From<&Envelope> for Stamp {
    fn from(event: &Envelope) -> Self {
        Self {
            position: event.position,
            at: event.recorded_at,
            actor: event.actor.clone(),
        }
    }
}

/// A column of one value per row, for `unnest`.
pub(crate) fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// A column of JSON documents, as text: bind it as `text[]` and cast each element to `json`.
pub(crate) fn documents<'a, R, T: Serialize + 'a>(
    rows: &'a [R],
    value: impl Fn(&'a R) -> T,
) -> Result<Vec<String>, FlushError> {
    rows.iter().map(|row| Ok(serde_json::to_string(&value(row))?)).collect()
}

/// As [`documents`], where some rows have none.
pub(crate) fn documents_or_null<'a, R, T: Serialize + 'a>(
    rows: &'a [R],
    value: impl Fn(&'a R) -> Option<T>,
) -> Result<Vec<Option<String>>, FlushError> {
    rows.iter()
        .map(|row| Ok(value(row).map(|value| serde_json::to_string(&value)).transpose()?))
        .collect()
}

/// The UUIDs of typed ids.
pub(crate) fn uuids<'a, I: TypedId>(ids: impl IntoIterator<Item = &'a I>) -> Vec<Uuid> {
    ids.into_iter().map(|id| id.uuid()).collect()
}

/// The words of a list of one of the product's enums.
pub(crate) fn written<T: Serialize>(words: &[T]) -> Result<Vec<String>, ReadError> {
    words
        .iter()
        .map(|word| Ok(serde_json::from_value(serde_json::to_value(word)?)?))
        .collect()
}

/// A list of ids as one text column's value, `{…}`: PostgreSQL has no arrays of arrays of different lengths.
pub(crate) fn uuid_list<I: TypedId>(ids: &[I]) -> String {
    let list: Vec<String> = ids.iter().map(|id| id.uuid().to_string()).collect();
    format!("{{{}}}", list.join(","))
}

/// A list of texts as the literal of a `text[]`, quoted. See [`uuid_list`].
pub(crate) fn text_list<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let quoted: Vec<String> = texts
        .into_iter()
        .map(|text| {
            format!(
                "\"{}\"",
                without_nul(text.as_ref()).replace('\\', "\\\\").replace('"', "\\\"")
            )
        })
        .collect();
    format!("{{{}}}", quoted.join(","))
}

/// A text that fits a `text` column, which has no place for U+0000.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The form in which names, addresses and accounts are compared and sorted.
pub(crate) fn folded(text: &str) -> String {
    without_nul(text).to_lowercase()
}

/// A moment as a column holds it.
pub(crate) fn moment(at: Timestamp) -> OffsetDateTime {
    at.to_datetime()
}

/// An optional moment as a column holds it.
pub(crate) fn moment_or_null(at: Option<Timestamp>) -> Option<OffsetDateTime> {
    at.map(Timestamp::to_datetime)
}

/// A position, version or counter as a column holds it. They stay below 2^53.
pub(crate) fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A small counter as a column holds it.
pub(crate) fn small(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The whole words of a name, lower case, each once, in order of appearance.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text
        .to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        if !words.iter().any(|w| w == word) {
            words.push(word.to_owned());
        }
    }
    words
}

/// What is searched for, as words; empty finds everything.
pub(crate) fn search_words(search: Option<&str>) -> Vec<String> {
    search.map(words).unwrap_or_default()
}

/// Typed values of a row, by the column's name.
pub(crate) trait Columns {
    fn id<I: TypedId>(&self, column: &str) -> Result<I, ReadError>;
    fn id_or_null<I: TypedId>(&self, column: &str) -> Result<Option<I>, ReadError>;
    fn ids<I: TypedId>(&self, column: &str) -> Result<Vec<I>, ReadError>;
    fn at(&self, column: &str) -> Result<Timestamp, ReadError>;
    fn at_or_null(&self, column: &str) -> Result<Option<Timestamp>, ReadError>;
    fn count(&self, column: &str) -> Result<u64, ReadError>;
    fn count_or_null(&self, column: &str) -> Result<Option<u64>, ReadError>;
    fn small_count(&self, column: &str) -> Result<u32, ReadError>;
    fn small_or_null(&self, column: &str) -> Result<Option<u32>, ReadError>;
    fn document<T: DeserializeOwned + 'static>(&self, column: &str) -> Result<T, ReadError>;
    fn document_or_null<T: DeserializeOwned + 'static>(&self, column: &str) -> Result<Option<T>, ReadError>;
    /// A word of one of the product's enums, such as `file_access`.
    fn word<T: DeserializeOwned>(&self, column: &str) -> Result<T, ReadError>;
    fn words<T: DeserializeOwned>(&self, column: &str) -> Result<Vec<T>, ReadError>;
}

impl Columns for PgRow {
    fn id<I: TypedId>(&self, column: &str) -> Result<I, ReadError> {
        Ok(I::from_uuid(self.try_get(column)?))
    }

    fn id_or_null<I: TypedId>(&self, column: &str) -> Result<Option<I>, ReadError> {
        Ok(self.try_get::<Option<Uuid>, _>(column)?.map(I::from_uuid))
    }

    fn ids<I: TypedId>(&self, column: &str) -> Result<Vec<I>, ReadError> {
        Ok(self
            .try_get::<Vec<Uuid>, _>(column)?
            .into_iter()
            .map(I::from_uuid)
            .collect())
    }

    fn at(&self, column: &str) -> Result<Timestamp, ReadError> {
        Ok(Timestamp::from_datetime(self.try_get(column)?))
    }

    fn at_or_null(&self, column: &str) -> Result<Option<Timestamp>, ReadError> {
        Ok(self
            .try_get::<Option<OffsetDateTime>, _>(column)?
            .map(Timestamp::from_datetime))
    }

    fn count(&self, column: &str) -> Result<u64, ReadError> {
        Ok(u64::try_from(self.try_get::<i64, _>(column)?).unwrap_or(0))
    }

    fn count_or_null(&self, column: &str) -> Result<Option<u64>, ReadError> {
        Ok(self
            .try_get::<Option<i64>, _>(column)?
            .map(|n| u64::try_from(n).unwrap_or(0)))
    }

    fn small_count(&self, column: &str) -> Result<u32, ReadError> {
        Ok(u32::try_from(self.try_get::<i32, _>(column)?).unwrap_or(0))
    }

    fn small_or_null(&self, column: &str) -> Result<Option<u32>, ReadError> {
        Ok(self
            .try_get::<Option<i32>, _>(column)?
            .map(|n| u32::try_from(n).unwrap_or(0)))
    }

    fn document<T: DeserializeOwned + 'static>(&self, column: &str) -> Result<T, ReadError> {
        Ok(self.try_get::<Json<T>, _>(column)?.0)
    }

    fn document_or_null<T: DeserializeOwned + 'static>(&self, column: &str) -> Result<Option<T>, ReadError> {
        Ok(self.try_get::<Option<Json<T>>, _>(column)?.map(|Json(value)| value))
    }

    fn word<T: DeserializeOwned>(&self, column: &str) -> Result<T, ReadError> {
        read_word(self.try_get(column)?)
    }

    fn words<T: DeserializeOwned>(&self, column: &str) -> Result<Vec<T>, ReadError> {
        self.try_get::<Vec<String>, _>(column)?
            .into_iter()
            .map(read_word)
            .collect()
    }
}

/// A word of one of the product's enums.
pub(crate) fn read_word<T: DeserializeOwned>(word: String) -> Result<T, ReadError> {
    Ok(serde_json::from_value(serde_json::Value::String(word))?)
}

/// Whose rows, as every statement's first parameter.
pub(crate) fn tenant(tx: &TenantTx) -> Uuid {
    tx.tenant().uuid()
}

impl From<ReadError> for FlushError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Database(error) => Self::Database(error),
            other => Self::Value(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_falls_into_words_each_of_which_is_searched_once() {
        assert_eq!(
            words("Installers: the  installers' Café-2"),
            ["installers", "the", "café", "2"]
        );
        assert!(search_words(Some(" - ")).is_empty());
        assert!(search_words(None).is_empty());
    }

    #[test]
    fn texts_with_quotes_backslashes_and_nul_make_a_list_that_postgres_reads() {
        assert_eq!(
            text_list(["a\"b", "c\\d", "", "e,f{}"]),
            r#"{"a\"b","c\\d","","e,f{}"}"#
        );
        assert_eq!(text_list(["\0"]), "{\"\u{fffd}\"}");
        assert_eq!(text_list::<&str>([]), "{}");
    }
}
