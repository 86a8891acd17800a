//! `OAuthClient`: an application's credentials at an authorization server, rotated and delivered.

pub mod destination;
pub mod destinations;
