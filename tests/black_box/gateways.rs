//! OpenClaw gateways: let in once, saved, and never given a secret that is not theirs. The gateway is played by the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tungstenite::{Message, accept};

use crate::bad_input::{empty, expect_sentence};
use crate::support::cli::{id_of, json_on, run_on};

const TOKEN: &str = "t0ken-of-the-farm";

/// A gateway that lets in, or refuses, one caller after the other; it tells what each of them has said.
fn gateway(answers: Vec<Value>) -> (String, JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("ws://{}", listener.local_addr().expect("it has an address"));
    let play = move || answers.into_iter().map(|answer| serve(&listener, answer)).collect();
    let played = thread::Builder::new().name("gateway".to_owned()).spawn(play).expect("there are threads");
    (url, played)
}

fn serve(listener: &TcpListener, mut answer: Value) -> Value {
    let (stream, _) = listener.accept().expect("somebody calls");
    let mut socket = accept(stream).expect("a WebSocket is asked for");
    let say = |value: &Value| Message::text(value.to_string());
    socket.send(say(&json!({"type": "event", "event": "tick", "payload": {}}))).expect("it listens");
    let challenge = json!({"nonce": "n-1", "ts": 7});
    socket
        .send(say(&json!({"type": "event", "event": "connect.challenge", "payload": challenge})))
        .expect("it listens");
    let said: Value = loop {
        let message = socket.read().expect("it answers");
        if let Message::Text(text) = message {
            break serde_json::from_str(&text).expect("it says JSON");
        }
    };
    answer["type"] = json!("res");
    answer["id"] = said["id"].clone();
    socket.send(say(&answer)).expect("it listens");
    // Until it has left.
    while socket.read().is_ok() {}
    said
}

/// What a gateway gives a node to come back with.
const DEVICE_TOKEN: &str = "device-token-of-the-gateway";
const PIN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn welcome() -> Value {
    json!({"ok": true, "payload": {"type": "hello-ok", "protocol": 3, "server": {"version": "2026.1"},
        "auth": {"deviceToken": DEVICE_TOKEN}}})
}

#[test]
fn a_gateway_lets_a_node_in_is_saved_and_is_found_again_with_its_secrets() {
    let (_folder, dir) = empty();
    let own = id_of(&dir);
    let no = json!({"ok": false, "error": {"code": "NOT_PAIRED", "message": "pair first"}});
    let (url, played) = gateway(vec![welcome(), welcome(), no.clone(), no]);
    let saved = json_on(
        &dir,
        &["gateway-connect", "barn", "--url", &url, "--token", TOKEN, "--name", "the pump", "--save"],
    );
    assert_eq!((&saved["saved_as"], &saved["answer"]["protocol"]), (&json!("barn"), &json!(3)));
    let listed = json_on(&dir, &["gateways"])["gateways"][0].clone();
    assert_eq!(
        (&listed["name"], &listed["url"], &listed["has_token"], &listed["has_password"]),
        (&json!("barn"), &json!(url), &json!(true), &json!(false))
    );
    let file = dir.join("gateways.ron");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains(TOKEN), "secrets are credentials");
    assert_eq!(run_on(&dir, &["cred", "get", "gateway/barn/token", "--reveal"]).out, format!("{TOKEN}\n"));

    let again = run_on(&dir, &["gateway-connect", "barn"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.contains(&format!("connected  {url}\n")) && again.out.contains("server     2026.1"));
    let refused = run_on(&dir, &["gateway-connect", "barn", "--json"]);
    let answer: Value = serde_json::from_str(&refused.out).expect("it answers in JSON");
    assert_eq!((refused.code, &answer["code"]), (Some(1), &json!("NOT_PAIRED")));
    let refused = run_on(&dir, &["gateway-connect", "barn"]);
    expect_sentence(&refused, &["the gateway has refused us: NOT_PAIRED: pair first"]);

    let said = played.join().expect("the gateway has answered all");
    for (one, name) in said.iter().zip(["the pump", "", "", ""]) {
        let params = &one["params"];
        assert_eq!((&one["method"], &params["maxProtocol"]), (&json!("connect"), &json!(3)));
        assert_eq!((&params["device"]["id"], &params["device"]["nonce"]), (&json!(own), &json!("n-1")));
        assert_eq!((&params["auth"], &params["role"]), (&json!({"token": TOKEN}), &json!("node")));
        assert!(name.is_empty() || params["client"]["displayName"] == name, "{params}");
    }
}

#[test]
fn a_secret_goes_to_no_other_address_and_what_is_wrong_is_one_sentence() {
    let (_folder, dir) = empty();
    expect_sentence(
        &run_on(&dir, &["gateway-connect", "--url", "ws://127.0.0.1:1"]),
        &["there is no node in "],
    );
    id_of(&dir);
    assert!(run_on(&dir, &["gateways"]).out.starts_with("no gateway is saved; "));
    for (args, words) in [
        (&["barn"][..], "no gateway is saved as \"barn\""),
        (&["a/b", "--url", "ws://127.0.0.1:1"], "is no name of a gateway"),
        (&["--url", "barn"], "is no address"),
        (&["--url", "ws://127.0.0.1:1"], "cannot be reached"),
        (&["--url", "ws://192.0.2.7:1", "--token", TOKEN], "a secret goes there only over wss://"),
        (&["--url", "wss://192.0.2.7:1", "--password", TOKEN], "a secret goes there only over wss://"),
        (&["--url", "wss://127.0.0.1:1", "--fingerprint", "ab"], "64 hexadecimal digits"),
        (&["--url", "ws://127.0.0.1:1", "--role", "a|b"], "has a bar in it"),
        (&["--url", "ws://127.0.0.1:1/?token=x"], "an address with a query"),
        (&["--url", "ws://127.0.0.1:1", "--fingerprint", PIN], "shows no certificate"),
    ] {
        let said = run_on(&dir, &[&["gateway-connect"], args].concat());
        expect_sentence(&said, &[words]);
        assert!(!said.err.contains(TOKEN), "{said:?}");
    }
    for args in [&["gateway-connect"][..], &["gateway-connect", "--url", "ws://h", "--save"]] {
        assert_eq!(run_on(&dir, args).code, Some(2), "{args:?}");
    }

    let (url, played) = gateway(vec![welcome(), welcome(), welcome()]);
    let list = "[(name: \"barn\", url: \"ws://127.0.0.1:1\", role: \"node\")]";
    fs::write(dir.join("gateways.ron"), list).unwrap();
    assert_eq!(run_on(&dir, &["cred", "set", "gateway/barn/token", TOKEN]).code, Some(0));
    // Under the same name somebody else is called: the token is not theirs.
    assert_eq!(run_on(&dir, &["gateway-connect", "barn", "--url", &url]).code, Some(0));
    assert_eq!(fs::read_to_string(dir.join("gateways.ron")).unwrap(), list, "nothing was to be saved");
    // Nor is it when they are saved under that name.
    let saved = run_on(&dir, &["gateway-connect", "barn", "--url", &url, "--save", "--json"]);
    assert!(saved.code == Some(0) && !saved.out.contains(DEVICE_TOKEN), "{saved:?}");
    assert_eq!(run_on(&dir, &["gateway-connect", "barn"]).code, Some(0));
    for call in played.join().expect("it was called") {
        assert_eq!(call["params"]["auth"], json!({}), "{call}");
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("ws://{}", listener.local_addr().unwrap());
    let said = run_on(&dir, &["gateway-connect", "--url", &silent, "--timeout-ms", "300"]);
    expect_sentence(&said, &["has not let us in within 300 ms"]);
}
