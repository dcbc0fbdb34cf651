//! `jeton demo`: everything at work in one process, each step with its real exchange.

mod exchange;
mod narrator;
mod refusals;
mod stage;
mod walk;

use clap::Args;

use narrator::Narrator;
use stage::Stage;

use crate::signals::Signals;

/// Show everything at work in one process: server, MCP server, agent.
///
/// Starts a server in a temporary folder, a todo MCP server and an agent on free ports, and prints
/// each step. Stays up until Ctrl-C, so that you can try things yourself.
#[derive(Args)]
pub(crate) struct Demo {
    /// Leave when the story is over, with status 0 if every step went as it says.
    #[arg(long)]
    exit: bool,
}

pub(crate) async fn run(demo: Demo) -> anyhow::Result<()> {
    jeton_server::init_telemetry(jeton_server::LogFormat::Text, "warn");
    let mut signals = Signals::new()?;
    let mut narrator = Narrator::default();
    let stage = tokio::select! {
        stage = story(&mut narrator) => stage?,
        () = signals.stop(None) => anyhow::bail!("stopped by a signal in the middle of the story"),
    };
    if !demo.exit {
        signals.stop(None).await;
    }
    stage.close().await;
    narrator.verdict()
}

async fn story(narrator: &mut Narrator) -> anyhow::Result<Stage> {
    let stage = Stage::open(narrator).await?;
    walk::from_challenge_to_tool(&stage, narrator).await?;
    refusals::what_must_fail(&stage, narrator).await?;
    Narrator::farewell(&stage)?;
    Ok(stage)
}
