//! A node as its clients see it: HTTP over TCP on loopback, the token, fixed answers, and everything it is sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::cli::{Said, at_terminal, end_of, program};

const TOKEN: &str = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";

/// What was posted.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The path.
    pub path: String,
    /// What the client says it is.
    pub content_type: String,
    /// The bytes.
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<BTreeMap<String, (u16, Value)>>,
    posted: Mutex<Vec<Posted>>,
    asked: Mutex<Vec<String>>,
}

/// A stand-in and the state dir of somebody who asks it. It ends with its test.
pub struct StandIn {
    /// The folder of the test: for keys, the token, and the state dir.
    pub folder: TempDir,
    /// The state dir that commands are given.
    pub dir: PathBuf,
    url: String,
    shared: Arc<Shared>,
    // To drop it is to hang up.
    _runtime: Runtime,
}

impl StandIn {
    /// A stand-in that knows nothing yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("the system has room for temporary files");
        let dir = folder.path().join("state");
        std::fs::create_dir(&dir).expect("the folder is ours");
        secret_file(&folder.path().join("token"), TOKEN);
        let runtime = Runtime::new().expect("the system has threads");
        let shared = Arc::new(Shared::default());
        let listening = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listening.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { folder, dir, url: format!("http://{address}"), shared, _runtime: runtime }
    }

    /// From now on `path` is answered so, whatever the method.
    pub fn answers(&self, path: &str, status: u16, body: Value) {
        lock(&self.shared.answers).insert(path.to_owned(), (status, body));
    }

    /// Everything that was posted so far.
    pub fn posted(&self) -> Vec<Posted> {
        lock(&self.shared.posted).clone()
    }

    /// Every path and query that was asked for.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }

    /// Runs a command that asks this stand-in, by a person whose key is in the folder of the test.
    pub fn run(&self, args: &[&str]) -> Said {
        end_of(&mut self.command(args))
    }

    /// Like [`StandIn::run`], at a terminal where `typed` is typed.
    pub fn run_at_terminal(&self, args: &[&str], typed: &str) -> Said {
        at_terminal(&mut self.command(args), typed)
    }

    /// A command that asks this stand-in, to be run however a test likes.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.arg("--state-dir").arg(&self.dir).args(args).args(["--url", &self.url, "--token-file"]);
        command.arg(self.folder.path().join("token"));
        command
    }

    /// The answer of a command with `--json` that must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        let said = self.run(&[args, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{args:?}: no JSON ({why}): {said:?}"))
    }
}

/// Writes a file that only its owner reads.
pub fn secret_file(path: &std::path::Path, content: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, content).expect("the folder is ours");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("the file is ours");
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if text(header::AUTHORIZATION) != format!("Bearer {TOKEN}") {
        let no = json!({"code": "NOT_AUTHORIZED", "sentence": "show the token"});
        return (StatusCode::UNAUTHORIZED, Json(no)).into_response();
    }
    lock(&shared.asked).push(uri.to_string());
    if method == Method::POST {
        let posted = Posted {
            path: uri.path().to_owned(),
            content_type: text(header::CONTENT_TYPE),
            body: body.to_vec(),
        };
        lock(&shared.posted).push(posted);
    }
    let nothing = || (404, json!({"code": "NOT_FOUND", "sentence": "there is nothing here"}));
    let (status, body) = lock(&shared.answers).get(uri.path()).cloned().unwrap_or_else(nothing);
    (StatusCode::from_u16(status).expect("a status code of a test"), Json(body)).into_response()
}
