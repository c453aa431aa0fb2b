use clawmesh_authority::{Capability, SafingCommand, Setpoint};

fn main() {
    let actuator = Capability::new("actuator:pump:main").unwrap();
    let command = SafingCommand { actuator, setpoint: Setpoint::On };
    drop(command);
}
