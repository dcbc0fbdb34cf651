//! Strangers who hold connections: deadlines end each kind, a newcomer never waits for them, and one
//! address cannot take every place.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jeton_tests::{Credentials, HeldLog, Jeton, JetonOptions, eventually, form, http};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How a stranger holds a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sends nothing.
    Nothing,
    /// Speaks HTTP/2, and asks for nothing.
    Pings,
    /// Sends half a request line.
    HalfALine,
    /// Announces a body that never ends.
    EndlessBody,
    /// Asks for much and reads none of it.
    UnreadAnswers,
    /// The same over HTTP/2: the window for answers stays closed.
    ClosedWindow,
    /// The same, and asks for something else every second that needs no window.
    ClosedWindowAndMore,
    /// The same, and takes one byte of the answer first: the rest of it is with the connection by then.
    AlmostClosedWindowAndMore,
    /// Resets one request after the other, and keeps one answer waiting.
    ClosedWindowAndResets,
}

const KINDS: [Kind; 9] = [
    Kind::Nothing,
    Kind::Pings,
    Kind::HalfALine,
    Kind::EndlessBody,
    Kind::UnreadAnswers,
    Kind::ClosedWindow,
    Kind::ClosedWindowAndMore,
    Kind::AlmostClosedWindowAndMore,
    Kind::ClosedWindowAndResets,
];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// SETTINGS_INITIAL_WINDOW_SIZE (4) = 0.
const NO_WINDOW: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0];
const WINDOW_OF_ONE: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1];
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

/// Connects from an address of this machine.
async fn connect(from: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// One address each for strangers.
fn stranger(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 9, number)
}

/// A frame that asks GET /keys, http, :authority "jeton": HPACK without dynamic entries or Huffman codes.
fn get_keys() -> Vec<u8> {
    let block = b"\x82\x86\x04\x05/keys\x01\x05jeton";
    let length = u8::try_from(block.len()).unwrap();
    [&[0, 0, length, 1, 0x05, 0, 0, 0, 1], &block[..]].concat()
}

/// Holds a connection until the server ends it.
async fn hold(kind: Kind, from: Ipv4Addr, to: SocketAddr) {
    let mut stream = connect(from, to).await;
    let begun = match kind {
        Kind::Nothing => Vec::new(),
        Kind::Pings => [PREFACE, EMPTY_SETTINGS].concat(),
        Kind::HalfALine => b"GET /heal".to_vec(),
        Kind::EndlessBody => {
            b"POST /oauth/token HTTP/1.1\r\nHost: jeton\r\nContent-Length: 60000\r\n\
            Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=client"
                .to_vec()
        }
        Kind::UnreadAnswers => b"GET /api/openapi.json HTTP/1.1\r\nHost: jeton\r\n\r\n".repeat(60),
        Kind::ClosedWindow | Kind::ClosedWindowAndMore | Kind::ClosedWindowAndResets => {
            [PREFACE, NO_WINDOW, &get_keys()].concat()
        }
        Kind::AlmostClosedWindowAndMore => [PREFACE, WINDOW_OF_ONE, &get_keys()].concat(),
    };
    stream.write_all(&begun).await.unwrap();
    match kind {
        Kind::UnreadAnswers => loop {
            sleep(Duration::from_millis(200)).await;
            // What is sent to a connection that is closed shows that it is.
            let gone = match stream.try_write(b"\r") {
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
                Ok(_) => false,
            };
            if gone || stream.take_error().unwrap().is_some() {
                return;
            }
        },
        Kind::Pings | Kind::ClosedWindow => answer_pings(stream).await,
        Kind::ClosedWindowAndMore | Kind::AlmostClosedWindowAndMore => {
            ask_for_more(stream, false).await;
        }
        Kind::ClosedWindowAndResets => ask_for_more(stream, true).await,
        _ => while !matches!(stream.read(&mut [0; 4096]).await, Ok(0) | Err(_)) {},
    }
}

/// HEAD /keys on a stream of its own each second, until the end; with resets, it is reset at once.
async fn ask_for_more(mut stream: TcpStream, resets: bool) {
    let (mut reader, mut writer) = stream.split();
    let acknowledged = [0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0];
    let asking = async {
        if writer.write_all(&acknowledged).await.is_err() {
            return;
        }
        for number in (3..).step_by(2) {
            sleep(Duration::from_secs(1)).await;
            let block = b"\x02\x04HEAD\x86\x04\x05/keys\x01\x05jeton";
            let length = u8::try_from(block.len()).unwrap();
            let head = [0, 0, length, 1, 0x05, 0, 0, 0, number];
            let mut request = [&head, &block[..]].concat();
            if resets {
                // CANCEL.
                request.extend([0, 0, 4, RST_STREAM, 0, 0, 0, 0, number, 0, 0, 0, 8]);
            }
            if writer.write_all(&request).await.is_err() {
                return;
            }
        }
    };
    let reading = async { while !matches!(reader.read(&mut [0; 4096]).await, Ok(0) | Err(_)) {} };
    tokio::select! {
        () = asking => {}
        () = reading => {}
    }
}

/// Acknowledges settings and pings until the end.
async fn answer_pings(mut stream: TcpStream) {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        let answer = match (head[3], head[4] & ACK) {
            (SETTINGS, 0) => [0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0].to_vec(),
            (PING, 0) => [&[0, 0, 8, PING, ACK, 0, 0, 0, 0], &payload[..]].concat(),
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// So many connections of a kind, from addresses in turn; each task ends with its connection.
async fn besiege(jeton: &Jeton, kind: Kind, count: usize, addresses: u8) -> JoinSet<()> {
    let to = address(jeton);
    let mut held = JoinSet::new();
    for number in (0..addresses).cycle().take(count) {
        held.spawn(hold(kind, stranger(number), to));
    }
    held
}

fn address(jeton: &Jeton) -> SocketAddr {
    let url = jeton.listening();
    url.trim_start_matches("http://").parse().unwrap()
}

/// Asks on a new connection, and expects an answer soon.
async fn asks(url: &str) -> Option<u16> {
    let answer = timeout(Duration::from_secs(5), http().get(url).send()).await;
    Some(answer.ok()?.ok()?.status().as_u16())
}

async fn client(jeton: &Jeton) -> Credentials {
    let operator = jeton.operator().await;
    let todo = operator
        .mcp_server("http://localhost:3002/mcp", &["a"])
        .await;
    operator.client(&todo, &["a"]).await
}

#[tokio::test]
async fn newcomers_are_served_while_strangers_hold_every_place() {
    for kind in KINDS {
        let jeton = Jeton::start_with(JetonOptions {
            flags: vec!["--max-connections", "50", "--health-listen", "127.0.0.1:0"],
            ..JetonOptions::default()
        })
        .await;
        let health = jeton.health().await;
        let client = client(&jeton).await;
        let _held = besiege(&jeton, kind, 150, 20).await;
        // Long before any deadline.
        for _ in 0..3 {
            sleep(Duration::from_millis(500)).await;
            for url in [&jeton.url, &health] {
                assert_eq!(asks(&format!("{url}/healthz")).await, Some(200), "{kind:?}");
            }
            let answer = timeout(Duration::from_secs(5), client.ask(&jeton.url, &[])).await;
            assert_eq!(answer.expect("in time").status, 200, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_deadline_ends_every_kind_of_connection() {
    let jeton = Jeton::start().await;
    let mut all = JoinSet::new();
    for kind in KINDS {
        let mut held = besiege(&jeton, kind, 5, 5).await;
        all.spawn(async move {
            while held.join_next().await.is_some() {}
            kind
        });
    }
    let ended = async {
        let mut ended = Vec::new();
        while let Some(kind) = all.join_next().await {
            ended.push(kind.unwrap());
        }
        ended
    };
    let ended = timeout(Duration::from_secs(60), ended).await;
    assert_eq!(ended.expect("all end by themselves").len(), KINDS.len());
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_408() {
    let jeton = Jeton::start().await;
    let mut stream = connect(stranger(1), address(&jeton)).await;
    let begun = b"POST /oauth/token HTTP/1.1\r\nHost: jeton\r\nContent-Length: 600\r\n\
        Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type=";
    stream.write_all(begun).await.unwrap();
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(60), stream.read_to_string(&mut answer)).await;
    read.expect("it is answered and closed").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    // Nor does a body hold the connection that nobody wants to read.
    let mut stream = connect(stranger(1), address(&jeton)).await;
    let begun = b"POST /keys HTTP/1.1\r\nHost: jeton\r\nContent-Length: 600\r\n\r\nx";
    stream.write_all(begun).await.unwrap();
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(60), stream.read_to_string(&mut answer)).await;
    read.expect("it is answered and closed").unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[tokio::test]
async fn one_address_may_have_only_its_part_of_the_places() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec![
            "--max-connections",
            "40",
            "--max-connections-per-source",
            "10",
        ],
        ..JetonOptions::default()
    })
    .await;
    let mut others = besiege(&jeton, Kind::Nothing, 10, 10).await;
    let mut one = JoinSet::new();
    for _ in 0..25 {
        one.spawn(hold(Kind::Nothing, stranger(99), address(&jeton)));
    }
    // Its own oldest connections make room for its newest.
    for _ in 0..15 {
        let ended = timeout(Duration::from_secs(5), one.join_next()).await;
        ended.expect("one over its part is cut off");
    }
    assert_eq!(one.len(), 10);
    assert!(
        others.try_join_next().is_none(),
        "nobody else loses a place"
    );
    // What it asks for it gets.
    let mut stream = connect(stranger(99), address(&jeton)).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: jeton\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_trusted_proxy_may_have_every_place() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--max-connections", "40", "--trusted-proxy", "127.0.9.99"],
        ..JetonOptions::default()
    })
    .await;
    let mut proxied = JoinSet::new();
    for _ in 0..30 {
        proxied.spawn(hold(Kind::Nothing, stranger(99), address(&jeton)));
    }
    let mut others = besiege(&jeton, Kind::Nothing, 11, 1).await;
    let ended = timeout(Duration::from_secs(5), others.join_next()).await;
    ended.expect("a quarter of the places is ten");
    assert!(proxied.try_join_next().is_none());
}

#[tokio::test]
async fn few_open_files_leave_fewer_places_and_health_answers_still() {
    let jeton = Jeton::start_with(JetonOptions {
        through: vec!["prlimit", "--nofile=200:200"],
        ..JetonOptions::default()
    })
    .await;
    assert!(jeton.log().contains("ulimit -n"), "{}", jeton.log());
    let client = client(&jeton).await;
    let _held = besiege(&jeton, Kind::Nothing, 400, 40).await;
    eventually("everybody else is served", async || {
        asks(&format!("{}/healthz", jeton.url)).await == Some(200)
    })
    .await;
    assert_eq!(client.ask(&jeton.url, &[]).await.status, 200);
}

#[tokio::test]
async fn who_was_turned_away_for_want_of_a_place_gets_one_once_there_is() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--max-connections", "4"],
        ..JetonOptions::default()
    })
    .await;
    let client = client(&jeton).await;
    // The server works on as many requests as there are places.
    let held = HeldLog::hold(jeton.database()).await;
    let mut working = JoinSet::new();
    for number in 0..4 {
        let (client, url) = (client.clone(), jeton.url.clone());
        working.spawn(async move {
            let http = from(stranger(number));
            let body = form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &client.client_id),
                ("client_secret", &client.client_secret),
            ]);
            // Before its request has arrived, it may have to go for another.
            loop {
                let request = http
                    .post(format!("{url}/oauth/token"))
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(body.clone());
                if let Ok(answer) = request.send().await
                    && answer.status() == 200
                {
                    return;
                }
            }
        });
    }
    let keys = format!("{}/keys", jeton.url);
    eventually("every place is taken", async || {
        asks(&keys).await == Some(503)
    })
    .await;
    // Over HTTP/2 no header can say that the connection ends: it does, long before any deadline. Where a request
    // gives up waiting (SQLite), there is a place, and it goes on.
    let mut ended = false;
    for _ in 0..10 {
        let mut stream = connect(stranger(50), address(&jeton)).await;
        let asking = [PREFACE, EMPTY_SETTINGS, &get_keys()].concat();
        stream.write_all(&asking).await.unwrap();
        ended = timeout(Duration::from_secs(2), answer_pings(stream))
            .await
            .is_ok();
        if ended {
            break;
        }
    }
    assert!(ended, "the connection ends");
    held.release().await;
    while let Some(served) = working.join_next().await {
        served.unwrap();
    }
    eventually("there is a place again", async || {
        asks(&keys).await == Some(200)
    })
    .await;
}

/// An HTTP client with an address of its own.
fn from(source: Ipv4Addr) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder
        .local_address(std::net::IpAddr::from(source))
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_listener_for_health_answers_nothing_else() {
    let jeton = Jeton::start_with(JetonOptions {
        flags: vec!["--health-listen", "127.0.0.1:0"],
        ..JetonOptions::default()
    })
    .await;
    let health = jeton.health().await;
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/keys", 404),
        ("/", 404),
    ] {
        assert_eq!(asks(&format!("{health}{path}")).await, Some(status));
    }
    let request = http()
        .post(format!("{health}/oauth/token"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form(&[("grant_type", "client_credentials")]));
    assert_eq!(request.send().await.unwrap().status(), 404);
}
