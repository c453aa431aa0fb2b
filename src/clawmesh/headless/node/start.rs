//! Everything a node reads before anything of it is opened, and what it says about that.

use std::sync::Arc;

use clawmesh_authority::{NodeId, NodeKey};
use clawmesh_core::Settings;
use clawmesh_core::publish::NodeView;
use clawmesh_core::settings::SiteText;
use clawmesh_drivers::StopLatch;
use clawmesh_gateway::GatewayConfig;
use clawmesh_wire::diagnostics::{DiagnosticCode, DiagnosticLevel, StartSettings, diagnose};

use super::Options;
use crate::config::certificate::{self, Certificate};
use crate::config::farm;
use crate::config::restored_file::{self, RestoredRecord};
use crate::config::settings::NodeConfig;
use crate::config::site_file::{self, SiteFile};
use crate::config::state_dir::StateDir;
use crate::config::{epoch, identity, operators_file, policy_file, stop_file, token, trust_file};
use crate::headless::timekeeper::Beginning;
use crate::moments::unix_ms;

/// Everything read from the state dir before anything is opened.
pub(super) struct Start {
    pub(super) key: NodeKey,
    pub(super) token: String,
    pub(super) site: SiteFile,
    pub(super) latch: StopLatch,
    pub(super) restored: Option<RestoredRecord>,
    pub(super) certificate: Option<Certificate>,
    pub(super) settings: Settings,
    pub(super) clock: Beginning,
}

impl Start {
    pub(super) fn read(options: &Options, clock: Beginning) -> anyhow::Result<Self> {
        let Options { dir, config, .. } = options;
        // What people wrote is judged before anything is made.
        site_file::load(dir)?;
        let identity = identity::load_or_create(dir)?;
        if identity.is_new {
            tracing::info!("this node is new: its id is {}", identity.key.id());
        }
        match options.plant {
            Some(_) => farm::create_missing(dir, &[(farm::FIELD_NODE, identity.key.id())])?,
            None => site_file::create_missing(dir)?,
        }
        let site = site_file::load(dir)?;
        tell_ways(config, identity.key.id(), can_do_something(options, &site, identity.key.id()))?;
        let restored = restored_file::load(dir)?;
        if restored.is_some() {
            only_the_list_counts(dir, config)?;
        }
        let settings = Settings {
            node: identity.key.id(),
            name: config.name.value.clone(),
            role: config.role.value.clone(),
            mesh_name: config.mesh_name.value.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            epoch: epoch::begin(dir, not_before(unix_ms(), restored.as_ref(), clock.wall_before_ms))?,
            hz: config.hz.value,
            digest_every_ticks: config.digest_every_ticks.value,
            tick_before: 0,
            trusted: config.trusted.value.clone(),
            site: site_text(dir, &site)?,
            roster: operators_file::load(dir)?,
            entropy: identity::random_secret("nonces of this run")?,
            mock_actuator: config.mock_actuator.value,
            plans: site.plan.as_ref().is_some_and(|plan| config.plans_at(plan)),
            wall_before_ms: clock.wall_before_ms,
            known_before_ms: clock.known_before_ms,
        };
        Ok(Self {
            token: token::load_or_create(dir)?.reveal().to_owned(),
            site,
            latch: stop_file::open(dir),
            restored,
            certificate: certificate::wanted(dir, &config.tls.value)?,
            key: identity.key,
            settings,
            clock,
        })
    }

    pub(super) fn gateway_config(&self, config: &NodeConfig) -> GatewayConfig {
        GatewayConfig {
            host: config.host.value,
            port: config.port.value,
            token: self.token.clone(),
            tls: self.certificate.as_ref().map(|certificate| Arc::clone(&certificate.server)),
            node: NodeView::of(&self.settings),
        }
    }
}

/// What the number of a run is not below. Where nobody knows the time, what the journal knows and the restore from a backup are
/// the last that is known.
pub(super) fn not_before(now_ms: u64, restored: Option<&RestoredRecord>, wall_before_ms: u64) -> u64 {
    match now_ms {
        0 => restored.map_or(0, |record| record.at_unix_ms).max(wall_before_ms),
        unix_ms => unix_ms,
    }
}

/// What is wrong, or worth knowing, about the port and the nodes to dial. That nobody is named is worth a word only where
/// nobody else can be found either.
pub(super) fn tell_ways(config: &NodeConfig, own: NodeId, can_do_something: bool) -> anyhow::Result<()> {
    let named = [&config.connect.value[..], &config.peers.value[..]].concat();
    let found = diagnose(&StartSettings {
        own_id: Some(own),
        port: config.port.value.into(),
        is_discovering: config.discovery.value,
        peers: &config.peers.value,
        can_do_something,
    });
    for finding in found {
        match finding.code.level() {
            DiagnosticLevel::Error => anyhow::bail!("{finding}"),
            DiagnosticLevel::Warn if finding.code == DiagnosticCode::IsolatedNode && !named.is_empty() => {}
            DiagnosticLevel::Warn => tracing::warn!("{finding}"),
            DiagnosticLevel::Info => tracing::info!("{finding}"),
        }
    }
    Ok(())
}

/// Whether the node measures, moves or plans anything.
pub(super) fn can_do_something(options: &Options, site: &SiteFile, own: NodeId) -> bool {
    let config = &options.config;
    let has_guests = site_file::place_of(site, own).is_ok_and(|place| !place.on_guests.is_empty());
    let plans = site.plan.as_ref().is_some_and(|plan| config.plans_at(plan));
    let is_set =
        [&config.host_sensors, &config.mock_sensor, &config.mock_actuator].iter().any(|set| set.value);
    options.plant.is_some() || is_set || !site.mappings.is_empty() || has_guests || plans
}

/// A flag or a file may name a node that was removed after the backup was made, and only the lost list knew of that.
pub(super) fn only_the_list_counts(dir: &StateDir, config: &NodeConfig) -> anyhow::Result<()> {
    let list = trust_file::load(dir)?;
    let Some(id) = config.trust_configured.iter().find(|id| list.get(id).is_none()) else { return Ok(()) };
    anyhow::bail!(
        "this node came from a backup, after which only its trust list counts, and {id} is named by --trust or node.ron alone; \
         if it is to be trusted, say `clawmesh trust add {id}`, and start again"
    )
}

/// The site and the policy as the tick gets them; without a plan there is none.
pub(super) fn site_text(dir: &StateDir, site: &SiteFile) -> anyhow::Result<Option<SiteText>> {
    let Some(plan) = &site.plan else { return Ok(None) };
    let policy = policy_file::load(&dir.policy_file(), site)?;
    Ok(Some(SiteText::of(&site.name, plan, policy.as_ref()).map_err(anyhow::Error::msg)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_the_time_is_numbered_after_all_that_is_known_of_earlier_ones() {
        let restored = RestoredRecord { at_unix_ms: 7_000, backup_made: String::new() };
        for (now_ms, restored, wall_before_ms, expected) in [
            (9_000, Some(&restored), 8_000, 9_000),
            (0, Some(&restored), 8_000, 8_000),
            (0, Some(&restored), 6_000, 7_000),
            (0, None, 8_000, 8_000),
            (0, None, 0, 0),
        ] {
            assert_eq!(not_before(now_ms, restored, wall_before_ms), expected);
        }
    }
}
