//! Against real listeners on loopback that answer, hang, cut and lie.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{JoinHandle, spawn};

use serde_json::json;

use super::*;
use crate::effects::stop::stop;

/// Far longer than any of these requests takes, unless something is wrong.
const LONG: Span = Span::from_secs(60);

/// A server that reads one request and then does what it is told; gives back the request when it is joined.
fn serve(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let request = read_request(&mut stream);
        answer(&mut stream);
        request
    });
    (address, server)
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    let mut left = usize::MAX;
    while left > 0 && stream.read(&mut byte).expect("a request") == 1 {
        request.push(byte[0]);
        left = left.saturating_sub(1);
        if left > 1_000_000 && request.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request).to_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next());
            left = length.map_or(0, |length| length.parse().expect("a length"));
        }
    }
    String::from_utf8(request).expect("text")
}

fn answering(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<String>) {
    let answer = answer.into();
    serve(move |stream| stream.write_all(&answer).expect("it listens"))
}

/// Waits until the other side has closed the connection.
fn hang(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}

fn whole(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn get(address: impl std::fmt::Display) -> RequestSpec {
    RequestSpec {
        method: Method::GET,
        url: format!("http://{address}/path"),
        headers: BTreeMap::new(),
        body: None,
        bearer: None,
        timeout: LONG,
        max_body: MAX_BODY,
    }
}

async fn sent(spec: &RequestSpec) -> RequestEnding {
    let (_nobody, stop) = stop();
    let redactor = Redactor::default();
    send(&Client::default(), spec, &redactor, &mut Vec::new(), stop).await
}

fn not_sent(ending: RequestEnding) -> String {
    match ending.ended {
        Ended::NotSent(why) => why,
        other => panic!("{other:?}"),
    }
}

fn broken(ending: RequestEnding) -> String {
    match ending.ended {
        Ended::Broken(why) => why,
        other => panic!("{other:?}"),
    }
}

// The connection is closed by a task of its own, which must run while the test waits for the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_what_was_asked_for_and_an_answer_what_was_said() {
    let body = r#"{"ready": false}"#;
    let (address, server) = answering(format!(
        "HTTP/1.1 503 No\r\nContent-Type: application/json\r\nRetry-After: 7\r\nSet-Cookie: a=b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let mut spec = get(address);
    spec.method = Method::POST;
    spec.headers
        .insert("Idempotency-Key".to_owned(), "k1".to_owned());
    spec.bearer = Some("hunter2-token".to_owned());
    spec.body = Some(json!({"a": 1}));
    let (_nobody, stop) = stop();
    let mut sink = Vec::new();
    let ending = send(
        &Client::default(),
        &spec,
        &Redactor::default(),
        &mut sink,
        stop,
    )
    .await;
    let headers = [("content-type", "application/json"), ("retry-after", "7")];
    assert_eq!(
        ending.ended,
        Ended::Answered {
            status: 503,
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            body: Body::Json(json!({"ready": false})),
        }
    );
    assert_eq!((ending.status, sink), (Some(503), body.as_bytes().to_vec()));
    let request = server.join().expect("a request");
    assert!(request.starts_with("POST /path HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: Bearer hunter2-token\r\n"),
        "{request}"
    );
    assert!(request.contains("idempotency-key: k1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    elsewhere.set_nonblocking(true).expect("nonblocking");
    let there = elsewhere.local_addr().expect("an address");
    for status in [301, 302, 303, 307, 308] {
        let location = format!("http://me:pw@{there}/x?token=abc");
        let (address, server) = answering(format!(
            "HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ));
        let mut spec = get(address);
        spec.bearer = Some("hunter2-token".to_owned());
        let ending = sent(&spec).await;
        let location = Some(format!("http://REDACTED@{there}/x?token=REDACTED"));
        assert_eq!(ending.ended, Ended::Redirected { status, location });
        server.join().expect("a request");
    }
    let nobody = elsewhere.accept().expect_err("it got a connection");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn html_is_an_answer_without_a_value() {
    let (address, _server) = answering(whole("200 OK", "text/html", "<html>Sign in</html>"));
    match sent(&get(address)).await.ended {
        Ended::Answered {
            status: 200,
            body: Body::Text { text, why },
            ..
        } => {
            assert_eq!(text, "<html>Sign in</html>");
            assert_eq!(why.to_string(), "the endpoint answered HTML, not JSON");
        }
        other => panic!("{other:?}"),
    }
}

/// Sends the head, then the piece until 100 MB are sent or nobody listens any more.
fn flooding(head: &'static str, piece: Vec<u8>) -> (SocketAddr, JoinHandle<String>) {
    serve(move |stream| {
        let mut sent = stream.write_all(head.as_bytes());
        for _ in 0..100_000_000 / piece.len() {
            sent = sent.and_then(|()| stream.write_all(&piece));
        }
        assert!(sent.is_err(), "everything was read");
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_read_to_the_limit_and_no_further() {
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    for (address, server) in [
        flooding(
            "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
            vec![b'x'; 0x10000],
        ),
        flooding(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunk,
        ),
    ] {
        let mut spec = get(address);
        spec.max_body = 1_000_000;
        let mut sink = Vec::new();
        let (_nobody, stop) = stop();
        let ending = send(
            &Client::default(),
            &spec,
            &Redactor::default(),
            &mut sink,
            stop,
        )
        .await;
        assert_eq!(ending.ended, Ended::TooLarge { limit: 1_000_000 });
        assert_eq!((ending.status, sink.len()), (Some(200), 1_000_000));
        server.join().expect("the connection was closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_as_long_as_the_limit_is_whole() {
    let (address, _server) = answering(whole("200 OK", "application/json", "[1]"));
    let mut spec = get(address);
    spec.max_body = 3;
    let ending = sent(&spec).await;
    assert!(
        matches!(
            ending.ended,
            Ended::Answered {
                body: Body::Json(_),
                ..
            }
        ),
        "{ending:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_is_broken_wherever_it_is_cut() {
    let answer = whole("200 OK", "application/json", r#"{"a": 1}"#);
    for end in 0..answer.len() {
        let (address, server) = answering(&answer.as_bytes()[..end]);
        let ending = sent(&get(address)).await;
        let had_status = end >= answer.len() - 8;
        assert_eq!(ending.status, had_status.then_some(200), "cut at {end}");
        let why = broken(ending);
        assert_eq!(
            why.contains("broke off after its status 200"),
            had_status,
            "{why}"
        );
        server.join().expect("a request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_in_the_middle_of_a_chunk_is_broken() {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n";
    let (address, _server) = answering(chunked);
    broken(sent(&get(address)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_instead_of_http_is_broken_and_not_unsent() {
    let (address, _server) = answering("SSH-2.0-OpenSSH_9.2\r\n");
    broken(sent(&get(address)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_times_out_before_the_status_and_within_the_body() {
    for (said, status) in [
        ("", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{", Some(200)),
    ] {
        let (address, server) = serve(move |stream| {
            stream.write_all(said.as_bytes()).expect("it listens");
            hang(stream);
        });
        let mut spec = get(address);
        spec.timeout = Span::from_millis(200);
        let ending = sent(&spec).await;
        assert_eq!((ending.ended, ending.status), (Ended::TimedOut, status));
        server.join().expect("a request");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_before_is_not_sent_and_a_stop_after_is_in_doubt() {
    let (stopper, stopped) = stop();
    let (address, server) = serve(move |stream| {
        stopper.stop();
        hang(stream);
    });
    let redactor = Redactor::default();
    let client = Client::default();
    let ending = send(
        &client,
        &get(address),
        &redactor,
        &mut Vec::new(),
        stopped.clone(),
    )
    .await;
    assert_eq!((ending.ended, ending.status), (Ended::Stopped, None));
    server.join().expect("a request");

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let ending = send(&client, &get(address), &redactor, &mut Vec::new(), stopped).await;
    assert!(not_sent(ending).contains("stopped before"));
    listener.set_nonblocking(true).expect("nonblocking");
    assert!(listener.accept().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_is_known_not_to_have_been_sent() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let why = not_sent(sent(&get(closed)).await);
    assert!(why.contains("refused"), "{why}");

    // A label of 64 characters is too long for a name (RFC 1035), so nobody is asked for it.
    let mut unknown = get(closed);
    let port = closed.port();
    unknown.url = format!("http://{}.localhost:{port}/", "x".repeat(64));
    not_sent(sent(&unknown).await);

    // A server that does not speak TLS; the request would only follow the handshake.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let plain = spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream
            .write_all(b"HTTP/1.1 400 Bad\r\n\r\n")
            .expect("it listens");
        hang(&mut stream);
    });
    let mut tls = get(address);
    tls.url = format!("https://{address}/");
    let why = not_sent(sent(&tls).await);
    assert!(why.contains("corrupt message"), "{why}");
    plain.join().expect("a handshake");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_not_sent_and_its_secrets_not_told() {
    let bad = |change: fn(&mut RequestSpec)| {
        let mut spec = get("127.0.0.1:9");
        change(&mut spec);
        spec
    };
    for (spec, told) in [
        (
            bad(|spec| spec.url = "file:///etc/passwd".to_owned()),
            "`file:`",
        ),
        (
            bad(|spec| spec.url = "path/only".to_owned()),
            "cannot be read",
        ),
        (
            bad(|spec| drop(spec.headers.insert("a b".to_owned(), String::new()))),
            "`a b`",
        ),
        (
            bad(|spec| drop(spec.headers.insert("a".to_owned(), "x\r\nb: c".to_owned()))),
            "`a`",
        ),
        (
            bad(|spec| spec.bearer = Some("hunter2\n".to_owned())),
            "its token",
        ),
    ] {
        let why = not_sent(sent(&spec).await);
        assert!(why.contains(told) && !why.contains("hunter2"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_an_answer_is_masked_everywhere() {
    let (redactor, _) = Redactor::new([("TOKEN", "hunter2-token")]);
    let body = r#"{"you": "hunter2-token", "hex": "68756e746572322d746f6b656e"}"#;
    let (address, _server) = serve(move |stream| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nETag: \"hunter2-token\"\r\nContent-Length: {length}\r\n\r\n"
        );
        for piece in [
            head.as_bytes(),
            &body.as_bytes()[..15],
            &body.as_bytes()[15..],
        ] {
            stream.write_all(piece).expect("it listens");
            stream.flush().expect("it listens");
        }
    });
    let (_nobody, stop) = stop();
    let mut sink = Vec::new();
    let mut spec = get(address);
    spec.bearer = Some("hunter2-token".to_owned());
    let ending = send(&Client::default(), &spec, &redactor, &mut sink, stop).await;
    assert_eq!(
        String::from_utf8_lossy(&sink),
        r#"{"you": "[REDACTED:TOKEN]", "hex": "[REDACTED:TOKEN]"}"#
    );
    let told = format!("{ending:?}");
    assert!(
        !told.contains("hunter2") && !told.contains("68756e"),
        "{told}"
    );
    assert_eq!(ending.taken.redactions, [("TOKEN".to_owned(), 2)].into());
}

#[test]
fn we_never_ask_a_proxy_for_ourselves() {
    let client = Client::default();
    for host in [
        "127.0.0.1",
        "127.8.8.8",
        "[::1]",
        "localhost",
        "a.localhost",
    ] {
        client.for_host(host).expect("a client");
    }
    assert!(client.loopback.get().is_some() && client.outside.get().is_none());
    client.for_host("localhost.example.com").expect("a client");
    assert!(client.outside.get().is_some());
}
