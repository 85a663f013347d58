//! What holds for every call: its id and trace, limits, headers, the count of it.

mod fair;
mod headers;
mod limits;
mod measure;
mod rates;
mod surround;

pub use fair::{Place, Shares};
pub use headers::Policy;
pub use limits::{BodyLimit, limit_body, within};
pub use measure::Metrics;
pub use rates::{Limits, Who, strangers};
pub(crate) use surround::{Held, caught, surround};

use tower_http::compression::CompressionLayer;

/// Compresses answers that hold no secret beside a caller's own text, as the client accepts it.
#[must_use]
pub fn compressed() -> CompressionLayer {
    CompressionLayer::new()
        .gzip(true)
        .br(true)
        .zstd(true)
        .quality(tower_http::CompressionLevel::Fastest)
}
