use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId, Setpoint};

fn main() {
    let actuator = Capability::new("actuator:pump:main").unwrap();
    drop(AuthorizedCommand::new(ProposalId([0; 32]), 0, actuator, Setpoint::On, Some(1_000)));
}
