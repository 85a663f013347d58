//! What can be asked of a user's account.

use formats::{EndpointId, IdentityProviderId, InvitationId, PasskeyId, PersonId, RequestId, Timestamp, UserId};

use super::Profile;

/// The commands, by their names in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserCommand {
    /// Make the account.
    CreateUser {
        user: UserId,
        person: PersonId,
        email: String,
        name: String,
        source: String,
    },
    /// Change name or address.
    ChangeUser { email: String, name: String },
    /// Close the account. Owners have to give up the role first (`roles`), so that the last owner stays.
    DisableUser { is_owner: bool, reason: String },
    /// Open it again.
    EnableUser,
    /// Make the account as an identity provider says, or bring it to what it says now: open or closed, with this name and
    /// address, known by this profile. What did not change is left out by the caller.
    ProvisionUser {
        user: UserId,
        person: PersonId,
        /// Address and name; needed for a new account.
        account: Option<(String, String)>,
        profile: Option<Box<Profile>>,
        active: bool,
        is_owner: bool,
    },
    /// Close the account, and note that the identity provider deleted it.
    DeprovisionUser { is_owner: bool },
    /// Note a new password.
    ChangePassword { how: String },
    /// Note that a link was sent with which the person chooses a password.
    InviteUser { invitation: InvitationId, reset: bool },
    /// Note a second factor.
    EnrolMfa { method: String },
    /// Note that a second factor is gone.
    RemoveMfa { method: String },
    /// Note a passkey.
    RegisterPasskey { passkey: PasskeyId, name: String },
    /// Take one of the passkeys away.
    RemovePasskey { passkey: PasskeyId, cause: String },
    /// Take all passkeys away, if there are any.
    RemovePasskeys { cause: String },
    /// Note that a passkey's counter went back.
    FlagPasskey { passkey: PasskeyId },
    /// Note a lock.
    LockChannel { channel: String, until: Timestamp },
    /// Note that a code was given at an endpoint.
    VerifyCode {
        endpoint: EndpointId,
        requester: PersonId,
        request: Option<RequestId>,
        other_user: bool,
    },
    /// Remember who the user is at a provider. A user has one such identity; the store refuses one that another has.
    LinkIdentity {
        provider: IdentityProviderId,
        issuer: String,
        subject: String,
        how: String,
    },
    /// Forget it.
    UnlinkIdentities,
    /// Note a sign-in.
    SignIn { method: String },
    /// Note the end of sessions.
    SignOut { sessions: u32 },
}
