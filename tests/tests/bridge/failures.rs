//! What cannot be done is answered with a sentence that says what to do, and what can is done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jeton_tests::{eventually, free_port};
use serde_json::{Value, json};

use crate::host::{Host, initialize, stateless};
use crate::remote::{Remote, document, done, refused, status};

fn call(id: u32) -> Value {
    stateless(json!(id), "tools/call", json!({ "name": "t" }))
}

fn words(answer: &Value) -> &str {
    answer["error"]["message"]
        .as_str()
        .unwrap_or_else(|| panic!("no error: {answer}"))
}

#[tokio::test]
async fn a_secret_that_is_not_accepted_is_told_in_an_answer() {
    let remote = Remote::start(async |_| status(500)).await;
    remote.refuse_tokens(Some("invalid_client"));
    let mut host = remote.host();
    let answer = host.ask(initialize()).await;
    let told = words(&answer);
    for part in [
        "JETON_CLIENT_SECRET",
        "m2m_x",
        &remote.origin,
        "invalid_client",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(answer["error"]["data"]["reason"], "no_token");
    let code = answer["error"]["code"].as_i64().unwrap();
    assert!(!(-32_768..=-32_000).contains(&code), "{code}");
    host.hang_up();
    let exit = host.ended().await;
    assert_eq!(exit.code, Some(0));
    assert!(exit.stderr.contains("invalid_client"), "{}", exit.stderr);
    assert!(!format!("{told}{}", exit.stderr).contains("jeton_x-secret"));
    assert!(remote.asked().is_empty());
}

#[tokio::test]
async fn a_server_that_is_away_is_told_and_found_again() {
    let mut remote = Remote::start(async |asked| done(&asked)).await;
    let mut host = remote.host_with(&["--wait", "0"]);
    host.ask(call(1)).await;
    remote.stop().await;
    let answer = host.ask(call(2)).await;
    assert!(words(&answer).contains("Is it running"), "{answer}");
    assert_eq!(answer["error"]["data"]["reason"], "unreachable");
    remote.restart().await;
    assert!(host.ask(call(3)).await["result"].is_object());
    // A server that was never there is told the same way.
    let nobody = format!("http://127.0.0.1:{}/mcp", free_port());
    let mut host = Host::start(
        &[&nobody, "--wait", "0"],
        &[
            ("JETON_ISSUER", &remote.origin),
            ("JETON_CLIENT_ID", "m2m_x"),
            ("JETON_CLIENT_SECRET", "jeton_x"),
        ],
    );
    let answer = host.ask(initialize()).await;
    assert!(words(&answer).contains(&nobody), "{answer}");
}

#[tokio::test]
async fn a_request_waits_while_a_server_restarts() {
    let mut remote = Remote::start(async |asked| done(&asked)).await;
    let mut host = remote.host();
    host.ask(call(1)).await;
    remote.stop().await;
    host.send(call(2)).await;
    // It is not answered with an error: the server is asked again until it is there.
    assert_eq!(host.next_within(Duration::from_millis(500)).await, None);
    remote.restart().await;
    assert!(host.next().await["result"].is_object());
    assert_eq!(remote.asked_for("tools/call").len(), 2);
}

#[tokio::test]
async fn a_scope_that_is_granted_is_asked_for_and_one_that_is_not_is_told_once() {
    let needs_b = |asked: crate::remote::Asked, token: String| {
        // The newest token has the scopes that were asked for last.
        if asked.header("authorization") == Some(&format!("Bearer {token}")) {
            done(&asked)
        } else {
            refused(403, r#"Bearer error="insufficient_scope", scope="b""#)
        }
    };
    let remote = Remote::start(move |asked| async move { needs_b(asked, "token-1".into()) }).await;
    let mut host = remote.host();
    assert!(host.ask(call(1)).await["result"].is_object());
    let asked = remote.token_requests();
    assert!(
        asked[0].contains("scope=a&") || asked[0].ends_with("scope=a"),
        "{asked:?}"
    );
    // Beside what it had: the challenge names what the operation needs alone.
    assert!(asked[1].contains("scope=a+b"), "{asked:?}");

    let remote = Remote::start(move |asked| async move { needs_b(asked, "none".into()) }).await;
    remote.grant_only("a");
    let mut host = remote.host();
    for id in 1..10 {
        let answer = host.ask(call(id)).await;
        let told = words(&answer);
        assert!(
            told.contains("scope b") && told.contains("m2m_x has a"),
            "{told}"
        );
    }
    // Once for the first token, once for the wider one; what was left out is not asked for again.
    assert_eq!(remote.token_requests().len(), 2);
    assert_eq!(remote.asked().len(), 9);
}

/// Asks for the scope b in its second challenge.
async fn needs_b(asked: crate::remote::Asked) -> axum::response::Response {
    if asked.header("authorization") == Some("Bearer token-1") {
        return done(&asked);
    }
    let mut answer = refused(403, r#"Basic realm="x""#);
    answer.headers_mut().append(
        "www-authenticate",
        r#"Bearer error="insufficient_scope", scope="b""#.parse().unwrap(),
    );
    answer
}

/// RFC 9110 §11.6.1: each challenge may stand in a header of its own.
#[tokio::test]
async fn a_scope_is_read_from_whichever_header_asks_for_it() {
    // Where it is not granted, it is told.
    let remote = Remote::start(needs_b).await;
    remote.grant_only("a");
    let mut host = remote.host();
    let answer = host.ask(call(1)).await;
    assert!(words(&answer).contains("scope b"), "{answer}");
    // Where it is, it is asked for.
    let remote = Remote::start(needs_b).await;
    let mut host = remote.host();
    let answer = host.ask(call(1)).await;
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_replaced_once() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let remote = Remote::start(move |asked| {
        let first = seen.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                refused(401, r#"Bearer error="invalid_token""#)
            } else {
                done(&asked)
            }
        }
    })
    .await;
    let mut host = remote.host();
    assert!(host.ask(call(1)).await["result"].is_object());
    assert_eq!(remote.token_requests().len(), 2);

    let remote = Remote::start(async |_| {
        refused(
            401,
            r#"Bearer error="invalid_token", error_description="unknown issuer""#,
        )
    })
    .await;
    let mut host = remote.host();
    let answer = host.ask(call(1)).await;
    assert!(words(&answer).contains("unknown issuer"), "{answer}");
    assert_eq!(remote.asked().len(), 2);
}

#[tokio::test]
async fn what_is_no_mcp_server_is_told() {
    for (script, part) in [
        (0, "no MCP server"),
        (1, "no MCP endpoint"),
        (2, "Redirects"),
        (3, "no answer"),
        (4, "cannot answer now"),
    ] {
        let remote = Remote::start(move |_| async move {
            match script {
                0 => axum::response::IntoResponse::into_response("<html>Welcome"),
                1 => status(404),
                2 => axum::response::IntoResponse::into_response(
                    axum::response::Redirect::temporary("/elsewhere"),
                ),
                3 => status(202),
                _ => status(500),
            }
        })
        .await;
        let mut host = remote.host_with(&["--wait", "0"]);
        let answer = host.ask(call(1)).await;
        assert!(words(&answer).contains(part), "{part}: {answer}");
    }
}

/// A server that answers twice with a status, then as it should.
async fn busy_twice(answered: u16, retry_after: &'static str) -> Remote {
    let count = Arc::new(AtomicUsize::new(0));
    Remote::start(move |asked| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        async move {
            if number < 2 {
                let mut busy = status(answered);
                busy.headers_mut()
                    .insert("retry-after", retry_after.parse().unwrap());
                busy
            } else {
                document(&asked.result(json!({ "tools": [] })))
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_busy_server_is_asked_again_for_what_only_reads() {
    for answered in [429, 502, 503, 504] {
        let remote = busy_twice(answered, "0").await;
        let mut host = remote.host();
        let list = stateless(json!(1), "tools/list", json!({}));
        assert!(host.ask(list).await["result"].is_object(), "{answered}");
        assert_eq!(remote.asked().len(), 3, "{answered}");
    }
}

#[tokio::test]
async fn a_busy_server_is_not_asked_before_it_wants_to_be() {
    for retry_after in ["3600", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let remote = busy_twice(503, retry_after).await;
        let mut host = remote.host();
        let list = stateless(json!(1), "tools/list", json!({}));
        let answer = host.ask(list).await;
        assert!(answer["error"].is_object(), "{answer}");
        assert_eq!(remote.asked().len(), 1, "{retry_after}");
    }
}

#[tokio::test]
async fn a_tool_call_reaches_a_busy_server_once() {
    for answered in [429, 502, 503, 504] {
        let remote = busy_twice(answered, "0").await;
        let mut host = remote.host();
        let answer = host.ask(call(1)).await;
        assert!(words(&answer).contains(&answered.to_string()), "{answer}");
        assert_eq!(remote.asked().len(), 1, "{answered}");
    }
}

#[tokio::test]
async fn a_bridge_without_credentials_answers_what_is_missing() {
    for (arguments, environment, part) in [
        (vec!["http://127.0.0.1:1/mcp"], vec![], "JETON_CLIENT_ID"),
        (
            vec!["http://mcp.example.com/mcp"],
            vec![
                ("JETON_CLIENT_ID", "m2m_x"),
                ("JETON_CLIENT_SECRET", "jeton_x"),
            ],
            "use https",
        ),
        (
            vec!["http://127.0.0.1:1/mcp"],
            vec![
                ("JETON_CLIENT_ID", "m2m_x"),
                ("JETON_CLIENT_SECRET_FILE", "/nowhere/secret"),
            ],
            "/nowhere/secret",
        ),
        (
            vec!["http://127.0.0.1:1/mcp"],
            vec![
                ("JETON_CLIENT_ID", "m2m_x"),
                ("JETON_CLIENT_SECRET_COMMAND", "exit 3"),
            ],
            "JETON_CLIENT_SECRET_COMMAND",
        ),
    ] {
        let mut host = Host::start(&arguments, &environment);
        let answer = host.ask(initialize()).await;
        assert!(words(&answer).contains(part), "{part}: {answer}");
        assert_eq!(answer["error"]["data"]["reason"], "configuration");
        host.hang_up();
        let exit = host.ended().await;
        assert_eq!(exit.code, Some(2));
        assert!(exit.stderr.contains(part), "{}", exit.stderr);
    }
}

/// Hosts show the answer, and nothing of what a program that ended has written.
#[tokio::test]
async fn a_bridge_that_is_started_wrongly_answers_why() {
    let url = "http://127.0.0.1:1/mcp";
    for (arguments, environment, part) in [
        (
            vec![url],
            vec![("JETON_CLIENT_SECERT", "x")],
            "Did you mean JETON_CLIENT_SECRET?",
        ),
        (
            vec![url],
            vec![("JETON_CLIENT_SECRET", " ")],
            "JETON_CLIENT_SECRET is set, but empty",
        ),
        (vec![url], vec![("JETON_WAIT", "soon")], "JETON_WAIT"),
        (vec![url, "--wiat", "1"], vec![], "--wiat"),
        (vec![url, "--json"], vec![], "--json"),
        (vec!["--json", "bridge", url], vec![], "--json"),
        (
            vec![
                "--insecure-http",
                "--data-dir",
                "x",
                "bridge",
                url,
                "--wiat",
                "1",
            ],
            vec![],
            "--wiat",
        ),
        (
            vec!["--insecure-http", "bridge"],
            vec![("JETON_CLIENT_SECERT", "x")],
            "Did you mean JETON_CLIENT_SECRET?",
        ),
        (vec![], vec![], "<MCP_URL>"),
        (
            vec![
                url,
                "--issuer",
                "https://ada:hunter2@a.example/?key=hunter2",
            ],
            vec![],
            "a.example",
        ),
    ] {
        let mut host = match arguments.split_first() {
            Some((first, rest)) if arguments.contains(&"bridge") => {
                Host::start_command(first, rest, &environment)
            }
            _ => Host::start(&arguments, &environment),
        };
        for request in [initialize(), call(7)] {
            let answer = host.ask(request).await;
            assert!(words(&answer).contains(part), "{part}: {answer}");
            assert!(!words(&answer).contains('\n'), "{answer}");
            assert!(!words(&answer).contains("hunter2"), "{answer}");
            assert_eq!(answer["error"]["data"]["reason"], "configuration");
        }
        host.hang_up();
        let exit = host.ended().await;
        assert_eq!(exit.code, Some(2), "{part}");
        assert!(exit.stderr.contains(part), "{}", exit.stderr);
        assert!(!exit.stderr.contains("hunter2"), "{}", exit.stderr);
    }
    // Another command that is called so says it at once, and reads nothing.
    let host = Host::start_command("token", &[], &[("JETON_CLIENT_SECERT", "x")]);
    assert_eq!(host.ended().await.code, Some(2));
}

#[tokio::test]
async fn the_secret_comes_from_a_file_or_a_command_too() {
    let remote = Remote::start(async |asked| done(&asked)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "jeton_from-a-file\n").unwrap();
    let file = file.to_str().unwrap();
    for (variable, value) in [
        ("JETON_CLIENT_SECRET_FILE", file),
        // A command must not eat what the host writes.
        ("JETON_CLIENT_SECRET_COMMAND", "cat; echo jeton_from-a-file"),
    ] {
        let mut host = Host::start(
            &[&remote.url()],
            &[
                ("JETON_ISSUER", &remote.origin),
                ("JETON_CLIENT_ID", "m2m_x"),
                (variable, value),
            ],
        );
        assert!(host.ask(call(1)).await["result"].is_object());
    }
    let used = Mutex::new(0);
    eventually("both were used", async || {
        *used.lock().unwrap() = remote.token_requests().len();
        *used.lock().unwrap() == 2
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_is_complained_about_and_the_rest_goes_on() {
    let remote = Remote::start(async |asked| done(&asked)).await;
    let mut host = remote.host();
    let not_utf_8 = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"params\":\"caf\xe9\"}";
    for (line, code) in [
        (&not_utf_8[..], -32700),
        (b"not json", -32700),
        (b"{}", -32600),
        (br#"{"id":1}"#, -32600),
        (b"[1]", -32600),
        (
            br#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#,
            -32600,
        ),
        (
            br#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
            -32600,
        ),
    ] {
        host.write_bytes(line).await;
        let answer = host.next().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert_eq!(answer["id"], Value::Null);
    }
    host.write("").await;
    host.write("\r").await;
    assert!(host.ask(call(1)).await["result"].is_object());
    assert_eq!(remote.asked().len(), 1);
}
