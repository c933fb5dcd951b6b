//! What is wrong with an app file, and what of it is left out.

use crate::hosts::Place;
use std::fmt;
use thiserror::Error;

/// Why an app file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppError {
    /// Not JSON.
    #[error("{place}: {reason}")]
    Syntax {
        /// Where the reader gave up.
        place: Box<Place>,
        /// Its words.
        reason: String,
    },
    /// A field that means nothing there.
    #[error("{place}: unknown field {field}")]
    UnknownField {
        /// Where its name stands.
        place: Box<Place>,
        /// Its path from the root of the document.
        field: String,
        /// The known field that looks most like it.
        nearest: Option<&'static str>,
        /// All known fields.
        known: Vec<&'static str>,
    },
    /// A field, or a name, that stands there twice.
    #[error("{place}: {field} {name:?} stands on line {first} already")]
    Twice {
        /// Where the second stands.
        place: Box<Place>,
        /// Its path.
        field: String,
        /// What is there twice.
        name: String,
        /// Line of the first; in the same file or in one before it.
        first: usize,
    },
    /// A field that must be there is not.
    #[error("{place}: {field} is missing")]
    Missing {
        /// Where the object begins.
        place: Box<Place>,
        /// The path of what is missing.
        field: String,
    },
    /// A value of the wrong kind, or out of range.
    #[error("{place}: {field} is {found}, not {wanted}")]
    Value {
        /// Where it stands.
        place: Box<Place>,
        /// Its path.
        field: String,
        /// What stands there.
        found: String,
        /// What should.
        wanted: String,
    },
    /// Known to ECS, but not honoured; to leave it out would change what runs.
    #[error("{place}: {field} is not supported")]
    Unsupported {
        /// Where its name stands.
        place: Box<Place>,
        /// Its path.
        field: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// A name that nothing has.
    #[error("{place}: {field} names {name:?}, but there is no such {what}")]
    UnknownName {
        /// Where it stands.
        place: Box<Place>,
        /// Its path.
        field: String,
        /// What should have that name.
        what: &'static str,
        /// The name.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// Containers that wait for each other.
    #[error("{place}: {} wait for each other", containers.join(", "))]
    Cycle {
        /// Where the first of them begins.
        place: Box<Place>,
        /// Their names, in the order of waiting.
        containers: Vec<String>,
    },
    /// No container is essential, so the task would never end.
    #[error("{place}: no container is essential")]
    NoneEssential {
        /// Where the containers stand.
        place: Box<Place>,
    },
    /// An expression of a constraint that cannot be read.
    #[error("{place}: {field}, at character {column} of the expression: {why}")]
    Expression {
        /// Where that character stands.
        place: Box<Place>,
        /// The path of the expression.
        field: String,
        /// In characters, from 1.
        column: usize,
        /// What is wrong.
        why: String,
        /// What to do next.
        help: String,
    },
    /// Neither definitions nor services nor anything else.
    #[error("{path}: holds nothing to run")]
    Empty {
        /// The file.
        path: String,
    },
}

impl AppError {
    /// What to do next.
    pub fn help(&self) -> String {
        match self {
            Self::Syntax { .. } => {
                "the file must be JSON as the AWS command line prints it: no comments, no trailing \
                 commas"
                    .to_owned()
            }
            Self::UnknownField { nearest: Some(nearest), .. } => {
                format!("did you mean {nearest:?}?")
            }
            Self::UnknownField { known, .. } => format!("known fields: {}", known.join(", ")),
            Self::Twice { .. } => "keep one of the two, or give one another name".to_owned(),
            Self::Missing { field, .. } => format!("add {field}"),
            Self::Value { wanted, .. } => format!("write {wanted}"),
            Self::Unsupported { remedy, .. } => (*remedy).to_owned(),
            Self::UnknownName { nearest: Some(nearest), .. } => {
                format!("did you mean {nearest:?}?")
            }
            Self::UnknownName { what, .. } => {
                format!("define the {what} in this file or in another that is read with it")
            }
            Self::Expression { help, .. } => help.clone(),
            Self::Cycle { .. } => "take one dependsOn of the circle away".to_owned(),
            Self::NoneEssential { .. } => {
                "leave \"essential\" out, or set it to true, for at least one container".to_owned()
            }
            Self::Empty { .. } => {
                "write taskDefinitions with services or tasks, as `aws ecs` takes them".to_owned()
            }
        }
    }

    /// Where it is wrong, if that is one place.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::UnknownField { place, .. }
            | Self::Twice { place, .. }
            | Self::Missing { place, .. }
            | Self::Value { place, .. }
            | Self::Unsupported { place, .. }
            | Self::UnknownName { place, .. }
            | Self::Cycle { place, .. }
            | Self::Expression { place, .. }
            | Self::NoneEssential { place } => Some(place),
            Self::Empty { .. } => None,
        }
    }
}

/// A field that is left out, and that does not stop the rest from running.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {field}: {what}")]
pub struct Warning {
    /// Where its name stands.
    pub place: Box<Place>,
    /// Its path from the root of the document.
    pub field: String,
    /// What is left out, and what is done instead.
    pub what: LeftOut,
}

/// What is left out of an app file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LeftOut {
    /// IAM roles.
    Role,
    /// Secrets of AWS: the variables are not set.
    Secrets,
    /// Credentials of a private registry.
    RegistryCredentials,
    /// Logging: the daemon's own log driver is used.
    Logs,
    /// FireLens.
    FireLens,
    /// Load balancers and target groups.
    LoadBalancer,
    /// Service discovery and Service Connect.
    Discovery,
    /// App Mesh.
    Mesh,
    /// Placement strategies: the cluster has one policy for all.
    Strategy,
    /// Deployment settings: a changed definition is used for new tasks.
    Deployment,
    /// The grace period for health checks.
    HealthGrace,
    /// Subnets, security groups, public addresses.
    Network,
    /// `awsvpc` without an interface of its own.
    AwsVpc,
    /// A launch type or a compatibility other than EC2.
    LaunchType,
    /// Capacity providers.
    CapacityProvider,
    /// The name of an ECS cluster.
    Cluster,
    /// Tags.
    Tags,
    /// Storage of AWS: the volume lives and dies with the task.
    Storage,
    /// Volumes that must be there already: Docker makes them.
    Autoprovision,
    /// Labels of volumes.
    VolumeLabels,
    /// Fargate's disk space.
    EphemeralStorage,
    /// Architecture and operating system: not compared with the hosts'.
    Platform,
    /// ECS Exec.
    Exec,
    /// Rebalancing between zones.
    Rebalancing,
    /// Names of ports, and what they speak.
    PortNames,
    /// Fault injection by AWS.
    FaultInjection,
    /// Digests of images are not resolved.
    VersionConsistency,
    /// Who started a task.
    StartedBy,
    /// A service that was being deleted when it was described.
    Inactive,
    /// An image that no container uses.
    UnusedImage,
    /// An expression names a group that nothing in the files has.
    OtherGroup,
    /// Tasks that are to be near to tasks of their own group.
    OwnGroup,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Role => "IAM roles mean nothing here; containers get no credentials",
            Self::Secrets => "secrets of AWS are not read; the variables are not set",
            Self::RegistryCredentials => "not read; each daemon uses its own login",
            Self::Logs => "logs go where each daemon's own log driver puts them",
            Self::FireLens => "FireLens does not exist here; nothing is routed",
            Self::LoadBalancer => "nothing is registered with a load balancer",
            Self::Discovery => "nothing is registered for discovery",
            Self::Mesh => "App Mesh does not exist here; nothing is proxied",
            Self::Strategy => "the cluster's --policy decides where tasks go",
            Self::Deployment => "tasks of an earlier definition are kept until they end",
            Self::HealthGrace => "not kept; use the container's own startPeriod",
            Self::Network => "subnets and security groups do not exist here",
            Self::AwsVpc => {
                "the containers of a task share one network, without an interface of its own; their \
                 ports are published on ports that the host chooses"
            }
            Self::LaunchType => "everything runs on the Docker hosts of this cluster",
            Self::CapacityProvider => "the cluster has its own nodes, and only those",
            Self::Cluster => "everything runs in the one cluster that reads this file",
            Self::Tags => "tags are not kept",
            Self::Storage => "not mounted; the volume is empty, and lives and dies with the task",
            Self::Autoprovision => "the volume is made on each host where it is missing",
            Self::VolumeLabels => "the volume gets no labels",
            Self::EphemeralStorage => "disk space is not limited",
            Self::Platform => "not compared with the hosts; all are taken to run the image",
            Self::Exec => "ECS Exec does not exist here; use docker exec",
            Self::Rebalancing => "running tasks are not moved between zones",
            Self::PortNames => "names and protocols of ports serve Service Connect only",
            Self::FaultInjection => "faults come from the cluster's own plan",
            Self::VersionConsistency => "tags of images are resolved by each host for itself",
            Self::StartedBy => "not kept",
            Self::Inactive => "the service is not active and is left out",
            Self::UnusedImage => "no container uses this image",
            Self::OtherGroup => {
                "it names a task group that nothing in these files has, and tasks of others are not seen"
            }
            Self::OwnGroup => {
                "the first task of the group may go anywhere, where ECS would place none"
            }
        })
    }
}
