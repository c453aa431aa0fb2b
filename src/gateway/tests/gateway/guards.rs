//! Who may not come in.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use clawmesh_gateway::{GatewayError, Refused, Status, router};

use crate::rig::{ADDRESS, TOKEN, config, get, ports, read, rig, snapshot};

const GUARDED: [&str; 16] = [
    "/api/status",
    "/api/identity",
    "/api/peers",
    "/api/peers/ab",
    "/api/world",
    "/api/observations",
    "/api/events",
    "/api/alarms",
    "/api/alarms/acknowledge",
    "/api/alarms/shelve",
    "/api/alarms/unshelve",
    "/api/proposals",
    "/api/evidence",
    "/api/requests",
    "/api/approvals",
    "/api/stop",
];

const POSTED: [&str; 7] = [
    "/api/observations",
    "/api/alarms/acknowledge",
    "/api/alarms/shelve",
    "/api/alarms/unshelve",
    "/api/requests",
    "/api/approvals",
    "/api/stop",
];

async fn refused(request: Request<Body>) -> (StatusCode, Refused) {
    let rig = rig();
    rig.show(snapshot());
    read(rig.send(request).await).await
}

#[tokio::test]
async fn nothing_but_health_answers_without_the_right_token() {
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Basic {TOKEN}")),
        Some(TOKEN.to_owned()),
        Some(format!("Bearer {TOKEN}0")),
        Some(format!("Bearer {}", &TOKEN[1..])),
        Some(format!("Bearer {}", TOKEN.to_uppercase())),
    ];
    for path in GUARDED {
        for value in &wrong {
            let method = if POSTED.contains(&path) { "POST" } else { "GET" };
            let mut request = Request::builder().method(method).uri(path).header("host", ADDRESS);
            if let Some(value) = value {
                request = request.header("authorization", value);
            }
            let (status, refusal) = refused(request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path} {value:?}");
            assert_eq!(refusal.code, "NOT_AUTHORIZED");
            assert_eq!(
                refusal.sentence,
                "send `Authorization: Bearer <token>`; the token is in the node's state directory, file gateway.token"
            );
        }
    }
}

#[tokio::test]
async fn two_tokens_are_a_trick_even_if_one_is_right() {
    let request = get("/api/status").header("authorization", "Bearer guess").body(Body::empty()).unwrap();
    assert_eq!(refused(request).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_scheme_may_be_written_in_any_case() {
    let request = Request::get("/api/status")
        .header("host", ADDRESS)
        .header("authorization", format!("bearer {TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let (status, _) = read::<Status>(rig().send(request).await).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_foreign_or_missing_host_is_refused_everywhere_even_with_the_token() {
    for path in ["/", "/page.js", "/api/health", "/api/status", "/nowhere"] {
        for host in [None, Some("evil.example:18789"), Some("127.0.0.1"), Some("localhost:1"), Some("")] {
            let mut request = Request::get(path).header("authorization", format!("Bearer {TOKEN}"));
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let (status, refusal) = refused(request.body(Body::empty()).unwrap()).await;
            assert_eq!((status, &*refusal.code), (StatusCode::FORBIDDEN, "WRONG_HOST"), "{path} {host:?}");
            assert!(refusal.sentence.contains("127.0.0.1:18789"), "{}", refusal.sentence);
        }
    }
}

#[tokio::test]
async fn a_foreign_target_is_refused_though_the_host_header_is_ours() {
    let request = get("http://evil.example:18789/api/status").body(Body::empty()).unwrap();
    assert_eq!(refused(request).await.1.code, "WRONG_HOST");
}

#[tokio::test]
async fn only_our_own_page_may_ask() {
    for origin in [
        "null",
        "http://evil.example",
        "http://127.0.0.1:3000",
        "http://localhost:18789",
        "https://127.0.0.1:18789",
        "127.0.0.1:18789",
    ] {
        let request = get("/api/status").header("origin", origin).body(Body::empty()).unwrap();
        let (status, refusal) = refused(request).await;
        assert_eq!((status, &*refusal.code), (StatusCode::FORBIDDEN, "CROSS_ORIGIN"), "{origin}");
    }
    let own = get("/api/status").header("origin", format!("http://{ADDRESS}")).body(Body::empty()).unwrap();
    assert_eq!(read::<Status>(rig().send(own).await).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_preflight_of_another_page_gets_no_permission() {
    let request = Request::options("/api/observations")
        .header("host", ADDRESS)
        .header("origin", "http://evil.example")
        .header("access-control-request-method", "POST")
        .body(Body::empty())
        .unwrap();
    let response = rig().send(request).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(!response.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_in_json() {
    for path in ["/nowhere", "/api", "/api/nowhere", "/api/peers/ab/cd", "/page.js.map", "/../etc/passwd"] {
        let (status, refusal) = rig().refused(path).await;
        assert_eq!((status, &*refusal.code), (StatusCode::NOT_FOUND, "NOT_FOUND"), "{path}");
    }
    let delete = Request::delete("/api/health").header("host", ADDRESS).body(Body::empty()).unwrap();
    let (status, refusal) = refused(delete).await;
    assert_eq!((status, &*refusal.code), (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"));
}

#[tokio::test]
async fn every_answer_is_protected_and_never_stored() {
    let rig = rig();
    for path in ["/", "/page.css", "/favicon.svg", "/api/health", "/api/status", "/api/world", "/nowhere"] {
        let response = rig.send(get(path).body(Body::empty()).unwrap()).await;
        let headers = response.headers();
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}");
        assert!(headers.contains_key("content-type"), "{path}");
    }
}

#[tokio::test]
async fn refused_requests_are_counted_by_code_and_shown() {
    let rig = rig();
    for _ in 0..3 {
        let request = Request::get("/api/world").header("host", ADDRESS).body(Body::empty()).unwrap();
        rig.send(request).await;
    }
    rig.refused("/api/nowhere").await;
    let (_, status) = rig.get::<Status>("/api/status").await;
    assert_eq!(status.gateway.refused["NOT_AUTHORIZED"], 3);
    assert_eq!(status.gateway.refused["NOT_FOUND"], 1);
}

#[test]
fn a_weak_token_opens_no_door() {
    for token in ["", "short", "0123456789abcde ", "0123456789abcdé0", "0123456789abcdef\n"] {
        let config = clawmesh_gateway::GatewayConfig { token: token.to_owned(), ..config() };
        let (ports, ..) = ports(Default::default());
        let fault = router(&config, ADDRESS.parse().unwrap(), ports).unwrap_err();
        assert!(matches!(fault, GatewayError::WeakToken), "{token:?}");
    }
}
