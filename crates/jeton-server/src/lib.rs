//! Jeton's authorization server.
//!
//! [`Config`] says how, [`App::open`] opens the store and the keys, [`Server`] answers requests
//! until it is told to stop. `http/router.rs` has every route in one table; from there a request
//! goes to `oauth/` or `api/`, which meet in `service/`, `directory.rs`, `keys/` and `audit/`.

mod admin_client;
mod api;
mod app;
mod audit;
mod background;
mod config;
mod dashboard;
mod data_dir;
mod directory;
mod disk;
mod first_start;
mod http;
mod job;
mod keys;
mod oauth;
mod private_file;
mod propagation;
mod recovery;
mod request_context;
mod service;
mod source_network;
mod starting;
mod telemetry;
mod webauthn;

pub use admin_client::AdminCredentials;
pub use app::{App, OpenError, StartError};
pub use audit::Acknowledgement;
pub use config::{
    AuditDurability, Config, ConfigError, DatabaseUrl, Issuer, IssuerError, ListenAddress,
    ListenAddressError, MetadataScopes, OnDiscontinuity, RawAudit, RawConfig, RawForward, RawOidc,
    SecondFactor, nearest_setting, not_written, read_named_file, read_named_text,
};
pub use data_dir::{DataDirError, lock_data_dir};
pub use http::{ListenError, Reload, Server, ServerError, openapi_json};
pub use private_file::{copy_into_private_file, write_private_file};
pub use recovery::{Recovered, RecoveryError, recover_admin};
pub use starting::Starting;
pub use telemetry::{LogFormat, init_telemetry};
