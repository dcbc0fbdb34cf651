//! What the `jeton` command says to whoever typed something wrong: the whole table, for a reader to
//! judge from top to bottom.

use std::fmt::Write as _;
use std::sync::Mutex;

use jeton_tests::Jeton;
use serde_json::{Value, json};

const SECRET: &str = "jeton_BSXEsesI6fTClCe4sEjs71HUMjgqbLNPgxuSIxcGf1h2CS8gW";

/// Words of libraries, which nobody who typed something knows what to do with.
const FOREIGN: [&str; 5] = [
    "at line ",
    "Invalid URL",
    "urn:jeton",
    "error returned from database",
    "(code: ",
];

/// What was typed, the exit status, and words that say what to do.
type Row<'a> = (&'a str, i32, &'a str);

/// The arguments in a line: separated by spaces, but for those within single quotation marks.
fn arguments(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let mut arguments = Vec::new();
    for (number, part) in parts {
        if number % 2 == 1 {
            arguments.push(part.to_owned());
        } else {
            arguments.extend(
                part.split_whitespace()
                    .map(|word| word.replace("SECRET", SECRET)),
            );
        }
    }
    arguments
}

/// A server with two MCP servers and two clients of one name each, and one of its own.
struct World {
    jeton: Jeton,
    /// What differs from run to run, and what stands for it.
    masks: Vec<(String, String)>,
    agent: Value,
    wrong: Mutex<Vec<String>>,
}

impl World {
    async fn new() -> Self {
        let jeton = Jeton::start().await;
        let mut masks = Vec::new();
        let mut make = async |arguments: &[&str], name: &str| {
            let made = jeton.json(arguments).await;
            masks.push((made["id"].as_str().unwrap().to_owned(), name.to_owned()));
            if let Some(created) = made["created_at"].as_str() {
                masks.push((created.to_owned(), "2026-01-31T12:00:00.000Z".to_owned()));
            }
            made
        };
        let server = ["mcp-server", "create", "--name"];
        let todo = [
            "Todo",
            "--url",
            "http://localhost:3002/mcp",
            "--scope",
            "todo:read",
            "--scope",
            r"k\=v",
        ];
        make(&[&server[..], &todo].concat(), "res_TODO").await;
        let notes = [
            "Notes",
            "--url",
            "http://localhost:3003/mcp",
            "--scope",
            "a",
        ];
        make(&[&server[..], &notes].concat(), "res_NOTES1").await;
        let notes = [
            "Notes",
            "--url",
            "http://localhost:3004/mcp",
            "--scope",
            "a",
        ];
        make(&[&server[..], &notes].concat(), "res_NOTES2").await;
        let client = [
            "client",
            "create",
            "--mcp-server",
            "Todo",
            "--all-scopes",
            "--name",
        ];
        let agent = make(&[&client[..], &["agent"]].concat(), "m2m_AGENT").await;
        make(&[&client[..], &["twin"]].concat(), "m2m_TWIN1").await;
        make(&[&client[..], &["twin"]].concat(), "m2m_TWIN2").await;
        make(&[&client[..], &["Todo"]].concat(), "m2m_TODO").await;
        for (name, content) in [
            ("text.db", "no database".to_owned()),
            ("empty-admin/admin.json", "{}".to_owned()),
            (
                "apply.yaml",
                "mcp_servers:\n  - name: \"\\u200b\"\n    url: http://localhost:1/mcp\n".to_owned(),
            ),
            ("typo.yaml", "mcp_server: []\n".to_owned()),
            ("empty.yaml", "\n".to_owned()),
        ] {
            let path = jeton.folder().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        std::fs::write(jeton.folder().join("binary"), [0xFF, 0xFE, 0x00]).unwrap();
        masks.push((jeton.url.clone(), "http://127.0.0.1:8420".to_owned()));
        masks.push((jeton.folder().display().to_string(), "/srv".to_owned()));
        Self {
            jeton,
            masks,
            agent,
            wrong: Mutex::default(),
        }
    }

    fn masked(&self, text: &str) -> String {
        let masks = self.masks.iter();
        masks.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Runs a row, and writes what happened.
    async fn row(
        &self,
        table: &mut String,
        environment: &[(&str, &str)],
        (typed, code, to_do): Row<'_>,
    ) {
        let arguments = arguments(typed);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = self.jeton.command_with(environment, &arguments).await;
        let said = self.masked(&String::from_utf8_lossy(&output.stderr));
        let said = said.trim();
        let agent_secret = self.agent["client_secret"].as_str().unwrap();
        let is_ours = FOREIGN.iter().all(|words| !said.contains(words));
        let keeps_secrets = ["hunter2", "hun/ter2", &SECRET[6..], agent_secret]
            .iter()
            .all(|secret| !said.contains(secret));
        let is_right = output.status.code() == Some(code) && said.contains(to_do);
        if !(is_right && is_ours && keeps_secrets) {
            let found = output.status.code();
            let wrong =
                format!("{typed}\n  expected {code} and {to_do:?}, found {found:?}:\n  {said}\n");
            self.wrong.lock().unwrap().push(wrong);
        }
        let variables = environment
            .iter()
            .map(|(name, value)| format!("{name}={value:?} "));
        let variables: String = variables.collect();
        let typed = typed.replace('\n', "\\n");
        let typed = self.masked(&format!("{variables}jeton {}", jeton_core::shown(&typed)));
        let typed = typed.replace(SECRET, "SECRET");
        let typed = typed.replace(
            self.agent["client_secret"].as_str().unwrap(),
            "AGENT_SECRET",
        );
        writeln!(table, "typed  {typed}").unwrap();
        for line in said.lines() {
            writeln!(table, "says   {line}").unwrap();
        }
        writeln!(table, "to do  {to_do} (exit {code})\n").unwrap();
    }
}

/// Wrong before anybody is asked.
#[rustfmt::skip]
const MISTYPED: &[Row<'static>] = &[
    ("serv", 2, "'serve'"),
    ("client", 2, "--help"),
    ("client create", 2, "--mcp-server <ID>"),
    ("client shw agent", 2, "'show'"),
    ("client show", 2, "<ID>"),
    ("client list --mcp-serve Todo", 2, "'--mcp-server'"),
    ("client show agent twin", 2, "give one at a time"),
    ("client create --mcp-server Todo --name ''", 2, "must not be empty"),
    ("client create --mcp-server Todo --name '\u{200b}'", 2, "at least one letter"),
    ("client create --mcp-server Todo --name '\u{202e}tnega'", 2, "leave it out"),
    ("client create --mcp-server Todo --name 'two\nlines'", 2, "leave it out"),
    ("client create --mcp-server Todo --name x --scope 'a b'", 2, "without space"),
    ("client create --mcp-server Todo --name x --token-ttl 5", 2, "60 to 86400"),
    ("client create --mcp-server Todo --name x --token-ttl 2d", 2, "60 to 86400"),
    ("client create --mcp-server Todo --name x --token-ttl soon", 2, "like 10m"),
    ("client create --mcp-server Todo --name x --secret-expires-in 90", 2, "Write 90s"),
    ("client create --mcp-server Todo --name x --claim team", 2, "like team=search"),
    ("client create --mcp-server Todo --name x --claim-json team=search", 2, "use --claim"),
    ("client create --mcp-server Todo --name x --claim-json 'roles=[\"a\"'", 2, "bracket missing"),
    ("client update agent --scope todo:read", 2, "--mcp-server <ID>"),
    ("client update agent --mcp-server Todo", 2, "add --scope"),
    ("client update agent --mcp-server Todo --scope a --add-scope b", 2, "give one of them"),
    ("mcp-server create --name x --url localhost:3002/mcp", 2, "http or https"),
    ("mcp-server create --name x --url todo", 2, "like https://mcp.example.com/mcp"),
    ("mcp-server create --name x --url https://u:hunter2@a.example/mcp", 2, "leave them out"),
    ("mcp-server create --name x --url 'https://*.example.com/mcp'", 2, "Register each by its own URL"),
    ("mcp-server create --name x --url https://a.example/x/../mcp", 2, "write it as https://a.example/mcp"),
    ("mcp-server create --name x --url 'https://a.example/mcp#x'", 2, "leave out #"),
    ("mcp-server create --name x --url http://a.example/m --scope 'a b=c'", 2, "without space"),
    ("mcp-server create --name x --url http://a.example/m --scope 'a=\u{2066}'", 2, "leave it out"),
    ("mcp-server create --name x --url http://a.example/m --signing-alg HS256", 2, "RS256, ES256 or EdDSA"),
    ("mcp-server create --name x --url http://a.example/m --token-profile loose", 2, "compatible or strict"),
    ("mcp-server create --name x --url http://a.example/m --own-issuer yes", 2, "true, false"),
    ("mcp-server update Todo --rename-scope a", 2, "expected OLD=NEW"),
    ("mcp-server release-url http://a.example/m --retired-at noon", 2, "2026-01-31T12:00:00Z"),
    ("secret create agent --expires-in 90", 2, "Write 90s, 90m, 90h or 90d"),
    ("secret create agent --expires-in soon", 2, "like 45s, 30m, 24h"),
    ("secret create agent --expires-in 1.5h", 2, "whole number and a unit"),
    ("secret revoke agent", 2, "the ID of a secret"),
    ("secret revoke SECRET", 2, "the ID of a secret"),
    ("secret rotate agent --grace 24", 2, "Write 24s, 24m, 24h or 24d"),
    ("audit list --since yesterday", 2, "like 90m, 24h or 7d"),
    ("audit list --since 26.11.2026", 2, "like 2026-01-31"),
    ("audit list --kind token.isued", 2, "a similar kind exists: token.issued"),
    ("audit list --outcome failed", 2, "success, refused"),
    ("audit list --limit many", 2, "expected a whole number"),
    ("audit list --since 2026-02-01 --until 2026-01-01", 2, "the earlier one"),
    ("audit export --until tomorrow", 2, "like 2026-01-31"),
    ("audit checkpoint --witness -1", 2, "expected a whole number"),
    ("key rotate --algorithm RSA", 2, "RS256, ES256 or EdDSA"),
    ("admin invite --note Ada --role owner", 2, "viewer, admin"),
    ("admin invite --note ' '", 2, "must not be empty"),
    ("call http://localhost:3002/mcp", 2, "<TOOL>"),
    ("call http://localhost:3002/mcp create_todo milk", 2, "expected a JSON object like"),
    ("call http://localhost:3002/mcp create_todo '[1]'", 2, "found a list"),
    ("call http://localhost:3002/mcp create_todo '{\"title\": \"x\"'", 2, "bracket missing"),
    ("token --scope 'a  b'", 2, "exactly one space"),
    ("token --server 127.0.0.1:8420", 2, "like https://auth.example.com"),
    ("token --server http://u:hunter2@127.0.0.1:1", 2, "no user name and no password"),
    ("token --client-id m2m_x", 2, "set JETON_CLIENT_SECRET"),
    ("token --client-secret SECRET", 2, "set JETON_CLIENT_ID"),
    ("token SECRET", 2, "JETON_CLIENT_SECRET"),
];

/// What people try who know other programs, or are in a hurry.
#[rustfmt::skip]
const CARELESS: &[Row<'static>] = &[
    ("", 2, "Usage: jeton"),
    ("start", 2, "jeton serve runs the server"),
    ("server list", 2, "jeton mcp-server is about"),
    ("clients list", 2, "jeton client is about clients"),
    ("login", 2, "first start"),
    ("version", 2, "jeton --version"),
    ("logs", 2, "jeton audit list"),
    ("'client list'", 2, "leave out the quotation marks"),
    ("client rm agent", 2, "that is delete here"),
    ("client add", 2, "that is create here"),
    ("client get agent", 2, "that is show here"),
    ("secret delete agent", 2, "that is revoke here"),
    ("--josn client list", 2, "'--json'"),
    ("client list --format json", 2, "that is --json here"),
    ("client create --mcp-server Todo --name x --ttl 90", 2, "that is --token-ttl here"),
    ("serve -v", 2, "that is --log here"),
    ("serve --port 8420", 2, "that is --listen here"),
    ("serve 8420", 2, "given with --listen"),
    ("serve --json", 2, "--log-format json"),
    ("serve --log verbose", 2, "expected a level"),
    ("serve --listen 8420", 2, ":8420"),
    ("serve --listen http://127.0.0.1:8420", 2, "leave out the scheme"),
    ("serve --listen 127.0.0.1:70000", 2, "65535"),
    ("serve --max-connections -1", 2, "is not a whole number from 0 to"),
    ("serve --max-connections 5000000000", 2, "is not a whole number from 0 to"),
    ("serve --log-format xml", 2, "text, json"),
    ("serve --audit-durability never", 2, "sync, async"),
    ("serve --trusted-proxy", 2, "a value is required"),
    ("serve --issuer auth.example.com --data-dir fresh", 1, "like https://auth.example.com"),
    ("serve --data-dir fresh --issuer https://AUTH.example.com", 1, "has upper-case letters"),
    ("serve --data-dir fresh --issuer https://auth.example.com:443", 1, "names the port that is the default"),
    ("serve --data-dir fresh --issuer ' https://auth.example.com'", 1, "has white space around it"),
    ("serve --data-dir fresh --issuer https://bücher.example", 1, "https://xn--bcher-kva.example"),
    ("serve --data-dir fresh --issuer https://u:hunter2@auth.example.com", 1, "https://auth.example.com"),
    ("serve --data-dir fresh --issuer u:hunter2@auth.example.com", 1, "like https://auth.example.com"),
    ("serve --data-dir fresh --issuer https://auth.example.com/?a=b", 1, "has a query or a fragment"),
    ("serve --tls-cert a.pem --data-dir fresh", 1, "give both or neither"),
    ("serve --trusted-proxy proxy.example --data-dir fresh", 1, "10.0.0.0/8"),
    ("audit list --limit -1", 2, "expected a whole number"),
    ("audit list --limit 99999999999999999999", 2, "too large"),
    ("audit list --since -1h", 2, "like 1h"),
    ("audit verify kept.txt", 2, "given with --checkpoint"),
    ("audit verify --key x", 2, "--checkpoint <FILE>"),
    ("audit verify --checkpoint text.db", 1, "--checkpoint: "),
    ("audit checkpoint --witness 999999", 1, "--witness: "),
    ("audit export --output nowhere/audit.jsonl", 1, "there is no directory nowhere"),
    ("audit export --output .", 1, "it is a directory"),
    ("audit export --output text.db", 1, "name another file"),
    ("client show ''", 1, "jeton client list"),
    ("client show 'my agent'", 1, "jeton client list"),
    ("client update agent", 2, "nothing says what to change"),
    ("client update agent --claim a=b --claim a=c", 2, "given twice"),
    ("client update agent --claim iss=me", 1, "--claim: "),
    ("client update agent --mcp-server Todo --add-scope nope", 1, "--add-scope: "),
    ("client update twin --name x", 1, "Use the ID of the one you mean"),
    ("client update agent --default-mcp-server http://localhost:3003/mcp", 1, "--default-mcp-server: "),
    ("client create --mcp-server Todo --name x --name y", 2, "give it once"),
    ("client create Todo agent", 2, "given with --mcp-server"),
    ("mcp-server create --name x", 2, "--url <URL>"),
    ("mcp-server create --name x --url ftp://a.example/", 2, "http or https"),
    ("mcp-server create --name x --url http://a.example/m --scope ''", 2, "at least one character"),
    ("mcp-server create --name x --url http://a.example/m --scope a --scope a", 1, "name each once"),
    ("mcp-server create --name x --url http://a.example/m --scope a --implies a=b", 1, "it defines: a"),
    ("mcp-server create --name x --url http://a.example/m --implies a", 2, "BROADER=NARROWER"),
    ("mcp-server create --name x --url http://a.example/m --url http://a.example/m/", 1, "--url: "),
    ("mcp-server update Todo", 2, "nothing says what to change"),
    ("mcp-server update Todo --remove-scope nope", 1, "--remove-scope: "),
    ("mcp-server update Todo --rename-scope nope=a", 1, "--rename-scope: "),
    ("mcp-server update Todo --remove-url http://localhost:9/mcp", 1, "--remove-url: "),
    ("mcp-server update Todo --add-url http://localhost:3002/mcp", 1, "leave it out"),
    ("mcp-server update Todo --token-ttl -5", 2, "like 10m or 1h"),
    ("mcp-server show 'My Server'", 1, "jeton mcp-server list"),
    ("mcp-server release-url http://localhost:9/mcp", 1, "jeton mcp-server retired-urls"),
    ("secret rotate agent --grace 1000w", 1, "--grace: "),
    ("secret create agent --expires-in 1000w", 1, "--expires-in: "),
    ("token m2m_01kayx7jshe72r5a7gkp0yrecg", 2, "--client-id"),
    ("token --resource", 2, "a value is required"),
    ("token --client-id m2m_x --client-secret SECRET --client-secret-file f", 2, "give one of them"),
    ("token --client-id m2m_x --client-secret-file none", 1, "there is no such file"),
    ("token --client-id m2m_x --client-secret-file SECRET", 1, "there is no such file"),
    ("token --client-id m2m_x --client-secret-file .", 1, "it is a directory"),
    ("token --client-id m2m_x --client-secret-command false", 1, "run it in a terminal"),
    ("call", 2, "<MCP_URL>"),
    ("call list_todos http://localhost:3002/mcp", 1, "like https://mcp.example.com/mcp"),
    ("call localhost:3002/mcp list_todos", 1, "http or https"),
    ("bridge", 2, "<MCP_URL>"),
    ("apply", 2, "--file <FILE>"),
    ("apply jeton.yaml", 2, "--file <FILE>"),
    ("apply -f .", 1, "it is a directory"),
    ("apply -f empty.yaml", 1, "the file is empty"),
    ("apply -f binary", 1, "the file is not text"),
    ("apply -f text.db", 1, "mcp_servers"),
    ("restore .", 1, "is a folder"),
    ("migrate", 2, "--from <URL>"),
    ("migrate --from jeton.db --to sqlite:new.db", 1, "write sqlite: in front of its path"),
    ("key rotate --algorithm rs256", 2, "RS256, ES256 or EdDSA"),
    ("key rotate RS256", 2, "given with --algorithm"),
    ("admin invite Ada", 2, "given with --note"),
    ("client list --server ftp://127.0.0.1", 2, "http or https"),
    ("client list --data-dir text.db", 1, "JETON_CLIENT_ID and JETON_CLIENT_SECRET"),
    ("client list --config none.toml", 1, "there is no such file"),
    ("client list --config text.db", 1, "not as TOML has it"),
    ("client list --config .", 1, "it is a directory"),
];

/// Wrong where the server knows better.
#[rustfmt::skip]
const REFUSED: &[Row<'static>] = &[
    ("client show agnt", 1, "jeton client list shows"),
    ("client show m2m_oops", 1, "26 letters and digits"),
    ("client show m2m_01kayx7jshe72r5a7gkp0yrecg", 1, "jeton client list shows"),
    ("client show res_01kayx7jshe72r5a7gkp0yrecg", 2, "which is the ID of an MCP server"),
    ("client show twin", 1, "Use the ID of the one you mean"),
    ("client delete agnt", 1, "jeton client list shows"),
    ("mcp-server show Notes", 1, "Use the ID of the one you mean"),
    ("mcp-server show http://localhost:9/mcp", 1, "jeton mcp-server list shows"),
    ("mcp-server update Todo --scope k=v", 2, r"write k\=v"),
    ("mcp-server update Todo --scope todo:read", 1, "use --add-scope"),
    ("mcp-server create --name x --url http://localhost:3002/mcp", 1, "http://localhost:3002/mcp"),
    ("client create --mcp-server Todo --name x --scope todo:wrte", 1, "--scope: "),
    ("client create --mcp-server Todo --name x --claim iss=me", 1, "--claim: "),
    ("client create --mcp-server Todo --name x --secret-expires-in 0s", 1, "--secret-expires-in: "),
    ("client update agent --mcp-server Todo --remove-scope todo:write", 1, "it has: "),
    ("secret list Todo", 1, "a client and of an MCP server"),
    ("audit list --client agnt", 1, "jeton client list shows"),
    ("apply -f missing.yaml", 1, "there is no such file"),
    ("apply -f apply.yaml", 1, "at least one letter"),
    ("apply -f typo.yaml", 1, "mcp_servers"),
    ("restore missing.db", 1, "there is no such file"),
    ("restore text.db", 1, "not a Jeton database"),
    ("migrate --from sqlite:missing.db --to sqlite:new.db", 1, "there is no database at missing.db"),
    ("migrate --from sqlite:text.db --to sqlite:new.db", 1, "is not a SQLite database"),
    ("migrate --from mysql://u:hunter2@h/d --to sqlite:new.db", 1, "sqlite:PATH or postgres://"),
    ("serve --listen 127.0.0.1:0 --log error --data-dir fresh --database-url sqlite:none/jeton.db", 1, "there is no folder none"),
    ("serve --listen 127.0.0.1:0 --log error --data-dir fresh --database-url postgres://u:hun/ter2@127.0.0.1/d", 1, "%40"),
    ("serve --listen 127.0.0.1:0 --log error --data-dir fresh --database-url postgres://u:hunter2@127.0.0.1:1/d", 1, "is PostgreSQL running there"),
    ("client list --data-dir nowhere", 1, "JETON_CLIENT_ID and JETON_CLIENT_SECRET"),
    ("client list --data-dir empty-admin", 1, "jeton admin recover"),
    ("client list --server http://127.0.0.1:1", 1, "is jeton serve running?"),
    ("client list --server http://auth.example.com", 1, "https"),
];

#[tokio::test]
async fn every_error_says_what_to_do() {
    let world = World::new().await;
    let mut table = String::new();
    let mut rows = 0;
    for row in MISTYPED.iter().chain(CARELESS).chain(REFUSED) {
        world.row(&mut table, &[], *row).await;
        rows += 1;
    }
    let id = world.agent["client_id"].as_str().unwrap();
    let secret = world.agent["client_secret"].as_str().unwrap();
    let list = "client list";
    let token = "token";
    let in_environment: Vec<(Vec<(&str, &str)>, Row<'_>)> = vec![
        (
            vec![("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", "")],
            (
                list,
                2,
                "JETON_CLIENT_SECRET (or --client-secret) is set, but to nothing",
            ),
        ),
        (
            vec![("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", "")],
            (token, 2, "Give it a value, or unset it"),
        ),
        (
            vec![("JETON_CLIENT_ID", id)],
            (list, 2, "set JETON_CLIENT_SECRET"),
        ),
        (
            vec![("JETON_CLIENT_SECRET", secret)],
            (list, 2, "set JETON_CLIENT_ID"),
        ),
        (
            vec![("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", secret)],
            (list, 1, "Unset both to use admin.json"),
        ),
        (
            vec![("JETON_CLIENT_ID", id), ("JETON_CLIENT_SECRET", SECRET)],
            (list, 1, "Unset both to use admin.json"),
        ),
        (
            vec![
                ("JETON_CLIENT_ID", id),
                ("JETON_CLIENT_SECRET", "jeton_abc"),
            ],
            (token, 1, "copy it again"),
        ),
        (
            vec![("JETON_SCOPE", "a  b")],
            (token, 2, "JETON_SCOPE in the environment"),
        ),
        (
            vec![("JETON_URL", "")],
            (list, 2, "Give it a value, or unset it"),
        ),
    ];
    for (environment, row) in in_environment {
        world.row(&mut table, &environment, row).await;
        rows += 1;
    }
    let wrong = world.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 160, "{rows}");
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn a_secret_with_a_line_break_at_its_end_works_from_a_variable_and_is_called_that_elsewhere()
{
    let jeton = Jeton::start().await;
    let operator = jeton.operator().await;
    let client = operator.todo_client().await;
    let broken = format!("{}\n", client.client_secret);
    let environment = [
        ("JETON_CLIENT_ID", client.client_id.as_str()),
        ("JETON_CLIENT_SECRET", broken.as_str()),
    ];
    let token = jeton.command_with(&environment, &["token"]).await;
    assert!(
        token.status.success(),
        "{}",
        String::from_utf8_lossy(&token.stderr)
    );
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client.client_id.as_str()),
        ("client_secret", broken.as_str()),
    ];
    let url = format!("{}/oauth/token", jeton.url);
    let post = || jeton_tests::http().post(&url);
    let answer: Value = post()
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(answer["error"], "invalid_client");
    let said = answer["error_description"].as_str().unwrap();
    assert!(said.contains("line break"), "{said}");
    let grant = [("grant_type", "client_credentials")];
    let empty = post().basic_auth(&client.client_id, Some("")).form(&grant);
    let answer: Value = empty.send().await.unwrap().json().await.unwrap();
    let said = answer["error_description"].as_str().unwrap();
    assert!(
        said.contains("client secret") && said.contains("empty"),
        "{said}"
    );
}

#[tokio::test]
async fn a_name_or_a_url_serves_as_id_where_it_is_one_things() {
    let world = World::new().await;
    let jeton = &world.jeton;
    let id = world.agent["id"].as_str().unwrap();
    assert_eq!(jeton.json(&["client", "show", "agent"]).await["id"], id);
    let by_url = jeton
        .json(&["mcp-server", "show", "http://LOCALHOST:3002/mcp/"])
        .await;
    assert_eq!(by_url["name"], "Todo");
    let listed = jeton
        .json(&["client", "list", "--mcp-server", "Todo"])
        .await;
    assert_eq!(listed.as_array().unwrap().len(), 4);
    jeton
        .json(&[
            "client",
            "update",
            "agent",
            "--mcp-server",
            "Todo",
            "--remove-scope",
            "k=v",
        ])
        .await;
    let made = jeton
        .json(&["secret", "create", "agent", "--expires-in", "90d"])
        .await;
    assert_eq!(made["client_id"], id);
    assert_eq!(
        jeton
            .json(&["secret", "list", "agent"])
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let events = jeton
        .json(&["audit", "list", "--client", "agent", "--since", "1h"])
        .await;
    assert!(events.as_array().unwrap().len() >= 2);
    let none = jeton
        .json(&[
            "audit",
            "list",
            "--client",
            "agent",
            "--until",
            "2026-01-01",
        ])
        .await;
    assert_eq!(none, json!([]));
    // An ID is always that, whatever somebody calls another client.
    let twin = ["client", "create", "--mcp-server", "Todo", "--name", id];
    let impostor = jeton.json(&twin).await;
    assert_ne!(impostor["id"], id);
    assert_eq!(jeton.json(&["client", "show", id]).await["name"], "agent");
    assert_eq!(
        jeton.json(&["client", "disable", "agent"]).await["status"],
        "disabled"
    );
    jeton.json(&["client", "delete", "agent"]).await;
    let gone = jeton.command(&["client", "show", "agent"]).await;
    assert_eq!(gone.status.code(), Some(1));
}

#[tokio::test]
async fn a_claim_stays_the_text_that_was_typed_and_json_has_a_flag_of_its_own() {
    let world = World::new().await;
    let claims = [
        "--claim",
        "version=1.50",
        "--claim",
        "id=007",
        "--claim-json",
        "level=3",
    ];
    let created = [
        "client",
        "create",
        "--mcp-server",
        "Todo",
        "--name",
        "claims",
    ];
    let created = world.jeton.json(&[&created[..], &claims].concat()).await;
    assert_eq!(
        created["custom_claims"],
        json!({ "version": "1.50", "id": "007", "level": 3 })
    );
    let ambiguous = ["client", "update", "claims", "--claim", "admin=true"];
    let output = world.jeton.command(&ambiguous).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--claim-json admin=true"), "{said}");
}

#[tokio::test]
async fn a_table_fits_a_terminal_and_is_whole_with_tabs_elsewhere() {
    let world = World::new().await;
    let scopes: Vec<String> = (0..200).map(|number| format!("scope:{number}")).collect();
    let mut create = vec![
        "mcp-server",
        "create",
        "--name",
        "Wide",
        "--url",
        "http://localhost:3005/mcp",
    ];
    create.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
    let id = world.jeton.json(&create).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let piped = world.jeton.command(&["mcp-server", "list"]).await;
    let piped = String::from_utf8(piped.stdout).unwrap();
    let row = piped.lines().find(|line| line.starts_with(&id)).unwrap();
    let cells: Vec<_> = row.split('\t').collect();
    assert_eq!(cells[1..3], ["Wide", "http://localhost:3005/mcp"]);
    assert_eq!(cells[3], scopes.join(" "));
    let binary = jeton_tests::binary("jeton");
    let in_terminal = format!(
        "stty cols 80 rows 24; exec {} mcp-server list",
        binary.display()
    );
    let shown = tokio::process::Command::new("script")
        .args(["-qec", &in_terminal, "/dev/null"])
        .env("JETON_DATA_DIR", world.jeton.data_dir())
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let row = shown
        .lines()
        .find(|line| line.starts_with(&id))
        .unwrap_or_else(|| panic!("{shown}"));
    assert!(
        shown
            .lines()
            .all(|line| line.trim_end().chars().count() <= 80),
        "{shown}"
    );
    assert!(row.contains('…') && shown.contains("--json"), "{shown}");
}
