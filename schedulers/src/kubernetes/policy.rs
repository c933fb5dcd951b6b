//! Kubernetes as a policy: nodes and tasks put in the words of its scheduler, and its choice carried out.
//!
//! A mirror keeps a [`Cluster`] beside the [`State`]: our node is its node at the same row, our task a pod,
//! the attributes of a node its labels, the devices that a task asks for in whole the extended resource
//! [`GPU`], a service's group a `Service`. Before a decision the mirror catches up with the nodes whose
//! [version](cluster::nodes::Nodes::version) has risen: the manager changes the state between the last
//! change it told and the decision, so told changes alone would leave the mirror behind.
//!
//! A node may be taken if [`Nodes::fits`](cluster::nodes::Nodes::fits) says so, which knows shares and
//! models of GPUs and host ports, and the profile's filters let it pass.

mod explain;

use super::cluster::{Cluster, Service};
use super::cycle::{Start, decide_among};
use super::labels::{Labels, Operator, Requirement};
use super::node::Node;
use super::node_terms::{NodeAffinity, NodeTerm};
use super::node_tree::{HOSTNAME, ZONE};
use super::pod::{Container, Pod, PodId, PodShape, PodSpec};
use super::profile::{Filter, GPU, Profile, Score, Strategy};
use super::resources::{Amounts, Requests};
use crate::card::{Card, Parameter};
use crate::policy::{Arguments, Plan, PolicyError};
use cluster::chance::{Chance, Purpose};
use cluster::company::Company;
use cluster::constraint::Test;
use cluster::demand;
use cluster::event::TaskKind;
use cluster::explain::{Explanation, Question};
use cluster::id_map::IdMap;
use cluster::ids::{DefinitionId, GroupId, NodeId, TaskId};
use cluster::nodes::{DeviceSet, NO_ZONE, NodeStatus, Nodes};
use cluster::scheduler::{BadMemory, Desk, Scheduler};
use cluster::state::{State, Task};
use cluster::units::GpuMilli;
use std::sync::Arc;

const MAX_PODS: Parameter = Parameter {
    name: "max-pods",
    values: "1 to 1000000",
    default: "110",
    summary: "how many tasks a node takes; 110 is the kubelet's default",
};

const DIFFERS: &str = "in not preempting; in walking the nodes one after the other and not with 16 workers; in \
    counting lost nodes, as the real one counts those that are not ready, until they are deleted; in an \
    amount of 0, which counts as no request (100m and 200 MiB in scores); in GPU shares and models, which \
    only our ledger knows; in the queue, which is ours";

/// The page of the default profile.
pub const CARD: Card = Card {
    name: "kubernetes",
    summary: "the best sum of the default profile's scores: most left, resources in balance, tasks of a \
              service apart over zones and nodes; equals drawn",
    source: "Kubernetes v1.35.4, kube-scheduler, default profile",
    differs: DIFFERS,
    cost: "a look at one node after the other until enough of them fit (all up to 100 nodes, then half \
           down to 5 %), a score of each of those; for a task of a service a pass over all tasks, too",
    parameters: &[
        Parameter {
            name: "strategy",
            values: "least-allocated|most-allocated",
            default: "least-allocated",
            summary: "whether nodes with much left or with little left score more \
                      (NodeResourcesFit's scoring strategy)",
        },
        MAX_PODS,
    ],
    example: "kubernetes:most-allocated",
};

/// The page of GKE's profiles.
pub const GKE_CARD: Card = Card {
    name: "gke",
    summary: "an approximation of Google Kubernetes Engine: `kubernetes`, or with optimize-utilization \
              the most allocated nodes by CPU, memory and GPUs",
    source: "Google Kubernetes Engine, autoscaling profiles, which say what they aim at but not how",
    differs: "in being a guess: what optimize-utilization configures is not published, nor is there an \
              autoscaler here; else as `kubernetes`",
    cost: "that of `kubernetes`",
    parameters: &[
        Parameter {
            name: "profile",
            values: "balanced|optimize-utilization",
            default: "balanced",
            summary: "the autoscaling profile",
        },
        MAX_PODS,
    ],
    example: "gke:optimize-utilization",
};

/// Reads the arguments of `kubernetes`.
///
/// # Errors
///
/// If a value is none of those on the [card](CARD).
pub fn plan(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let words = [("least-allocated", false), ("most-allocated", true)];
    let strategy = match arguments.word("strategy", &words)? {
        false => Strategy::LeastAllocated,
        true => Strategy::MostAllocated,
    };
    plan_profile(arguments, &CARD, Profile { strategy, ..Profile::default() })
}

/// Reads the arguments of `gke`.
///
/// # Errors
///
/// If a value is none of those on the [card](GKE_CARD).
pub fn plan_gke(arguments: &mut Arguments<'_>) -> Result<Plan, PolicyError> {
    let words = [("balanced", false), ("optimize-utilization", true)];
    let profile = match arguments.word("profile", &words)? {
        false => Profile::default(),
        true => Profile::gke_optimize_utilization(),
    };
    plan_profile(arguments, &GKE_CARD, profile)
}

fn plan_profile(
    arguments: &mut Arguments<'_>,
    card: &'static Card,
    profile: Profile,
) -> Result<Plan, PolicyError> {
    let pods_max = arguments.number("max-pods", 1..=1_000_000)? as i64;
    Ok(Plan::new(move |seed| {
        Box::new(Kubernetes::new(card, with_a_say(profile.clone()), pods_max, seed))
    }))
}

/// The profile without what says the same of every node of ours: our pods have no taints, node ports,
/// images, terms about other pods or preferences, and spread by the defaults, which only score.
fn with_a_say(mut profile: Profile) -> Profile {
    use Filter::{NodeAffinity, NodeResourcesFit, NodeUnschedulable};
    use Score::{NodeResourcesBalancedAllocation, PodTopologySpread};
    let filters = [NodeUnschedulable, NodeAffinity, NodeResourcesFit];
    let scores = [Score::NodeResourcesFit, PodTopologySpread, NodeResourcesBalancedAllocation];
    profile.filters.retain(|it| filters.contains(it));
    profile.scores.retain(|it| scores.contains(&it.0));
    profile
}

/// The scheduler. Its memory is where the next walk begins, and the random stream; the mirror follows from
/// the state.
#[derive(Debug)]
pub struct Kubernetes {
    card: &'static Card,
    profile: Profile,
    next_start: usize,
    chance: Chance,
    mirror: Mirror,
}

/// What is to become of one task.
enum Choice {
    Place(NodeId, DeviceSet, Pod),
    /// It fits somewhere, but the profile lets no such node pass.
    Refused,
    FitsNowhere,
}

impl Kubernetes {
    fn new(card: &'static Card, profile: Profile, pods_max: i64, seed: u64) -> Self {
        let chance = Chance::new(seed, Purpose::Scheduler, 0);
        Self { card, profile, next_start: 0, chance, mirror: Mirror::new(pods_max) }
    }

    fn choose(&mut self, id: TaskId, desk: &Desk<'_>) -> Choice {
        let (ask, state) = (desk.ask(id), desk.state());
        let nodes = state.nodes();
        let pod =
            Pod { started: Some(desk.now().0 as i64), ..self.mirror.pod(id, ask.task, state) };
        self.mirror.serve(ask.task);
        let start = Start { at: self.next_start, nominated: None };
        let company = Company::of(state, ask.task);
        let may = |row| {
            let node = NodeId(row as u32);
            nodes.fits(ask.shape, node) && company.as_ref().is_none_or(|it| it.allows(node).is_ok())
        };
        let decision = decide_among(&self.profile, &self.mirror.cluster, &pod, start, may, &mut ())
            .expect("pods of ours have no constraints or terms that could be wrong");
        self.next_start = decision.next_start;
        let row = match decision.best[..] {
            [] if nodes.ids().any(|it| nodes.fits(ask.shape, it)) => return Choice::Refused,
            [] => return Choice::FitsNowhere,
            [only] => only,
            ref several => several[self.chance.below(several.len() as u64) as usize],
        };
        let node = NodeId(row as u32);
        let devices = nodes.best_fit_devices(ask.shape, node);
        Choice::Place(node, devices.expect("a node that fits has the devices"), pod)
    }
}

impl Scheduler for Kubernetes {
    fn decide(&mut self, desk: &mut Desk<'_>) {
        if desk.head().is_some() {
            self.mirror.catch_up(desk.state());
        }
        while let Some(task) = desk.head() {
            match self.choose(task, desk) {
                Choice::Place(node, devices, pod) => {
                    desk.place(task, node, devices);
                    self.mirror.placed(node, pod, desk.state().nodes());
                }
                Choice::Refused => desk.hold_back(task),
                Choice::FitsNowhere => desk.unfit(task),
            }
        }
    }

    fn explain(&mut self, question: Question<'_>) -> Explanation {
        self.explained(question)
    }

    fn memory(&self) -> Vec<u8> {
        let memory = (self.card.name, self.next_start, &self.chance);
        postcard::to_stdvec(&memory).expect("memories are plain data, which postcard can write")
    }

    fn recall(&mut self, memory: &[u8]) -> Result<(), BadMemory> {
        let ((name, next_start, chance), rest): ((String, usize, Chance), _) =
            postcard::take_from_bytes(memory).map_err(|_| BadMemory)?;
        if name != self.card.name || !rest.is_empty() {
            return Err(BadMemory);
        }
        (self.next_start, self.chance) = (next_start, chance);
        self.mirror = Mirror::new(self.mirror.pods_max);
        Ok(())
    }
}

/// Tasks that are alike to the scheduler, but for their priority.
type Like = (DefinitionId, Option<GroupId>);

/// The label by which a `Service` finds its pods.
const GROUP: &str = "group";

/// The cluster in the words of Kubernetes. Nodes that are lost or take nothing new stay, cordoned, so that
/// all that is here follows from the state, whatever happened before.
#[derive(Debug)]
struct Mirror {
    cluster: Cluster,
    pods_max: i64,
    /// The version at which each node was looked at last.
    versions: Vec<u64>,
    shapes: IdMap<Like, Arc<PodShape>>,
    /// The group of the one service that the cluster lists: that of the task whose turn it is.
    serves: Option<GroupId>,
}

impl Mirror {
    fn new(pods_max: i64) -> Self {
        let (cluster, versions) = (Cluster::default(), Vec::new());
        Self { cluster, pods_max, versions, shapes: IdMap::default(), serves: None }
    }

    /// Looks again at the nodes that have changed. Cost: one number a node, and the tasks of those.
    fn catch_up(&mut self, state: &State) {
        let (nodes, known) = (state.nodes(), self.versions.len());
        let new = nodes.ids().skip(known);
        self.cluster.add_nodes(new.map(|it| node(nodes, it, self.pods_max)));
        self.versions.resize(nodes.len(), 0);
        for node in nodes.ids() {
            let version = nodes.version(node);
            if self.versions[node.row()] != version {
                self.versions[node.row()] = version;
                self.look_at(node, state);
            }
        }
    }

    fn look_at(&mut self, node: NodeId, state: &State) {
        let (nodes, row) = (state.nodes(), node.row());
        let unschedulable = nodes.status(node) != NodeStatus::Ready;
        let offers = allocatable(nodes, node);
        let there = self.cluster.node(row);
        if (there.unschedulable, &there.allocatable) != (unschedulable, &offers) {
            self.cluster.update_node(row, |it| {
                it.unschedulable = unschedulable;
                it.allocatable = offers;
            });
        }
        let is_there = |it: &Pod| {
            let placement = state.task(TaskId(it.id.0)).and_then(Task::placement);
            placement.is_some_and(|at| at.node == node && Some(at.at.0 as i64) == it.started)
        };
        let pods = self.cluster.node(row).pods();
        let gone: Vec<PodId> = pods.iter().filter(|it| !is_there(it)).map(|it| it.id).collect();
        for id in gone {
            self.cluster.remove_pod(row, id);
        }
        let tasks = state.tasks_on(node);
        if self.cluster.node(row).pods().len() == tasks.len() {
            return;
        }
        let mut known: Vec<PodId> = self.cluster.node(row).pods().iter().map(|it| it.id).collect();
        known.sort_unstable();
        for &id in tasks {
            if known.binary_search(&PodId(id.0)).is_err() {
                let task = state.task(id).expect("tasks on a node are known");
                let pod = self.pod(id, task, state);
                self.cluster.add_pod(row, pod);
            }
        }
    }

    /// The pod of a task; it has started if the task is placed.
    fn pod(&mut self, id: TaskId, task: &Task, state: &State) -> Pod {
        let like = (task.definition, service(task));
        let shape =
            self.shapes.get_or_insert_with(like, || Arc::new(PodShape::new(spec(task, state))));
        let started = task.placement().map(|it| it.at.0 as i64);
        Pod { priority: task.priority, started, ..Pod::new(PodId(id.0), shape.clone()) }
    }

    /// Lists the task's service, and no other: only services that select the pod play a part.
    fn serve(&mut self, task: &Task) {
        let group = service(task);
        if self.serves != group {
            self.serves = group;
            let service = |it| Service { namespace: String::new(), selector: Some(labels(it)) };
            self.cluster.services = group.map(service).into_iter().collect();
        }
    }

    fn placed(&mut self, node: NodeId, pod: Pod, nodes: &Nodes) {
        self.cluster.add_pod(node.row(), pod);
        self.versions[node.row()] = nodes.version(node);
    }
}

/// The group of a service's task. Jobs of Kubernetes have no service, so that nothing spreads their pods.
fn service(task: &Task) -> Option<GroupId> {
    task.group.filter(|_| task.kind == TaskKind::Service)
}

fn labels(group: GroupId) -> Labels {
    Labels::from([(GROUP.to_owned(), group.0.to_string())])
}

fn node(nodes: &Nodes, node: NodeId, pods_max: i64) -> Node {
    let mut labels = Labels::new();
    for name in nodes.attribute_names().iter() {
        let attribute = nodes.attribute(name).expect("the name of an attribute");
        if let Some(value) = nodes.value(node, attribute) {
            labels.insert(name.to_owned(), nodes.value_text(attribute, value).to_owned());
        }
    }
    let name = nodes.name(node);
    labels.entry(HOSTNAME.to_owned()).or_insert_with(|| name.to_owned());
    let zone = nodes.zone_names().text(u32::from(nodes.zones()[node.row()].0));
    if zone != NO_ZONE {
        labels.entry(ZONE.to_owned()).or_insert_with(|| zone.to_owned());
    }
    let mut mirrored = Node::named(name);
    mirrored.labels = labels;
    mirrored.allocatable = allocatable(nodes, node);
    mirrored.unschedulable = nodes.status(node) != NodeStatus::Ready;
    mirrored.pods_max = pods_max;
    mirrored
}

fn allocatable(nodes: &Nodes, node: NodeId) -> Amounts {
    let [cpu, memory, disk] =
        demand::Resource::SCALARS.map(|it| amount(nodes.allocatable(it)[node.row()]));
    // A device that is gone counts for as long as it is held, as the task that holds it does.
    let is_counted = |it: &&cluster::nodes::Device| it.capacity.0 > 0 || it.held.0 > 0;
    let gpus = nodes.devices(node).iter().filter(is_counted).count() as i64;
    Amounts {
        cpu_milli: cpu,
        memory_bytes: memory,
        ephemeral_bytes: disk,
        extended: (gpus > 0).then(|| (GPU.to_owned(), gpus)).into_iter().collect(),
    }
}

/// What a task consists of, as a pod.
fn spec(task: &Task, state: &State) -> PodSpec {
    let definition = state.definition(task.definition);
    let asks = |demand: &demand::Demand| {
        let [cpu, memory, disk] =
            demand.amounts.array().map(|it| Some(amount(it)).filter(|it| *it > 0));
        let extended = Default::default();
        Requests { cpu_milli: cpu, memory_bytes: memory, ephemeral_bytes: disk, extended }
    };
    let container =
        |it: &demand::Container| Container { requests: asks(&it.demand), ..Container::default() };
    let mut containers: Vec<Container> = definition.containers.iter().map(container).collect();
    let shape = state.shape(task.shape);
    let whole = shape.gpu_count > 0 && shape.gpu_milli == GpuMilli::DEVICE;
    if let Some(first) = containers.first_mut().filter(|_| whole) {
        first.requests.extended.insert(GPU.to_owned(), i64::from(shape.gpu_count));
    }
    // What is no label to Kubernetes is left to the ledger.
    let requirement = |it: &demand::Requirement| {
        let (operator, values) = match &it.test {
            Test::In(values) => (Operator::In, values.clone()),
            Test::NotIn(values) => (Operator::NotIn, values.clone()),
            Test::Exists => (Operator::Exists, Vec::new()),
            Test::Absent => (Operator::DoesNotExist, Vec::new()),
            Test::Above(bound) => (Operator::Gt, vec![bound.to_string()]),
            Test::Below(bound) => (Operator::Lt, vec![bound.to_string()]),
            Test::Matches(_) | Test::Misses(_) | Test::Ordered(..) => return None,
        };
        Requirement::new(it.attribute.clone(), operator, values).ok()
    };
    let required: Vec<Requirement> = shape.demand.requires.iter().filter_map(requirement).collect();
    let term = |it| vec![NodeTerm { labels: Ok(it), fields: Vec::new() }];
    let required = (!required.is_empty()).then_some(required).map(term);
    PodSpec {
        labels: service(task).map(labels).unwrap_or_default(),
        containers,
        node_affinity: NodeAffinity { required, preferred: None },
        ..PodSpec::default()
    }
}

/// As a number with a sign that can be multiplied by 100 and summed over the tasks of a node.
fn amount(amount: u64) -> i64 {
    amount.min(1 << 52) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{World, check, demand};
    use crate::kubernetes::cycle::decide;
    use crate::kubernetes::profile::Strategy;
    use crate::policy::Policy;
    use ::cluster::demand::{Demand, Port, Protocol, Requirement, TaskDefinition};
    use ::cluster::event::{Event, NodeEvent, NodeReport, OnLoss, Report, Submission};
    use ::cluster::manager::Manager;
    use ::cluster::nodes::{NodeCapacity, NodeSpec};
    use ::cluster::rules::Rules;
    use ::cluster::units::Instant;
    use proptest::prelude::*;

    #[test]
    fn strategies() {
        check("kubernetes", "4/8 8/16 4/8", "1/2 2/4", "n1 n1");
        check("kubernetes:most-allocated", "4/8 8/16", "1/2 2/4 2/4", "n0 n0 n1");
        // More is left on the second node, but out of balance: 50 + 100 against 62 + 87.
        check("kubernetes", "4/8 4/16", "2/4 2/4", "n0 n1");
        check("gke:optimize-utilization", "8/16+2 4/8", "1/1 1/1+1 1/1", "n1 n0 n1");
    }

    #[test]
    fn no_more_tasks_than_the_kubelet_takes() {
        check("kubernetes:max-pods=1", "4/8 4/8", "1/1 1/1 1/1 x0 9/9", "n1 n0 - -");
        check("kubernetes:max-pods=2", "4/8", "1/1 1/1 0/0 x1 1/1", "n0 n0 - -");
    }

    #[test]
    fn shares_of_gpus_are_left_to_the_ledger() {
        check("kubernetes", "9/9+1 8/8+1", "1/1+0.5 1/1+0.5 1/1+1 1/1+0.75", "n0 n1 - -");
    }

    fn submission(task: u64, group: Option<u32>, kind: TaskKind) -> Submission {
        Submission {
            task: TaskId(task),
            definition: DefinitionId(task as u32),
            group: group.map(GroupId),
            kind,
            priority: 0,
            estimate: None,
            on_loss: OnLoss::Restart,
        }
    }

    #[test]
    fn services_are_spread_and_jobs_are_not() {
        for (kind, want) in [(TaskKind::Service, [1, 0, 1]), (TaskKind::Job, [1, 1, 1])] {
            let policy: Policy = "kubernetes".parse().unwrap();
            let mut world = World::new(Rules::default(), policy.build(1));
            for (row, cores) in [20, 99].into_iter().enumerate() {
                let amounts = demand(&format!("{cores}/{cores}")).amounts;
                let capacity = NodeCapacity { amounts, gpus: Vec::new() };
                let name = row.to_string();
                world.join(NodeSpec { name, capacity, ..NodeSpec::default() });
            }
            let mut got = [0; 3];
            for task in 0..3 {
                let definition = DefinitionId(task);
                let spec = TaskDefinition::single("d", demand("1/1"));
                world.step(Event::DefinitionPut { definition, spec });
                world.step(Event::TaskSubmitted(submission(task.into(), Some(7), kind)));
                got[task as usize] = world.node_of(TaskId(task.into())).unwrap().0;
            }
            assert_eq!(got, want, "{kind:?}");
        }
    }

    #[test]
    fn memory_says_where_the_walk_goes_on() {
        let scheduler = |seed| Kubernetes::new(&CARD, Profile::default(), 110, seed);
        let (mut one, mut two) = (scheduler(1), scheduler(2));
        one.next_start = 7;
        two.recall(&one.memory()).unwrap();
        assert_eq!((two.next_start, two.chance.below(1000)), (7, one.chance.below(1000)));
        let gke = Kubernetes::new(&GKE_CARD, Profile::default(), 110, 1);
        assert!(two.recall(&gke.memory()).is_err());
    }

    /// The scheduler, and after every decision what it believes against what is.
    struct Watched(Kubernetes);

    impl Scheduler for Watched {
        fn decide(&mut self, desk: &mut Desk<'_>) {
            self.0.mirror.catch_up(desk.state());
            assert_mirrors(&self.0.mirror, desk.state());
            for task in desk.pending() {
                self.assert_all_else_is_silent(task, desk);
            }
            self.0.decide(desk);
            assert_mirrors(&self.0.mirror, desk.state());
        }
    }

    impl Watched {
        /// The whole profile takes the same nodes.
        fn assert_all_else_is_silent(&mut self, id: TaskId, desk: &Desk<'_>) {
            let (ask, state) = (desk.ask(id), desk.state());
            let mirror = &mut self.0.mirror;
            let pod = mirror.pod(id, ask.task, state);
            mirror.serve(ask.task);
            let whole = Profile { strategy: self.0.profile.strategy.clone(), ..Profile::default() };
            let [some, all] = [&self.0.profile, &whole].map(|profile| {
                let found = decide(profile, &mirror.cluster, &pod, Start::default(), &mut ());
                let found = found.unwrap();
                (found.best, found.taken, found.passed, found.next_start)
            });
            assert_eq!(some, all, "{id}");
        }
    }

    #[track_caller]
    fn assert_mirrors(mirror: &Mirror, state: &State) {
        let mut anew = Mirror::new(mirror.pods_max);
        anew.catch_up(state);
        assert_eq!(mirror.cluster.walk(), anew.cluster.walk());
        for row in 0..state.nodes().len() {
            let [mut ours, mut fresh] = [mirror, &anew].map(|it| it.cluster.node(row).clone());
            let used = [&ours, &fresh].map(|it| {
                let used = it.used();
                // An amount that fell to 0 is none.
                let extended: Vec<_> =
                    used.requested.extended.clone().into_iter().filter(|it| it.1 != 0).collect();
                let requested = Amounts { extended: Default::default(), ..used.requested.clone() };
                (used.pods, requested, used.counted.cpu_milli, used.counted.memory_bytes, extended)
            });
            assert_eq!(used[0], used[1], "row {row}");
            let pods = [&mut ours, &mut fresh].map(|it| {
                let mut pods = it.pods().to_vec();
                pods.sort_by_key(|it| it.id);
                pods.iter().for_each(|pod| assert!(it.remove_pod(pod.id).is_some()));
                pods
            });
            assert_eq!(pods[0], pods[1], "row {row}");
            let facts = [ours, fresh]
                .map(|it| (it.name, it.labels, it.unschedulable, it.allocatable, it.pods_max));
            assert_eq!(facts[0], facts[1], "row {row}");
        }
    }

    /// What happens, with what it happens to modulo what there is, and an amount.
    type Step = (u8, usize, u64);

    fn capacity(amount: u64) -> NodeCapacity {
        let gpus = vec!["t4".to_owned(); (amount % 3) as usize];
        NodeCapacity { amounts: demand(&format!("{}/{}", amount % 9, amount % 11)).amounts, gpus }
    }

    fn wants(at: u64) -> Demand {
        let gpus = ["", "", "", "+1", "+0.5", "+2"][(at % 6) as usize];
        let mut wants = demand(&format!("{}/{}{gpus}", at % 4, at % 3));
        if at.is_multiple_of(7) {
            wants.ports.push(Port { protocol: Protocol::Tcp, number: 80 });
        }
        let values = match at % 5 {
            0 => vec!["1".to_owned()],
            1 => vec!["no label!".to_owned()],
            2 => Vec::new(),
            _ => return wants,
        };
        wants.requires.push(Requirement::one_of("rack", values));
        wants
    }

    fn live(steps: &[Step], strategy: Strategy, pods_max: i64) {
        let profile = with_a_say(Profile { strategy, ..Profile::default() });
        let scheduler = Watched(Kubernetes::new(&CARD, profile, pods_max, 1));
        let mut manager = Manager::new(Rules::default(), Box::new(scheduler));
        let (mut actions, mut tasks) = (Vec::new(), 0);
        for (at, &(what, which, amount)) in steps.iter().enumerate() {
            let now = Instant(1 + at as u64);
            let joined = manager.state().nodes().len();
            let task = TaskId(which as u64 % u64::max(tasks, 1));
            let attempt = manager.state().task(task).map_or(0, |it| it.attempts);
            let mut handle = |event| manager.handle(now, event, &mut actions);
            let node = NodeId((which % joined.max(1)) as u32);
            match what {
                0..2 => {
                    let rack = ["1", "2", "no label!"].get(which % 4).map(|it| it.to_string());
                    let spec = NodeSpec {
                        name: format!("node-{joined}"),
                        zone: ["a", "b", ""][which % 3].to_owned(),
                        capacity: capacity(amount),
                        attributes: rack.map(|it| ("rack".to_owned(), it)).into_iter().collect(),
                        ..NodeSpec::default()
                    };
                    let event = NodeEvent::Joined(Box::new(spec));
                    handle(Event::Node { node: NodeId(joined as u32), event });
                }
                2..9 => {
                    let definition = DefinitionId(tasks as u32);
                    let spec = TaskDefinition::single("d", wants(amount));
                    handle(Event::DefinitionPut { definition, spec });
                    let kind = [TaskKind::Job, TaskKind::Service][which % 2];
                    let submission = submission(tasks, Some((which % 3) as u32), kind);
                    tasks += 1;
                    handle(match what {
                        8 if joined > 0 => Event::TaskAdopted { submission, node },
                        _ => Event::TaskSubmitted(submission),
                    });
                }
                9..11 => {
                    let report = Report::Exited { code: 0 };
                    handle(Event::TaskReported { task, attempt, report });
                }
                11 => handle(Event::TaskCancelled { task }),
                _ if joined == 0 => {}
                12 => handle(Event::Node { node, event: NodeEvent::Lost }),
                13 => handle(Event::Node { node, event: NodeEvent::Returned }),
                14 => handle(Event::Node { node, event: NodeEvent::Draining }),
                15 => handle(Event::Node { node, event: NodeEvent::Updated(capacity(amount)) }),
                16 => handle(Event::NodeReported { node, report: NodeReport::Unreachable }),
                _ => handle(Event::NodeReported { node, report: NodeReport::Reachable }),
            }
            if amount % 4 > 0 {
                manager.decide(now, &mut actions);
                manager.state().audit().unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn the_mirror_shows_what_is(
            steps in prop::collection::vec((0..18u8, any::<usize>(), any::<u64>()), 1..80),
            packs in any::<bool>(),
            pods_max in 1..9i64,
        ) {
            let strategy = if packs { Strategy::MostAllocated } else { Strategy::LeastAllocated };
            live(&steps, strategy, pods_max);
        }
    }
}
