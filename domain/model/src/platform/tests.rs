//! given/when/then.

use cqrs_es::test::TestFramework;

use super::*;

fn act(detail: Option<String>) -> PlatformCommand {
    PlatformCommand::NoteAct {
        act: "suspendTenant".into(),
        tenant: None,
        slug: Some("acme".into()),
        detail,
    }
}

fn acted(detail: Option<String>) -> PlatformEvent {
    OperatorActed {
        act: "suspendTenant".into(),
        tenant: None,
        slug: Some("acme".into()),
        detail,
    }
    .into()
}

#[test]
fn an_entry_is_noted_as_it_is_and_again_each_time() {
    TestFramework::<Platform>::with(())
        .given(vec![acted(Some("unpaid".into()))])
        .when(act(Some("unpaid".into())))
        .then_expect_events(vec![acted(Some("unpaid".into()))]);
}

#[test]
fn a_long_detail_is_cut_and_an_empty_one_is_none() {
    let long = "ä".repeat(DETAIL_MAX + 1);
    let cut = "ä".repeat(DETAIL_MAX);
    for (given, kept) in [(long, Some(cut)), (String::new(), None)] {
        TestFramework::<Platform>::with(())
            .given_no_previous_events()
            .when(act(Some(given)))
            .then_expect_events(vec![acted(kept)]);
    }
}
