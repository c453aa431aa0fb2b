//! What became of frames, by reason.

use serde::Serialize;

/// One direction between two ports. `offered + duplicated = delivered + queued` and everything between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LinkCounts {
    /// Frames that were to go this way.
    pub offered: u64,
    /// Copies made on the way.
    pub duplicated: u64,
    /// Handed out at the far end.
    pub delivered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// The two ends could not hear each other, when it left or when it was to arrive.
    pub partitioned: u64,
    /// For the UDP port that the link does not pass.
    pub blocked: u64,
    /// The link had too much waiting already.
    pub link_full: u64,
    /// All links together had too much waiting already.
    pub switch_full: u64,
    /// On the way now.
    pub queued: u64,
}

impl LinkCounts {
    /// Frames and copies that will never arrive.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lost + self.partitioned + self.blocked + self.link_full + self.switch_full
    }
}

/// Frames that came in at a port and never reached a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PortCounts {
    /// Frames that came in.
    pub received: u64,
    /// Too short, too long, or sent by a group.
    pub malformed: u64,
    /// Addressed to the port it came from.
    pub looped: u64,
    /// Went to one port, the one where its address had been seen.
    pub switched: u64,
    /// Went to all other ports.
    pub flooded: u64,
}
