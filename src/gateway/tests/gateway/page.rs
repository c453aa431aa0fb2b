//! The live page is whole, asks nobody else for anything, and cannot be written into.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};

use crate::rig::{ADDRESS, Rig, rig};

async fn fetch(rig: &Rig, path: &str) -> (StatusCode, String, String) {
    let request = Request::get(path).header("host", ADDRESS).body(Body::empty()).unwrap();
    let response = rig.send(request).await;
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
}

/// What stands between `before` and the next quote, each time.
fn quoted(text: &str, before: &str) -> Vec<String> {
    let rest = text.split(before).skip(1);
    rest.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

fn references(text: &str) -> Vec<String> {
    ["src=\"", "href=\"", "from \"", "import \"", "url(\"", "fetch(\""]
        .iter()
        .flat_map(|before| quoted(text, before))
        .filter(|reference| !reference.starts_with('#'))
        .collect()
}

/// The page and everything it leads to.
async fn whole_page() -> Vec<(String, String, String)> {
    let rig = rig();
    let mut waiting = vec!["/".to_owned()];
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) || path == "/api/events" {
            continue;
        }
        let (status, kind, text) = fetch(&rig, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        for reference in references(&text) {
            waiting.push(format!("/{}", reference.trim_start_matches("./").trim_start_matches('/')));
        }
        files.push((path, kind, text));
    }
    files
}

#[tokio::test]
async fn the_page_leads_only_to_files_that_are_served_with_their_type() {
    let files = whole_page().await;
    let kinds: BTreeSet<(&str, &str)> = files.iter().map(|(path, kind, _)| (&**path, &**kind)).collect();
    let expected = [
        ("/", "text/html; charset=utf-8"),
        ("/alarms.js", "text/javascript; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/proposals.js", "text/javascript; charset=utf-8"),
        ("/stream.js", "text/javascript; charset=utf-8"),
        ("/tables.js", "text/javascript; charset=utf-8"),
        ("/words.js", "text/javascript; charset=utf-8"),
    ];
    assert_eq!(kinds, expected.into());
}

#[tokio::test]
async fn the_page_takes_nothing_from_elsewhere_and_turns_no_text_into_markup() {
    for (path, _, text) in whole_page().await {
        // The name of a language, not an address; an SVG file is nothing without it.
        let text = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for banned in [
            "http://",
            "https://",
            "//cdn",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "style=\"",
            " onclick",
            " onload",
            "<script>",
            "<style",
            "localStorage",
        ] {
            assert!(!text.contains(banned), "{path} has {banned}");
        }
    }
}

#[tokio::test]
async fn every_element_the_script_looks_for_is_on_the_page() {
    let files = whole_page().await;
    let text_of = |name: &str| files.iter().find(|(path, ..)| path == name).map(|(.., text)| text).unwrap();
    let ids: BTreeSet<String> = quoted(text_of("/"), " id=\"").into_iter().collect();
    for script in ["/page.js", "/alarms.js"] {
        let looked_for = quoted(text_of(script), "byId(\"");
        assert!(!looked_for.is_empty(), "{script} looks for nothing");
        for id in looked_for {
            assert!(ids.contains(&id), "no element #{id}");
        }
    }
}
