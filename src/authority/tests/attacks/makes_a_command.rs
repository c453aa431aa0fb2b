use clawmesh_authority::{AuthorizedCommand, Capability, ProposalId, Setpoint};

fn main() {
    let actuator = Capability::new("actuator:pump:main").unwrap();
    let command = AuthorizedCommand {
        proposal: ProposalId([0; 32]),
        step: 0,
        actuator,
        setpoint: Setpoint::On,
        run_for_ms: Some(1_000),
    };
    drop(command);
}
