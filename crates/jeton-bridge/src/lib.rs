//! An MCP server on stdin and stdout that forwards everything to a remote one over streamable HTTP,
//! with tokens from `jeton-agent`: for hosts that start MCP servers as programs and cannot do the
//! client credentials flow themselves.
//!
//! Messages pass as they are: the bridge looks at a message's envelope only, so that methods and
//! members that it has never heard of pass too. What it adds is what the remote transport wants:
//! tokens, the headers of MCP 2026-07-28, sessions and streams of the revisions before, and one
//! capability (`io.modelcontextprotocol/oauth-client-credentials`).
//!
//! - `message`: what a line of JSON-RPC is, without parsing what it carries; `id`: whose answer it is.
//! - `stdio`: lines in, lines out.
//! - `headers`, `tool_headers`, `capabilities`: what the remote wants beside the message.
//! - `remote`: one message over HTTP; `answer` and `events`: what comes back.
//! - `session`: the session of a revision before 2026-07-28; `renewal`: how it is opened anew.
//! - `exchange`: a request until it is answered; `resumption`: its stream after a break.
//! - `delivery`: what wants no answer; `listening`: what the server sends unasked; `questions`: where its answers go.
//! - `in_flight`: requests under way, to be cancelled.
//! - `failure`: what the host is told where there is no answer.
//! - `bridge`: the whole.

mod answer;
mod bridge;
mod capabilities;
mod delivery;
mod events;
mod exchange;
mod failure;
mod headers;
mod id;
mod in_flight;
mod listening;
mod message;
mod questions;
mod remote;
mod renewal;
mod resumption;
mod session;
mod stdio;
mod tool_headers;

pub use bridge::{Bridge, Ended, refuse};
pub use stdio::{Input, Output};
