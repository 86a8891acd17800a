//! Users that work for an application, by Keycloak's admin API.
//!
//! A realm keeps no attribute of a user that its profile does not name, so that our mark is in what every profile has: the
//! last name. Name and address must be there at all, else the realm would have the user complete its profile before it
//! gives a token; the address is of a domain that cannot exist (RFC 2606).

use http::{Method as HttpMethod, StatusCode};
use serde_json::{Value, json};

use super::super::http::Payload;
use super::super::users::ServiceUser;
use super::super::{ErrorKind, IdentityError, Result};
use super::representation::text;
use super::{Keycloak, created, gone};

/// The first name of all of them; the last name is the uid of the object whose they are.
const FIRST_NAME: &str = "bailiwick";

impl Keycloak {
    /// Makes it; or makes it anew, if an earlier call whose answer was lost has made it: nobody uses it yet, and a policy of
    /// the realm may forbid to set the same password twice.
    pub(super) async fn make_user(
        &self,
        operation: &'static str,
        user: &ServiceUser,
    ) -> Result<()> {
        let ServiceUser {
            username,
            uid,
            password,
        } = user;
        let representation = json!({
            "username": username,
            "enabled": true,
            "firstName": FIRST_NAME,
            "lastName": uid,
            "email": address(username, uid),
            "emailVerified": true,
            "requiredActions": [],
            "credentials": [{"type": "password", "value": password.reveal(), "temporary": false}],
        });
        for _ in 0..2 {
            let post = self.admin.ask(operation, HttpMethod::POST, &["users"]);
            let post = post.with(Payload::json(&representation));
            let reply = self.admin.send(post.hiding(Some(password))).await?;
            if reply.status != StatusCode::CONFLICT {
                return created(&reply.success()?).map(drop);
            }
            self.remove_user(operation, username, uid).await?;
        }
        let message = format!(
            "another user of the realm has the address {}, which is for user {username}: remove it",
            address(username, uid)
        );
        Err(IdentityError::new(
            ErrorKind::AlreadyExists,
            operation,
            message,
        ))
    }

    /// Removes it. That it is gone is no error; one of somebody else's is.
    pub(super) async fn remove_user(
        &self,
        operation: &'static str,
        username: &str,
        uid: &str,
    ) -> Result<()> {
        let query = [("username", username), ("exact", "true")];
        let reply = self.admin.get(operation, &["users"], &query).await?;
        let users: Vec<Value> = reply.success()?.json()?;
        let Some(found) = users.iter().find(|found| found["username"] == username) else {
            return Ok(());
        };
        if found["firstName"] != FIRST_NAME || found["lastName"] != uid {
            let message = format!(
                "the realm has a user {username} that is not ours (its names are not {FIRST_NAME} {uid}): rename or remove it"
            );
            return Err(IdentityError::new(
                ErrorKind::AlreadyExists,
                operation,
                message,
            ));
        }
        let path = ["users", text(operation, &found["id"])?];
        let delete = self.admin.ask(operation, HttpMethod::DELETE, &path);
        gone(self.admin.send(delete).await?)
    }
}

/// An address that nobody can have, and no other user has. What is before the @ is short: 64 characters are allowed.
fn address(username: &str, uid: &str) -> String {
    let version = username.rsplit('-').next().unwrap_or_default();
    format!("version-{version}@{uid}.bailiwick.invalid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_short_enough_and_of_one_version() {
        let uid = "8d9f6a3c-0000-4000-8000-000000000001";
        let username = format!("{}-{uid}-12", "a".repeat(40));
        assert_eq!(
            address(&username, uid),
            format!("version-12@{uid}.bailiwick.invalid")
        );
    }
}
