//! Todos in memory, each owner's apart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

/// Something to do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Todo {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) description: Option<String>,
    pub(crate) completed: bool,
}

/// A change; what is absent stays as it is.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) completed: Option<bool>,
}

#[derive(Debug, Default)]
struct Tables {
    by_owner: HashMap<String, Vec<Todo>>,
    last_id: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Todos(Mutex<Tables>);

impl Todos {
    fn with<T>(&self, act: impl FnOnce(&mut Tables) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn create(&self, owner: &str, title: String, description: Option<String>) -> Todo {
        self.with(|tables| {
            tables.last_id += 1;
            let id = format!("todo_{}", tables.last_id);
            let todo = Todo {
                id,
                title,
                description,
                completed: false,
            };
            tables
                .by_owner
                .entry(owner.to_owned())
                .or_default()
                .push(todo.clone());
            todo
        })
    }

    pub(crate) fn list(&self, owner: &str, completed: Option<bool>) -> Vec<Todo> {
        self.with(|tables| {
            let todos = tables.by_owner.get(owner).map_or(&[][..], Vec::as_slice);
            todos
                .iter()
                .filter(|todo| completed.is_none_or(|completed| todo.completed == completed))
                .cloned()
                .collect()
        })
    }

    pub(crate) fn find(&self, owner: &str, id: &str) -> Option<Todo> {
        self.list(owner, None)
            .into_iter()
            .find(|todo| todo.id == id)
    }

    pub(crate) fn update(&self, owner: &str, id: &str, change: Change) -> Option<Todo> {
        self.with(|tables| {
            let todo = tables
                .by_owner
                .get_mut(owner)?
                .iter_mut()
                .find(|todo| todo.id == id)?;
            if let Some(title) = change.title {
                todo.title = title;
            }
            if let Some(description) = change.description {
                todo.description = Some(description);
            }
            if let Some(completed) = change.completed {
                todo.completed = completed;
            }
            Some(todo.clone())
        })
    }

    pub(crate) fn delete(&self, owner: &str, id: &str) -> bool {
        self.with(|tables| {
            let Some(todos) = tables.by_owner.get_mut(owner) else {
                return false;
            };
            let before = todos.len();
            todos.retain(|todo| todo.id != id);
            todos.len() < before
        })
    }
}
