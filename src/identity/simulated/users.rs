//! Users that work for an application, as Keycloak has them.

use super::super::users::PASSWORD_GRANT;
use super::{
    Credential, ErrorKind, IdentityError, Result, ServiceUser, SimulatedServer, State, takes,
};

impl SimulatedServer {
    /// The users of an object, by its uid.
    pub fn users(&self, uid: &str) -> Vec<String> {
        let state = self.state();
        let ours = state.users.values().filter(|user| user.uid == uid);
        ours.map(|user| user.username.clone()).collect()
    }

    /// How many users an object had at most, at any time.
    pub fn most_users(&self, uid: &str) -> usize {
        self.state().most_users.get(uid).copied().unwrap_or(0)
    }

    /// Somebody has removed the user there.
    pub fn forget_user(&self, username: &str) {
        self.state().users.remove(username);
    }

    /// Whether a token is given for that client and that user: what a reader of credentials asks. Not counted, and never in
    /// trouble.
    pub fn takes_user(
        &self,
        client_id: &str,
        credential: &Credential,
        (username, password): (&str, &str),
    ) -> bool {
        let state = self.state();
        takes(&state, client_id, credential) && is_let_in(&state, client_id, username, password)
    }
}

/// Whether the client may ask for a user, and it is that user.
pub(super) fn is_let_in(state: &State, client_id: &str, username: &str, password: &str) -> bool {
    let grants = state
        .clients
        .get(client_id)
        .map(|client| &client.metadata.grant_types);
    let may = grants.is_some_and(|grants| grants.iter().any(|grant| grant == PASSWORD_GRANT));
    let user = state.users.get(username);
    may && user.is_some_and(|user| user.password.reveal() == password)
}

pub(super) fn make(state: &mut State, user: &ServiceUser) -> Result<()> {
    ours(state, "make_user", &user.username, &user.uid)?;
    state.users.insert(user.username.clone(), user.clone());
    let of_object = |other: &&ServiceUser| other.uid == user.uid;
    let count = state.users.values().filter(of_object).count();
    let most = state.most_users.entry(user.uid.clone()).or_default();
    *most = count.max(*most);
    Ok(())
}

pub(super) fn remove(state: &mut State, username: &str, uid: &str) -> Result<()> {
    ours(state, "remove_user", username, uid)?;
    state.users.remove(username);
    Ok(())
}

/// Fails if it is somebody else's.
fn ours(state: &State, operation: &'static str, username: &str, uid: &str) -> Result<()> {
    match state.users.get(username) {
        Some(other) if other.uid != uid => {
            let message = "somebody else's user has that name";
            Err(IdentityError::new(
                ErrorKind::AlreadyExists,
                operation,
                message,
            ))
        }
        _ => Ok(()),
    }
}
