//! A thin, typed client of one Docker host's Engine API, on bollard.
//!
//! What it adds: a time-out for every call ([`Timeouts`]), errors sorted by whether something may have
//! been done ([`EngineError`]), answers such as "already there" or "gone" as values, the API version in
//! every path, and the rule that only containers with this owner's label can be seen or touched
//! ([`Container`] exists for no other).

mod answers;
mod error;
mod events;
mod spec;
mod timestamp;
mod transport;

pub use answers::{
    Container, Details, Exit, Health, HostInfo, HostVersion, Listed, OwnVolume, Published, Status,
};
pub use error::{Call, EngineError};
pub use events::{Events, Happening, HostEvent};
pub use spec::{ContainerSpec, HealthCheck, HostPort, MissingSource, Network, Publish, Volume};
pub use timestamp::HostTime;
pub use transport::{ApiVersion, Patience};

use crate::hosts::Address;
use bollard::query_parameters as q;
use bytes::Bytes as Blob;
use futures_util::{StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The label that tells whose a container is; its value is the owner's name.
pub const OWNER_LABEL: &str = "bayplan.owner";

/// How long each call may take, connecting included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Ping, also the one that ends a silence.
    pub ping: Duration,
    /// Version and info.
    pub info: Duration,
    /// Create: a busy disk makes it slow.
    pub create: Duration,
    /// Start: half a second at best, several when many start at once.
    pub start: Duration,
    /// Stop: this much beyond the grace that the container is given.
    pub stop_beyond_grace: Duration,
    /// Kill.
    pub kill: Duration,
    /// Remove a container or a volume, which deletes files.
    pub remove: Duration,
    /// Inspect a container or an image.
    pub inspect: Duration,
    /// List containers or volumes.
    pub list: Duration,
    /// Read logs.
    pub logs: Duration,
    /// Load an image.
    pub load_image: Duration,
    /// Until the event stream answers.
    pub events_open: Duration,
    /// After this long without an event the host is pinged.
    pub events_silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            ping: secs(5),
            info: secs(10),
            create: secs(60),
            start: secs(60),
            stop_beyond_grace: secs(20),
            kill: secs(20),
            remove: secs(30),
            inspect: secs(10),
            list: secs(20),
            logs: secs(20),
            load_image: secs(120),
            events_open: secs(10),
            events_silence: secs(10),
        }
    }
}

/// What creating came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It exists now and did not before.
    New(Container),
    /// A container of ours already has the name.
    AlreadyThere(Box<Details>),
    /// A stranger's container has the name.
    NameTaken,
    /// The host has no such image.
    NoImage,
}

/// What starting came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It runs now and did not before; it may have ended since.
    Now,
    /// It ran already.
    AlreadyRunning,
    /// The host has no such container.
    Gone,
    /// The host tried and failed. Starting again may work.
    Failed {
        /// What stood in the way.
        why: StartFailure,
        /// The host's words.
        message: String,
    },
}

/// What stood in the way of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartFailure {
    /// A host port is held by another container or process.
    PortTaken,
    /// The command does not exist, or may not be run.
    Command,
    /// The container whose network it uses does not run or is gone, or there is no such network.
    Network,
    /// Anything else.
    Other,
}

/// What stopping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stopped {
    /// It ended.
    Now,
    /// It did not run.
    NotRunning,
    /// The host has no such container.
    Gone,
}

/// What removing came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Removed {
    /// It is gone now.
    Now,
    /// It was gone already.
    AlreadyGone,
    /// Somebody is already removing it.
    UnderWay,
    /// It runs, and force was not allowed.
    StillRunning,
}

/// What removing a volume came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeRemoved {
    /// It is gone now.
    Now,
    /// It was gone already.
    AlreadyGone,
    /// A container has it still, running or not.
    InUse,
}

/// Whether a container that runs may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Only if it does not run.
    No,
    /// Kill it first.
    Yes,
}

/// The name with a tag: without, a host pulls every tag there is.
fn one_image(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_owned() } else { format!("{image}:latest") }
}

/// Sorts a failed start by the host's answer.
fn start_failure(status: u16, message: &str) -> StartFailure {
    let has = |it: &str| message.contains(it);
    if has("port is already allocated") || has("address already in use") {
        StartFailure::PortTaken
    } else if has("cannot join network")
        || has("No such container")
        || has("network ") && status == 404
    {
        StartFailure::Network
    } else if status == 400
        && (has("no such file or directory")
            || has("permission denied")
            || has("executable file not found"))
    {
        StartFailure::Command
    } else {
        StartFailure::Other
    }
}

/// One Docker host, seen by one owner. Cheap to clone; nothing is sent until the first call.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: bollard::Docker,
    host: String,
    owner: String,
    address: Address,
    timeouts: Timeouts,
    patience: Patience,
    pin: transport::Pin,
}

impl Engine {
    /// A client for the host at `address` that sees only containers of `owner`.
    ///
    /// # Errors
    ///
    /// [`EngineError::Unreachable`] if the address cannot be used at all.
    pub fn new(address: &Address, owner: impl Into<String>) -> Result<Self, EngineError> {
        Self::with(address, owner, Timeouts::default(), Patience::default())
    }

    /// As [`Engine::new`], with other time-outs.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn with(
        address: &Address,
        owner: impl Into<String>,
        timeouts: Timeouts,
        patience: Patience,
    ) -> Result<Self, EngineError> {
        let host = address.to_string();
        let pin = transport::Pin::new(ApiVersion::BASE);
        let docker = transport::client(address, patience, &pin, Arc::default()).map_err(|it| {
            EngineError::Unreachable {
                host: host.clone(),
                call: Call::Ping,
                reason: it.to_string(),
            }
        })?;
        let owner = owner.into();
        Ok(Self { docker, host, owner, address: address.clone(), timeouts, patience, pin })
    }

    /// The host's address, as messages name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The time-outs in force.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The API version in every request path.
    pub fn api_version(&self) -> ApiVersion {
        self.pin.get()
    }

    /// Runs one call within `limit`. A caller that stops waiting does not stop the host.
    async fn call<T>(
        &self,
        call: Call,
        limit: Duration,
        work: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let began = Instant::now();
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                Err(EngineError::from_bollard(&self.host, call, began.elapsed(), error))
            }
            Err(_) => Err(EngineError::Unknown {
                host: self.host.clone(),
                call,
                waited: limit,
                reason: "no answer".to_owned(),
            }),
        }
    }

    fn garbled(&self, call: Call, reason: &str) -> EngineError {
        EngineError::Garbled { host: self.host.clone(), call, reason: reason.to_owned() }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.call(Call::Ping, self.timeouts.ping, self.docker.ping()).await.map(|_| ())
    }

    /// Asks which versions the host speaks, and from then on uses the oldest that both know: 1.41
    /// where possible.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooOld`] if the host speaks only older ones; as any call.
    pub async fn settle_version(&self) -> Result<HostVersion, EngineError> {
        let answer = self.call(Call::Version, self.timeouts.info, self.docker.version()).await?;
        let read = |text: Option<String>| text.as_deref().and_then(ApiVersion::parse);
        let newest = read(answer.api_version)
            .ok_or_else(|| self.garbled(Call::Version, "no API version"))?;
        let oldest = read(answer.min_api_version).unwrap_or(newest);
        if newest < ApiVersion::BASE {
            return Err(EngineError::TooOld {
                host: self.host.clone(),
                speaks: newest.to_string(),
                wanted: ApiVersion::BASE.to_string(),
            });
        }
        self.pin.set(ApiVersion::BASE.max(oldest));
        Ok(HostVersion { docker: answer.version.unwrap_or_default(), newest, oldest })
    }

    /// What the host reports of itself.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn info(&self) -> Result<HostInfo, EngineError> {
        let answer = self.call(Call::Info, self.timeouts.info, self.docker.info()).await?;
        Ok(answer.into())
    }

    /// Creates a container that carries the owner's label. Nothing is pulled.
    ///
    /// # Errors
    ///
    /// [`EngineError::Invalid`] if the spec contradicts itself; as any call. After
    /// [`EngineError::Unknown`] call again: what is there by then is answered as such.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<Created, EngineError> {
        let body = spec.body((OWNER_LABEL, &self.owner))?;
        let options = q::CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let work = self.docker.create_container(Some(options), body);
        match self.call(Call::Create, self.timeouts.create, work).await {
            Ok(answer) => Ok(Created::New(Container::new(answer.id, &spec.name))),
            Err(EngineError::Refused { status: 404, message, .. })
                if message.contains("No such image") =>
            {
                Ok(Created::NoImage)
            }
            Err(EngineError::Refused { status: 409, message, call, host })
                if message.contains("already in use") =>
            {
                match self.find(&spec.name).await {
                    Ok(Some(details)) => Ok(Created::AlreadyThere(Box::new(details))),
                    Err(EngineError::NotOurs { .. }) => Ok(Created::NameTaken),
                    // Removed between the two calls, or still being created: the caller tries again.
                    Ok(None) => Err(EngineError::Refused { status: 409, message, call, host }),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Starts a container.
    ///
    /// # Errors
    ///
    /// As any call. A host that tried and failed is not an error but [`Started::Failed`].
    pub async fn start(&self, container: &Container) -> Result<Started, EngineError> {
        // bollard takes 304 for success; whether it ran before is known only by having looked.
        match self.find(container.id()).await? {
            None => return Ok(Started::Gone),
            Some(it) if it.status.is_alive() => return Ok(Started::AlreadyRunning),
            Some(_) => {}
        }
        let work = self.docker.start_container(container.id(), None::<q::StartContainerOptions>);
        match self.call(Call::Start, self.timeouts.start, work).await {
            Ok(()) => Ok(Started::Now),
            Err(EngineError::Refused { status: 404, message, .. })
                if message.contains(container.id()) =>
            {
                Ok(Started::Gone)
            }
            Err(EngineError::Refused { status, message, .. }) => {
                Ok(Started::Failed { why: start_failure(status, &message), message })
            }
            Err(error) => Err(error),
        }
    }

    /// Asks a container to end, and kills it after `grace`. Answers when it has ended.
    ///
    /// # Errors
    ///
    /// As any call. After [`EngineError::Unknown`] the host goes on stopping it.
    pub async fn stop(
        &self,
        container: &Container,
        grace: Duration,
    ) -> Result<Stopped, EngineError> {
        match self.find(container.id()).await? {
            None => return Ok(Stopped::Gone),
            Some(it) if !it.status.is_alive() => return Ok(Stopped::NotRunning),
            Some(_) => {}
        }
        let grace_s = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = q::StopContainerOptionsBuilder::new().t(grace_s).build();
        let limit = grace + self.timeouts.stop_beyond_grace;
        let work = self.docker.stop_container(container.id(), Some(options));
        match self.call(Call::Stop, limit, work).await {
            Ok(()) => Ok(Stopped::Now),
            Err(EngineError::Refused { status: 404, .. }) => Ok(Stopped::Gone),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal (`TERM`, `KILL`, …). [`Stopped::Now`] says that it was sent, not that the
    /// container ended.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn kill(&self, container: &Container, signal: &str) -> Result<Stopped, EngineError> {
        let options = q::KillContainerOptionsBuilder::new().signal(signal).build();
        let work = self.docker.kill_container(container.id(), Some(options));
        match self.call(Call::Kill, self.timeouts.kill, work).await {
            Ok(()) => Ok(Stopped::Now),
            Err(EngineError::Refused { status: 404, .. }) => Ok(Stopped::Gone),
            Err(EngineError::Refused { status: 409, message, .. })
                if message.contains("is not running") =>
            {
                Ok(Stopped::NotRunning)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a container, with its unnamed volumes.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn remove(
        &self,
        container: &Container,
        force: Force,
    ) -> Result<Removed, EngineError> {
        let options =
            q::RemoveContainerOptionsBuilder::new().force(force == Force::Yes).v(true).build();
        let work = self.docker.remove_container(container.id(), Some(options));
        match self.call(Call::Remove, self.timeouts.remove, work).await {
            Ok(()) => Ok(Removed::Now),
            Err(EngineError::Refused { status: 404, .. }) => Ok(Removed::AlreadyGone),
            Err(EngineError::Refused { status: 409, message, .. })
                if message.contains("already in progress") =>
            {
                Ok(Removed::UnderWay)
            }
            Err(EngineError::Refused { status: 409, message, .. })
                if message.contains("running container")
                    || message.contains("paused container") =>
            {
                Ok(Removed::StillRunning)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks at a container again; `None` if it is gone.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn inspect(&self, container: &Container) -> Result<Option<Details>, EngineError> {
        self.find(container.id()).await
    }

    /// The container of that name or id; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`EngineError::NotOurs`] if it lacks the owner's label; as any call.
    pub async fn find(&self, name: &str) -> Result<Option<Details>, EngineError> {
        let work = self.docker.inspect_container(name, None::<q::InspectContainerOptions>);
        let answer = match self.call(Call::Inspect, self.timeouts.inspect, work).await {
            Ok(answer) => answer,
            Err(EngineError::Refused { status: 404, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let details = answers::details(answer).map_err(|it| self.garbled(Call::Inspect, it))?;
        if details.labels.get(OWNER_LABEL) != Some(&self.owner) {
            return Err(EngineError::NotOurs { host: self.host.clone(), name: name.to_owned() });
        }
        Ok(Some(details))
    }

    /// All our containers, dead ones included, sorted by name.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let options =
            q::ListContainersOptionsBuilder::new().all(true).filters(&self.ours()).build();
        let work = self.docker.list_containers(Some(options));
        let answer = self.call(Call::List, self.timeouts.list, work).await?;
        let mut found = Vec::new();
        for it in answer {
            let it = answers::listed(it).map_err(|it| self.garbled(Call::List, it))?;
            // The filter is the host's; that it was heeded is checked.
            if it.labels.get(OWNER_LABEL) == Some(&self.owner) {
                found.push(it);
            }
        }
        found.sort_by(|a, b| a.container.name().cmp(b.container.name()));
        Ok(found)
    }

    /// All volumes that carry the owner's label, sorted by name.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn volumes(&self) -> Result<Vec<OwnVolume>, EngineError> {
        let options = q::ListVolumesOptionsBuilder::new().filters(&self.ours()).build();
        let work = self.docker.list_volumes(Some(options));
        let answer = self.call(Call::ListVolumes, self.timeouts.list, work).await?;
        let all = answer.volumes.unwrap_or_default().into_iter();
        let all =
            all.map(|it| OwnVolume { name: it.name, labels: it.labels.into_iter().collect() });
        let mut found: Vec<_> =
            all.filter(|it| it.labels.get(OWNER_LABEL) == Some(&self.owner)).collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes a volume with all that is in it.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn remove_volume(&self, volume: &OwnVolume) -> Result<VolumeRemoved, EngineError> {
        let work = self.docker.remove_volume(&volume.name, None::<q::RemoveVolumeOptions>);
        match self.call(Call::RemoveVolume, self.timeouts.remove, work).await {
            Ok(()) => Ok(VolumeRemoved::Now),
            Err(EngineError::Refused { status: 404, .. }) => Ok(VolumeRemoved::AlreadyGone),
            Err(EngineError::Refused { status: 409, .. }) => Ok(VolumeRemoved::InUse),
            Err(error) => Err(error),
        }
    }

    fn ours(&self) -> HashMap<String, Vec<String>> {
        let label = format!("{OWNER_LABEL}={}", self.owner);
        HashMap::from([("label".to_owned(), vec![label])])
    }

    /// The last `lines` lines that the container wrote, standard output and error as they came; `None`
    /// if it is gone.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn logs(
        &self,
        container: &Container,
        lines: u32,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let options =
            q::LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut stream = self.docker.logs(container.id(), Some(options));
        let work = async {
            let mut text = Vec::new();
            while let Some(part) = stream.next().await {
                text.extend_from_slice(&part?.into_bytes());
            }
            Ok(text)
        };
        match self.call(Call::Logs, self.timeouts.logs, work).await {
            Ok(text) => Ok(Some(text)),
            Err(EngineError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Events of our containers from now on, or from `since` as far as the host remembers (its last 256).
    /// An event at `since` itself is repeated.
    ///
    /// Whatever happens after this returns is in the stream. So: open it, then list, then follow it.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn events(&self, since: Option<HostTime>) -> Result<Events, EngineError> {
        let mut filters = self.ours();
        filters.insert("type".to_owned(), vec!["container".to_owned()]);
        let actions = events::ACTIONS.iter().map(|&it| it.to_owned()).collect();
        filters.insert("event".to_owned(), actions);
        let mut options = q::EventsOptionsBuilder::new().filters(&filters);
        if let Some(HostTime(nanos)) = since {
            let (secs, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
            options = options.since(&format!("{secs}.{rest:09}"));
        }
        let answered = Arc::new(Notify::new());
        let docker = transport::client(&self.address, self.patience, &self.pin, answered.clone())
            .map_err(|it| {
            EngineError::from_bollard(&self.host, Call::Events, Duration::ZERO, it)
        })?;
        let host = self.host.clone();
        let mut stream = docker
            .events(Some(options.build()))
            .map(move |it| {
                it.map_err(|it| EngineError::from_bollard(&host, Call::Events, Duration::ZERO, it))
            })
            .boxed();
        // bollard sends nothing before it is first polled, so poll until the host has answered.
        let first = tokio::select! {
            first = stream.next() => match first {
                Some(first) => Some(first?),
                None => return Err(self.ended()),
            },
            () = answered.notified() => None,
            () = tokio::time::sleep(self.timeouts.events_open) => return Err(EngineError::Unknown {
                host: self.host.clone(),
                call: Call::Events,
                waited: self.timeouts.events_open,
                reason: "no answer".to_owned(),
            }),
        };
        Ok(Events { engine: self.clone(), stream, first })
    }

    fn ended(&self) -> EngineError {
        EngineError::Unreachable {
            host: self.host.clone(),
            call: Call::Events,
            reason: "the stream ended".to_owned(),
        }
    }

    /// Whether the host has the image.
    ///
    /// # Errors
    ///
    /// As any call.
    pub async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        let work = self.docker.inspect_image(image);
        match self.call(Call::InspectImage, self.timeouts.inspect, work).await {
            Ok(_) => Ok(true),
            Err(EngineError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pulls an image from its registry, without credentials; what the host has of it is not sent again.
    /// Takes as long as it takes, as long as the host says something within every `silence`. The host
    /// stops pulling when the future is dropped.
    ///
    /// # Errors
    ///
    /// As any call; [`EngineError::Refused`] also says why a registry did not give it.
    pub async fn pull_image(&self, image: &str, silence: Duration) -> Result<(), EngineError> {
        let name = one_image(image);
        let options = q::CreateImageOptionsBuilder::new().from_image(&name).build();
        let mut stream = self.docker.create_image(Some(options), None, None);
        while self.call(Call::PullImage, silence, stream.try_next()).await?.is_some() {}
        Ok(())
    }

    /// Loads images from what `docker save` writes.
    ///
    /// # Errors
    ///
    /// As any call; a damaged archive is [`EngineError::Refused`].
    pub async fn load_image(&self, archive: Blob) -> Result<(), EngineError> {
        let options = q::ImportImageOptionsBuilder::new().quiet(true).build();
        let mut stream = self.docker.import_image(options, bollard::body_full(archive), None);
        let work = async {
            while let Some(it) = stream.next().await {
                it?;
            }
            Ok(())
        };
        self.call(Call::LoadImage, self.timeouts.load_image, work).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_image_is_pulled_and_not_all_its_tags() {
        for (name, want) in [
            ("busybox", "busybox:latest"),
            ("busybox:1", "busybox:1"),
            ("h:5000/a/b", "h:5000/a/b:latest"),
            ("h:5000/b@sha256:ab", "h:5000/b@sha256:ab"),
        ] {
            assert_eq!(one_image(name), want);
        }
    }

    #[test]
    fn failed_starts_are_sorted_by_what_stood_in_the_way() {
        for (status, message, want) in [
            (
                500,
                "driver failed programming external connectivity on endpoint w (ab): Bind for \
                 0.0.0.0:80 failed: port is already allocated",
                StartFailure::PortTaken,
            ),
            (
                500,
                "Error starting userland proxy: listen tcp4 0.0.0.0:2375: bind: address already in use",
                StartFailure::PortTaken,
            ),
            (409, "cannot join network of a non running container: ab", StartFailure::Network),
            (404, "network nosuchnet not found", StartFailure::Network),
            (404, "No such container: pause", StartFailure::Network),
            (
                400,
                "failed to create shim task: OCI runtime create failed: exec: \"x\": executable file \
                 not found in $PATH: unknown",
                StartFailure::Command,
            ),
            (400, "OCI runtime create failed: permission denied: unknown", StartFailure::Command),
            (500, "cpu.cfs_quota_us: invalid argument: unknown", StartFailure::Other),
        ] {
            assert_eq!(start_failure(status, message), want, "{message}");
        }
    }
}
