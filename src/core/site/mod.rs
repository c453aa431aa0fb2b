//! The site a node works at: whether its files agree.
//! Reads the plan (`twin`) and the policy (`authority`). Writes nothing yet.
//! Invariant: what a policy names exists in the plan, and no rule is weaker than the site asks for.
//! Not here: the text of the files (`clawmesh`), what the rules demand (`authority`), how the site behaves (`twin`).

mod agreement;

pub use agreement::disagreements;
