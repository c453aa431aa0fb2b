// The twin: what holds a command got it of the gate, and a driver takes nothing else.
use clawmesh_authority::{AuthorizedCommand, Capability, SafeStates, SafingCommand, Setpoint};

fn drive(command: &AuthorizedCommand) -> (&Capability, Setpoint) {
    (command.actuator(), command.setpoint())
}

fn make_safe(command: &SafingCommand) -> Setpoint {
    command.setpoint()
}

fn main() {
    let _ = drive;
    let pump = Capability::new("actuator:pump:main").unwrap();
    let safe = SafeStates::in_order([(pump, Setpoint::Off)]);
    assert_eq!(safe.all().iter().map(make_safe).collect::<Vec<_>>(), [Setpoint::Off]);
}
