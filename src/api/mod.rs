//! api (see the map in lib.rs).
