//! How bytes get to a Docker host: one connection a call, each with a connect time-out and a kernel
//! that notices a dead peer.
//!
//! bollard's own transports have neither: a stream to a host whose cable was pulled stays silent for
//! ever. A connection a call costs less than a millisecond here, and leaves no pool of connections that
//! died meanwhile.

use crate::hosts::Address;
use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::Uri;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Notify;

/// A version of the Engine API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Before the dot.
    pub major: u16,
    /// After the dot.
    pub minor: u16,
}

impl ApiVersion {
    /// What this layer is written against: Docker 20.10 and later.
    pub const BASE: Self = Self { major: 1, minor: 41 };

    /// Reads `1.41`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    fn pack(self) -> u32 {
        u32::from(self.major) << 16 | u32::from(self.minor)
    }

    fn unpack(packed: u32) -> Self {
        Self { major: (packed >> 16) as u16, minor: (packed & 0xffff) as u16 }
    }
}

impl std::fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The version that goes into every request path; may be raised once the host has said what it speaks.
#[derive(Debug, Clone)]
pub(super) struct Pin(Arc<AtomicU32>);

impl Pin {
    pub(super) fn new(version: ApiVersion) -> Self {
        Self(Arc::new(AtomicU32::new(version.pack())))
    }

    pub(super) fn get(&self) -> ApiVersion {
        ApiVersion::unpack(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, version: ApiVersion) {
        self.0.store(version.pack(), Ordering::Relaxed);
    }
}

/// Marks an error as one of connecting: nothing was sent, so nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotConnected(pub(super) String);

/// How long to wait for a connection, and when to give one up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Idle time before the kernel asks the peer for a sign of life.
    pub keepalive_after: Duration,
    /// Between two such questions; three unanswered ones end the connection.
    pub keepalive_every: Duration,
    /// How long sent bytes may stay unacknowledged.
    pub unacknowledged: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            keepalive_after: Duration::from_secs(3),
            keepalive_every: Duration::from_secs(1),
            unacknowledged: Duration::from_secs(6),
        }
    }
}

/// A bollard client over connections of ours, with `pin` in every path. `answered` is told whenever a
/// host has begun to answer, which for a stream is long before its first item.
pub(super) fn client(
    address: &Address,
    patience: Patience,
    pin: &Pin,
    answered: Arc<Notify>,
) -> Result<Docker, Error> {
    let target = address.clone();
    let send = move |request: BollardRequest| {
        let (target, answered) = (target.clone(), answered.clone());
        async move {
            let response = send(&target, patience, request).await?;
            answered.notify_one();
            Ok(response)
        }
    };
    let version = ClientVersion {
        major_version: usize::from(ApiVersion::BASE.major),
        minor_version: usize::from(ApiVersion::BASE.minor),
    };
    // Time-outs are set per call, one layer up: bollard's own counts whole seconds and knows only one.
    let never = u64::from(u32::MAX);
    let docker =
        Docker::connect_with_custom_transport(send, Some("http://docker"), never, &version)?;
    let pin = pin.clone();
    Ok(docker.with_request_modifier(move |mut request| {
        let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
        if let Ok(pinned) = pinned_path(path, pin.get()).parse::<Uri>() {
            *request.uri_mut() = pinned;
        }
        request
    }))
}

/// The path with the version in front. bollard 0.21 builds one and loses it (its issue 736); once it
/// no longer does, the path passes as it is. `/_ping` and `/version` work without, which is how a host's
/// own version is found.
fn pinned_path(path: &str, version: ApiVersion) -> String {
    let has_version = path
        .strip_prefix("/v")
        .and_then(|it| it.split('/').next())
        .is_some_and(|it| ApiVersion::parse(it).is_some());
    if has_version || path == "/version" || path == "/_ping" {
        path.to_owned()
    } else {
        format!("/v{version}{path}")
    }
}

async fn send(
    address: &Address,
    patience: Patience,
    mut request: BollardRequest,
) -> Result<hyper::Response<Incoming>, Error> {
    let host = match address {
        Address::Unix(_) => "docker".to_owned(),
        Address::Tcp { host, port } => format!("{host}:{port}"),
    };
    if let Ok(value) = HeaderValue::from_str(&host) {
        request.headers_mut().insert(HOST, value);
    }
    match address {
        Address::Unix(path) => {
            let stream = within(patience.connect, UnixStream::connect(path)).await?;
            exchange(stream, request).await
        }
        Address::Tcp { host, port } => {
            let stream =
                within(patience.connect, TcpStream::connect((host.as_str(), *port))).await?;
            watch(&stream, patience).map_err(not_connected)?;
            exchange(stream, request).await
        }
    }
}

async fn within<T>(
    limit: Duration,
    connecting: impl Future<Output = io::Result<T>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(not_connected(error)),
        Err(_) => Err(not_connected(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {} ms", limit.as_millis()),
        ))),
    }
}

fn not_connected(error: io::Error) -> Error {
    Error::IOError { err: io::Error::new(error.kind(), NotConnected(error.to_string())) }
}

/// Lets the kernel end a connection whose other side is gone without a word.
fn watch(stream: &TcpStream, patience: Patience) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let fd = stream.as_fd();
    rustix::net::sockopt::set_socket_keepalive(fd, true)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::net::sockopt::{
            set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
        };
        set_tcp_keepidle(fd, patience.keepalive_after)?;
        set_tcp_keepintvl(fd, patience.keepalive_every)?;
        set_tcp_keepcnt(fd, 3)?;
        let unacknowledged_ms = u32::try_from(patience.unacknowledged.as_millis());
        set_tcp_user_timeout(fd, unacknowledged_ms.unwrap_or(u32::MAX))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
    Ok(())
}

async fn exchange<S>(stream: S, request: BollardRequest) -> Result<hyper::Response<Incoming>, Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the response's body, or when whoever reads it drops it.
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_in_every_path_once() {
        let base = ApiVersion::BASE;
        for (path, want) in [
            ("/containers/json?all=true", "/v1.41/containers/json?all=true"),
            ("/v1.41/info", "/v1.41/info"),
            ("/volumes", "/v1.41/volumes"),
            ("/v1.x/info", "/v1.41/v1.x/info"),
            ("/version", "/version"),
            ("/_ping", "/_ping"),
        ] {
            assert_eq!(pinned_path(path, base), want, "{path}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let parse = |it| ApiVersion::parse(it);
        assert!(parse("1.9") < parse("1.41"));
        assert_eq!(parse("1.41"), Some(ApiVersion::BASE));
        assert_eq!(parse("1"), None);
        let pin = Pin::new(ApiVersion::BASE);
        pin.set(ApiVersion { major: 1, minor: 53 });
        assert_eq!(pin.get().to_string(), "1.53");
    }
}
