//! The fields that Amazon ECS knows, and what becomes of each.

use super::error::LeftOut::*;
use super::json::Fields;
use super::json::Rule::{Read, Refuse, Skip, Warn};

const LATER: &str = "leave it out; it may come later";

pub(super) const APP: Fields = &[
    ("taskDefinitions", Read),
    ("services", Read),
    ("tasks", Read),
    ("images", Read),
    ("lifetimes", Read),
    ("script", Read),
    ("failures", Skip),
];

pub(super) const DESCRIBED: Fields = &[("taskDefinition", Read), ("tags", Warn(Tags))];

pub(super) const DEFINITION: Fields = &[
    ("family", Read),
    ("containerDefinitions", Read),
    ("cpu", Read),
    ("memory", Read),
    ("networkMode", Read),
    ("volumes", Read),
    ("placementConstraints", Read),
    ("revision", Read),
    ("requiresCompatibilities", Read),
    ("taskRoleArn", Warn(Role)),
    ("executionRoleArn", Warn(Role)),
    ("runtimePlatform", Warn(Platform)),
    ("tags", Warn(Tags)),
    ("proxyConfiguration", Warn(Mesh)),
    ("ephemeralStorage", Warn(EphemeralStorage)),
    ("enableFaultInjection", Warn(FaultInjection)),
    ("pidMode", Refuse("leave it out: each container has its own processes")),
    ("ipcMode", Refuse("leave it out: each container has its own shared memory")),
    ("inferenceAccelerators", Refuse("ask for a GPU in resourceRequirements")),
    ("taskDefinitionArn", Skip),
    ("status", Skip),
    ("requiresAttributes", Skip),
    ("compatibilities", Skip),
    ("registeredAt", Skip),
    ("registeredBy", Skip),
    ("deregisteredAt", Skip),
    ("deleteRequestedAt", Skip),
];

pub(super) const CONTAINER: Fields = &[
    ("name", Read),
    ("image", Read),
    ("cpu", Read),
    ("memory", Read),
    ("memoryReservation", Read),
    ("essential", Read),
    ("entryPoint", Read),
    ("command", Read),
    ("environment", Read),
    ("workingDirectory", Read),
    ("user", Read),
    ("dockerLabels", Read),
    ("dependsOn", Read),
    ("startTimeout", Read),
    ("stopTimeout", Read),
    ("portMappings", Read),
    ("mountPoints", Read),
    ("healthCheck", Read),
    ("linuxParameters", Read),
    ("resourceRequirements", Read),
    ("secrets", Warn(Secrets)),
    ("logConfiguration", Warn(Logs)),
    ("firelensConfiguration", Warn(FireLens)),
    ("repositoryCredentials", Warn(RegistryCredentials)),
    ("versionConsistency", Warn(VersionConsistency)),
    ("environmentFiles", Refuse("write the variables into environment")),
    ("links", Refuse("use networkMode awsvpc, in which containers reach each other on localhost")),
    ("volumesFrom", Refuse("mount the same volume in both containers with mountPoints")),
    ("restartPolicy", Refuse("leave it out and run the task in a service, which replaces it")),
    ("privileged", Refuse("leave it out: no container rules over its host")),
    ("readonlyRootFilesystem", Refuse(LATER)),
    ("ulimits", Refuse("set limits on each daemon with --default-ulimit")),
    ("systemControls", Refuse(LATER)),
    ("hostname", Refuse(LATER)),
    ("dnsServers", Refuse("set --dns on each daemon")),
    ("dnsSearchDomains", Refuse("set --dns-search on each daemon")),
    ("extraHosts", Refuse(LATER)),
    ("dockerSecurityOptions", Refuse(LATER)),
    ("credentialSpecs", Refuse("leave it out: there is no Active Directory here")),
    ("disableNetworking", Refuse("set networkMode to none for the task")),
    ("interactive", Refuse("leave it out: nobody types into a task")),
    ("pseudoTerminal", Refuse("leave it out: nobody looks at a task's terminal")),
];

pub(super) const PAIR: Fields = &[("name", Read), ("value", Read)];

pub(super) const PORT: Fields = &[
    ("containerPort", Read),
    ("hostPort", Read),
    ("protocol", Read),
    ("name", Warn(PortNames)),
    ("appProtocol", Warn(PortNames)),
    ("containerPortRange", Refuse("write one mapping for each port")),
];

pub(super) const MOUNT: Fields =
    &[("sourceVolume", Read), ("containerPath", Read), ("readOnly", Read)];

pub(super) const HEALTH: Fields = &[
    ("command", Read),
    ("interval", Read),
    ("timeout", Read),
    ("retries", Read),
    ("startPeriod", Read),
];

pub(super) const DEPENDENCY: Fields = &[("containerName", Read), ("condition", Read)];

pub(super) const LINUX: Fields = &[
    ("initProcessEnabled", Read),
    ("capabilities", Refuse("leave it out: containers have Docker's own capabilities")),
    ("devices", Refuse(LATER)),
    ("sharedMemorySize", Refuse("set --default-shm-size on each daemon")),
    ("tmpfs", Refuse("mount a volume without a source; it lives and dies with the task")),
    ("maxSwap", Refuse(LATER)),
    ("swappiness", Refuse(LATER)),
];

pub(super) const RESOURCE: Fields = &[("type", Read), ("value", Read)];

pub(super) const VOLUME: Fields = &[
    ("name", Read),
    ("host", Read),
    ("dockerVolumeConfiguration", Read),
    ("efsVolumeConfiguration", Warn(Storage)),
    ("fsxWindowsFileServerVolumeConfiguration", Warn(Storage)),
    ("configuredAtLaunch", Warn(Storage)),
];

pub(super) const HOST_VOLUME: Fields = &[("sourcePath", Read)];

pub(super) const DOCKER_VOLUME: Fields = &[
    ("scope", Read),
    ("autoprovision", Read),
    ("driver", Read),
    ("driverOpts", Refuse("make the volume on each host by hand, and name it here")),
    ("labels", Warn(VolumeLabels)),
];

pub(super) const CONSTRAINT: Fields = &[("type", Read), ("expression", Read)];

pub(super) const SERVICE: Fields = &[
    ("serviceName", Read),
    ("taskDefinition", Read),
    ("desiredCount", Read),
    ("schedulingStrategy", Read),
    ("launchType", Read),
    ("status", Read),
    ("cluster", Warn(Cluster)),
    ("loadBalancers", Warn(LoadBalancer)),
    ("role", Warn(Role)),
    ("serviceRegistries", Warn(Discovery)),
    ("serviceConnectConfiguration", Warn(Discovery)),
    ("vpcLatticeConfigurations", Warn(Discovery)),
    ("deploymentConfiguration", Warn(Deployment)),
    ("deploymentController", Warn(Deployment)),
    ("placementStrategy", Warn(Strategy)),
    ("networkConfiguration", Warn(Network)),
    ("platformVersion", Warn(LaunchType)),
    ("healthCheckGracePeriodSeconds", Warn(HealthGrace)),
    ("capacityProviderStrategy", Warn(CapacityProvider)),
    ("availabilityZoneRebalancing", Warn(Rebalancing)),
    ("tags", Warn(Tags)),
    ("propagateTags", Warn(Tags)),
    ("enableECSManagedTags", Warn(Tags)),
    ("enableExecuteCommand", Warn(Exec)),
    ("placementConstraints", Read),
    ("volumeConfigurations", Refuse("put the volume into the task definition")),
    ("clientToken", Skip),
    ("serviceArn", Skip),
    ("clusterArn", Skip),
    ("roleArn", Skip),
    ("runningCount", Skip),
    ("pendingCount", Skip),
    ("events", Skip),
    ("deployments", Skip),
    ("taskSets", Skip),
    ("createdAt", Skip),
    ("createdBy", Skip),
    ("platformFamily", Skip),
    ("currentServiceDeployment", Skip),
    ("currentServiceRevisions", Skip),
    ("resourceManagementType", Skip),
];

pub(super) const TASK: Fields = &[
    ("taskDefinition", Read),
    ("count", Read),
    ("group", Read),
    ("overrides", Read),
    ("launchType", Read),
    ("cluster", Warn(Cluster)),
    ("startedBy", Warn(StartedBy)),
    ("placementStrategy", Warn(Strategy)),
    ("networkConfiguration", Warn(Network)),
    ("platformVersion", Warn(LaunchType)),
    ("capacityProviderStrategy", Warn(CapacityProvider)),
    ("tags", Warn(Tags)),
    ("propagateTags", Warn(Tags)),
    ("enableECSManagedTags", Warn(Tags)),
    ("enableExecuteCommand", Warn(Exec)),
    ("placementConstraints", Read),
    ("volumeConfigurations", Refuse("put the volume into the task definition")),
    ("clientToken", Skip),
    ("referenceId", Skip),
];

const OTHER_DEFINITION: &str = "register another task definition with these amounts";

pub(super) const OVERRIDES: Fields = &[
    ("containerOverrides", Read),
    ("taskRoleArn", Warn(Role)),
    ("executionRoleArn", Warn(Role)),
    ("ephemeralStorage", Warn(EphemeralStorage)),
    ("cpu", Refuse(OTHER_DEFINITION)),
    ("memory", Refuse(OTHER_DEFINITION)),
    ("inferenceAcceleratorOverrides", Refuse(OTHER_DEFINITION)),
];

pub(super) const OVERRIDE: Fields = &[
    ("name", Read),
    ("command", Read),
    ("environment", Read),
    ("cpu", Refuse(OTHER_DEFINITION)),
    ("memory", Refuse(OTHER_DEFINITION)),
    ("memoryReservation", Refuse(OTHER_DEFINITION)),
    ("resourceRequirements", Refuse(OTHER_DEFINITION)),
    ("environmentFiles", Refuse("write the variables into environment")),
];

pub(super) const IMAGE: Fields = &[("image", Read), ("archive", Read)];

pub(super) const SCRIPT: Fields = &[
    ("at", Read),
    ("updateService", Read),
    ("createService", Read),
    ("deleteService", Read),
    ("runTask", Read),
    ("drain", Read),
    ("activate", Read),
];

pub(super) const UPDATE: Fields = &[
    ("service", Read),
    ("desiredCount", Read),
    ("taskDefinition", Read),
    ("cluster", Warn(Cluster)),
    ("deploymentConfiguration", Warn(Deployment)),
    ("placementStrategy", Warn(Strategy)),
    ("networkConfiguration", Warn(Network)),
    ("healthCheckGracePeriodSeconds", Warn(HealthGrace)),
    ("forceNewDeployment", Refuse("leave it out: running tasks are kept until they end")),
    ("placementConstraints", Read),
];

pub(super) const DELETE: Fields = &[("service", Read), ("cluster", Warn(Cluster)), ("force", Skip)];

pub(super) const NODE: Fields = &[("node", Read)];
