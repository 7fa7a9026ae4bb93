//! actix-session with the session in its cookie, sealed; and the same handler of actix without.

use std::{hint::black_box, time::Duration};

use actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_web::{
    App, HttpServer,
    cookie::Key,
    http::KeepAlive,
    test,
    web::{self, ServiceConfig},
};
use sessile_bench::{
    apps::{ANSWER, CLIENTS, session_data},
    clock::{self, Place},
    server,
};

use super::cookie;

async fn hello() -> &'static str {
    ANSWER
}

async fn log_user_in(
    user: web::Path<String>,
    session: Session,
) -> Result<&'static str, actix_session::SessionInsertError> {
    session.insert("user", user.into_inner())?;
    for (key, value) in session_data().as_object().into_iter().flatten() {
        session.insert(key, value)?;
    }
    Ok(ANSWER)
}

async fn hello_user(session: Session) -> Result<&'static str, actix_session::SessionGetError> {
    black_box(session.get::<String>("user")?);
    Ok(ANSWER)
}

async fn read_data(session: Session) -> Result<String, actix_session::SessionGetError> {
    Ok(session.get::<u64>("visits")?.unwrap_or_default().to_string())
}

fn plain_routes(config: &mut ServiceConfig) {
    config.route("/user", web::get().to(hello)).route("/data", web::get().to(hello));
}

fn session_routes(config: &mut ServiceConfig) {
    config
        .route("/login/{user}", web::post().to(log_user_in))
        .route("/user", web::get().to(hello_user))
        .route("/data", web::get().to(read_data));
}

fn sessions(key: &Key) -> SessionMiddleware<CookieSessionStore> {
    SessionMiddleware::new(CookieSessionStore::default(), key.clone())
}

/// Serves it on one thread, as the others are served.
macro_rules! serve {
    ($cookies:expr, $app:expr) => {{
        let server = HttpServer::new($app).workers(1).disable_signals();
        // A connection waits while others have their turn.
        let server = server.keep_alive(KeepAlive::Os).client_request_timeout(Duration::ZERO);
        let server = server.bind(("127.0.0.1", 0))?;
        let port = server.addrs().first().map_or(0, std::net::SocketAddr::port);
        server::ready(port, $cookies)?;
        server.run().await?;
        Ok(())
    }};
}

pub(super) fn serve_plain() -> anyhow::Result<()> {
    clock::stay_at(Place::Server)?;
    actix_web::rt::System::new()
        .block_on(async { serve!(Vec::new(), || App::new().configure(plain_routes)) })
}

pub(super) fn serve_with_sessions() -> anyhow::Result<()> {
    clock::stay_at(Place::Server)?;
    actix_web::rt::System::new().block_on(async {
        let key = Key::generate();
        let app = App::new().wrap(sessions(&key)).configure(session_routes);
        let app = test::init_service(app).await;
        let mut cookies = Vec::new();
        for index in 0..CLIENTS {
            let uri = format!("/login/user-{index:05}");
            let request = test::TestRequest::post().uri(&uri).to_request();
            let response = test::call_service(&app, request).await;
            let mut headers = http::HeaderMap::new();
            for value in response.headers().get_all("set-cookie") {
                headers.append(http::header::SET_COOKIE, value.as_bytes().try_into()?);
            }
            cookies.push(cookie(&headers)?);
        }
        serve!(cookies, move || App::new().wrap(sessions(&key)).configure(session_routes))
    })
}
