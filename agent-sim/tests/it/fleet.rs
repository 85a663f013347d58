//! A fleet of agents in one process.

use std::time::Duration;

use portcullis_agent::fleet::{self, FleetPlan};
use tokio_util::sync::CancellationToken;

use crate::fake::{Fake, TOKEN};

fn plan(fake: &Fake) -> FleetPlan {
    FleetPlan {
        server: fake.url.clone(),
        token: TOKEN.into(),
        root: Some(fake.root.public()),
        agents: 1,
        at_once: 1,
        stay: Duration::from_millis(600),
        actions: 3,
        prefix: "sim".into(),
    }
}

// The fake knows one endpoint at a time; stories against the real server run larger fleets.
#[tokio::test]
async fn an_agent_of_a_fleet_registers_verifies_records_and_delivers() {
    let fake = Fake::start().await;
    let report = fleet::run(&plan(&fake), &fake.around(), CancellationToken::new()).await;
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(
        (report.registered, report.applied, report.delivered, report.on_newest),
        (1, 1, 3, 1)
    );
    assert_eq!(report.snapshots[0].agents, 1);
    assert_eq!(fake.told().stored.len(), 3);
}

#[tokio::test]
async fn a_fleet_with_a_wrong_token_says_so() {
    let fake = Fake::start().await;
    let wrong = FleetPlan {
        token: "pct_reg_other".into(),
        ..plan(&fake)
    };
    let report = fleet::run(&wrong, &fake.around(), CancellationToken::new()).await;
    assert!(!report.is_whole());
    assert_eq!((report.registered, report.failed), (0, 1));
    assert!(report.errors[0].contains("BAD_TOKEN"), "{:?}", report.errors);
}
