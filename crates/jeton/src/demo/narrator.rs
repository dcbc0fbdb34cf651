//! What the demo prints, and whether each step went as it says.

use jeton_core::counted;
use serde_json::Value;

use super::exchange::Answer;
use super::stage::Stage;
use crate::output::data;

#[derive(Default)]
pub(super) struct Narrator {
    steps: usize,
    failed: Vec<String>,
}

impl Narrator {
    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) -> anyhow::Result<()> {
        self.steps += 1;
        data(&format!("\n{}. {title}", self.steps))
    }

    /// Prints lines of the exchange.
    pub(super) fn show(text: &str) -> anyhow::Result<()> {
        for line in text.lines() {
            data(&format!("   {line}"))?;
        }
        Ok(())
    }

    /// Prints a document.
    pub(super) fn document(document: &Value) -> anyhow::Result<()> {
        Self::show(&serde_json::to_string_pretty(document)?)
    }

    /// Prints an answer: status, challenge, body.
    pub(super) fn answer(answer: &Answer) -> anyhow::Result<()> {
        Self::show(&format!("<- {}", answer.status))?;
        if let Some(challenge) = &answer.challenge {
            Self::show(&format!("   WWW-Authenticate: {challenge}"))?;
        }
        Self::show(&answer.text())
    }

    /// Notes whether the step went as it says.
    pub(super) fn check(&mut self, expected: &str, holds: bool) -> anyhow::Result<()> {
        if !holds {
            self.failed.push(format!("step {}: {expected}", self.steps));
        }
        data(&format!(
            "   [{}] {expected}",
            if holds { "ok" } else { "FAILED" }
        ))
    }

    /// Where everything is, and what to paste.
    pub(super) fn farewell(stage: &Stage) -> anyhow::Result<()> {
        data("\nEverything is up:\n")?;
        data(&format!("   Jeton           {}", stage.issuer))?;
        data(&format!("   Todo MCP server {}", stage.mcp_url))?;
        data(&format!(
            "   Data directory  {}",
            stage.data_dir().display()
        ))?;
        if let Some(link) = &stage.dashboard_link {
            data("\nBecome the dashboard's first admin (the link works once, for an hour):\n")?;
            data(&format!("   {link}"))?;
        }
        data("\nGet a token yourself:\n")?;
        data(&format!(
            "   curl --location '{}/oauth/token' \\\n     --header 'Content-Type: application/x-www-form-urlencoded' \\\n     --data-urlencode 'grant_type=client_credentials' \\\n     --data-urlencode 'client_id={}' \\\n     --data-urlencode 'client_secret={}' \\\n     --data-urlencode 'scope=todo:read todo:write'",
            stage.issuer,
            stage.agent.client_id,
            stage.agent.client_secret.expose(),
        ))?;
        data("\nSee what was recorded:\n")?;
        data(&format!(
            "   jeton audit list --data-dir {}",
            stage.data_dir().display()
        ))?;
        data("\nIt all goes away with Ctrl-C.")
    }

    /// An error where a step did not go as it says.
    pub(super) fn verdict(self) -> anyhow::Result<()> {
        if self.failed.is_empty() {
            return data(&format!(
                "\n{}, each as it says.",
                counted(self.steps, "step")
            ));
        }
        anyhow::bail!("not as it says: {}", self.failed.join("; "))
    }
}
