//! Which guests were lost and which are back since they were looked at last. Pure.

use std::collections::BTreeSet;

use clawmesh_authority::NodeId;
use clawmesh_core::guests::{GuestRow, GuestState};

/// Those that were lost when they were looked at last.
#[derive(Debug, Default)]
pub struct GuestNews(BTreeSet<NodeId>);

/// One piece of news about a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Which.
    pub guest: NodeId,
    /// True when it is back, false when it is lost.
    pub is_back: bool,
    /// What has happened, for people.
    pub words: String,
}

impl GuestNews {
    /// What is new. One that was lost and then left, or was forgotten, is no news.
    pub fn look(&mut self, guests: &[GuestRow]) -> Vec<News> {
        let mut news = Vec::new();
        let mut lost = BTreeSet::new();
        for row in guests {
            let name = row.profile.name.as_deref().unwrap_or("a node");
            let was_lost = self.0.contains(&row.id);
            match row.state {
                GuestState::Lost => {
                    lost.insert(row.id);
                    if !was_lost {
                        let words = format!("{name} is lost: nothing is heard of it");
                        news.push(News { guest: row.id, is_back: false, words });
                    }
                }
                GuestState::Alive if was_lost => {
                    let words = format!("{name} is back, it was lost");
                    news.push(News { guest: row.id, is_back: true, words });
                }
                // Nobody is back before it is heard.
                GuestState::Suspect if was_lost => {
                    lost.insert(row.id);
                }
                GuestState::Alive | GuestState::Suspect | GuestState::Left => {}
            }
        }
        self.0 = lost;
        news
    }
}

#[cfg(test)]
mod tests {
    use clawmesh_core::guests::GuestProfile;

    use super::*;

    fn row(state: GuestState) -> GuestRow {
        let profile = GuestProfile {
            name: Some("pump".to_owned()),
            role: "field".to_owned(),
            capabilities: Vec::new(),
            is_outbound: false,
            label: None,
            connected_ms: 0,
            signed_ms: None,
        };
        GuestRow { id: NodeId([7; 32]), profile, state, is_connected: true, heard_ms: 0 }
    }

    #[test]
    fn a_guest_is_told_once_when_it_is_lost_and_once_when_it_is_back() {
        let mut news = GuestNews::default();
        let mut told = |states: &[GuestState]| -> Vec<String> {
            let looks = states.iter().flat_map(|state| news.look(&[row(*state)]));
            looks.map(|news| news.words).collect()
        };
        use GuestState::{Alive, Left, Lost, Suspect};
        let (lost, back) = ("pump is lost: nothing is heard of it", "pump is back, it was lost");
        assert_eq!(told(&[Alive, Suspect, Alive, Suspect]), [""; 0]);
        assert_eq!(told(&[Lost, Lost, Suspect, Lost, Suspect, Alive, Alive]), [lost, back]);
        assert_eq!(told(&[Lost, Left, Alive]), [lost], "what has left has left");
    }
}
