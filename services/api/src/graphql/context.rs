//! What resolvers have at hand: who asks, and what was looked up for them so far.
//!
//! A [`Call`] lives as long as a document is executed; its [`Frame`] is what is known at one moment. After a mutation,
//! and for each event of a subscription, a new frame takes the old one's place, so that nothing stale is shown.

use std::{
    collections::HashSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use async_graphql::{
    Context, Guard,
    dataloader::{DataLoader, HashMapCache},
};
use commands::{Act, App, Caller, Outcome, Refusal};
use eventstore::TenantTx;
use formats::{PersonId, TeamId, Timestamp, UserId};
use model::tenant::Settings;
use projections::{
    Page,
    approval_rules::ApprovalRuleView,
    collections::CollectionView,
    directory::{TeamView, TenantView},
    fleet::GroupView,
    mail_outbox::RefusedAddress,
    policies::{PolicyFilter, PolicySort, PolicyView},
    policy_snapshot::HeldSnapshot,
    request_queue::{Counts, QueuedRequest},
};
use tokio::sync::OnceCell;

use super::{
    error::{Answer, behind},
    loaders::Reader,
};
use crate::{ApiState, layers::Who};

/// With what the caller came, to be asked about again while a subscription is open.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// A session's cookie: the caller names the session.
    Session,
    /// A key or an access token.
    Bearer(String),
}

/// One GraphQL document on its way, or one subscription.
pub(crate) struct Call {
    state: ApiState,
    credential: Credential,
    frame: RwLock<Arc<Frame>>,
    mutations: AtomicU32,
}

impl Call {
    pub(crate) fn new(state: ApiState, caller: Caller, credential: Credential) -> Self {
        let frame = Arc::new(Frame::new(state.app.clone(), caller));
        Self {
            state,
            credential,
            frame: RwLock::new(frame),
            mutations: AtomicU32::new(0),
        }
    }

    pub(crate) fn state(&self) -> &ApiState {
        &self.state
    }

    pub(crate) fn frame(&self) -> Arc<Frame> {
        Arc::clone(&self.frame.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin_frame(&self, caller: Caller) -> Arc<Frame> {
        let frame = Arc::new(Frame::new(self.state.app.clone(), caller));
        *self.frame.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&frame);
        frame
    }

    /// Who asks, at this moment: a removed role or an ended session counts from now on.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `TENANT_SUSPENDED`.
    pub(crate) async fn renew(&self) -> Outcome<Arc<Frame>> {
        let before = self.frame();
        let caller = match &self.credential {
            Credential::Session => self.state.app.still(&before.caller).await?,
            Credential::Bearer(token) => self.state.app.bearer(&before.caller.origin, token).await?,
        };
        Ok(self.begin_frame(caller))
    }

    /// The caller of the next mutation of the document. Each has its own part of the Idempotency-Key, and counts as a
    /// call of its own.
    fn next_command(&self) -> Outcome<(Arc<Frame>, Caller)> {
        let frame = self.frame();
        let mut caller = frame.caller.clone();
        let n = self.mutations.fetch_add(1, Ordering::Relaxed);
        if n > 0 {
            charge(&self.state, &caller)?;
            if let Some(key) = &mut caller.origin.idempotency_key {
                key.push_str(&format!("#{n}"));
            }
        }
        Ok((frame, caller))
    }
}

/// Counts one more call of this principal, beside the one that the HTTP layer counted.
pub(crate) fn charge(state: &ApiState, caller: &Caller) -> Outcome<()> {
    let key = format!("{}/{}", caller.tenant.uuid().simple(), caller.name());
    let counted = state
        .limits
        .charge(&axum::http::Extensions::new(), Who::Principal, &key);
    counted.map_err(|problem| problem.refusal().clone())
}

/// Short ways from a resolver's context.
pub(crate) trait Ask {
    /// The document on its way.
    fn call(&self) -> &Arc<Call>;

    /// What is known at this moment.
    fn frame(&self) -> Arc<Frame> {
        self.call().frame()
    }

    /// As [`Ask::frame`], for whoever may do this.
    fn frame_for(&self, act: Act) -> Answer<Arc<Frame>> {
        let frame = self.frame();
        frame.caller.demand(act)?;
        Ok(frame)
    }

    /// Begins a mutation.
    fn command(&self) -> Answer<(Arc<Frame>, Caller)> {
        Ok(self.call().next_command()?)
    }
}

impl Ask for Context<'_> {
    fn call(&self) -> &Arc<Call> {
        self.data_unchecked::<Arc<Call>>()
    }
}

/// Lets a field be read by whoever may do this: it says more of its object than what leads there has to.
pub(crate) struct For(pub(crate) Act);

impl Guard for For {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        ctx.frame_for(self.0)?;
        Ok(())
    }
}

/// Waits until the read models know of a mutation; what is read from then on is read anew.
pub(crate) async fn written(ctx: &Context<'_>, position: u64) -> Arc<Frame> {
    let call = ctx.call();
    let caller = call.frame().caller.clone();
    call.state.app.settled(caller.tenant, position).await;
    call.begin_frame(caller)
}

/// What is known at one moment.
pub(crate) struct Frame {
    pub(crate) app: App,
    pub(crate) caller: Caller,
    pub(crate) now: Timestamp,
    loader: DataLoader<Reader, HashMapCache>,
    viewer: OnceCell<Arc<ViewerFacts>>,
    tenant: OnceCell<Arc<TenantView>>,
    teams: OnceCell<Arc<Vec<TeamView>>>,
    groups: OnceCell<Arc<Vec<GroupView>>>,
    collections: OnceCell<Arc<Vec<CollectionView>>>,
    rules: OnceCell<Arc<Vec<ApprovalRuleView>>>,
    policies: OnceCell<Arc<Vec<PolicyView>>>,
    held: OnceCell<Arc<Vec<HeldSnapshot>>>,
    refused: OnceCell<Arc<Vec<RefusedAddress>>>,
    counts: OnceCell<Arc<Counts>>,
}

/// What the visibility of requests depends on.
#[derive(Debug, Default)]
pub(crate) struct ViewerFacts {
    pub(crate) user: Option<UserId>,
    /// The people that the user is, endpoint accounts included.
    pub(crate) people: HashSet<PersonId>,
    pub(crate) teams: HashSet<TeamId>,
}

impl ViewerFacts {
    /// Whether a request is the viewer's own, as `commands` judges it.
    pub(crate) fn owns(&self, request: &QueuedRequest) -> bool {
        self.people.contains(&request.person) || (self.user.is_some() && request.user == self.user)
    }

    /// Whether the viewer is among these.
    pub(crate) fn is_among(&self, approvers: &[model::request::Approver]) -> bool {
        use model::request::Approver;
        approvers.iter().any(|approver| match approver {
            Approver::User(user) => self.user == Some(*user),
            Approver::Team(team) => self.teams.contains(team),
        })
    }
}

macro_rules! cells {
    ($($(#[$doc:meta])* $name:ident: $type:ty = |$tx:ident| $read:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) async fn $name(&self) -> Outcome<Arc<$type>> {
            let read = async || {
                let mut $tx = self.tx().await?;
                Ok::<_, Refusal>(Arc::new($read))
            };
            self.$name.get_or_try_init(read).await.cloned()
        }
    )*};
}

impl Frame {
    fn new(app: App, caller: Caller) -> Self {
        let reader = Reader {
            app: app.clone(),
            caller: caller.clone(),
        };
        Self {
            now: app.now(),
            loader: DataLoader::with_cache(reader, tokio::spawn, HashMapCache::default()),
            app,
            caller,
            viewer: OnceCell::new(),
            tenant: OnceCell::new(),
            teams: OnceCell::new(),
            groups: OnceCell::new(),
            collections: OnceCell::new(),
            rules: OnceCell::new(),
            policies: OnceCell::new(),
            held: OnceCell::new(),
            refused: OnceCell::new(),
            counts: OnceCell::new(),
        }
    }

    /// A short reading transaction inside the caller's tenant, for one query.
    pub(crate) async fn tx(&self) -> Outcome<TenantTx> {
        self.app.reading(self.caller.tenant).await
    }

    /// Reads many rows by their keys in one statement, however many resolvers ask.
    pub(crate) fn load(&self) -> &DataLoader<Reader, HashMapCache> {
        &self.loader
    }

    cells! {
        /// The tenant.
        tenant: TenantView = |tx| {
            projections::directory::tenant(&mut tx).await?.ok_or_else(|| Refusal::unavailable("no tenant row yet"))?
        };
        /// All teams, by name.
        teams: Vec<TeamView> = |tx| projections::directory::teams(&mut tx).await?;
        /// All deployment groups, by name.
        groups: Vec<GroupView> = |tx| projections::fleet::groups(&mut tx).await?;
        /// All collections, by name.
        collections: Vec<CollectionView> = |tx| projections::collections::all(&mut tx).await?;
        /// All approval rules, in the order in which they are asked.
        rules: Vec<ApprovalRuleView> = |tx| projections::approval_rules::all(&mut tx).await?;
        /// How many requests are open and how many grants active.
        counts: Counts = |tx| projections::request_queue::counts(&mut tx).await?;
        /// Snapshots that wait for a confirmation.
        held: Vec<HeldSnapshot> = |tx| projections::policy_snapshot::held(&mut tx).await?;
        /// Users to whom the mail server takes no mail.
        refused: Vec<RefusedAddress> = |tx| projections::mail_outbox::refused_addresses(&mut tx).await?;
        /// All policies that are not deleted, by name, with what is staged.
        policies: Vec<PolicyView> = |tx| {
            let mut all = Vec::new();
            let mut page = Page::first(projections::page::LIMIT_MAX);
            loop {
                let found =
                    projections::policies::list(&mut tx, &PolicyFilter::default(), PolicySort::Name, &page).await?;
                let next = found.edges.last().filter(|_| found.more).map(|edge| edge.cursor.clone());
                all.extend(found.nodes());
                match next {
                    None => break all,
                    Some(cursor) => page = Page::after(cursor, projections::page::LIMIT_MAX),
                }
            }
        };
    }

    /// What the visibility of requests depends on.
    pub(crate) async fn viewer(&self) -> Outcome<Arc<ViewerFacts>> {
        let read = async || {
            let Some(user) = self.caller.user() else {
                return Ok::<_, Refusal>(Arc::default());
            };
            let mut tx = self.tx().await?;
            let people = projections::directory::persons_of_user(&mut tx, user).await?;
            let teams = projections::directory::teams_of(&mut tx, &[user]).await?;
            Ok(Arc::new(ViewerFacts {
                user: Some(user),
                people: people.into_iter().collect(),
                teams: teams.into_iter().map(|(_, team)| team.id).collect(),
            }))
        };
        self.viewer.get_or_try_init(read).await.cloned()
    }

    /// The settings, as the read models have them.
    pub(crate) async fn settings(&self) -> Outcome<Settings> {
        Ok(self.tenant().await?.settings.clone())
    }

    /// Whether the caller has a role that decides at all.
    pub(crate) fn decides(&self) -> bool {
        self.caller.may(Act::Decide)
    }

    /// Whether the caller may see a request: `commands` judges single ones by the log, this one lists by the read
    /// models.
    pub(crate) async fn sees(&self, request: &QueuedRequest) -> Outcome<bool> {
        if self.caller.may(Act::ReadAllRequests) {
            return Ok(true);
        }
        let viewer = self.viewer().await?;
        let route = &request.route;
        let asked = || viewer.is_among(&route.primary) || viewer.is_among(&route.secondary);
        Ok(viewer.owns(request) || (self.decides() && asked()))
    }
}

/// What a mutation changed, as the read models show it now.
pub(crate) fn shown<T>(found: Option<T>, position: u64) -> Answer<T> {
    found.ok_or_else(|| behind(position).into())
}
