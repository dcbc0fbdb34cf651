//! What an admin leaves behind who is removed: what ends with them, and what whoever removes them has to look
//! at, because it goes on working.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jeton_core::{
    Actor, Admin, AdminId, AuditKind, ClientId, Invitation, SecretId, SecretOwner, SecretState,
};
use jeton_store::{AuditFilter, ClientFilter, PageRequest};

use super::{ServiceError, admins, sessions};
use crate::app::App;

/// Events read per step of the search, and the most steps.
const EVENTS: u32 = 500;
const STEPS: u32 = 20;
/// Admin API clients that are looked at.
const CLIENTS: u32 = 200;

/// What somebody leaves behind.
#[derive(Debug)]
pub(crate) struct Leftovers {
    pub(crate) admin: Admin,
    /// Sessions, which end.
    pub(crate) sessions: usize,
    /// Open invitations, which are cancelled.
    pub(crate) invitations: Vec<Invitation>,
    /// Admins and viewers whom they invited, who stay.
    pub(crate) invited: Vec<Admin>,
    /// Admin API clients that they created, granted access or made secrets for, which go on working.
    pub(crate) clients: Vec<LeftClient>,
    /// Whether the audit log was too long to be searched to its end.
    pub(crate) is_partial: bool,
    pub(crate) mark: Mark,
}

/// What somebody who removes an admin has to have seen: their role, their open invitations, and who stays of those
/// whom they invited. It changes when one of these does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark(String);

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        (!text.is_empty()).then(|| Self(text.to_owned())).ok_or(())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn mark(admin: &Admin, invitations: &[Invitation], admins: &[Admin]) -> Mark {
    let actor = Actor::Authenticated(admin.id.to_string());
    let invitations = invitations.iter().filter(|one| one.invited_by == actor);
    let invited = admins
        .iter()
        .filter(|one| one.invited_by.as_ref() == Some(&actor));
    let left: BTreeSet<_> = invitations
        .map(|one| format!("{}.{}", one.id, one.role.as_str()))
        .chain(invited.map(|one| format!("{}.{}", one.id, one.role.as_str())))
        .collect();
    let mut mark = admin.role.as_str().to_owned();
    for one in left {
        mark.push(' ');
        mark.push_str(&one);
    }
    Mark(mark)
}

/// An admin API client that somebody may still hold a secret of.
#[derive(Debug)]
pub(crate) struct LeftClient {
    pub(crate) id: ClientId,
    pub(crate) name: String,
    /// Whether they created it.
    pub(crate) created: bool,
    /// The ends of the secrets that they made and that still work.
    pub(crate) secrets: Vec<String>,
}

/// What the audit log says that somebody did with admin API clients.
#[derive(Default)]
struct Doings {
    created: BTreeSet<String>,
    touched: BTreeSet<String>,
    secrets: BTreeSet<String>,
    is_partial: bool,
}

/// Finds what an admin would leave behind.
pub(crate) async fn find(app: &App, id: AdminId) -> Result<Leftovers, ServiceError> {
    let admin = admins::find(app, id).await?;
    let actor = Actor::Authenticated(id.to_string());
    let doings = doings(app, &actor).await?;
    let admins = app.store.admins().await?;
    let invitations = app.store.admin_invitations(app.clock.now()).await?;
    let mark = mark(&admin, &invitations, &admins);
    let invited = admins.into_iter();
    let invited = invited.filter(|one| one.invited_by.as_ref() == Some(&actor));
    Ok(Leftovers {
        sessions: sessions::list(app, id).await?.len(),
        invitations: invitations
            .into_iter()
            .filter(|one| one.invited_by == actor)
            .collect(),
        invited: invited.collect(),
        clients: clients(app, &doings).await?,
        is_partial: doings.is_partial,
        admin,
        mark,
    })
}

async fn doings(app: &App, actor: &Actor) -> Result<Doings, ServiceError> {
    let filter = AuditFilter {
        actor: Some(actor.as_str().to_owned()),
        ..AuditFilter::default()
    };
    let mut doings = Doings::default();
    let mut before = None;
    for _ in 0..STEPS {
        let found = app.store.search_audit(&filter, before, EVENTS).await?;
        for event in found.events.iter().map(|recorded| &recorded.event) {
            let Some(client) = event.client_id.as_ref().map(ClientId::to_string) else {
                continue;
            };
            let secret = event.secret_id.as_ref().map(SecretId::to_string);
            match event.kind {
                AuditKind::ClientCreated => {
                    doings.created.insert(client.clone());
                    doings.secrets.extend(secret);
                }
                AuditKind::SecretCreated | AuditKind::SecretRotated => {
                    doings.secrets.extend(secret);
                }
                AuditKind::GrantCreated | AuditKind::GrantUpdated => {}
                _ => continue,
            }
            doings.touched.insert(client);
        }
        before = found.next;
        if before.is_none() {
            return Ok(doings);
        }
    }
    doings.is_partial = true;
    Ok(doings)
}

async fn clients(app: &App, doings: &Doings) -> Result<Vec<LeftClient>, ServiceError> {
    let filter = ClientFilter {
        mcp_server_id: Some(app.admin_api.id),
        ..ClientFilter::default()
    };
    let request = PageRequest {
        after: None,
        limit: CLIENTS,
    };
    let now = app.clock.now();
    let mut left = Vec::new();
    for client in app.store.clients(&filter, request).await?.items {
        let id = client.id.to_string();
        if !doings.touched.contains(&id) {
            continue;
        }
        let secrets = app.store.secrets_of(SecretOwner::Client(client.id)).await?;
        let is_theirs = |secret: &SecretId| doings.secrets.contains(&secret.to_string());
        left.push(LeftClient {
            id: client.id,
            name: client.name.to_string(),
            created: doings.created.contains(&id),
            secrets: secrets
                .into_iter()
                .filter(|secret| is_theirs(&secret.id) && secret.state(now) == SecretState::Active)
                .map(|secret| secret.suffix)
                .collect(),
        });
    }
    Ok(left)
}
