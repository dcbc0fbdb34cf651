//! People who use the dashboard.

use jeton_core::{
    Actor, Admin, AdminId, Invitation, InvitationId, PlainSecret, ProviderIdentity, RecoveryCode,
    Role, RoleSource,
};
use jeton_jose::OsEntropy;
use jeton_store::{Over, Passkey, StoreError, StoredOneTimeCode};

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
        invited_by: Actor::System,
        email: None,
        resets: None,
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
        role_source: RoleSource::Manual,
        identity: None,
        has_password: false,
        invited_by: None,
        email_named: false,
        browsers_forgotten_at: None,
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

#[tokio::test]
async fn an_admin_is_bound_to_one_account_of_a_provider_and_the_account_to_one_admin() {
    let world = World::new().await;
    let admin = |name: &str, subject: Option<&str>| Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        name: name.parse().unwrap(),
        email: format!("{name}@example.com").parse().unwrap(),
        role: Role::Admin,
        role_source: RoleSource::Provider,
        identity: subject.map(identity),
        has_password: false,
        invited_by: None,
        email_named: false,
        browsers_forgotten_at: None,
        created_at: now(),
        last_sign_in_at: None,
    };
    let (ada, eve) = (admin("ada", None), admin("eve", Some("7")));
    let mut tx = world.store.begin().await.unwrap();
    tx.insert_admin(&ada, None).await.unwrap();
    tx.insert_admin(&eve, None).await.unwrap();
    let source = (Role::Admin, RoleSource::Provider);
    let bound = tx.bind_admin(ada.id, &identity("8"), source).await;
    assert!(bound.unwrap());
    let bound = tx.bind_admin(ada.id, &identity("9"), source).await;
    assert!(!bound.unwrap());
    tx.commit().await.unwrap();
    let found = world.store.find_admin_by_identity(&identity("8")).await;
    assert_eq!(found.unwrap().unwrap().id, ada.id);
    let elsewhere = ProviderIdentity {
        issuer: "https://other.example.com".into(),
        ..identity("8")
    };
    let found = world.store.find_admin_by_identity(&elsewhere).await;
    assert!(found.unwrap().is_none());
    let mut tx = world.store.begin().await.unwrap();
    let twin = tx.insert_admin(&admin("twin", Some("7")), None).await;
    assert!(matches!(twin, Err(StoreError::Exists)), "{twin:?}");
    drop(tx);

    // The lists change what they gave, and nothing that was set manually.
    let mut tx = world.store.begin().await.unwrap();
    let email = "ada@example.org".parse().unwrap();
    tx.set_admin_role(eve.id, Role::Admin).await.unwrap();
    for id in [ada.id, eve.id] {
        tx.set_listed_admin(id, Role::Viewer, &email).await.unwrap();
    }
    tx.commit().await.unwrap();
    let role = async |id| world.store.find_admin(id).await.unwrap().unwrap().role;
    assert_eq!(role(ada.id).await, Role::Viewer);
    assert_eq!(role(eve.id).await, Role::Admin);
}

#[tokio::test]
async fn an_answer_of_a_provider_is_taken_once_and_forgotten_when_it_is_too_old_anyway() {
    let world = World::new().await;
    let later = now().plus(std::time::Duration::from_secs(600));
    let take = async || {
        let mut tx = world.store.begin().await.unwrap();
        let is_first = tx.use_sign_in("state", later).await.unwrap();
        tx.commit().await.unwrap();
        is_first
    };
    assert!(take().await);
    assert!(!take().await);
    world.store.forget(Over::UsedSignIns(now())).await.unwrap();
    assert!(!take().await);
    let after = later.plus(std::time::Duration::from_secs(1));
    world.store.forget(Over::UsedSignIns(after)).await.unwrap();
    assert!(take().await);
}

fn identity(subject: &str) -> ProviderIdentity {
    ProviderIdentity {
        issuer: "https://login.example.com".into(),
        subject: subject.into(),
    }
}

fn ada() -> Admin {
    Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        name: "Ada".parse().unwrap(),
        email: "ada@example.com".parse().unwrap(),
        role: Role::Admin,
        role_source: RoleSource::Manual,
        identity: None,
        has_password: false,
        invited_by: None,
        email_named: false,
        browsers_forgotten_at: None,
        created_at: now(),
        last_sign_in_at: None,
    }
}

#[tokio::test]
async fn each_one_time_code_and_each_recovery_code_is_taken_once_and_goes_with_its_admin() {
    let world = World::new().await;
    let (ada, store, at) = (ada(), &world.store, now());
    let stored = StoredOneTimeCode {
        admin_id: ada.id,
        sealed: "sealed".into(),
        last_step: 7,
        created_at: now(),
        last_used_at: None,
    };
    let code = RecoveryCode::generate(&OsEntropy).unwrap();
    let other = RecoveryCode::generate(&OsEntropy).unwrap();
    let mut tx = store.begin().await.unwrap();
    tx.insert_admin(&ada, None).await.unwrap();
    tx.insert_one_time_code(&stored).await.unwrap();
    let digests = [code.digest(), other.digest()];
    tx.replace_recovery_codes(ada.id, &digests).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = store.begin().await.unwrap();
    for (step, is_taken) in [(7, false), (8, true), (8, false), (7, false), (9, true)] {
        let taken = tx.use_one_time_code(ada.id, step, at).await.unwrap();
        assert_eq!(taken, is_taken, "step {step}");
    }
    for is_taken in [true, false] {
        let digest = code.digest();
        let taken = tx.use_recovery_code(ada.id, digest, at).await.unwrap();
        assert_eq!(taken, is_taken);
    }
    let stranger = AdminId::generate(now(), &OsEntropy).unwrap();
    let taken = tx.use_recovery_code(stranger, other.digest(), now()).await;
    assert!(!taken.unwrap(), "another's code");
    tx.commit().await.unwrap();
    assert_eq!(store.count_recovery_codes(ada.id).await.unwrap(), 1);
    let found = store.find_one_time_code(ada.id).await.unwrap().unwrap();
    assert_eq!((found.last_step, found.last_used_at), (9, Some(at)));

    let mut tx = store.begin().await.unwrap();
    let stale = tx.reseal_one_time_code(ada.id, "other", "new").await;
    assert!(matches!(stale, Err(StoreError::Stale)));
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    let resealed = tx.reseal_one_time_code(ada.id, "sealed", "new").await;
    resealed.unwrap();
    tx.commit().await.unwrap();
    let all = store.one_time_codes().await.unwrap();
    assert_eq!((all.len(), all[0].sealed.as_str()), (1, "new"));

    let mut tx = store.begin().await.unwrap();
    tx.delete_admin(ada.id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(store.one_time_codes().await.unwrap().is_empty());
    assert_eq!(store.count_recovery_codes(ada.id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_passkey_is_one_admins_and_its_counter_only_rises() {
    let world = World::new().await;
    let (ada, store, at) = (ada(), &world.store, now());
    let eve = Admin {
        id: AdminId::generate(now(), &OsEntropy).unwrap(),
        email: "eve@example.com".parse().unwrap(),
        ..ada.clone()
    };
    let passkey = |id: &str, admin: &Admin| Passkey {
        id: id.into(),
        admin_id: admin.id,
        name: "Laptop".parse().unwrap(),
        public_key: "key".into(),
        sign_count: 0,
        backup_eligible: true,
        created_at: now(),
        last_used_at: None,
    };
    let mut tx = store.begin().await.unwrap();
    tx.insert_admin(&ada, None).await.unwrap();
    tx.insert_admin(&eve, None).await.unwrap();
    tx.insert_passkey(&passkey("one", &ada)).await.unwrap();
    tx.insert_passkey(&passkey("two", &ada)).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let twin = tx.insert_passkey(&passkey("one", &eve)).await;
    assert!(matches!(twin, Err(StoreError::Exists)), "{twin:?}");
    drop(tx);
    let mut tx = store.begin().await.unwrap();
    // An authenticator without a counter says 0, always.
    for (count, is_good) in [
        (0, true),
        (0, true),
        (3, true),
        (3, false),
        (2, false),
        (0, false),
        (4, true),
    ] {
        let used = tx.use_passkey("one", count, at).await.unwrap();
        assert_eq!(used, is_good, "{count}");
    }
    assert!(!tx.use_passkey("three", 1, now()).await.unwrap());
    assert_eq!(tx.delete_passkey(eve.id, "one").await.unwrap(), None);
    assert_eq!(tx.count_passkeys(ada.id).await.unwrap(), 2);
    assert!(tx.delete_passkey(ada.id, "two").await.unwrap().is_some());
    tx.commit().await.unwrap();
    let found = store.find_passkey("one").await.unwrap().unwrap();
    assert_eq!((found.sign_count, found.last_used_at), (4, Some(at)));
    assert!(found.backup_eligible);
    assert_eq!(store.passkeys_of(ada.id).await.unwrap().len(), 1);
    let mut tx = store.begin().await.unwrap();
    tx.delete_admin(ada.id).await.unwrap();
    tx.commit().await.unwrap();
    assert!(store.find_passkey("one").await.unwrap().is_none());
}
