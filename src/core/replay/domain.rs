//! A name for every entity that means the same on every machine and in every run.

use bevy::prelude::Component;

/// The name of an entity in digests: made from what it is about, never from its `Entity` bits.
#[derive(Component, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[component(immutable)]
pub struct DomainId([u8; 16]);

impl DomainId {
    /// The name of the thing of `kind` that `parts` identify.
    #[must_use]
    pub fn of(kind: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in std::iter::once(kind.as_bytes()).chain(parts.iter().copied()) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        Self(name)
    }

    /// The bytes that go into digests.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(DomainId::of("sensor", &[b"ab", b"c"]), DomainId::of("sensor", &[b"a", b"bc"]));
        assert_ne!(DomainId::of("sensor", &[b"a"]), DomainId::of("belief", &[b"a"]));
        assert_eq!(DomainId::of("sensor", &[b"a"]), DomainId::of("sensor", &[b"a"]));
    }
}
