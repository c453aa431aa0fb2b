use clawmesh_authority::{AuthorizedCommand, SafingCommand, Setpoint};

fn change(mut command: AuthorizedCommand, mut safing: SafingCommand) {
    command.run_for_ms = None;
    safing.setpoint = Setpoint::On;
}

fn main() {
    let _ = change;
}
