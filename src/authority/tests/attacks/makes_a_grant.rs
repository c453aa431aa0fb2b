use clawmesh_authority::gate::Grant;
use clawmesh_authority::{Offer, OperatorId};

fn grant(offer: &Offer) -> Grant {
    Grant::of(offer, vec![OperatorId([1; 32])])
}

fn main() {
    let _ = grant;
}
