//! The tools. What they may be called with is the guard's business; whose todos they work on is
//! told by the verified token that the guard put into the request.

use std::sync::Arc;

use axum::http::request::Parts;
use jeton_guard::VerifiedToken;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::model::{Implementation, ServerCapabilities, ServerConfig};
use rmcp::{ErrorData, ServerHandler, tool, tool_handler, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::{Change, Todo, Todos};

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
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("todo-server", env!("CARGO_PKG_VERSION")))
            .with_instructions("Todos. list_todos and get_todo need the scope todo:read; create_todo, update_todo and delete_todo need todo:write.")
    }
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
