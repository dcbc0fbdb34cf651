//! Plain HTTP with a token.

use jeton_core::{Challenge, presentable_url};
use jeton_jose::bearer_challenge;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};

use crate::failure::causes;
use crate::{AccessToken, AgentError, TokenSource};

impl TokenSource {
    /// Sends `request` with a token. After a 401 it is sent once more with another token, after a
    /// 403 `insufficient_scope` with a wider one; where that cannot be had, the 403 is the answer.
    /// Redirects are not followed.
    ///
    /// # Errors
    ///
    /// [`AgentError::OtherResource`] where the request is not for this MCP server;
    /// [`AgentError::NotRepeatable`] where its body is a stream.
    pub async fn send(&self, request: Request) -> Result<Response, AgentError> {
        if !self.covers(request.url().as_str()) {
            return Err(AgentError::OtherResource {
                found: presentable_url(request.url().as_str()),
                resource: self.resource().to_owned(),
            });
        }
        let mut token = self.token().await?;
        let mut response = self.send_with(&request, &token).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(other) = self.replace(&token).await?
        {
            token = other;
            response = self.send_with(&request, &token).await?;
        }
        if response.status() == StatusCode::FORBIDDEN
            && let Some(challenge) = insufficient_scope(&response)
        {
            match self.widen(&token, &challenge).await {
                Ok(Some(wider)) => response = self.send_with(&request, &wider).await?,
                Ok(None) => {}
                // What the MCP server said is the better answer.
                Err(error) => tracing::debug!(error = causes(&error), "no wider token"),
            }
        }
        Ok(response)
    }

    async fn send_with(
        &self,
        request: &Request,
        token: &AccessToken,
    ) -> Result<Response, AgentError> {
        let mut request = request.try_clone().ok_or(AgentError::NotRepeatable)?;
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {}", token.expose())) {
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(self.calls().execute(request).await?)
    }
}

fn insufficient_scope(response: &Response) -> Option<Challenge> {
    bearer_challenge(response.headers())
        .filter(|challenge| challenge.error.as_deref() == Some("insufficient_scope"))
}
