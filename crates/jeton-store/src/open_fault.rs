//! Why a database cannot be opened, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;
use sqlx::migrate::MigrateError;

use crate::{Database, StoreError};

/// Why a database cannot be opened. What the database itself says is quoted.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// SQLite makes files, not folders.
    #[error(
        "there is no folder {0}; create it, or name another file with --data-dir or --database-url"
    )]
    NoFolder(PathBuf),
    /// Nothing has the name.
    #[error("there is no such file ({0}); check its name, and where this command runs")]
    NoFile(PathBuf),
    /// A folder has the name.
    #[error("{0} is a folder, and the database is a file; name a file in it")]
    Folder(PathBuf),
    /// The file system says no.
    #[error(
        "this user may not read and write {0}; change its owner or mode, or run as the user who owns it"
    )]
    NotAllowed(PathBuf),
    /// The file is there to be used, and the folder is not.
    #[error(
        "this user may not write in the folder {}, and SQLite keeps files beside the database; change its owner or mode, or run as the user who owns it",
        .0.display()
    )]
    FolderNotAllowed(PathBuf),
    /// Another file.
    #[error(
        "{0} is not a SQLite database; name another file, or put a backup in its place with jeton restore --overwrite"
    )]
    NotSqlite(PathBuf),
    /// SQLite finds it damaged.
    #[error(
        "{0} is damaged; put a backup in its place with jeton restore --overwrite, which keeps this file"
    )]
    Damaged(PathBuf),
    /// Another process holds it.
    #[error("another process has locked {0}; stop it, and try again")]
    Locked(PathBuf),
    /// No room.
    #[error("the disk that holds {0} is full; make room, and try again")]
    DiskFull(PathBuf),
    /// No room, or a disk that fails: SQLite does not tell these apart.
    #[error(
        "{0} cannot be written: the disk is full, a quota or a limit on the size of files is reached, or the disk fails, of which the system's log tells; make room, and try again"
    )]
    NotWritten(PathBuf),
    /// Whatever else SQLite says of the file.
    #[error("{file} cannot be opened; SQLite says: {said}")]
    Sqlite {
        /// The file.
        file: PathBuf,
        /// What SQLite says.
        said: String,
    },
    /// The URL.
    #[error(
        "the database URL cannot be read ({0}). It is postgres://USER:PASSWORD@HOST:PORT/DATABASE; in a password, the characters @ : / ? # % are written %40 %3A %2F %3F %23 %25"
    )]
    Url(String),
    /// Nobody listens.
    #[error(
        "nothing answers at {0}: is PostgreSQL running there, does it listen on that address (listen_addresses), and does a firewall let this machine in?"
    )]
    Refused(String),
    /// No answer at all.
    #[error(
        "{0} did not answer within ten seconds: check the host and port of the database URL, and whether a firewall drops the connection"
    )]
    Silent(String),
    /// No way there.
    #[error(
        "this machine has no way to {0}: check the host of the database URL, and this machine's network"
    )]
    Unreachable(String),
    /// Another kind of server.
    #[error(
        "what answers at {place} is not PostgreSQL, or something between changes what it says ({said}); check the host and port of the database URL"
    )]
    NotPostgres {
        /// Host and port.
        place: String,
        /// What is wrong with the answer.
        said: String,
    },
    /// DNS.
    #[error(
        "the host name of {place} is not known ({said}); check its spelling in the database URL"
    )]
    UnknownHost {
        /// Host and port.
        place: String,
        /// What the resolver says.
        said: String,
    },
    /// SQLSTATE 28P01, 28000.
    #[error(
        "PostgreSQL refused the user or the password ({0}). Check both in the database URL; in a password, the characters @ : / ? # % are written %40 %3A %2F %3F %23 %25"
    )]
    Credentials(String),
    /// SQLSTATE 28000, of who may connect from where.
    #[error(
        "PostgreSQL admits no such connection ({0}). Its pg_hba.conf needs a line for this user, database and address, and SELECT pg_reload_conf() after it was changed; where it says that there is no encryption, it may want TLS: add sslmode=verify-full to the database URL"
    )]
    NotAdmitted(String),
    /// SQLSTATE 3D000.
    #[error(
        "PostgreSQL has no such database ({0}); create it with CREATE DATABASE, or correct the end of the database URL"
    )]
    NoDatabase(String),
    /// SQLSTATE 42501.
    #[error(
        "the PostgreSQL user may not do what Jeton needs ({0}). Make it the owner of the database (ALTER DATABASE … OWNER TO …), or GRANT CREATE, USAGE ON SCHEMA public"
    )]
    Privileges(String),
    /// SQLSTATE 25006.
    #[error(
        "this PostgreSQL server takes no writes ({0}); it may be a standby: name the primary in the database URL"
    )]
    ReadOnly(String),
    /// SQLSTATE 53300.
    #[error(
        "PostgreSQL has no free connection ({0}); raise max_connections there, or the limit of the user or the database (ALTER ROLE … CONNECTION LIMIT), or lower database_connections here"
    )]
    NoConnections(String),
    /// SQLSTATE 57P03 and its kind.
    #[error("PostgreSQL is starting or stopping ({0}); try again in a moment")]
    NotReady(String),
    /// The TLS connection.
    #[error(
        "no TLS connection to {place} ({said}); check sslmode and sslrootcert in the database URL, and the server's certificate"
    )]
    Tls {
        /// Host and port.
        place: String,
        /// What is wrong.
        said: String,
    },
    /// Whatever else PostgreSQL or the connection says.
    #[error("the connection to {place} failed: {said}")]
    Postgres {
        /// Host and port.
        place: String,
        /// What is wrong.
        said: String,
    },
    /// The tables are another program's.
    #[error(
        "the database belongs to another program (it has a migration {0}, which is none of Jeton's); give Jeton a database of its own"
    )]
    Foreign(i64),
    /// Other tables have the names of Jeton's, and no migration made them.
    #[error(
        "the database holds tables that are not this server's ({0}); give Jeton a database of its own, or restore a backup of the whole database if it was Jeton's"
    )]
    Occupied(String),
    /// A migration has another checksum.
    #[error(
        "the database was prepared by another build: its migration {0} differs from the one of this version. Run the version that made it, or restore a backup made with a released version; do not change the table _sqlx_migrations"
    )]
    OtherBuild(i64),
    /// A migration that was not finished.
    #[error(
        "migration {0} was begun and not finished; restore the backup made before the upgrade, and start again"
    )]
    Unfinished(i64),
    /// A migration that failed.
    #[error(
        "bringing the database up to date failed at migration {number}, and nothing of that migration was kept ({said}). Resolve what is named there and start again, or run the version that was used before"
    )]
    Migration {
        /// Which.
        number: i64,
        /// What the database says.
        said: String,
    },
}

/// Migrations of other programs are numbered by date.
const HIGHEST: i64 = 9_999;

/// An error of opening, in words that say what to do.
pub(crate) fn explain(database: &Database, error: StoreError) -> StoreError {
    let fault = match error {
        StoreError::Database(source) | StoreError::Disconnected(source) => fault(database, &source),
        StoreError::Timeout => match database {
            Database::Sqlite(file) => OpenFault::Locked(file.clone()),
            Database::Postgres(_) => OpenFault::Silent(place(database)),
        },
        StoreError::Newer { found } if found > HIGHEST => OpenFault::Foreign(found),
        StoreError::Migration(source) => match migration(database, source) {
            Ok(fault) => fault,
            Err(source) => return StoreError::Migration(source),
        },
        other => return other,
    };
    StoreError::Unopened(Box::new(fault))
}

fn migration(database: &Database, error: MigrateError) -> Result<OpenFault, MigrateError> {
    match error {
        MigrateError::VersionMismatch(number) => Ok(OpenFault::OtherBuild(number)),
        MigrateError::Dirty(number) => Ok(OpenFault::Unfinished(number)),
        MigrateError::ExecuteMigration(source, number) => {
            let said = said(&source);
            // Nothing of Jeton's is there before the first.
            if number == 1 && said.contains("already exists") {
                return Ok(OpenFault::Occupied(said));
            }
            Ok(OpenFault::Migration { number, said })
        }
        MigrateError::Execute(source) => Ok(fault(database, &source)),
        other => Err(other),
    }
}

fn fault(database: &Database, error: &sqlx::Error) -> OpenFault {
    match database {
        Database::Sqlite(file) => sqlite(file, error),
        Database::Postgres(_) => postgres(place(database), error),
    }
}

/// SQLite's extended result codes of writes that the system refused: `SQLITE_IOERR_WRITE`, `_FSYNC`, `_DIR_FSYNC`,
/// `_TRUNCATE`, `_SHMSIZE`, `_SHMMAP`.
const NOT_WRITTEN: [i32; 6] = [778, 1_034, 1_290, 1_546, 4_874, 5_386];

fn sqlite(file: &Path, error: &sqlx::Error) -> OpenFault {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return OpenFault::NoFolder(folder.to_owned());
    }
    if file.is_dir() {
        return OpenFault::Folder(file.to_owned());
    }
    if !file.exists() {
        return OpenFault::NoFile(file.to_owned());
    }
    let path = file.to_owned();
    let code = match error {
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return OpenFault::NotAllowed(path);
        }
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            return OpenFault::DiskFull(path);
        }
        sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i32>().ok()),
        _ => None,
    };
    if code.is_some_and(|code| NOT_WRITTEN.contains(&code)) {
        return OpenFault::NotWritten(path);
    }
    let mut options = std::fs::OpenOptions::new();
    let may_use_file = options.read(true).write(true).open(file).is_ok();
    // The low byte of an extended result code is the primary one.
    match code.map(|code| code & 0xff) {
        Some(5 | 6) => OpenFault::Locked(path),
        Some(3 | 8 | 14) if !may_use_file => OpenFault::NotAllowed(path),
        Some(3 | 8) => OpenFault::FolderNotAllowed(folder.unwrap_or(Path::new(".")).to_owned()),
        Some(11) => OpenFault::Damaged(path),
        Some(13) => OpenFault::DiskFull(path),
        Some(26) => OpenFault::NotSqlite(path),
        _ => OpenFault::Sqlite {
            file: path,
            said: said(error),
        },
    }
}

fn postgres(place: String, error: &sqlx::Error) -> OpenFault {
    let said = said(error);
    match error {
        sqlx::Error::Configuration(_) => OpenFault::Url(said),
        sqlx::Error::Tls(_) => OpenFault::Tls {
            place,
            said: certificate(said),
        },
        sqlx::Error::Protocol(_) => OpenFault::NotPostgres { place, said },
        sqlx::Error::Io(error) => match error.kind() {
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                OpenFault::Unreachable(place)
            }
            // What rustls says of a certificate or a handshake.
            io::ErrorKind::InvalidData => OpenFault::Tls {
                place,
                said: certificate(said),
            },
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                OpenFault::NotPostgres { place, said }
            }
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => OpenFault::Refused(place),
            io::ErrorKind::TimedOut => OpenFault::Silent(place),
            _ if said.contains("lookup") => OpenFault::UnknownHost { place, said },
            _ => OpenFault::Postgres { place, said },
        },
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("28000") if said.contains("pg_hba.conf") => OpenFault::NotAdmitted(said),
            Some("28P01" | "28000") => OpenFault::Credentials(said),
            Some("3D000") => OpenFault::NoDatabase(said),
            Some("42501") => OpenFault::Privileges(said),
            Some("25006") => OpenFault::ReadOnly(said),
            Some("53300") => OpenFault::NoConnections(said),
            Some("57P01" | "57P02" | "57P03") => OpenFault::NotReady(said),
            _ => OpenFault::Postgres { place, said },
        },
        _ => OpenFault::Postgres { place, said },
    }
}

/// What is wrong with a certificate; whatever else is wrong with a connection as it was said.
fn certificate(said: String) -> String {
    let words = if said.contains("UnknownIssuer") {
        "its certificate is signed by nobody whom this machine trusts; name the file with the certificate of its CA as sslrootcert"
    } else if said.contains("NotValidForName") {
        "its certificate is for another host name than the database URL has"
    } else if said.contains("Expired") {
        "its certificate has expired, or the clock of this machine is wrong"
    } else if said.contains("NotValidYet") {
        "its certificate is not valid yet, or the clock of this machine is wrong"
    } else {
        return said;
    };
    words.to_owned()
}

/// What the database or the system said, without sqlx's own words around it.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => {
            let said = error.to_string();
            // Without its number.
            said.split(" (os error ").next().unwrap_or(&said).to_owned()
        }
        sqlx::Error::Protocol(said) => said.clone(),
        sqlx::Error::Configuration(error) | sqlx::Error::Tls(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Host and port of a PostgreSQL URL; without user, password and parameters.
fn place(database: &Database) -> String {
    let Database::Postgres(postgres) = database else {
        return database.redacted();
    };
    let url = postgres.notification_url.as_ref().unwrap_or(&postgres.url);
    let url = crate::connect::redacted(url.expose_secret());
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_owned()
}
