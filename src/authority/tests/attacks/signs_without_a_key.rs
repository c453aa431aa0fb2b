use clawmesh_authority::approval::SignedApproval;
use clawmesh_authority::{Approval, PublicKey};

fn signed(key: PublicKey, approval: Approval) -> SignedApproval {
    SignedApproval { key, approval }
}

fn main() {
    let _ = signed;
}
