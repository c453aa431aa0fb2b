//! What a tick costs: empty with 1,000 sensors, with and without a digest, and with 1,000 new readings.
//!
//! `cargo bench -p clawmesh-core --bench tick`
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the monotonic clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use clawmesh_authority::{Capability, NodeId, SensorSpec, Tier, Unit};
use clawmesh_core::intake::{Input, InputBody, Sample, SourceId, StampedInput};
use clawmesh_core::{Core, Settings};
use criterion::{Criterion, criterion_group, criterion_main};

const SENSORS: usize = 1_000;
const START_MS: u64 = 1_800_000_000_000;

fn capability(n: usize) -> Capability {
    Capability::new(&format!("sensor:soil-moisture:probe-{n}")).expect("it is well-formed")
}

fn spec(n: usize) -> SensorSpec {
    SensorSpec {
        sensor: capability(n),
        quantity: "soil moisture".to_owned(),
        unit: Unit::Percent,
        period_ms: 1_000,
        range: Some((0.0, 100.0)),
        stuck_after_ms: None,
        about: None,
    }
}

fn sample(n: usize, value: f64) -> Sample {
    Sample { sensor: capability(n), value, unit: Unit::Percent, origin_ms: START_MS, tier: Tier::T2 }
}

/// A world with 1,000 described sensors that have all spoken once.
struct World {
    core: Core,
    sequence: u64,
}

impl World {
    fn new(digest_every_ticks: u64) -> Self {
        let settings = Settings {
            digest_every_ticks,
            ..Settings::of_first_run(NodeId([7; 32]), "bench", "bench", "bench")
        };
        let mut world = Self { core: Core::replaying(settings, 1), sequence: 0 };
        world.tick(vec![
            InputBody::ClockSampled { unix_ms: START_MS, up_ms: 0 },
            InputBody::SensorsDeclared((0..SENSORS).map(spec).collect()),
        ]);
        world.tick(vec![InputBody::Sampled((0..SENSORS).map(|n| sample(n, 50.0)).collect())]);
        world
    }

    fn tick(&mut self, bodies: Vec<InputBody>) {
        let tick = self.core.tick_number() + 1;
        let stamped = bodies.into_iter().map(|body| {
            self.sequence += 1;
            let input = Input { source: SourceId::HostSensors, sequence: self.sequence, body };
            StampedInput { journal_sequence: self.sequence, tick, input }
        });
        let inputs = stamped.collect();
        self.core.feed(inputs);
        self.core.tick();
    }

    fn read_all(&mut self, value: f64) {
        self.tick(vec![InputBody::Sampled((0..SENSORS).map(|n| sample(n, value)).collect())]);
    }
}

fn criterion_groups(c: &mut Criterion) {
    let mut group = c.benchmark_group("tick with 1,000 sensors");
    let (mut plain, mut digested) = (World::new(u64::MAX), World::new(1));
    group.bench_function("empty, no digest", |b| b.iter(|| plain.tick(black_box(Vec::new()))));
    group.bench_function("empty, digest", |b| b.iter(|| digested.tick(black_box(Vec::new()))));
    let mut value = 0.0;
    group.bench_function("1,000 new readings, digest", |b| {
        b.iter(|| {
            value += 0.001;
            digested.read_all(black_box(value));
        });
    });
    group.finish();
    report();
}

/// The median of many single ticks, in microseconds.
fn median_us(mut tick: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..2_001)
        .map(|_| {
            let begun = Instant::now();
            tick();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn report() {
    let (mut plain, mut digested) = (World::new(u64::MAX), World::new(1));
    let mut rounds: Vec<(f64, f64)> = (0..5)
        .map(|_| (median_us(|| plain.tick(Vec::new())), median_us(|| digested.tick(Vec::new()))))
        .collect();
    rounds.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (without, with) = rounds[rounds.len() / 2];
    let share = (with - without).max(0.0) / with * 100.0;
    println!("empty tick, {SENSORS} sensors: {with:.0} us, the digest's share {share:.0} %");
}

criterion_group!(benches, criterion_groups);
criterion_main!(benches);
