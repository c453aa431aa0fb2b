//! What can happen, and how often.

use clawmesh_lab::SplitMix64;

macro_rules! events {
    ($($weight:literal $name:ident $doc:literal;)*) => {
        /// Something that can happen.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Event { $(#[doc = $doc] $name,)* }

        impl Event {
            /// Everything that can happen.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            const WEIGHTS: &[u64] = &[$($weight,)*];
        }
    };
}

events! {
    120 Tick "Time passes.";
    14 Wait "A moment passes.";
    1 WaitLong "So much time passes that offers die.";
    30 Propose "A person proposes something in which everything is right.";
    3 ProposeWithout "Without the evidence that the policy names.";
    3 ProposeOld "With evidence that is too old.";
    3 ProposeWeak "With evidence that is worth too little.";
    3 ProposeForeign "With evidence that another node has signed.";
    3 ProposeTooLong "For longer than the policy allows.";
    3 ProposeAsAnother "In the name of somebody else.";
    2 ProposeByNode "A node that is not trusted proposes.";
    70 Approve "Somebody who may says yes to an offer that lives.";
    6 ApproveDead "Somebody says yes to an offer of before.";
    4 ApproveUsed "A yes that was brought before is brought again.";
    4 ApproveWithOldNonce "A yes to a living offer with the nonce of another one.";
    3 ApproveAltered "A yes to something else than what was offered.";
    3 ApproveForged "A yes whose signature does not hold.";
    3 ApproveAsStranger "Somebody who is not enrolled says yes.";
    3 ApproveAsObserver "Somebody who may only look says yes.";
    4 ApproveOwn "Whoever asked says yes.";
    4 ApproveTwice "Whoever has said yes says it again, or their delegate does.";
    3 Reject "Somebody says no.";
    3 Withdraw "A person calls something off.";
    1 Stop "Somebody presses the stop.";
    1 StopSigned "A person who may only look has a stop brought.";
    20 Rearm "A person ends the stop.";
    1 RearmOld "A re-arm of before the stop is brought.";
    1 Restart "The node is killed and started again.";
    1 TankLow "The tank runs empty.";
    3 TankFalls "The tank holds less than when it was simulated, and enough.";
    12 TankFull "The tank is filled.";
    1 TankSilent "The sensor of the tank falls silent.";
    10 TankSpeaks "It speaks again.";
    2 HandOn "A hand is laid on a part.";
    20 HandOff "It is taken off.";
    1 Cut "The cable of a part is cut.";
    14 Mend "It is mended.";
    2 Tag "A part is taken out of service.";
    20 Untag "It is in service again.";
    2 Revoke "The key of an approver is revoked.";
    10 Enroll "All keys count again.";
    1 Tighten "The policy wants a fuller tank.";
    10 Loosen "The policy is as it was.";
    1 JournalHalts "The journal stands still.";
    14 JournalGoesOn "It goes on.";
    1 Stall "Nobody ticks for seconds.";
    1 LinkLost "The way to the mesh is lost.";
    10 LinkBack "It is back.";
    1 ClockForward "The clock is set forward.";
    3 Forge "Somebody makes up what a driver, a journal or a runner would say.";
}

impl Event {
    /// The next one.
    pub fn draw(rng: &mut SplitMix64) -> Self {
        let mut at = rng.below(Self::WEIGHTS.iter().sum());
        for (event, weight) in Self::ALL.iter().zip(Self::WEIGHTS) {
            if at < *weight {
                return *event;
            }
            at -= weight;
        }
        Self::Tick
    }
}
