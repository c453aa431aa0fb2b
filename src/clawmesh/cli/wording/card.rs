//! A card, drawn in the terminal.

use clawmesh_twin::card::{Card, Clearance, Spread, Verdict};

use crate::cli::table::plain;

/// The card on a page: the word, the reasons, the numbers, and what the twin did not think of.
pub fn page(card_hash: &str, card: &Card) -> String {
    let mut lines = vec![format!("card {}  {}", &card_hash[..8], word(card.verdict))];
    lines.extend(card.reasons.iter().map(|reason| format!("  ! {}", plain(&reason.sentence()))));
    let names = card.tanks.keys().chain(card.zones.keys()).chain(card.bands.keys());
    let width = names.map(|name| name.as_str().len()).fold("first water".len(), usize::max);
    let mut row = |name: &str, text: String| lines.push(format!("  {name:<width$}  {text}"));
    row("water", format!("{} L, without it {:.0} L", spread(card.litres, 0), card.otherwise_litres));
    row("energy", format!("{} Wh", spread(card.energy_wh, 0)));
    for (name, tank) in &card.tanks {
        row(name.as_str(), format!("{:.1} % → {} %", tank.before_percent, spread(tank.after_percent, 1)));
    }
    for (name, zone) in &card.zones {
        let wet = match (zone.before_percent, zone.after_percent) {
            (Some(before), Some(after)) => format!(", soil {before:.1} % → {} %", spread(after, 1)),
            _ => ", nobody measured its soil".to_owned(),
        };
        row(name.as_str(), format!("{} L{wet}", spread(zone.litres, 0)));
    }
    for (name, place) in &card.bands {
        let (flow, pressure) = (place.flow_lpm, place.pressure_kpa);
        let flow = format!("{:.1} to {:.1} L/min", flow.low, flow.high);
        row(name.as_str(), format!("{flow}, {:.0} to {:.0} kPa while it runs", pressure.low, pressure.high));
    }
    if let Some(first_flow_s) = card.first_flow_s {
        row("first water", format!("after {first_flow_s:.0} s, the filling of pipes not counted"));
    }
    if let Some(near) = &card.clearance {
        row("nearest", nearest(near));
    }
    row(
        "looked",
        format!(
            "{:.0} s ahead in steps of {:.0} s, {} of {} rollouts, worst is {}",
            card.horizon_s, card.step_s, card.rollouts_reached, card.rollouts_asked, card.worst_rollout
        ),
    );
    row("confidence", format!("{:.2}", card.confidence));
    lines.push("  not thought of:".to_owned());
    lines.extend(card.not_modelled.iter().map(|what| format!("    {}", plain(what))));
    lines.join("\n")
}

pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS: nothing speaks against it",
        Verdict::Caution => "CAUTION: read the reasons",
        Verdict::Veto => "VETO: it must not be done",
    }
}

/// Who was not seen for long may be anywhere, also right there.
fn nearest(near: &Clearance) -> String {
    if near.clearance_m <= 0.0 {
        return format!("{} may be at {}", near.to, near.of);
    }
    format!("{} to {}, {:.1} m", near.of, near.to, near.clearance_m)
}

/// `158 … 166 … 175`: hardly ever less, the middle, hardly ever more.
fn spread(spread: Spread, digits: usize) -> String {
    let Spread { p05, p50, p95 } = spread;
    if p05 == p95 {
        return format!("{p50:.digits$}");
    }
    format!("{p05:.digits$} … {p50:.digits$} … {p95:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_shows_its_ends_unless_they_are_one() {
        assert_eq!(spread(Spread { p05: 1.0, p50: 2.26, p95: 3.0 }, 1), "1.0 … 2.3 … 3.0");
        assert_eq!(spread(Spread { p05: 2.0, p50: 2.0, p95: 2.0 }, 0), "2");
    }
}
