//! Asks a running controller.

use super::server::short_path;
use super::{Answer, Request};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// Between two words of the controller; what takes longer is removing everything from slow hosts.
const PATIENCE: Duration = Duration::from_secs(180);

/// Why a controller cannot be asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// None listens.
    #[error("no controller is running on {}", dir.display())]
    NotRunning {
        /// The state folder.
        dir: PathBuf,
    },
    /// It went away, or said nothing for long.
    #[error("the controller on {} does not answer: {source}", dir.display())]
    Silent {
        /// The state folder.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is of another version.
    #[error("the controller on {} says what this program does not know: {why}", dir.display())]
    Strange {
        /// The state folder.
        dir: PathBuf,
        /// What the decoder says.
        why: String,
    },
}

/// A connection to a controller.
#[derive(Debug)]
pub struct Client {
    dir: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the controller of a state folder.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotRunning`] if there is none.
    pub fn connect(dir: &Path) -> Result<Self, ClientError> {
        let not_running = || ClientError::NotRunning { dir: dir.to_owned() };
        let (path, _folder) = short_path(dir).map_err(|_| not_running())?;
        let stream = UnixStream::connect(path).map_err(|_| not_running())?;
        let silent = |source| ClientError::Silent { dir: dir.to_owned(), source };
        stream.set_read_timeout(Some(PATIENCE)).map_err(silent)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(silent)?;
        Ok(Self { dir: dir.to_owned(), stream: BufReader::new(stream) })
    }

    /// Asks one thing.
    ///
    /// # Errors
    ///
    /// If the controller goes away, or is of another version. What it refuses is an answer.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        let dir = self.dir.clone();
        let silent = |source| ClientError::Silent { dir: dir.clone(), source };
        let strange = |why: serde_json::Error| ClientError::Strange {
            dir: dir.clone(),
            why: why.to_string(),
        };
        let mut line = serde_json::to_vec(request).map_err(strange)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(silent)?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer).map_err(silent)? == 0 {
            return Err(silent(io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_str(&answer).map_err(strange)
    }
}
