//! The live page: a handful of files, compiled in, that need no token because they hold no secret.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::router::Shared;

/// One file of the page.
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const FILES: [File; 9] = [
    File {
        path: "/",
        content_type: "text/html; charset=utf-8",
        text: include_str!("../../assets/page/index.html"),
    },
    File {
        path: "/page.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("../../assets/page/page.css"),
    },
    script("/alarms.js", include_str!("../../assets/page/alarms.js")),
    script("/page.js", include_str!("../../assets/page/page.js")),
    script("/proposals.js", include_str!("../../assets/page/proposals.js")),
    script("/stream.js", include_str!("../../assets/page/stream.js")),
    script("/tables.js", include_str!("../../assets/page/tables.js")),
    script("/words.js", include_str!("../../assets/page/words.js")),
    File {
        path: "/favicon.svg",
        content_type: "image/svg+xml",
        text: include_str!("../../assets/page/favicon.svg"),
    },
];

const fn script(path: &'static str, text: &'static str) -> File {
    File { path, content_type: "text/javascript; charset=utf-8", text }
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(|| async { ([(header::CONTENT_TYPE, file.content_type)], file.text) }))
    })
}
