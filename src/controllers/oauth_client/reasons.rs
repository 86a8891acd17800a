//! The reasons in conditions and events of an `OAuthClient`: a closed set. What each means is in [`ALL`].
#![expect(missing_docs, reason = "each is described in ALL")]

use crate::engine::reasons::{DONE, Reason, WAIT};

pub const READY: &str = crate::engine::reasons::READY;
pub const ACCEPTED: &str = "Accepted";
pub const INVALID_SPEC: &str = "InvalidSpec";
pub const TEAM_NOT_FOUND: &str = "TeamNotFound";
pub const APPLICATION_NOT_FOUND: &str = "ApplicationNotFound";
pub const APPLICATION_RETIRED: &str = "ApplicationRetired";
pub const PROVIDER_NOT_FOUND: &str = "ProviderNotFound";
pub const PROVIDER_CHANGED: &str = "ProviderChanged";
pub const PROVIDER_NOT_READY: &str = "ProviderNotReady";
pub const PROVIDER_SUSPENDED: &str = "ProviderSuspended";
pub const PROVIDER_BUSY: &str = "ProviderBusy";
pub const PROVIDER_UNAVAILABLE: &str = "ProviderUnavailable";
pub const PROVIDER_DENIED: &str = "ProviderDenied";
pub const PROVIDER_REFUSED: &str = "ProviderRefused";
pub const METHOD_NOT_SUPPORTED: &str = "MethodNotSupported";
pub const PASSWORD_GRANT_CLOSED: &str = "PasswordGrantClosed";
pub const SERVICE_ACCOUNT_TAKEN: &str = "ServiceAccountTaken";
pub const SERVICE_ACCOUNT_NOT_FOUND: &str = "ServiceAccountNotFound";
pub const SCOPES_GRANTED: &str = "ScopesGranted";
pub const SCOPE_NOT_FOUND: &str = "ScopeNotFound";
pub const SCOPE_NOT_GRANTED: &str = "ScopeNotGranted";
pub const REGISTERED: &str = "Registered";
pub const NOT_REGISTERED: &str = "NotRegistered";
pub const CLIENT_LOST: &str = "ClientLost";
pub const CREDENTIALS_MISSING: &str = "CredentialsMissing";
pub const CREDENTIALS_REFUSED: &str = "CredentialsRefused";
pub const TOKEN_REFUSED: &str = "TokenRefused";
pub const REMOVAL_DENIED: &str = "RemovalDenied";
pub const DELIVERED: &str = "Delivered";
pub const NOT_DELIVERED: &str = "NotDelivered";
pub const DELIVERY_FAILED: &str = "DeliveryFailed";
pub const DELIVERY_REPAIRED: &str = "DeliveryRepaired";
pub const DELIVERY_FORGOTTEN: &str = "DeliveryForgotten";
pub const DELIVERY_REMOVED: &str = "DeliveryRemoved";
pub const ROTATING: &str = "Rotating";
pub const ROTATED: &str = "Rotated";
pub const ROTATION_DELAYED: &str = "RotationDelayed";
pub const OVERLAP: &str = "Overlap";
pub const OVERLAP_SHORTENED: &str = "OverlapShortened";
pub const NOTHING_TO_RENEW: &str = "NothingToRenew";
pub const REVOCATION_HELD_BACK: &str = "RevocationHeldBack";
pub const REVOKED: &str = "Revoked";
pub const RETIRED: &str = "Retired";
pub const ABANDONED: &str = "Abandoned";
pub const UPDATED: &str = "Updated";
pub const CHANGES_PLANNED: &str = "ChangesPlanned";
pub const SUSPENDED: &str = "Suspended";
pub const LEAVING: &str = "Leaving";
pub const LEAVING_CALLED_OFF: &str = "LeavingCalledOff";
pub const REMOVALS_LIMITED: &str = "RemovalsLimited";
pub const CREDENTIALS_REMOVED: &str = "CredentialsRemoved";
pub const CREDENTIALS_RETAINED: &str = "CredentialsRetained";
pub const TOO_MANY_RETAINED: &str = "TooManyRetained";

/// All of them, for the reference.
pub const ALL: &[Reason] = &[
    Reason::new(READY, "Everything is as declared.", DONE),
    Reason::new(ACCEPTED, "The spec can be carried out.", DONE),
    Reason::new(
        INVALID_SPEC,
        "The spec cannot be carried out as it is.",
        "Whoever edits the client corrects the field that the message names.",
    ),
    Reason::new(
        TEAM_NOT_FOUND,
        "The namespace belongs to no team.",
        "The platform team declares a Team for the namespace, or the client is declared in a team's namespace.",
    ),
    Reason::new(
        APPLICATION_NOT_FOUND,
        "There is no application of that name in the namespace whose name is this namespace's. Nothing is removed for that.",
        "A member of the team declares the application, or deletes the client if it is not needed any more.",
    ),
    Reason::new(
        APPLICATION_RETIRED,
        "The application was set inactive and its grace period is over: its credentials are removed.",
        "Nothing. A member of the team sets spec.active of the application to true to have new ones.",
    ),
    Reason::new(
        PROVIDER_NOT_FOUND,
        "There is no provider of that name. Nothing is removed for that.",
        "Whoever edits the client corrects spec.provider, or the platform team declares the provider.",
    ),
    Reason::new(
        PROVIDER_CHANGED,
        "The provider of that name is of another issuer than the one at which the credentials are registered. Nothing is sent there, and nothing replaced or removed.",
        "The platform team declares the provider with the issuer that the message names, or the team deletes the client with deletionPolicy Retain and declares it anew.",
    ),
    Reason::new(
        PROVIDER_NOT_READY,
        "The provider's authorization server has not been reached yet.",
        "Nothing. If it stays: whoever the condition Ready of the provider names.",
    ),
    Reason::new(
        PROVIDER_SUSPENDED,
        "The provider is suspended; status.plan says what would be done.",
        "The platform team sets spec.suspend of the provider to false.",
    ),
    Reason::new(
        PROVIDER_BUSY,
        "The authorization server asked us to wait, or as many requests to it are under way as may be.",
        WAIT,
    ),
    Reason::new(
        PROVIDER_UNAVAILABLE,
        "The authorization server did not answer in time, or says that it cannot at the moment.",
        "Nothing; what is in use stays in use. If it stays: the platform team looks at the server.",
    ),
    Reason::new(
        PROVIDER_DENIED,
        "The authorization server does not let the operator do this.",
        "The platform team corrects the credentials that the provider names, or their rights.",
    ),
    Reason::new(
        PROVIDER_REFUSED,
        "The authorization server refuses the request as it is, or gave an answer that makes no sense.",
        "Whoever edits the client corrects what the message names; if it is nothing of the client's, the platform team looks at the server.",
    ),
    Reason::new(
        METHOD_NOT_SUPPORTED,
        "The server has no such way to authenticate.",
        "Whoever edits the client chooses another spec.authMethod, or leaves it out.",
    ),
    Reason::new(
        PASSWORD_GRANT_CLOSED,
        "The grant type password is asked for, and the provider does not open it, or its server has it no more. What is in use \
         goes on.",
        "Whoever edits the client removes it from spec.grantTypes, or the platform team sets spec.keycloak.passwordGrant.",
    ),
    Reason::new(
        SERVICE_ACCOUNT_TAKEN,
        "Another client has the ServiceAccount; a server takes its tokens for one client, or for none.",
        "Whoever edits the client names another ServiceAccount, or the other client goes.",
    ),
    Reason::new(
        SERVICE_ACCOUNT_NOT_FOUND,
        "The ServiceAccount that the client names is not in the namespace: the client is registered, and no pod can use it yet.",
        "Whoever edits the client makes the ServiceAccount, or corrects spec.serviceAccount.",
    ),
    Reason::new(SCOPES_GRANTED, "Every scope exists and may be held.", DONE),
    Reason::new(
        SCOPE_NOT_FOUND,
        "A scope does not exist.",
        "Whoever edits the client corrects spec.scopes, or the owner of the ResourceType declares the scope.",
    ),
    Reason::new(
        SCOPE_NOT_GRANTED,
        "A scope is not granted to the application; it is not registered, or was taken away.",
        "The owner of the ResourceType adds the application to grantedTo of the scope, or whoever edits the client removes the scope.",
    ),
    Reason::new(
        REGISTERED,
        "There are credentials at the server, and a token was got with them.",
        DONE,
    ),
    Reason::new(
        NOT_REGISTERED,
        "There are no credentials that are in use.",
        WAIT,
    ),
    Reason::new(
        CLIENT_LOST,
        "The server does not take the credentials in use any more: somebody has removed the client there, or the server has lost it. New ones are made.",
        "Nothing. If it happens again: the platform team finds out who removes clients at the server.",
    ),
    Reason::new(
        CREDENTIALS_MISSING,
        "The Secret in the operator's namespace that keeps what was registered is gone, or cannot be read. New credentials are made.",
        "The platform team finds out who removed it, and removes the client that the message names at the server.",
    ),
    Reason::new(
        CREDENTIALS_REFUSED,
        "The server does not take the credentials that it has just given.",
        "Nothing; it is tried again. If it stays: the platform team looks at the server.",
    ),
    Reason::new(
        TOKEN_REFUSED,
        "The server knows the client, and gives it no token for what it asks.",
        "Whoever edits the client corrects its scopes or grant types, or the platform team allows them at the server.",
    ),
    Reason::new(
        REMOVAL_DENIED,
        "Credentials that shall go cannot be removed: the server does not take the token by which they are managed, or that is not kept any more.",
        "The platform team removes the client that the message names at the server; the operator notices.",
    ),
    Reason::new(DELIVERED, "Every place holds the current version.", DONE),
    Reason::new(
        NOT_DELIVERED,
        "There is nothing to deliver yet, or not every place holds it yet.",
        WAIT,
    ),
    Reason::new(
        DELIVERY_FAILED,
        "A place does not take the credentials. No new ones are made while one refuses; what is in use stays in use.",
        "Whoever the message names gives the right to write there, or whoever edits the client removes the place.",
    ),
    Reason::new(
        DELIVERY_REPAIRED,
        "Somebody else had written to a place, or removed what was there; it was written again.",
        "Whoever does that stops it: the place is the operator's.",
    ),
    Reason::new(
        DELIVERY_FORGOTTEN,
        "A place cannot be reached any more, since the TeamAccount that it was delivered through is gone; what is there stays.",
        "Whoever has the AWS account removes there what the event names, if the account lives on.",
    ),
    Reason::new(
        DELIVERY_REMOVED,
        "A place is not in the spec any more, and nothing of this client is left there.",
        DONE,
    ),
    Reason::new(ROTATING, "A new version is on its way.", WAIT),
    Reason::new(ROTATED, "A new version is in use.", DONE),
    Reason::new(
        ROTATION_DELAYED,
        "A new version is due and cannot be brought; the current one is still valid.",
        "Whoever the message names, before the current one ends.",
    ),
    Reason::new(
        OVERLAP,
        "The version before the current one is still valid, and there are never three: a rotation waits for its end.",
        WAIT,
    ),
    Reason::new(
        OVERLAP_SHORTENED,
        "A scope was taken back, and a version that holds it, or is in the way of one without it, is valid for another hour at most.",
        DONE,
    ),
    Reason::new(
        NOTHING_TO_RENEW,
        "It was asked to renew the credentials of a client that has none: a public one, or one with the identity of a workload.",
        DONE,
    ),
    Reason::new(
        REVOCATION_HELD_BACK,
        "It was asked to revoke all credentials, and that is not done: they are still valid. The message says what is in the way.",
        "Whoever the message names, at once; until then whoever has the credentials can use them.",
    ),
    Reason::new(
        REVOKED,
        "All credentials were revoked at once, as was asked for; new ones are made and delivered.",
        "The team has the readers that the message names read the new ones.",
    ),
    Reason::new(RETIRED, "A version was removed at the server.", DONE),
    Reason::new(
        ABANDONED,
        "A version that was begun is given up: what is declared has changed meanwhile, or the server does not take it.",
        WAIT,
    ),
    Reason::new(UPDATED, "What is registered was changed in place.", DONE),
    Reason::new(
        CHANGES_PLANNED,
        "With mode Plan nothing is written; status.plan says what would be.",
        "Whoever edits the client sets spec.mode to Apply.",
    ),
    Reason::new(
        SUSPENDED,
        "The client is suspended; status.plan says what would be done.",
        "Whoever edits the client sets spec.suspend to false.",
    ),
    Reason::new(
        LEAVING,
        "The credentials will be removed when their grace period is over (status.leavesAt).",
        "Nothing, if that is meant. Until then the message says how to keep them.",
    ),
    Reason::new(
        LEAVING_CALLED_OFF,
        "The application is active again; its credentials stay.",
        DONE,
    ),
    Reason::new(
        REMOVALS_LIMITED,
        "As many clients were removed in this hour as may be, or those of other namespaces come first, of which fewer were; this one waits.",
        "Nothing. If so many removals are not meant, the platform team stops the operator and finds out who deletes them.",
    ),
    Reason::new(
        CREDENTIALS_REMOVED,
        "The credentials were removed at the server and from all places.",
        DONE,
    ),
    Reason::new(
        CREDENTIALS_RETAINED,
        "The object is deleted and its credentials stay, as the deletion policy says; nobody rotates them any more.",
        "Whoever needs them no more removes what the event names.",
    ),
    Reason::new(
        TOO_MANY_RETAINED,
        "The object is deleted and its credentials are to stay, and a resource type whose scope they hold keeps as many such clients as it may, of this namespace or altogether.",
        "Whoever deleted clients before has those removed at the server that nobody needs, then their Secrets in the operator's namespace; or sets spec.deletionPolicy to Delete.",
    ),
];
