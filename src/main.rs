//! Arguments → one command; nothing else.

fn main() {}
