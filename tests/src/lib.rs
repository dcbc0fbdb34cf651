//! What the end-to-end tests share: the real binaries as [`Jeton`] and [`TodoServer`], and the
//! people around them as [`Operator`] and [`Credentials`].

mod admin;
mod aged_log;
mod cluster;
mod credentials;
mod database;
mod fastmcp;
mod forms;
mod jeton;
mod operator;
mod process;
mod shared_host;
mod todo_server;
mod world;

pub use admin::{Admin, JoinForm, PASSWORD, csrf_in, first_admin_path, hidden_field, set_cookie};
pub use cluster::Cluster;
pub use credentials::{Answer, Credentials, claims, form, mistyped};
pub use database::{HeldLog, TestDatabase, postgres_cluster};
pub use fastmcp::{FastMcp, python};
pub use forms::{PageForm, forms_in};
pub use jeton::{Jeton, JetonOptions, jeton_alone};
pub use operator::Operator;
pub use process::{Process, binary, free_port, workspace};
pub use shared_host::{SHARED_PATH, SharedHost};
pub use todo_server::{TodoServer, call_tool};
pub use world::World;

/// An HTTP client that follows no redirects and uses no proxy.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Waits for a condition, for at most 20 seconds.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    for _ in 0..400 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("still not so after 20 seconds: {what}");
}
