//! Steps that send requests, when what answers misbehaves.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::fixture::{begin, endings, put, ran, resume_with, say, shop, start, until};
use crate::scene::Scene;

/// A server that treats its connections in turn, and goes on with the last way.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

type Treat = fn(&mut TcpStream);

fn serve(treats: &'static [Treat]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let n = counted.fetch_add(1, Ordering::SeqCst);
            let treat = treats[n.min(treats.len() - 1)];
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                treat(&mut stream);
            });
        }
    });
    Server {
        address,
        connections,
    }
}

fn answer(stream: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

fn fine(stream: &mut TcpStream) {
    answer(stream, "200 OK", "application/json", r#"{"ready": true}"#);
}

fn hangs(stream: &mut TcpStream) {
    // Until the other side gives up.
    let _ = stream.read(&mut [0; 64]);
    let _ = stream.read(&mut [0; 64]);
}

fn fails(stream: &mut TcpStream) {
    answer(
        stream,
        "500 Oh",
        "application/json",
        r#"{"detail": "out of \u001b[31mluck"}"#,
    );
}

fn html(stream: &mut TcpStream) {
    answer(stream, "200 OK", "text/html", "<html>Please sign in</html>");
}

fn cut(stream: &mut TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{\"ready\": tr");
}

fn floods(stream: &mut TcpStream) {
    let head =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n";
    let piece = vec![b' '; 1 << 16];
    let mut sent = stream.write_all(head);
    for _ in 0..100_000_000 / piece.len() {
        sent = sent.and_then(|()| stream.write_all(&piece));
    }
}

const ASKS: &str = "  - id: ask-it
    phase: truth
    title: Ask it
    request: {endpoint: api, get: '/things/${inputs.text}'}
    facts: {ready: {type: boolean, from: body.ready}}
    timeout: 20s
";

/// A scene whose runbook asks, or changes, over HTTP at this address.
fn asking(address: impl std::fmt::Display, steps: &str) -> Scene {
    let scene = shop(steps);
    let profile =
        format!("format: runbook-profile/v1\nendpoints: {{api: {{url: 'http://{address}'}}}}\n");
    put(&scene, "profile.yaml", profile);
    scene
}

fn changing() -> String {
    ASKS.replace("phase: truth", "phase: act")
        .replace("get: ", "post: ")
}

/// How long the step waits: long, unless it waits in vain.
fn patience(expected: &str) -> &'static str {
    if expected.starts_with("no answer") {
        "700ms"
    } else {
        "20s"
    }
}

#[track_caller]
fn start_with_profile(scene: &Scene) -> crate::fixture::Said {
    say(
        scene,
        "start ./small.yaml --run-id r-1 --profile profile.yaml",
    )
}

#[test]
fn a_read_that_is_answered_badly_has_failed_and_can_be_tried_again() {
    let cases: [(&'static [Treat], &str); 5] = [
        (&[hangs, fine], "no answer within"),
        (&[fails, fine], "answered 500: out of \\u{1b}[31mluck"),
        (&[html, fine], "the endpoint answered HTML, not JSON"),
        (&[cut, fine], "the answer broke off after its status 200"),
        (&[floods, fine], "its answer is longer than 16 MiB"),
    ];
    for (treats, why) in cases {
        let server = serve(treats);
        let scene = asking(server.address, &ASKS.replace("20s", patience(why)));
        start_with_profile(&scene)
            .says("error: step `ask-it` cannot go on by itself: ")
            .says(why)
            .never("\u{1b}")
            .exit(15);
        assert_eq!(
            server.connections.load(Ordering::SeqCst),
            1,
            "asked once: {why}"
        );
        resume_with(&scene, "ask-it: {on_failure: retry, reason: it is back}\n")
            .says("ready = true")
            .exit(0);
    }
}

/// `printf 'one\ntwo\n' | sha256sum`
const ONE_TWO: &str = "sha256:c3f9c8c283a2b1f2f1896f27a01cbe3cddc0c9d93f752e4639035a0f5b36f6e8";

#[test]
fn a_digest_and_headers_are_taken_from_what_came_not_from_what_it_says_of_itself() {
    let server = serve(&[|stream| {
        let head = "HTTP/1.1 503 Busy\r\nContent-Type: application/octet-stream\r\n";
        let rest = "Retry-After: 7\r\nContent-Length: 8\r\nConnection: close\r\n\r\none\ntwo\n";
        let _ = stream.write_all(format!("{head}{rest}").as_bytes());
    }]);
    let facts = "    facts:
      sum: {type: string, from: digest}
      pause: {type: string, from: \"headers['retry-after']\"}
      is_busy: {type: boolean, from: outcome == 'busy'}
";
    let steps = ASKS
        .replace(
            "    facts: {ready: {type: boolean, from: body.ready}}\n",
            facts,
        )
        .replace("text}'}", "text}', statuses: {503: busy}}");
    let scene = asking(server.address, &steps);
    start_with_profile(&scene)
        .says(ONE_TWO)
        .says("pause = 7")
        .says("is_busy = true")
        .exit(0);
}

#[test]
fn a_change_that_is_answered_badly_is_in_doubt() {
    let cases: [(&'static [Treat], &str); 5] = [
        (&[hangs], "no answer within"),
        (&[fails], "answered 500: out of"),
        (&[html], "the endpoint answered HTML, not JSON"),
        (&[cut], "the answer broke off after its status 200"),
        (&[floods], "its answer is longer than 16 MiB"),
    ];
    for (treats, why) in cases {
        let server = serve(treats);
        let scene = asking(server.address, &changing().replace("20s", patience(why)));
        start_with_profile(&scene)
            .says("in doubt")
            .says(why)
            .exit(16);
        say(&scene, "resume").says("in doubt").exit(16);
        assert_eq!(
            server.connections.load(Ordering::SeqCst),
            1,
            "sent once: {why}"
        );
        resume_with(
            &scene,
            "ask-it: {doubt: happened, reason: I looked, facts: {ready: true}}\n",
        )
        .exit(0);
    }
}

#[test]
fn a_change_that_is_refused_with_a_reason_has_failed() {
    let server = serve(&[|stream| {
        answer(
            stream,
            "409 Conflict",
            "application/problem+json",
            r#"{"title": "too late"}"#,
        );
    }]);
    let scene = asking(server.address, &changing());
    start_with_profile(&scene)
        .says("failed answered 409: too late")
        .exit(15);
    assert_eq!(endings(&scene, "ask-it")[0]["is"], "failed");
}

#[test]
fn where_nobody_listens_nothing_was_sent() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    for steps in [ASKS.to_owned(), changing()] {
        let scene = asking(nobody, &steps);
        start_with_profile(&scene)
            .says("not performed it was not sent: ")
            .says("refused")
            .exit(15);
        assert_eq!(endings(&scene, "ask-it")[0]["is"], "not-performed");
        resume_with(
            &scene,
            "ask-it: {on_failure: done-by-hand, reason: by phone, facts: {ready: true}}\n",
        )
        .exit(0);
    }
}

#[test]
fn a_redirect_is_followed_nowhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("ours");
    let there = elsewhere.local_addr().expect("an address");
    for (steps, code) in [(ASKS.to_owned(), 15), (changing(), 16)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let here = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let head = format!(
                "HTTP/1.1 307 Go\r\nLocation: http://{there}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes());
        });
        let scene = asking(here, &steps);
        start_with_profile(&scene)
            .says("redirects are not followed")
            .exit(code);
    }
    let nobody = elsewhere.accept().expect_err("somebody came");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn an_endpoint_without_an_address_makes_the_step_by_hand() {
    let scene = shop(ASKS);
    say(&scene, "plan ./small.yaml --run-id r-1")
        .shows("by hand: endpoint `api` has no address; a profile gives it one")
        .exit(0);
    start(&scene)
        .says("error: step `ask-it` is by hand and needs ready")
        .exit(15);
    resume_with(&scene, "ask-it: {facts: {ready: true}}\n").exit(0);
}

#[test]
fn a_value_stays_within_its_place_in_the_path() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let scene = asking(listener.local_addr().expect("an address"), ASKS);
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = [0; 4096];
        let n = stream.read(&mut head).expect("a request");
        fine(&mut stream);
        String::from_utf8_lossy(&head[..n]).into_owned()
    });
    let evil = "text=../admin?x=1#y\nEvil: 1";
    ran(
        &scene,
        &[
            "start",
            "./small.yaml",
            "--run-id",
            "r-1",
            "--profile",
            "profile.yaml",
            "--input",
            evil,
        ],
    )
    .exit(0);
    let asked = asked.join().expect("asked");
    assert!(
        asked.starts_with("GET /things/..%2Fadmin%3Fx%3D1%23y%0AEvil%3A%201 HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(
        !asked.contains("runbook-fence"),
        "a read gets no fence: {asked}"
    );
}

#[test]
fn ctrl_c_during_a_request_that_changes_leaves_it_in_doubt() {
    let server = serve(&[hangs]);
    let scene = asking(server.address, &changing().replace("20s", "50s"));
    let driver = begin(
        &scene,
        "start ./small.yaml --run-id r-1 --profile profile.yaml",
    );
    until("it is sent", || {
        server.connections.load(Ordering::SeqCst) == 1
    });
    driver.signal(Signal::INT);
    driver
        .end()
        .says("in doubt stopped by the operator")
        .exit(16);
}
