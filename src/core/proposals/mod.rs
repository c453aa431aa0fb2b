//! Proposals from the first word to the confirmed effect, at their home; and copies of those of other homes.
//! Reads signed requests and approvals, what the world knows, what the driver layer says. Writes proposal entities, the book
//! of offers, the ledger of budgets, doubts about guests after a restart, orders to the twin and to the driver layer, and answers.
//! Invariant: what moves was proposed, simulated, approved, judged again and written down, in this order; a decision of
//! this node is in its journal before it leaves; what runs is judged in every tick.
//! Not here: the rules (`authority`), the model (`twin`), the hands (`drivers`), who brings the bytes (edges).

mod components;
mod control;
mod desk;
mod holds;
mod kept;
mod ledger;
mod ports;
mod run;
mod systems;
mod tags;
mod trial;

use bevy::prelude::*;
use clawmesh_authority::OfferBook;

pub use components::{
    Asked, CardHeld, Copied, CopyIndex, CopyOf, Desk, Forked, Granted, Life, OPEN_MAX, ProposalIndex,
    Proposed, Run, Spending,
};
pub use control::{Control, HANDED_OVER_AFTER_MS, Wish};
pub use desk::{AnswerDesk, Place, WAITING_MAX};
pub use holds::{HOLDS_MAX, Hold, Holds};
pub use ledger::{Ledger, Used};
pub use ports::{DeskPort, LatchPort, RearmPort, SimulationOrder, Simulator, SimulatorPort};
pub use systems::OwnProposals;
pub use tags::Tags;

use crate::audit::{LogSystems, keep_log};
use crate::clock::TickSystems;
use crate::guests::{GuestCommandSystems, GuestSystems};
use crate::people::{heed_revocations, revoke_keys_of_nodes};
use crate::publish::ComposeSystems;
use crate::replay::{DigestApp as _, write_kept};
use crate::site::LeaseSystems;

/// The part of `Plan` that takes what others ask for; our own planner looks at proposals after it.
#[derive(SystemSet, Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestSystems;

/// Keeps proposals. The entropy is the one of the settings.
pub struct ProposalsPlugin {
    /// What the nonces of this run follow from.
    pub entropy: [u8; 32],
}

impl Plugin for ProposalsPlugin {
    fn build(&self, app: &mut App) {
        app.insert_resource(Desk(OfferBook::new(self.entropy)))
            .init_resource::<Asked>()
            .init_resource::<Spending>()
            .init_resource::<Tags>()
            .init_resource::<Holds>()
            .init_resource::<Control>()
            .init_resource::<ProposalIndex>()
            .init_resource::<CopyIndex>()
            .digest_component::<Proposed>("proposed")
            .digest_component::<Life>("proposal_life")
            .digest_component::<Forked>("proposal_forked")
            .digest_component::<CardHeld>("proposal_card")
            .digest_component::<Granted>("proposal_granted")
            .digest_component::<Run>("proposal_run")
            .digest_component::<CopyOf>("copy_of")
            .digest_component::<Copied>("copied")
            .digest_resource::<Desk>("offers")
            .digest_resource::<Asked>("asked")
            .digest_resource::<Spending>("spending")
            .digest_resource::<Tags>("tags")
            .digest_resource::<Holds>("holds")
            .digest_resource::<Control>("control")
            .exclude_from_digest::<ProposalIndex>("an index over `Proposed`, kept by observers")
            .exclude_from_digest::<CopyIndex>("an index over `CopyOf`, kept where copies are made")
            .exclude_from_digest::<SimulatorPort>("the way to the pool of a live node; a replay has none")
            .exclude_from_digest::<LatchPort>("the way to the latch of a live node; a replay has none")
            .exclude_from_digest::<DeskPort>("who waits for an answer is not part of the world")
            .add_observer(systems::index_proposal)
            .add_observer(systems::unindex_proposal)
            .init_resource::<systems::now::Now>()
            .init_resource::<systems::Due>()
            .exclude_from_digest::<systems::now::Now>("worked out anew in every tick that needs it")
            .exclude_from_digest::<systems::Due>("on its way out; what was decided stands in components");
        schedule(app);
        schedule_leaving(app);
    }
}

/// When each system runs.
fn schedule(app: &mut App) {
    app.add_systems(
        FixedUpdate,
        systems::now::look
            .run_if(systems::now::is_needed)
            .after(systems::keep_copies)
            .in_set(TickSystems::Track),
    )
    .add_systems(
        FixedUpdate,
        // The stop last: somebody may ask for the stop in this tick.
        (
            revoke_keys_of_nodes,
            systems::recall,
            systems::note_restore,
            systems::heed_notes,
            systems::settle_control,
            systems::ask_by_new_policy,
            systems::take_requests,
            heed_revocations,
            systems::call_off,
            systems::end_control,
        )
            .chain()
            .in_set(RequestSystems)
            .in_set(TickSystems::Plan),
    )
    .add_systems(
        FixedUpdate,
        (systems::take_cards, systems::order_simulations).chain().in_set(TickSystems::Simulate),
    )
    .add_systems(
        FixedUpdate,
        (systems::take_approvals, systems::expire_offers, systems::expire_proposals)
            .chain()
            .in_set(TickSystems::Review),
    )
    .add_systems(FixedUpdate, systems::authorize_steps.before(GuestCommandSystems).in_set(TickSystems::Guard))
    .add_systems(
        FixedUpdate,
        (systems::hear_drivers, systems::judge_runs).chain().in_set(TickSystems::Verify),
    )
    .add_systems(
        FixedUpdate,
        systems::keep_copies.after(LogSystems).after(GuestSystems).in_set(TickSystems::Track),
    );
}

/// What was decided is written down, and then it may leave.
fn schedule_leaving(app: &mut App) {
    app.add_systems(
        FixedUpdate,
        (
            systems::log_answers,
            systems::write_down,
            systems::log_orders,
            keep_log,
            write_kept,
            systems::hand_over,
        )
            .chain()
            .after(LeaseSystems)
            .in_set(TickSystems::Actuate),
    )
    .add_systems(
        FixedUpdate,
        (
            systems::settle,
            systems::insist,
            systems::log_answers,
            systems::write_down,
            keep_log,
            systems::report_changes,
            systems::answer,
            write_kept,
            systems::hand_over,
        )
            .chain()
            .after(crate::alarms::AlarmSystems)
            .before(ComposeSystems)
            .in_set(TickSystems::Record),
    );
}
