//! `clawmesh demo`: a command center and a farm as two processes on this machine, their live readings, and the proof.
//! Reads the gateways of the two nodes. Writes two throw-away state dirs and the terminal.
//! Invariant: what is shown came through both processes' real doors; nothing of the demo stays behind.
//! Not here: the nodes themselves (`headless`).

mod child;
mod ending;
mod person;
mod show;
mod story;

use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clawmesh_authority::{ContentHash, NodeId, ProposalId};
use clawmesh_core::intake::LinkState;
use clawmesh_gateway::{Proposals, Status, World};
use clawmesh_twin::card::Card;

use super::args::DemoArgs;
use super::client::{Client, block_on};
use super::progress::Progress;
use super::terminal::{complain, say};
use super::wording;
use crate::config::farm;
use crate::config::settings::planning;
use crate::moments::now;

use child::Child;
use ending::Ending;
use person::Person;
use story::Story;

/// How long the two nodes may take to find each other.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
const INTERRUPTED: &str = "interrupted before the recordings were verified";

/// How much faster than the wall the time of the plant runs, so that a minute shows what takes ten.
const PLANT_SPEED: &str = "10";

/// Runs the command. Success means: readings of both nodes were seen, both recordings replay, and with `--approve` a sensor
/// confirmed what was approved.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    if !planning::IS_BUILT {
        bail!(
            "the demo shows a planner, and this program was built without one; build it with its default features"
        );
    }
    // Before there is anything to tidy up.
    let ending = Ending::watch()?;
    let folder = Folder::new(args.keep.as_deref())?;
    let center = Child::prepare(farm::COMMAND_CENTER, &folder.path)?;
    let field = Child::prepare(farm::FIELD_NODE, &folder.path)?;
    let nodes = [(farm::COMMAND_CENTER, center.id), (farm::FIELD_NODE, field.id)];
    center.give_site(&nodes)?;
    field.give_site(&nodes)?;
    let person = args.approve.then(|| Person::enrolled(&folder.path, field.root())).transpose()?;
    let center = center.start(&["start", "--role", "command-center", "--host-sensors"], field.id, &[])?;
    let endpoint = wait_for_endpoint(&center, &ending)?;
    let field = field.start(&["plant", "--speed", PLANT_SPEED], center.id, &[endpoint])?;
    wait_for_readings(&center, &field, &ending)?;
    say(&format!("\n  The live page: {}\n", center.page()?));
    let told = watch(&center, person.as_ref(), args.length, &ending)?;
    say("stopping both nodes");
    let dirs = [field.stop()?, center.stop()?];
    let verified = verify(&dirs, &ending)?;
    if person.is_some() && !told.is_confirmed() {
        complain(&unconfirmed(&told));
        return Ok(ExitCode::FAILURE);
    }
    Ok(verified)
}

fn unconfirmed(told: &Story) -> String {
    match told.report() {
        None => "clawmesh: nothing was proposed in this time; give it more with `--for`".to_owned(),
        Some(report) => {
            let last = report.story.last().map_or(String::new(), |entry| format!(": {}", entry.words));
            format!("clawmesh: no sensor confirmed {}; it is {}{last}", report.id.short(), report.state)
        }
    }
}

/// The folder of the two state dirs.
struct Folder {
    path: PathBuf,
    _throw_away: Option<tempfile::TempDir>,
}

impl Folder {
    fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(keep) = keep else {
            let made = tempfile::Builder::new().prefix("clawmesh-demo-").tempdir()?;
            return Ok(Self { path: made.path().to_owned(), _throw_away: Some(made) });
        };
        std::fs::create_dir_all(keep).with_context(|| format!("cannot make {}", keep.display()))?;
        if std::fs::read_dir(keep)?.next().is_some() {
            bail!("{} is not empty; name an empty or new folder", keep.display());
        }
        Ok(Self { path: keep.to_owned(), _throw_away: None })
    }
}

fn wait_for<T>(
    what: &str,
    ending: &Ending,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let (begun, mut progress) = (now(), Progress::begin());
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if ending.is_asked() {
            bail!("interrupted while waiting for {what}");
        }
        progress.tell(|| {
            format!("waiting for {what}, {} of {} s", begun.elapsed().as_secs(), PATIENCE.as_secs())
        });
        if begun.elapsed() > PATIENCE {
            bail!("{what} did not happen within {} s; the lines above may say why", PATIENCE.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

fn wait_for_endpoint(center: &Child, ending: &Ending) -> anyhow::Result<String> {
    wait_for("the command center opening its session", ending, || {
        let Some(client) = center.client()? else { return Ok(None) };
        let status: Status = match block_on(client.get("/api/status")) {
            Ok(status) => status,
            Err(_) => return Ok(None),
        };
        match status.link {
            LinkState::Open { listen } => Ok(listen.into_iter().next()),
            LinkState::Failed { sentence } => bail!("{sentence}"),
            LinkState::Connecting => Ok(None),
        }
    })
}

fn wait_for_readings(center: &Child, field: &Child, ending: &Ending) -> anyhow::Result<()> {
    let client = center.client()?.context("the command center is gone")?;
    wait_for("readings of both nodes", ending, || {
        let world: World = block_on(client.get("/api/world"))?;
        let speaks = |id: NodeId| world.sensors.iter().any(|row| row.node == id && row.value.is_some());
        Ok((speaks(center.id) && speaks(field.id)).then_some(()))
    })
}

fn watch(
    center: &Child,
    person: Option<&Person>,
    length: Option<Duration>,
    ending: &Ending,
) -> anyhow::Result<Story> {
    let client: Client = center.client()?.context("the command center is gone")?;
    let (mut show, mut story) = (show::Show::new(), Story::default());
    let mut answered = None;
    let (begun, mut drawn) = (now(), None);
    while !ending.is_asked() && length.is_none_or(|length| begun.elapsed() < length) {
        let answers = block_on(async {
            let world: World = client.get("/api/world").await?;
            let known: Proposals = client.get("/api/proposals").await?;
            anyhow::Ok((world, known))
        });
        let (world, known) = match answers {
            // Ctrl-C reaches the nodes as it reaches us, and sometimes sooner.
            Err(_) if is_asked_soon(ending) => return Ok(story),
            answers => answers?,
        };
        let news = story.update(&known.proposals);
        if !news.is_empty() {
            show.tell(&news.join("\n"));
        }
        match (person, story.offer()) {
            (Some(person), Some(offer)) if answered != Some(offer.nonce) => {
                answered = Some(offer.nonce);
                show.tell(&card_of(&story));
                show.tell(&person.approve(center.root(), offer.proposal, offer.card)?);
            }
            (None, Some(offer)) if answered != Some(offer.nonce) => {
                answered = Some(offer.nonce);
                show.tell(&card_of(&story));
                show.tell(&how_to_approve(offer.proposal, center.root()));
            }
            _ => {}
        }
        if person.is_some() && story.has_ended() {
            break;
        }
        if drawn.is_none_or(|drawn| now() >= drawn + show::PERIOD) {
            show.update(&world);
            drawn = Some(now());
        }
        nap(POLL, ending);
    }
    Ok(story)
}

/// The card that is asked about, drawn as `clawmesh show` draws it.
fn card_of(story: &Story) -> String {
    let bytes = story.report().and_then(|report| report.card.as_deref()).unwrap_or_default();
    match Card::from_bytes(bytes) {
        Ok(card) => wording::card::page(&ContentHash(card.hash()).to_string(), &card),
        Err(why) => why,
    }
}

fn how_to_approve(proposal: ProposalId, center: &Path) -> String {
    let (id, dir) = (proposal.short(), center.display());
    format!(
        "  Nobody is enrolled in this demo, so nobody can approve it: `clawmesh demo --approve` plays the operator.\n  \
         Look at it closer: clawmesh --state-dir {dir} show {id}"
    )
}

fn is_asked_soon(ending: &Ending) -> bool {
    nap(POLL, ending);
    ending.is_asked()
}

fn nap(length: Duration, ending: &Ending) {
    let begun = now();
    while begun.elapsed() < length && !ending.is_asked() {
        std::thread::sleep(POLL.min(length));
    }
}

/// Each recording is replayed by a fresh process, with its own eyes.
fn verify(dirs: &[PathBuf], ending: &Ending) -> anyhow::Result<ExitCode> {
    let asked_before = ending.count();
    let program = std::env::current_exe()?;
    let mut is_proven = true;
    for dir in dirs {
        if ending.is_at_once() {
            bail!("{INTERRUPTED}");
        }
        say(&format!("\nreplaying {}", dir.display()));
        let mut replay = Command::new(&program);
        replay.arg("replay").arg(dir).args(["--verify", "--resimulate"]).stdin(Stdio::null());
        let status = wait_unless(replay.spawn()?, || ending.count() > asked_before)?;
        // A replay that was stopped found nothing, neither good nor bad.
        let Some(code) = status.code() else { bail!("{INTERRUPTED}") };
        is_proven &= code == 0;
    }
    if !is_proven {
        complain("clawmesh: a recording does not replay; this is a defect worth reporting");
    }
    Ok(if is_proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for the end of a process, and ends it when that `is_asked`.
fn wait_unless(mut process: Process, is_asked: impl Fn() -> bool) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = process.try_wait()? {
            return Ok(status);
        }
        if is_asked() {
            process.kill()?;
            return process.wait();
        }
        std::thread::sleep(POLL);
    }
}
