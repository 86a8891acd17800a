//! Arguments → one command; nothing else.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    bailiwick::cli::main().await
}
