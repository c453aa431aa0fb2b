//! Answers: every refusal has a code and a sentence, every answer the same protective headers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use clawmesh_authority::{Code, Refusal};
use serde::{Deserialize, Serialize};

use crate::router::Shared;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For programs.
    pub code: String,
    /// For people: what happened and what to do.
    pub sentence: String,
    /// The rule that said no, where a rule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// A refusal on its way out.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    code: &'static str,
    rule: Option<String>,
    sentence: String,
}

/// Rides on the response so that the outermost layer can count it.
#[derive(Clone, Copy)]
struct RefusedWith(&'static str);

/// How often requests were refused, by code.
#[derive(Debug, Default)]
pub(crate) struct RefusedRequests(Mutex<BTreeMap<&'static str, u64>>);

impl Fault {
    pub(crate) fn new(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        Self { status, code, rule: None, sentence: sentence.into() }
    }

    /// The same, with the rule that said no.
    pub(crate) fn by(self, rule: impl Into<String>) -> Self {
        Self { rule: Some(rule.into()), ..self }
    }

    /// What a rule of the owner says no to. What may go through a moment later has the status it has everywhere.
    pub(crate) fn ruled(code: Code, rule: String, sentence: String) -> Self {
        let status = match code {
            Code::Busy | Code::JournalUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, code.as_str(), sentence).by(rule)
    }

    pub(crate) fn invalid(sentence: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::InvalidParams.as_str(), sentence)
    }

    /// For a query that is not what a route takes.
    pub(crate) fn unclear(takes: &str, rejection: &QueryRejection) -> Self {
        let text = rejection.body_text();
        let fault = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        Self::invalid(format!("the query takes {takes}: {fault}"))
    }

    pub(crate) fn starting() -> Self {
        let sentence = "the node is starting and has no picture of the world yet; ask again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "STARTING", sentence)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            Code::Busy | Code::JournalUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, refusal.code.as_str(), refusal.sentence)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = Refused { code: self.code.to_owned(), sentence: self.sentence, rule: self.rule };
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(RefusedWith(self.code));
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl RefusedRequests {
    pub(crate) fn by_code(&self) -> BTreeMap<String, u64> {
        self.lock().iter().map(|(code, count)| ((*code).to_owned(), *count)).collect()
    }

    pub(crate) fn count(&self, code: &'static str) {
        *self.lock().entry(code).or_default() += 1;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page may load its own files and talk to its own node; nothing may frame it or be framed.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// The outermost layer: protects every answer and counts every refusal.
pub(crate) async fn finish(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(RefusedWith(code)) = response.extensions().get() {
        shared.refused.count(code);
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, value);
    }
    response
}
