//! The product's story, end to end over real HTTP and SMTP; and that what happened is still there after a restart.

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_asked_approved_by_mail_used_and_found_and_another_escalates_and_expires() {
    let world = World::begin().await;
    assert!(portcullis::demo::tell(world.url(), false).await.unwrap());
    // It can be told again at once.
    assert!(portcullis::demo::tell(world.url(), true).await.unwrap());
    world.end().await;
}
