//! Over TCP: what only a socket can do to a service.

use std::time::Duration;

use highwater_server::{Settings, listen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::lab::Lab;

/// A service that listens.
struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    running: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn start(lab: &Lab) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let service = lab.service().clone();
        let running = tokio::spawn(listen::serve(listener, service, async move {
            let _ = stopped.await;
        }));
        Server {
            address,
            stop,
            running,
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server ends the connection.
    async fn talk(&self, bytes: &[u8]) -> String {
        let (mut read, mut write) = self.connect().await.into_split();
        let bytes = bytes.to_vec();
        // The server may answer and close before it has read everything.
        let writing = tokio::spawn(async move {
            let _ = write.write_all(&bytes).await;
            write
        });
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
        drop(writing.await);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[tokio::test]
async fn every_error_has_a_body_even_where_http_itself_refuses() {
    let mut settings = Settings::default();
    settings.limits.url_max_bytes = 10_000;
    let lab = Lab::with_settings(settings).await;
    let server = Server::start(&lab).await;
    let parentheses = format!("/odata/Customers?$filter={}", "(".repeat(1_000_000));
    let long = format!("/odata/Customers?$filter={}", "(".repeat(20_000));
    for (request, status, code) in [
        (
            format!("GET {parentheses} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes(),
            "414",
            "UrlTooLong",
        ),
        (
            format!("GET {long} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").into_bytes(),
            "414",
            "UrlTooLong",
        ),
        (
            b"GET /odata/Customers('\xff') HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                .to_vec(),
            "400",
            "InvalidUrl",
        ),
        (
            b"GET /odata/Customers HTTP/1.1\r\nHo st: h\r\n\r\n".to_vec(),
            "400",
            "InvalidUrl",
        ),
        (b"nonsense\r\n\r\n".to_vec(), "400", "InvalidUrl"),
        (
            b"GET /odata/Customers HTTP/1.1\r\nConnection: close\r\n\r\n".to_vec(),
            "400",
            "InvalidHeader",
        ),
        (
            b"GET /odata/Customers HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n"
                .to_vec(),
            "400",
            "InvalidHeader",
        ),
        (
            format!(
                "GET /odata/Customers HTTP/1.1\r\nHost: h\r\n{}\r\n",
                "X: y\r\n".repeat(200)
            )
            .into_bytes(),
            "431",
            "HeadersTooLarge",
        ),
        (
            format!(
                "GET /odata/Customers HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n",
                "y".repeat(1 << 20)
            )
            .into_bytes(),
            "431",
            "HeadersTooLarge",
        ),
        (
            b"GET /odata/Nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec(),
            "404",
            "NotFound",
        ),
    ] {
        let answer = server.talk(&request).await;
        let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{shown}\n{answer}"
        );
        assert!(
            answer.contains(&format!("{{\"error\":{{\"code\":\"{code}\"")),
            "{shown}\n{answer}"
        );
        assert!(
            answer
                .to_ascii_lowercase()
                .contains("\r\nodata-version: 4.01\r\n"),
            "{answer}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn silent_and_slow_clients_are_shown_the_door() {
    let mut settings = Settings::default();
    // Long enough for a request that is complete, however busy the machine is.
    settings.limits.headers_time_max = Duration::from_secs(1);
    settings.limits.request_time_max = Duration::from_secs(3);
    let lab = Lab::with_settings(settings).await;
    let server = Server::start(&lab).await;
    // Says nothing, says half, and keeps a connection open for nothing.
    for bytes in [
        &b""[..],
        b"GET /odata/Customers HT",
        b"GET /odata/Customers/$count HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let answer = server.talk(bytes).await;
        assert_eq!(
            answer.contains("200 OK"),
            bytes.ends_with(b"\r\n\r\n"),
            "{answer}"
        );
    }
    // Announces a body that never comes.
    let answer = server
        .talk(b"POST /odata/Customers HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
        .await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let mut settings = Settings::default();
    settings.limits.connections_max = 1;
    let lab = Lab::with_settings(settings).await;
    let server = Server::start(&lab).await;
    let request = b"GET /odata/Customers/$count HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let mut first = server.connect().await;
    first.write_all(&request[..10]).await.unwrap();
    let second = server.talk(request);
    let first = async move {
        first.write_all(&request[10..]).await.unwrap();
        let mut answer = String::new();
        first.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.ends_with("\r\n\r\n3"), "{first}");
    assert!(second.ends_with("\r\n\r\n3"), "{second}");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_lets_requests_in_flight_end() {
    let lab = Lab::new().await;
    let server = Server::start(&lab).await;
    let mut client = server.connect().await;
    let head = b"POST /odata/Customers/$query HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut go_ahead = [0; 25];
    // The service asks for the body, so the request is being answered.
    client.read_exact(&mut go_ahead).await.unwrap();
    assert!(go_ahead.starts_with(b"HTTP/1.1 100 "));
    let idle = server.connect().await;
    let stopping = server.stop();
    let finishing = async move {
        client.write_all(b"$top=1").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let ((), answer) = tokio::join!(stopping, finishing);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("ALFKI"), "{answer}");
    drop(idle);
}

#[tokio::test]
async fn a_program_can_mount_the_service_beside_its_own_routes() {
    let lab = Lab::new().await;
    let app = axum::Router::new()
        .route("/own", axum::routing::get(|| async { "mine" }))
        .fallback_service(lab.service().clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = tokio::spawn(async move { axum::serve(listener, app).await });
    for (target, expected) in [("/own", "mine"), ("/odata/Customers", "Alfreds")] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(expected), "{answer}");
    }
    running.abort();
}
