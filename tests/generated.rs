//! Files that are generated are what would be generated now; `make generate` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

#[test]
fn generated_files_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in bailiwick::cli::generate::files().unwrap() {
        let found = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(
            found == text,
            "{path} is not what would be generated: run `make generate` and commit it"
        );
    }
}
