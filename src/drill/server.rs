//! The simulated control plane over HTTP, for this machine and one drill only.
//!
//! It listens on the loopback address, at a port that the system picks, and answers only who knows the token of this
//! start. What changed is in its file before the answer goes out, so a drill can be killed at any moment and resumed
//! by another process.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::oneshot;

use super::line::{Line, Lines};
use super::request::{Answer, Asked};
use super::simulation::{Reply, Simulation};
use super::world::World;

/// The largest body that is read, in bytes; the largest that a runbook sends is far below.
const BODY_LIMIT: usize = 64 * 1024;

/// A running simulated control plane; it stops when this is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    address: SocketAddr,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the control plane cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// The file that keeps the world cannot be read or written.
    #[error("cannot keep the state of the drill in `{}`", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// The file that should keep the world holds something else.
    #[error("`{}` does not hold the state of a drill", path.display())]
    NotAWorld {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The file keeps the world of another scenario.
    #[error("`{}` holds the state of the drill `{found}`, not of `{wanted}`", path.display())]
    OtherScenario {
        /// The file.
        path: PathBuf,
        /// The scenario that it is of.
        found: String,
        /// The scenario that was to be started.
        wanted: String,
    },
    /// No port or no thread could be had.
    #[error("cannot listen on the loopback address")]
    Listen(#[source] io::Error),
}

/// What the requests share.
struct Shared {
    simulation: Mutex<Simulation>,
    keep: PathBuf,
    token: String,
}

impl ControlPlane {
    /// Starts to answer, in what is left of the world in `keep` when that file exists.
    ///
    /// # Errors
    /// When `keep` cannot be read or written or is not of this scenario, or nothing can listen on this machine.
    pub fn start(mut simulation: Simulation, keep: PathBuf) -> Result<Self, PlaneError> {
        if let Some(kept) = kept(simulation.world().scenario(), &keep)? {
            simulation.go_on_in(kept);
        }
        write(simulation.world(), &keep).map_err(|source| PlaneError::Keep {
            path: keep.clone(),
            source,
        })?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(PlaneError::Listen)?;
        listener.set_nonblocking(true).map_err(PlaneError::Listen)?;
        let address = listener.local_addr().map_err(PlaneError::Listen)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(PlaneError::Listen)?;
        let token = fresh_token();
        let shared = Arc::new(Shared {
            simulation: Mutex::new(simulation),
            keep,
            token: token.clone(),
        });
        let (stop, stopped) = oneshot::channel();
        // The terminal of the operator blocks the main thread; the plane must answer all the same.
        let thread = std::thread::Builder::new()
            .name("drill-control-plane".to_owned())
            .spawn(move || runtime.block_on(serve(listener, shared, stopped)))
            .map_err(PlaneError::Listen)?;
        Ok(Self {
            address,
            token,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The address that paths are appended to: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bearer token that every request must carry; another one at each start. A secret.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that it has stopped already.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic in there was a bug that the requests have shown; dropping is no place for a second one.
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the simulated control plane cannot listen");
            return;
        }
    };
    let router = Router::new().fallback(answer).with_state(shared);
    let service = router.into_make_service_with_connect_info::<Line>();
    // Connections that are open are cut rather than waited for: a client that keeps one must not hold up the end.
    tokio::select! {
        served = axum::serve(Lines(listener), service).into_future() => {
            if let Err(error) = served {
                tracing::error!(%error, "the simulated control plane stopped");
            }
        }
        _ = stopped => {}
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if !is_authorized(&parts.headers, &shared.token) {
        let detail = "the request carries no token, or not the one of this drill";
        return respond(&Answer::problem(401, detail));
    }
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        let detail = format!("the body is longer than {BODY_LIMIT} bytes, or was cut");
        return respond(&Answer::problem(413, detail));
    };
    let key = parts.headers.get("idempotency-key").map(|key| key.to_str());
    let Ok(key) = key.transpose() else {
        return respond(&Answer::problem(
            400,
            "the idempotency key is no plain text",
        ));
    };
    let reply = shared.handle(Asked {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        key,
        body: &body,
    });
    match reply {
        Reply::Answer(answer) => respond(&answer),
        Reply::Cut => {
            line.cut();
            // Nobody hears it: the line is cut before it can be written.
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn respond(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = if answer.status >= 400 {
        "application/problem+json"
    } else {
        "application/json"
    };
    let mut response = (status, Body::from(answer.body.to_string())).into_response();
    let headers = response.headers_mut();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn is_authorized(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    given.and_then(|value| value.strip_prefix("Bearer ")) == Some(token)
}

impl Shared {
    /// Answers one request; what changed is kept before the answer is given.
    fn handle(&self, asked: Asked<'_>) -> Reply {
        // The simulation is replaced as a whole, so it is sound even where another request panicked.
        let mut simulation = self
            .simulation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut next = simulation.clone();
        let reply = next.handle(asked);
        if next.world() != simulation.world() {
            if let Err(error) = write(next.world(), &self.keep) {
                let detail = format!(
                    "cannot write `{}`: {error}; nothing was changed",
                    self.keep.display()
                );
                return Reply::Answer(Answer::problem(500, detail));
            }
            *simulation = next;
        }
        reply
    }
}

/// The world of this scenario that was kept, if one was.
fn kept(scenario: &str, keep: &Path) -> Result<Option<World>, PlaneError> {
    let bytes = match fs::read(keep) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(PlaneError::Keep {
                path: keep.to_owned(),
                source,
            });
        }
    };
    let kept: World = serde_json::from_slice(&bytes).map_err(|source| PlaneError::NotAWorld {
        path: keep.to_owned(),
        source,
    })?;
    if kept.scenario() != scenario {
        return Err(PlaneError::OtherScenario {
            path: keep.to_owned(),
            found: kept.scenario().to_owned(),
            wanted: scenario.to_owned(),
        });
    }
    Ok(Some(kept))
}

/// Replaces the file as a whole, readable by its owner only.
///
/// It is not synced: it must outlive the process, not the machine.
fn write(world: &World, keep: &Path) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(world).map_err(io::Error::other)?;
    let beside = keep.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&json)?;
    fs::rename(&beside, keep)
}

/// 244 random bits: more than anybody tries on one machine during one drill.
fn fresh_token() -> String {
    format!(
        "drill-{}{}",
        uuid::Uuid::new_v4().simple(),
        uuid::Uuid::new_v4().simple()
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clock::Timestamp;
    use crate::drill::scenario::{Scenario, scenario};
    use serde_json::{Value as Json, json};

    struct Scene {
        dir: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().expect("a directory"),
            }
        }

        fn keep(&self) -> PathBuf {
            self.dir.path().join("world.json")
        }

        fn plane(&self) -> ControlPlane {
            ControlPlane::start(simulation("bad-deploy"), self.keep()).expect("starts")
        }
    }

    fn simulation(id: &str) -> Simulation {
        let scenario = scenario(id).expect("a shipped scenario");
        scenario.simulation_at(Timestamp::now())
    }

    /// One request on a connection of its own; the status and the body.
    fn ask(
        plane: &ControlPlane,
        token: Option<&str>,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, Json) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let method = method.parse().expect("a method");
            let client = reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client");
            let mut request = client
                .request(method, format!("{}{path}", plane.url()))
                .body(body.to_owned());
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.expect("answers");
            let status = response.status().as_u16();
            let media_type = response.headers()["content-type"]
                .to_str()
                .expect("text")
                .to_owned();
            let problem = media_type == "application/problem+json";
            assert_eq!(problem, status >= 400, "{media_type}");
            (status, response.json().await.expect("JSON"))
        })
    }

    fn get(plane: &ControlPlane, path: &str) -> (u16, Json) {
        ask(plane, Some(plane.token()), "GET", path, "")
    }

    fn rollback(plane: &ControlPlane) -> (u16, Json) {
        let order = json!({
            "kind": "rollback", "artifact_digest": format!("sha256:{}", "600d".repeat(16)),
            "expected_epoch": 42, "idempotency_key": "k",
        });
        let path = "/environments/production/operations";
        ask(plane, Some(plane.token()), "POST", path, &order.to_string())
    }

    #[test]
    fn only_who_knows_the_token_is_answered() {
        let scene = Scene::new();
        let plane = scene.plane();
        let path = "/environments/production/state";
        let longer = format!("{}x", plane.token());
        for token in [None, Some(""), Some("drill-"), Some(longer.as_str())] {
            assert_eq!(ask(&plane, token, "GET", path, "").0, 401);
        }
        let posted = ask(
            &plane,
            None,
            "POST",
            "/environments/production/operations",
            "{}",
        );
        assert_eq!(posted.0, 401);
        assert_eq!(get(&plane, "/ledger").1["performed"], json!([]));
        assert_eq!(get(&plane, path).0, 200);
        let other = scene.plane();
        assert_ne!(plane.token(), other.token());
    }

    #[test]
    fn a_restarted_plane_goes_on_where_the_last_one_ended() {
        let scene = Scene::new();
        let plane = scene.plane();
        let (status, first) = rollback(&plane);
        assert_eq!(status, 202);
        get(&plane, "/environments/production/edges");
        drop(plane);
        let plane = scene.plane();
        let (status, again) = rollback(&plane);
        assert_eq!(
            (status, &again["operation"]["id"]),
            (202, &first["operation"]["id"])
        );
        let edges = get(&plane, "/environments/production/edges").1;
        let epochs: Vec<_> = edges["edges"]
            .as_array()
            .expect("edges")
            .iter()
            .map(|e| e["epoch"].clone())
            .collect();
        assert_eq!(epochs, [43, 43, 42]);
        let ledger = get(&plane, "/ledger").1;
        let effects: Vec<_> = ledger["performed"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|p| &p["effect"])
            .collect();
        assert_eq!(effects, ["took", "repeated"]);
    }

    #[test]
    fn what_is_answered_is_kept_and_private() {
        let scene = Scene::new();
        let plane = scene.plane();
        rollback(&plane);
        let kept: World =
            serde_json::from_slice(&fs::read(scene.keep()).expect("kept")).expect("a world");
        assert_eq!(kept.performed().len(), 1);
        let mode = fs::metadata(scene.keep())
            .expect("exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_kept_did_not_happen() {
        let scene = Scene::new();
        let plane = scene.plane();
        // A directory of that name: neither removed as a file nor written over.
        let in_the_way = scene.keep().with_extension("new");
        fs::create_dir(&in_the_way).expect("creates");
        assert_eq!(rollback(&plane).0, 500);
        assert_eq!(
            get(&plane, "/environments/production/state").1["route_owner"]["epoch"],
            42
        );
        fs::remove_dir(&in_the_way).expect("removes");
        assert_eq!(rollback(&plane).0, 202);
        assert_eq!(
            get(&plane, "/ledger").1["performed"]
                .as_array()
                .map(Vec::len),
            Some(1)
        );
    }

    #[test]
    fn a_file_that_keeps_something_else_is_left_alone() {
        let scene = Scene::new();
        fs::write(scene.keep(), b"{}").expect("writes");
        let refused = ControlPlane::start(simulation("bad-deploy"), scene.keep());
        assert!(
            matches!(refused, Err(PlaneError::NotAWorld { .. })),
            "{refused:?}"
        );
        assert_eq!(fs::read(scene.keep()).expect("reads"), b"{}");
        fs::remove_file(scene.keep()).expect("removes");
        drop(scene.plane());
        let refused = ControlPlane::start(simulation("bad-deploy-moved-epoch"), scene.keep());
        assert!(
            matches!(refused, Err(PlaneError::OtherScenario { .. })),
            "{refused:?}"
        );
        let nowhere = scene.dir.path().join("none/world.json");
        let refused = ControlPlane::start(simulation("bad-deploy"), nowhere);
        assert!(
            matches!(refused, Err(PlaneError::Keep { .. })),
            "{refused:?}"
        );
    }

    /// The status of an answer and its `Retry-After`; nothing where the connection is cut.
    fn rollback_on_a_line(plane: &ControlPlane) -> Option<(u16, Option<String>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let order = json!({
            "kind": "rollback", "artifact_digest": format!("sha256:{}", "600d".repeat(16)),
            "expected_epoch": 42, "idempotency_key": "k",
        });
        runtime.block_on(async {
            let client = reqwest::Client::builder().no_proxy().build();
            let url = format!("{}/environments/production/operations", plane.url());
            let request = client.expect("a client").post(url);
            let request = request
                .bearer_auth(plane.token())
                .header("Idempotency-Key", "k");
            let response = request.body(order.to_string()).send().await.ok()?;
            let after = response.headers().get("retry-after");
            let after = after.map(|after| after.to_str().expect("text").to_owned());
            Some((response.status().as_u16(), after))
        })
    }

    #[test]
    fn an_answer_can_be_put_off_or_lost_and_the_plane_answers_on() {
        let scene = Scene::new();
        let text = include_str!("../../runbooks/drills/bad-deploy.yaml");
        let disturbances = "disturbances:
  - title: too many requests
    before: POST /environments/{environment}/operations
    answer: {status: 429, problem: ask again later, headers: {Retry-After: '3'}}
  - title: the answer is lost
    after:
      - POST /environments/{environment}/operations
      - POST /environments/{environment}/operations
    times: 2
    answer: cut
";
        let scenario = Scenario::parse(&format!("{text}{disturbances}"), None, Path::new(""));
        let scenario = scenario.expect("a scenario");
        let simulation = scenario.simulation_at(Timestamp::now());
        let plane = ControlPlane::start(simulation, scene.keep()).expect("starts");
        assert_eq!(rollback_on_a_line(&plane), Some((429, Some("3".into()))));
        assert_eq!(rollback_on_a_line(&plane), None);
        assert_eq!(rollback_on_a_line(&plane), None);
        assert_eq!(rollback_on_a_line(&plane), Some((202, None)));
        let ledger = get(&plane, "/ledger").1["performed"].clone();
        let effects: Vec<_> = ledger
            .as_array()
            .expect("a list")
            .iter()
            .map(|p| &p["effect"])
            .collect();
        assert_eq!(effects, ["refused", "took", "repeated", "repeated"]);
    }

    #[test]
    fn wrong_requests_are_problems() {
        let scene = Scene::new();
        let plane = scene.plane();
        let token = Some(plane.token());
        let operations = "/environments/production/operations";
        assert_eq!(get(&plane, "/nowhere").0, 404);
        assert_eq!(ask(&plane, token, "DELETE", operations, "").0, 405);
        assert_eq!(ask(&plane, token, "POST", operations, "not json").0, 400);
        let long = " ".repeat(BODY_LIMIT + 1);
        assert_eq!(ask(&plane, token, "POST", operations, &long).0, 413);
    }
}
