//! A control plane on this machine, for trying and for tests.
