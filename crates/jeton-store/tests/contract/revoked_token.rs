//! Revoked tokens.

use crate::samples::now;
use crate::world::World;

#[tokio::test]
async fn a_token_is_revoked_once() {
    let world = World::new().await;
    let mut tx = world.store.begin().await.unwrap();
    assert!(tx.revoke_token("j", now(), now()).await.unwrap());
    assert!(!tx.revoke_token("j", now(), now()).await.unwrap());
    tx.commit().await.unwrap();
    assert!(world.store.is_token_revoked("j").await.unwrap());
    assert!(!world.store.is_token_revoked("k").await.unwrap());
}
