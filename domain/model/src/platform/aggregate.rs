//! What is asked for is noted as it is.

use serde::{Deserialize, Serialize};

use super::{OperatorActRefused, OperatorActed, PlatformCommand, PlatformError, PlatformEvent};
use crate::{Noun, aggregate::aggregate};

/// The most characters of a detail; the rest is cut off.
pub const DETAIL_MAX: usize = 300;

/// The platform, as far as its log goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {}

aggregate!(Platform, "platform", PlatformCommand, PlatformEvent, PlatformError);

impl Platform {
    #[expect(clippy::unused_self, reason = "the shape that aggregates have")]
    fn fold(&mut self, _: PlatformEvent) {}
}

impl Noun for Platform {
    fn decide(&self, command: PlatformCommand) -> Result<Vec<PlatformEvent>, PlatformError> {
        use PlatformCommand as C;
        Ok(vec![match command {
            C::NoteAct {
                act,
                tenant,
                slug,
                detail,
            } => {
                let detail = detail.filter(|text| !text.is_empty());
                let detail = detail.map(|text| text.chars().take(DETAIL_MAX).collect());
                OperatorActed {
                    act,
                    tenant,
                    slug,
                    detail,
                }
                .into()
            }
            C::NoteRefusal {
                act,
                tenant,
                slug,
                code,
            } => OperatorActRefused {
                act,
                tenant,
                slug,
                code,
            }
            .into(),
        }])
    }
}
