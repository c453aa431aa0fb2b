//! Zones that are thought about, and the way of wishes out of the tick.

use bevy::prelude::{Component, Resource};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::attention::Attention;
use super::wish::{Wish, Wishes};

/// A zone that the site tells how to water, by its name; the entity never becomes another.
#[derive(
    Component, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
#[require(Attention)]
pub struct IrrigatedZone(#[n(0)] pub String);

/// The wishes of this tick.
#[derive(Resource, Debug, Default)]
pub struct WishesDue(pub Vec<Wish>);

/// The way to whoever asks the owners.
#[derive(Resource)]
pub struct PlannerPort(pub Box<dyn Wishes>);
