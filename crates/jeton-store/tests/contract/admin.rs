//! People who use the dashboard.

use jeton_core::{Admin, AdminId, Invitation, InvitationId, PlainSecret, Role};
use jeton_jose::OsEntropy;
use jeton_store::StoreError;

use crate::samples::now;
use crate::world::World;

#[tokio::test]
async fn an_invitation_makes_one_admin_and_the_first_one_none_beside_others() {
    let world = World::new().await;
    let secret = || PlainSecret::generate(&OsEntropy).unwrap();
    let invitation = |first| Invitation {
        id: InvitationId::generate(now(), &OsEntropy).unwrap(),
        role: Role::Admin,
        note: "for a test".into(),
        first,
        created_at: now(),
        expires_at: now().plus(std::time::Duration::from_secs(60)),
    };
    let (first, second) = (secret(), secret());
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_admin_invitation(first.digest(), &invitation(true))
        .await
        .unwrap();
    tx.insert_admin_invitation(second.digest(), &invitation(false))
        .await
        .unwrap();
    let admin = Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        name: "Ada".parse().unwrap(),
        email: "Ada@example.com".parse().unwrap(),
        role: Role::Admin,
        created_at: now(),
        last_sign_in_at: None,
    };
    assert!(
        tx.use_admin_invitation(second.digest(), now())
            .await
            .unwrap()
    );
    assert!(
        !tx.use_admin_invitation(second.digest(), now())
            .await
            .unwrap()
    );
    tx.insert_admin(&admin, None).await.unwrap();
    assert!(
        !tx.use_admin_invitation(first.digest(), now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let mut tx = world.store.begin().await.unwrap();
    let twin = Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        email: "ada@EXAMPLE.com".parse().unwrap(),
        ..admin
    };
    let inserted = tx.insert_admin(&twin, None).await;
    assert!(matches!(inserted, Err(StoreError::Exists)), "{inserted:?}");
}
