//! The tools. What they may be called with is the guard's business; whose todos they work on is
//! told by the verified token that the guard put into the request.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use jeton_guard::VerifiedToken;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{
    Implementation, JsonObject, ProgressNotificationParam, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{Change, Todo, Todos};

/// MCP's name for how this server is protected.
const CLIENT_CREDENTIALS: &str = "io.modelcontextprotocol/oauth-client-credentials";

#[derive(Debug, Clone)]
pub(crate) struct TodoServer {
    todos: Arc<Todos>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct CreateTodo {
    /// What is to be done.
    title: String,
    /// More about it.
    description: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct ListTodos {
    /// Only those that are completed, or only those that are not.
    completed: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct TodoId {
    /// The todo's ID.
    todo_id: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct UpdateTodo {
    /// The todo's ID.
    todo_id: String,
    /// What is to be done.
    title: Option<String>,
    /// More about it.
    description: Option<String>,
    /// Whether it is done.
    completed: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct ImportTodos {
    /// What is to be done, one todo each.
    titles: Vec<String>,
    /// Milliseconds before each of them: other people's systems take their time.
    #[serde(default)]
    pause_ms: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct OneTodo {
    todo: Todo,
}

#[derive(Debug, Serialize, JsonSchema)]
struct AllTodos {
    todos: Vec<Todo>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    deleted: String,
}

#[tool_router]
impl TodoServer {
    pub(crate) fn new(todos: Arc<Todos>) -> Self {
        Self { todos }
    }

    #[tool(description = "Create a todo. Needs todo:write.")]
    fn create_todo(
        &self,
        Parameters(CreateTodo { title, description }): Parameters<CreateTodo>,
        Extension(request): Extension<Parts>,
    ) -> Result<Json<OneTodo>, ErrorData> {
        let title = title.trim().to_owned();
        if title.is_empty() {
            return Err(ErrorData::invalid_params("title must not be empty", None));
        }
        let todo = self.todos.create(&owner(&request)?, title, description);
        Ok(Json(OneTodo { todo }))
    }

    #[tool(description = "List todos. Needs todo:read.")]
    fn list_todos(
        &self,
        Parameters(ListTodos { completed }): Parameters<ListTodos>,
        Extension(request): Extension<Parts>,
    ) -> Result<Json<AllTodos>, ErrorData> {
        Ok(Json(AllTodos {
            todos: self.todos.list(&owner(&request)?, completed),
        }))
    }

    #[tool(description = "Get one todo. Needs todo:read.")]
    fn get_todo(
        &self,
        Parameters(TodoId { todo_id }): Parameters<TodoId>,
        Extension(request): Extension<Parts>,
    ) -> Result<Json<OneTodo>, ErrorData> {
        let todo = self.todos.find(&owner(&request)?, &todo_id);
        todo.map(|todo| Json(OneTodo { todo }))
            .ok_or_else(|| no_such_todo(&todo_id))
    }

    #[tool(description = "Change a todo. Needs todo:write.")]
    fn update_todo(
        &self,
        Parameters(UpdateTodo {
            todo_id,
            title,
            description,
            completed,
        }): Parameters<UpdateTodo>,
        Extension(request): Extension<Parts>,
    ) -> Result<Json<OneTodo>, ErrorData> {
        let change = Change {
            title,
            description,
            completed,
        };
        let todo = self.todos.update(&owner(&request)?, &todo_id, change);
        todo.map(|todo| Json(OneTodo { todo }))
            .ok_or_else(|| no_such_todo(&todo_id))
    }

    #[tool(
        description = "Create todos one after another, with progress; can be cancelled. Needs todo:write."
    )]
    async fn import_todos(
        &self,
        Parameters(ImportTodos { titles, pause_ms }): Parameters<ImportTodos>,
        Extension(request): Extension<Parts>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<AllTodos>, ErrorData> {
        let owner = owner(&request)?;
        let token = context.meta.get_progress_token();
        let mut todos = Vec::new();
        for title in &titles {
            tokio::select! {
                () = context.ct.cancelled() => {
                    return Err(ErrorData::internal_error("cancelled", None));
                }
                () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
            }
            todos.push(self.todos.create(&owner, title.clone(), None));
            if let Some(token) = &token {
                let total = count(titles.len());
                let progress = ProgressNotificationParam::new(token.clone(), count(todos.len()))
                    .with_total(total);
                // Whoever asked for it may have gone.
                let _ = context.peer.notify_progress(progress).await;
            }
        }
        Ok(Json(AllTodos { todos }))
    }

    #[tool(description = "Delete a todo. Needs todo:write.")]
    fn delete_todo(
        &self,
        Parameters(TodoId { todo_id }): Parameters<TodoId>,
        Extension(request): Extension<Parts>,
    ) -> Result<Json<Deleted>, ErrorData> {
        if self.todos.delete(&owner(&request)?, &todo_id) {
            Ok(Json(Deleted { deleted: todo_id }))
        } else {
            Err(no_such_todo(&todo_id))
        }
    }
}

#[tool_handler]
impl ServerHandler for TodoServer {
    fn get_info(&self) -> ServerConfig {
        // It is protected by client credentials, and says so.
        let extensions = [(CLIENT_CREDENTIALS.to_owned(), JsonObject::new())];
        let capabilities = ServerCapabilities::builder()
            .enable_extensions_with(extensions.into())
            .enable_tools()
            .build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("todo-server", env!("CARGO_PKG_VERSION")))
            .with_instructions("Todos. list_todos and get_todo need the scope todo:read; create_todo, import_todos, update_todo and delete_todo need todo:write.")
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Whose todos: those of the client that the token was issued to.
fn owner(request: &Parts) -> Result<String, ErrorData> {
    request
        .extensions
        .get::<VerifiedToken>()
        .map(|token| token.sub.clone())
        .ok_or_else(|| ErrorData::internal_error("the server is not protected", None))
}

fn no_such_todo(id: &str) -> ErrorData {
    ErrorData::invalid_params(
        format!("there is no todo {id:?}; list_todos names them"),
        None,
    )
}
