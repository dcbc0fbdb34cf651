//! People who use the dashboard.

use std::fmt;
use std::str::FromStr;

use crate::{Actor, AdminId, DisplayName, InvitationId, Timestamp};

/// What an admin may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// See everything but secrets, and change nothing.
    Viewer,
}

impl Role {
    /// The name used in the store and on pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "admin" => Ok(Self::Admin),
            "viewer" => Ok(Self::Viewer),
            _ => Err("expected admin or viewer".to_owned()),
        }
    }
}

/// Where an admin's role came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleSource {
    /// Another admin, or an invitation.
    Manual,
    /// The lists of addresses in the configuration, which may take it away again.
    Provider,
}

impl RoleSource {
    /// The name used in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Provider => "provider",
        }
    }
}

impl FromStr for RoleSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "manual" => Ok(Self::Manual),
            "provider" => Ok(Self::Provider),
            _ => Err("expected manual or provider".to_owned()),
        }
    }
}

/// Somebody, as an `OpenID` Connect provider knows them. An address may pass to somebody else; this
/// never does (`OpenID` Connect Core §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderIdentity {
    /// The provider's issuer URL.
    pub issuer: String,
    /// The `sub` of its ID tokens.
    pub subject: String,
}

/// Why an e-mail address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address, such as ada@example.com")]
pub struct EmailError;

/// An e-mail address, by which an admin signs in. Compared without case.
#[derive(Debug, Clone)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two addresses are the same.
    pub fn comparison_key(&self) -> String {
        Self::comparison_key_of(&self.0)
    }

    /// The same form of a text that may be no address.
    pub fn comparison_key_of(text: &str) -> String {
        text.trim().to_lowercase()
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let plain = |part: &str| {
            !part.is_empty()
                && !part.contains('@')
                && !part.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        if text.len() <= 254 && plain(local) && plain(domain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailError)
        }
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.comparison_key() == other.comparison_key()
    }
}

impl Eq for EmailAddress {}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who signs in to the dashboard.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Its ID.
    pub id: AdminId,
    /// What people call them.
    pub name: DisplayName,
    /// How they sign in.
    pub email: EmailAddress,
    /// What they may do.
    pub role: Role,
    /// Who gave them the role.
    pub role_source: RoleSource,
    /// Who they are to a provider, once they have signed in through it.
    pub identity: Option<ProviderIdentity>,
    /// Whether they have a password.
    pub has_password: bool,
    /// Who invited them, where that is known.
    pub invited_by: Option<Actor>,
    /// Whether the inviter named the address; otherwise whoever had the link wrote it.
    pub email_named: bool,
    /// Browsers remembered before this are forgotten.
    pub browsers_forgotten_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A link that makes one admin, or gives one a new password, once.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its ID.
    pub id: InvitationId,
    /// What the admin will be allowed to do.
    pub role: Role,
    /// Whom it was made for; a note.
    pub note: String,
    /// Who made it. It works only as long as they may invite.
    pub invited_by: Actor,
    /// The address that whoever joins by it has to use, if the inviter named one.
    pub email: Option<EmailAddress>,
    /// The admin who gets a new password by it, where it makes none.
    pub resets: Option<AdminId>,
    /// Whether it is the link of the first start, which works only while there is no admin.
    pub first: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_for_form_and_compared_without_case() {
        for wrong in [
            "",
            "ada",
            "@x.org",
            "ada@",
            "a b@x.org",
            "a@b@c",
            "a\n@x.org",
        ] {
            assert_eq!(wrong.parse::<EmailAddress>(), Err(EmailError), "{wrong:?}");
        }
        let one: EmailAddress = " Ada@Example.com ".parse().unwrap();
        assert_eq!(one.as_str(), "Ada@Example.com");
        assert_eq!(Ok(one), "ada@example.COM".parse());
    }
}
