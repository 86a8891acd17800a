//! An operator that may do everything in the cluster.

use super::world::{Operator, World};

/// Starts it, with these arguments besides; its log is fine enough to show every pass and call.
pub fn start_operator(world: &World, more: &[&str]) -> Operator {
    let mut command = Operator::command(world);
    command
        .args([
            "--listen=127.0.0.1:0",
            "--log-filter=info,bailiwick=trace,kube=debug",
        ])
        .args(more)
        .env("KUBECONFIG", world.plane.admin_kubeconfig())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");
    Operator::spawn(command, &world.log())
}
