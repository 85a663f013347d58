//! What every handler has at hand.

use std::{ops::Deref, sync::Arc};

use commands::App;
use tokio_util::sync::CancellationToken;

use crate::{
    ApiConfig,
    http::{
        TenantNews,
        agent::{Endings, Offers},
    },
    layers::{Limits, Metrics, Shares},
};

/// The state of the doors. Cheap to clone; one per process.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

/// What [`ApiState`] gives access to.
pub struct Parts {
    /// The use cases.
    pub app: App,
    /// What the installation decides.
    pub config: ApiConfig,
    /// How many calls are answered.
    pub limits: Limits,
    /// Who is worked for.
    pub shares: Shares,
    /// What is counted.
    pub metrics: Metrics,
    /// Wakes long polls and subscriptions when a tenant's read models have moved.
    pub news: TenantNews,
    /// Snapshots as agents get them.
    pub offers: Offers,
    /// Ended grants, for the agents that hold them.
    pub endings: Endings,
    /// Cancelled when the process is about to stop: polls end early then.
    pub shutdown: CancellationToken,
}

impl ApiState {
    /// The state over the use cases. Listens to the doorbell from now on, until `shutdown`: to be called inside a Tokio
    /// runtime.
    ///
    /// # Errors
    /// Where two metrics have one name: a defect.
    pub fn new(app: App, config: ApiConfig, shutdown: CancellationToken) -> Result<Self, prometheus::Error> {
        let limits = Limits::new(&config.rates);
        let shares = Shares::new(config.places);
        let news = TenantNews::listen(app.clone(), shutdown.clone());
        let metrics = Metrics::new()?;
        Ok(Self(Arc::new(Parts {
            app,
            config,
            limits,
            shares,
            metrics,
            news,
            offers: Offers::default(),
            endings: Endings::default(),
            shutdown,
        })))
    }
}

impl Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
