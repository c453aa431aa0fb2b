//! Who may come in: the right name, the right page, the right token; checked before a body is read.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq as _;

use crate::answer::Fault;
use crate::hosts::{Hosts, Scheme};
use crate::router::Shared;
use crate::upgrade::From;

/// Lets requests pass that call us by our name and come from no other page.
pub(crate) async fn check_caller(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Fault> {
    let scheme = if From::is_tls(&request) { Scheme::Https } else { Scheme::Http };
    let host = check_host(shared.hosts, scheme, &request)?;
    check_origin(scheme, host, request.headers())?;
    Ok(next.run(request).await)
}

/// Lets requests pass that hold the token.
pub(crate) async fn check_token(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Fault> {
    let is_known = bearer(request.headers()).is_some_and(|token| token.ct_eq(shared.token.as_bytes()).into());
    if is_known { Ok(next.run(request).await) } else { Err(not_authorized()) }
}

/// Lets a stop pass from whoever is at this machine, and from elsewhere with the token.
pub(crate) async fn check_may_stop(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Result<Response, Fault> {
    match From::is_on_loopback(&request) {
        true => Ok(next.run(request).await),
        false => check_token(State(shared), request, next).await,
    }
}

fn check_host(hosts: Hosts, scheme: Scheme, request: &Request) -> Result<&str, Fault> {
    let host = only(request.headers(), &header::HOST).unwrap_or_default();
    let target_fits = request.uri().authority().is_none_or(|target| hosts.allow(target.as_str(), scheme));
    if hosts.allow(host, scheme) && target_fits {
        return Ok(host);
    }
    let sentence = format!("call this node by its own address, one of {}", hosts.in_words());
    Err(Fault::new(StatusCode::FORBIDDEN, "WRONG_HOST", sentence))
}

/// A browser says which page a request comes from; ours comes from the very address it calls.
fn check_origin(scheme: Scheme, host: &str, headers: &HeaderMap) -> Result<(), Fault> {
    if !headers.contains_key(header::ORIGIN) {
        return Ok(());
    }
    let origin = only(headers, &header::ORIGIN).and_then(|origin| origin.strip_prefix(scheme.prefix()));
    if origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let sentence = "requests from pages of another origin are refused; use the node's own page";
    Err(Fault::new(StatusCode::FORBIDDEN, "CROSS_ORIGIN", sentence))
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = only(headers, &header::AUTHORIZATION)?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' ').as_bytes())
}

/// The value of a header that stands there once; twice is a trick.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn not_authorized() -> Fault {
    let sentence = "send `Authorization: Bearer <token>`; the token is in the node's state directory, file gateway.token";
    Fault::new(StatusCode::UNAUTHORIZED, "NOT_AUTHORIZED", sentence)
}
