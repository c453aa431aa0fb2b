//! One target, in this process: the corpus first, then changes of what is worth changing, until time is up.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clawmesh_lab::SplitMix64;

use crate::cpu_clock;
use crate::finding::shortened;
use crate::flight_recorder::FlightRecorder;
use crate::memory;
use crate::mutate::Shape;
use crate::pool::{Pool, index};
use crate::targets::Target;

/// How long one input may keep a thread working. Debug builds on a slow machine stay far below it.
const WORK_MAX: Duration = Duration::from_secs(4);
/// How long a finding is made shorter.
const SHORTEN_MAX: Duration = Duration::from_secs(20);
/// After this long an input is taken to have no end.
const NO_END_AFTER: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug)]
pub struct Order {
    /// For how long.
    pub time: Duration,
    /// The seed of all changes.
    pub seed: u64,
    /// The folder of the corpora of all targets.
    pub corpus: PathBuf,
    /// Where the input under way is written down.
    pub recorder: PathBuf,
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    /// How many inputs were tried.
    pub runs: u64,
    /// In how many ways they were answered.
    pub answers: usize,
    /// How long it took.
    pub took: Duration,
    /// The input that broke a promise, and the promise.
    pub broken: Option<(Vec<u8>, String)>,
}

/// Runs `target` as `order` says.
///
/// # Errors
/// When the corpus cannot be read or the recorder cannot be written.
pub fn run(target: &Target, order: &Order) -> anyhow::Result<Outcome> {
    let mut recorder = FlightRecorder::create(&order.recorder)
        .with_context(|| format!("cannot write {}", order.recorder.display()))?;
    let watch = Watch::begin(order.recorder.clone())?;
    let (begin, mut runs, mut pool) = (now(), 0, Pool::default());
    let mut try_one = |input: &[u8], pool: &mut Pool| -> anyhow::Result<Option<String>> {
        recorder.note(input).context("cannot write down the input")?;
        runs += 1;
        watch.step();
        Ok(match judged(target, input) {
            Ok(answer) => {
                pool.take(&answer, input);
                None
            }
            Err(broken) => Some(broken),
        })
    };
    let mut broken = None;
    for (_, input) in corpus_of(&order.corpus, target.name)? {
        let why = try_one(&input, &mut pool)?;
        pool.keep(input.clone());
        broken = broken.or(why.map(|why| (input, why)));
    }
    let mut rng = SplitMix64::new(order.seed);
    while broken.is_none() && begin.elapsed() < order.time {
        let input = next(target.shapes, &pool, &mut rng);
        broken = try_one(&input, &mut pool)?.map(|why| (input, why));
    }
    let took = begin.elapsed();
    let broken = broken.map(|(input, why)| {
        let begin = now();
        let short = shortened(&input, |shorter| {
            watch.step();
            let breaks = || judged(target, shorter).is_err_and(|other| kind_of(&other) == kind_of(&why));
            begin.elapsed() < SHORTEN_MAX && breaks()
        });
        (short, why)
    });
    Ok(Outcome { runs, answers: pool.answers(), took, broken })
}

/// A replay of one input: the answer, or the promise that it breaks.
///
/// # Errors
/// The broken promise.
pub fn judged(target: &Target, input: &[u8]) -> Result<String, String> {
    let before = cpu_clock::worked();
    let (outcome, most) = memory::most_during(|| caught(|| (target.check)(input)));
    let worked = cpu_clock::worked().saturating_sub(before);
    let answer = outcome?;
    let allowed = target.memory_bytes_max.saturating_add(input.len().saturating_mul(target.memory_per_byte));
    if most > allowed {
        return Err(format!(
            "{} bytes of input take {most} bytes of memory, at most {allowed} are all right",
            input.len()
        ));
    }
    if worked > WORK_MAX {
        return Err(format!("{} bytes of input keep a thread busy for {worked:?}", input.len()));
    }
    Ok(answer)
}

/// The inputs in the folder of a target, by name.
///
/// # Errors
/// When there is no such folder, or a file in it cannot be read.
pub fn corpus_of(corpus: &Path, target: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = corpus.join(target);
    let entries = std::fs::read_dir(&folder)
        .with_context(|| format!("target {target} has no corpus: {} cannot be read", folder.display()))?;
    let mut inputs = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        let input = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        inputs.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), input));
    }
    anyhow::ensure!(!inputs.is_empty(), "target {target} has no corpus: {} is empty", folder.display());
    inputs.sort();
    Ok(inputs)
}

fn next(shapes: &[Shape], pool: &Pool, rng: &mut SplitMix64) -> Vec<u8> {
    let shape = shapes[index(rng, shapes.len())];
    let donor = pool.any(rng);
    let input = pool.any(rng);
    shape.changed(input, donor, rng)
}

static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// From now on a panic is not printed but kept for the finding: thousands are tried to make an input shorter.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
    }));
}

fn caught(check: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| {
        let told = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(told.unwrap_or_else(|| words_of(&*panic)))
    })
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", words.unwrap_or("without a word"))
}

/// The promise without what follows from the input alone.
fn kind_of(broken: &str) -> String {
    broken.chars().filter(|c| !c.is_ascii_digit()).take(120).collect()
}

#[expect(clippy::disallowed_methods, reason = "a fuzzer runs for a time; no answer depends on it")]
fn now() -> Instant {
    Instant::now()
}

/// Ends the process when an input has no end; whoever watches the process finds the input in the recorder.
struct Watch(Arc<AtomicU64>);

impl Watch {
    fn begin(recorder: PathBuf) -> anyhow::Result<Self> {
        let steps = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&steps);
        let watch = move || {
            let mut last = (0, now());
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let step = seen.load(Ordering::Relaxed);
                if step != last.0 {
                    last = (step, now());
                } else if last.1.elapsed() > NO_END_AFTER && recorder.exists() {
                    std::process::abort();
                }
            }
        };
        std::thread::Builder::new().name("watch".to_owned()).spawn(watch).context("cannot start a thread")?;
        Ok(Self(steps))
    }

    fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
