//! The files of a folder, as they are.

use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};

/// The files directly in `folder`. They are read now and looked up by name later, so no path that
/// a client writes ever reaches the file system.
pub(crate) fn routes(folder: &Path) -> io::Result<Router> {
    let mut files = HashMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
            files.insert(name, Bytes::from(fs::read(entry.path())?));
        }
    }
    Ok(Router::new().route("/pages/{name}", get(file)).with_state(Arc::new(files)))
}

async fn file(
    State(files): State<Arc<HashMap<String, Bytes>>>,
    UrlPath(name): UrlPath<String>,
) -> Response {
    match files.get(&name) {
        Some(content) => ([(CONTENT_TYPE, content_type(&name))], content.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "application/octet-stream",
    }
}
