//! cloud (see the map in lib.rs).
