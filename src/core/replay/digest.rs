//! One 64-bit digest for each component type, kept as the world changes.
//!
//! A type's digest is the wrapping sum, over its entities, of a hash of (type name, domain id, canonical
//! bytes). A sum does not care for order, so it can be kept by subtracting the old hash and adding the new
//! one of whatever changed. It finds every difference that comes about by error; 64 bits and a sum are no proof
//! against somebody who searches for worlds that collide.

use std::any::TypeId;
use std::collections::BTreeMap;

use bevy::ecs::change_detection::Tick as ChangeTick;
use bevy::ecs::entity::EntityHashMap;
use bevy::ecs::relationship::Relationship;
use bevy::prelude::*;
use minicbor::Encode;

use super::domain::DomainId;
use super::journal::DigestRecord;

/// Registers what is digested and what is not.
pub trait DigestApp {
    /// Digests every `C`; its entities must have a [`DomainId`].
    fn digest_component<C: Component + Encode<()>>(&mut self, name: &'static str) -> &mut Self;
    /// Digests where every `R` points to, by the target's [`DomainId`].
    fn digest_relation<R: Relationship>(&mut self, name: &'static str) -> &mut Self;
    /// Digests a resource.
    fn digest_resource<R: Resource + Encode<()>>(&mut self, name: &'static str) -> &mut Self;
    /// States why a component or resource is not digested.
    fn exclude_from_digest<C: 'static>(&mut self, reason: &'static str) -> &mut Self;
}

impl DigestApp for App {
    fn digest_component<C: Component + Encode<()>>(&mut self, name: &'static str) -> &mut Self {
        registry(self).register::<C>(name, Box::new(OfComponent::<C>::new(name, encode_component::<C>)));
        self
    }

    fn digest_relation<R: Relationship>(&mut self, name: &'static str) -> &mut Self {
        registry(self).register::<R>(name, Box::new(OfComponent::<R>::new(name, encode_target::<R>)));
        self
    }

    fn digest_resource<R: Resource + Encode<()>>(&mut self, name: &'static str) -> &mut Self {
        registry(self).register::<R>(name, Box::new(OfResource::<R>::new(name)));
        self
    }

    fn exclude_from_digest<C: 'static>(&mut self, reason: &'static str) -> &mut Self {
        registry(self).excluded.insert(TypeId::of::<C>(), reason);
        self
    }
}

fn registry(app: &mut App) -> Mut<'_, DigestRegistry> {
    app.world_mut().get_resource_or_init::<DigestRegistry>()
}

/// Everything that is digested, by name, and everything that is not, with the reason.
#[derive(Resource, Default)]
pub struct DigestRegistry {
    types: BTreeMap<&'static str, Box<dyn Digested>>,
    names: BTreeMap<TypeId, &'static str>,
    excluded: BTreeMap<TypeId, &'static str>,
}

trait Digested: Send + Sync {
    /// Takes in what changed since the last call and gives the digest.
    fn refresh(&mut self, world: &mut World) -> u64;
    /// Forgets everything and computes the digest anew.
    fn recompute(&mut self, world: &mut World) -> u64;
}

impl DigestRegistry {
    fn register<C: 'static>(&mut self, name: &'static str, digested: Box<dyn Digested>) {
        let taken = self.types.insert(name, digested).is_some();
        assert!(!taken, "two types are digested under the name {name}");
        self.names.insert(TypeId::of::<C>(), name);
    }

    /// The name a type is digested under, if it is.
    #[must_use]
    pub fn name_of(&self, type_id: TypeId) -> Option<&'static str> {
        self.names.get(&type_id).copied()
    }

    /// Why a type is not digested, if somebody said so.
    #[must_use]
    pub fn exclusion_of(&self, type_id: TypeId) -> Option<&'static str> {
        self.excluded.get(&type_id).copied()
    }

    /// The names of all digested types.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.types.keys().copied()
    }

    /// The digests of the world as it is, from what changed since the last call.
    pub fn refresh(&mut self, world: &mut World, tick: u64) -> DigestRecord {
        self.collect(world, tick, |digested, world| digested.refresh(world))
    }

    /// The digests of the world as it is, from nothing but the world.
    pub fn recompute(&mut self, world: &mut World, tick: u64) -> DigestRecord {
        self.collect(world, tick, |digested, world| digested.recompute(world))
    }

    fn collect(
        &mut self,
        world: &mut World,
        tick: u64,
        mut digest: impl FnMut(&mut dyn Digested, &mut World) -> u64,
    ) -> DigestRecord {
        let types: Vec<(String, u64)> = self
            .types
            .iter_mut()
            .map(|(name, digested)| ((*name).to_owned(), digest(digested.as_mut(), world)))
            .collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&tick.to_le_bytes());
        for (name, digest) in &types {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hasher.update(&digest.to_le_bytes());
        }
        DigestRecord { tick, total: first_64_bits(&hasher), types }
    }
}

fn first_64_bits(hasher: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

fn hash_of(name: &str, domain: &[u8], bytes: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    hasher.update(&(domain.len() as u64).to_le_bytes()).update(domain);
    hasher.update(bytes);
    first_64_bits(&hasher)
}

type EncodeInto<C> = fn(&C, &World, &mut Vec<u8>);

fn encode_component<C: Encode<()>>(component: &C, _: &World, bytes: &mut Vec<u8>) {
    write_canonical(component, bytes);
}

fn encode_target<R: Relationship>(relation: &R, world: &World, bytes: &mut Vec<u8>) {
    let target = world.get::<DomainId>(relation.get());
    bytes.extend_from_slice(target.expect("every entity of the core has a DomainId").bytes());
}

fn write_canonical<T: Encode<()>>(value: &T, bytes: &mut Vec<u8>) {
    // A Vec takes every write; the error type is `Infallible` and cannot be built.
    let _: Result<(), minicbor::encode::Error<std::convert::Infallible>> = minicbor::encode(value, bytes);
}

struct OfComponent<C: Component> {
    name: &'static str,
    encode: EncodeInto<C>,
    query: Option<QueryState<(Entity, Option<&'static DomainId>, Ref<'static, C>)>>,
    hashes: EntityHashMap<u64>,
    sum: u64,
    seen: Option<ChangeTick>,
}

impl<C: Component> OfComponent<C> {
    fn new(name: &'static str, encode: EncodeInto<C>) -> Self {
        Self { name, encode, query: None, hashes: EntityHashMap::default(), sum: 0, seen: None }
    }

    /// Returns how many entities have the component now.
    fn take_changes(&mut self, world: &mut World) -> usize {
        let now = world.change_tick();
        let mut query = self.query.take().unwrap_or_else(|| world.query());
        let (mut count, mut bytes) = (0, Vec::with_capacity(256));
        for (entity, domain, component) in query.iter(world) {
            count += 1;
            let is_news = self.seen.is_none_or(|seen| component.last_changed().is_newer_than(seen, now));
            if !is_news {
                continue;
            }
            bytes.clear();
            (self.encode)(&component, world, &mut bytes);
            let domain = domain.expect("every entity of the core has a DomainId");
            let hash = hash_of(self.name, domain.bytes(), &bytes);
            let before = self.hashes.insert(entity, hash).unwrap_or(0);
            self.sum = self.sum.wrapping_sub(before).wrapping_add(hash);
        }
        self.query = Some(query);
        self.seen = Some(now);
        count
    }
}

impl<C: Component> Digested for OfComponent<C> {
    fn refresh(&mut self, world: &mut World) -> u64 {
        // A removed component leaves its hash behind; then the counts differ and everything is redone.
        if self.take_changes(world) != self.hashes.len() {
            return self.recompute(world);
        }
        self.sum
    }

    fn recompute(&mut self, world: &mut World) -> u64 {
        self.hashes.clear();
        (self.sum, self.seen) = (0, None);
        self.take_changes(world);
        self.sum
    }
}

struct OfResource<R: Resource> {
    name: &'static str,
    digest: u64,
    seen: Option<ChangeTick>,
    of: std::marker::PhantomData<fn(R)>,
}

impl<R: Resource> OfResource<R> {
    fn new(name: &'static str) -> Self {
        Self { name, digest: 0, seen: None, of: std::marker::PhantomData }
    }
}

impl<R: Resource + Encode<()>> Digested for OfResource<R> {
    fn refresh(&mut self, world: &mut World) -> u64 {
        let now = world.change_tick();
        match world.get_resource_ref::<R>() {
            Some(resource) => {
                if self.seen.is_none_or(|seen| resource.last_changed().is_newer_than(seen, now)) {
                    let mut bytes = Vec::with_capacity(64);
                    write_canonical(&*resource, &mut bytes);
                    self.digest = hash_of(self.name, &[], &bytes);
                }
            }
            None => self.digest = 0,
        }
        self.seen = Some(now);
        self.digest
    }

    fn recompute(&mut self, world: &mut World) -> u64 {
        self.seen = None;
        self.refresh(world)
    }
}
