//! `clawmesh credential`: secrets for services outside of the mesh, at the console of the node.
//! Reads `credentials.ron` of the state dir, and standard input when asked to. Writes that file.
//! Invariant: no value is printed unless somebody says --reveal.
//! Not here: the form of the file (`config::credentials_file`).

pub mod args;

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::args::Output;
use super::table::{plain, table};
use super::terminal::{complain, say, say_json};
use crate::config::credentials_file::{
    self, Credential, Credentials, Secret, VALUE_BYTES_MAX, key_of, label_of,
};
use crate::config::state_dir::StateDir;
use crate::moments::system_time;
use args::{CredentialCommand, DeleteArgs, GetArgs, SetArgs};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: CredentialCommand) -> anyhow::Result<ExitCode> {
    match command {
        CredentialCommand::Set(args) => set(&StateDir::locate(state_dir)?, &args)?,
        CredentialCommand::Get(args) => get(&StateDir::find(state_dir)?, &args)?,
        CredentialCommand::List(output) => list(&StateDir::find(state_dir)?, output)?,
        CredentialCommand::Delete(args) => delete(&StateDir::find(state_dir)?, &args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One credential, for programs.
#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    label: Option<&'a str>,
    added: &'a str,
    /// The secret itself with --reveal, and otherwise how long it is.
    value: String,
    is_revealed: bool,
}

impl<'a> Row<'a> {
    fn of(key: &'a str, credential: &'a Credential, is_revealed: bool) -> Self {
        let Credential { value, label, added } = credential;
        let value = if is_revealed { value.reveal().to_owned() } else { value.to_string() };
        Self { key, label: label.as_deref(), added, value, is_revealed }
    }
}

/// What a change has come to.
#[derive(Serialize)]
struct Change {
    key: String,
    /// False when there was one under this key already, or none to forget.
    changed: bool,
    credentials_file: PathBuf,
}

fn set(dir: &StateDir, args: &SetArgs) -> anyhow::Result<()> {
    let key = key_of(&args.key).map_err(anyhow::Error::msg)?;
    let label = args.label.as_deref().map(label_of).transpose().map_err(anyhow::Error::msg)?;
    let text = match &args.value {
        Some(value) => value.clone(),
        None => typed()?,
    };
    let value = Secret::new(&text).map_err(anyhow::Error::msg)?;
    let is_new = credentials_file::set(dir, &key, value, label, system_time())?;
    if args.value.is_some() {
        complain(
            "clawmesh: the history of the shell may keep what stands on the command line; --from-stdin is better",
        );
    }
    tell(dir, key, is_new, args.output, if is_new { "kept" } else { "replaced" })
}

/// What standard input holds, up to a little more than a value may have.
fn typed() -> anyhow::Result<String> {
    let mut content = Vec::new();
    let at_most = VALUE_BYTES_MAX as u64 + 3;
    std::io::stdin()
        .lock()
        .take(at_most)
        .read_to_end(&mut content)
        .context("standard input cannot be read")?;
    String::from_utf8(content).map_err(|_| anyhow::anyhow!("what came from standard input is no text"))
}

fn tell(dir: &StateDir, key: String, changed: bool, output: Output, word: &str) -> anyhow::Result<()> {
    let change = Change { key, changed, credentials_file: dir.credentials_file() };
    if output.json {
        return say_json(&change);
    }
    say(&format!("{word:9}  {}", change.key));
    say(&format!("in         {}", change.credentials_file.display()));
    Ok(())
}

fn get(dir: &StateDir, args: &GetArgs) -> anyhow::Result<()> {
    let all = credentials_file::load(dir)?;
    let (key, credential) = found(&all, &args.key)?;
    let row = Row::of(key, credential, args.reveal);
    if args.output.json {
        return say_json(&row);
    }
    if args.reveal {
        say(&row.value);
        return Ok(());
    }
    say(&format!("key        {}", row.key));
    say(&format!("label      {}", plain(row.label.unwrap_or("-"))));
    say(&format!("added      {}", plain(row.added)));
    say(&format!("value      {}; --reveal prints it", row.value));
    Ok(())
}

fn found<'a>(all: &'a Credentials, key: &str) -> anyhow::Result<(&'a str, &'a Credential)> {
    let key = key_of(key).map_err(anyhow::Error::msg)?;
    match all.get_key_value(&key) {
        Some((key, credential)) => Ok((key, credential)),
        None => bail!("no credential is kept as {key}; see `clawmesh credential list`"),
    }
}

fn list(dir: &StateDir, output: Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Answer<'a> {
        credentials: Vec<Row<'a>>,
    }
    let all = credentials_file::load(dir)?;
    let answer = Answer { credentials: all.iter().map(|(key, one)| Row::of(key, one, false)).collect() };
    if output.json {
        return say_json(&answer);
    }
    if answer.credentials.is_empty() {
        let root = dir.root().display();
        say(&format!(
            "no credential is kept in {root}; `clawmesh credential set KEY --from-stdin` keeps one"
        ));
        return Ok(());
    }
    let row = |row: &Row| {
        let cells = [row.key, row.label.unwrap_or("-"), row.added, &row.value];
        cells.map(plain).to_vec()
    };
    let rows: Vec<_> = answer.credentials.iter().map(row).collect();
    say(&table(&["key", "label", "added", "value"], &rows));
    Ok(())
}

fn delete(dir: &StateDir, args: &DeleteArgs) -> anyhow::Result<()> {
    let key = key_of(&args.key).map_err(anyhow::Error::msg)?;
    if !credentials_file::delete(dir, &key)? {
        bail!("no credential is kept as {key}; see `clawmesh credential list`");
    }
    tell(dir, key, true, args.output, "forgotten")
}
