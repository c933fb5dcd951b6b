//! Cases of `kubernetes`.

use schedulers::kubernetes::api::{
    ClusterFile, Names, NodeAffinityFile, PodFile, PointFile, SpreadFile, WeightedFile,
};
use schedulers::kubernetes::cluster::Cluster;
use schedulers::kubernetes::cycle::{Start, decide};
use schedulers::kubernetes::explain::{Explanation, Rejection, Status};
use schedulers::kubernetes::filters::{Prepared, Refused};
use schedulers::kubernetes::labels::Labels;
use schedulers::kubernetes::node::Node;
use schedulers::kubernetes::node_tree::NodeTree;
use schedulers::kubernetes::pick::Ranking;
use schedulers::kubernetes::pod::Pod;
use schedulers::kubernetes::preemption;
use schedulers::kubernetes::profile::{
    Filter, Profile, Release, Score, SpreadDefaults, Strategy, Weighted,
};
use schedulers::kubernetes::queue::BackOff;
use schedulers::kubernetes::sampling;
use schedulers::kubernetes::scores::image_locality::full_name;
use schedulers::kubernetes::scores::node_resources_fit::broken_linear;
use schedulers::kubernetes::scores::{self, Choice, share_of_highest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    policy: Policy,
    cluster: Option<Value>,
    task: Option<Value>,
    input: Option<Value>,
    expect: Value,
    expect_v1_23_4: Option<BTreeMap<String, i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    stage: String,
    #[serde(default)]
    plugin: String,
    #[serde(default)]
    function: String,
    #[serde(default)]
    config: Config,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct Config {
    strategy: Option<String>,
    resources: Option<Vec<WeightedFile>>,
    shape: Vec<PointFile>,
    hard_pod_affinity_weight: Option<i64>,
    ignore_preferred_terms_of_existing_pods: bool,
    added_affinity: Option<NodeAffinityFile>,
    defaulting_type: Option<String>,
    default_constraints: Vec<SpreadFile>,
    percentage_of_nodes_to_score: i64,
    filters: Option<Vec<String>>,
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|it| it.to_string())
}

fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: found {found:?}, expected {expected:?}"))
}

fn filter(name: &str) -> Result<Filter, String> {
    let found = Filter::ALL.into_iter().find(|it| it.name() == name);
    found.ok_or_else(|| format!("unknown filter {name:?}"))
}

fn score(name: &str) -> Result<(Score, i64), String> {
    let found = Score::DEFAULT_WEIGHTS.into_iter().find(|it| it.0.name() == name);
    found.ok_or_else(|| format!("unknown score {name:?}"))
}

fn profile(policy: &Policy, release: Release) -> Result<Profile, String> {
    let config = &policy.config;
    let mut profile = Profile { release, ..Profile::default() };
    if let Some(resources) = &config.resources {
        let resources: Vec<Weighted> = resources.iter().map(Into::into).collect();
        if policy.plugin == Score::NodeResourcesBalancedAllocation.name() {
            profile.balanced_resources = resources;
        } else {
            profile.strategy_resources = resources;
        }
    }
    profile.strategy = match config.strategy.as_deref() {
        None | Some("LeastAllocated") => Strategy::LeastAllocated,
        Some("MostAllocated") => Strategy::MostAllocated,
        Some("RequestedToCapacityRatio") => {
            Strategy::RequestedToCapacityRatio(config.shape.iter().map(Into::into).collect())
        }
        Some(other) => return Err(format!("unknown strategy {other:?}")),
    };
    if let Some(weight) = config.hard_pod_affinity_weight {
        profile.hard_pod_affinity_weight = weight;
    }
    profile.ignore_preferences_of_running_pods = config.ignore_preferred_terms_of_existing_pods;
    profile.added_affinity = config.added_affinity.as_ref().map(Into::into).unwrap_or_default();
    let listed = || config.default_constraints.iter().map(|it| it.parse(&Labels::new())).collect();
    profile.spread_defaults = match config.defaulting_type.as_deref() {
        None | Some("System") if config.default_constraints.is_empty() => SpreadDefaults::System,
        None | Some("List") => SpreadDefaults::List(listed()),
        Some(other) => return Err(format!("defaulting type {other:?} with constraints")),
    };
    profile.percentage_of_nodes_to_score = config.percentage_of_nodes_to_score;
    if let Some(filters) = &config.filters {
        profile.filters = filters.iter().map(|it| filter(it)).collect::<Result<_, _>>()?;
    }
    Ok(profile)
}

/// The cluster, its candidates, the names of its pods, and the pod in question.
struct Scene {
    cluster: Cluster,
    candidates: Vec<usize>,
    names: Names,
    pod: Pod,
}

impl Scene {
    fn new(case: &Case) -> Result<Self, String> {
        let file: ClusterFile = read(case.cluster.as_ref().ok_or("no cluster")?)?;
        let task: PodFile = read(case.task.as_ref().ok_or("no task")?)?;
        let is_candidate: Vec<bool> = file.nodes.iter().map(|it| it.candidate).collect();
        let candidates = (0..is_candidate.len()).filter(|it| is_candidate[*it]).collect();
        let mut names = Names::default();
        let cluster = file.parse(&mut names).map_err(|it| it.to_string())?;
        let pod = task.parse(&mut names).map_err(|it| it.to_string())?;
        Ok(Self { cluster, candidates, names, pod })
    }

    fn node(&self, row: usize) -> &Node {
        self.cluster.node(row)
    }

    fn name(&self, row: usize) -> String {
        self.node(row).name.clone()
    }

    fn victims(&self, candidate: &preemption::Candidate<'_>) -> Vec<String> {
        let mut names: Vec<String> =
            candidate.victims.iter().map(|it| self.names.name(it.id).to_owned()).collect();
        names.sort();
        names
    }
}

pub(super) fn run(case: &Value) -> Result<(), String> {
    let case: Case = read(case)?;
    if case.policy.stage == "function" {
        let input = case.input.as_ref().ok_or("no input")?;
        let expected: ExpectValue = read(&case.expect)?;
        same("kind", &expected.kind.as_str(), &"value")?;
        return same("value", &function(&case.policy.function, input)?, &expected.value);
    }
    let scene = Scene::new(&case)?;
    let newest = profile(&case.policy, Release::V1_35)?;
    let kind = case.expect["kind"].as_str().unwrap_or("");
    if kind == "config_error" {
        let expected: ExpectConfigError = read(&case.expect)?;
        same("kind", &expected.kind.as_str(), &"config_error")?;
        return config_error(&newest, &expected.field);
    }
    newest.validate().map_err(|it| format!("refused: {it:?}"))?;
    if case.expect_v1_23_4.is_some() && case.policy.stage != "score" {
        return Err("only scores are expected of v1.23".to_owned());
    }
    match case.policy.stage.as_str() {
        "score" => {
            run_score(&scene, &newest, &case.policy.plugin, &case.expect)?;
            let older = profile(&case.policy, Release::V1_23)?;
            let Some(expected) = &case.expect_v1_23_4 else { return Ok(()) };
            let (found, _) = scored(&scene, &older, &case.policy.plugin)?;
            same("scores of v1.23", &found, expected)
        }
        "filter" => run_filter(&scene, newest, &case.policy.plugin, &case.expect),
        "place" => run_place(&scene, &newest, &case.policy.plugin, &case.expect),
        "preempt_dry_run" => run_dry(&scene, &newest, &case.policy.plugin, &case.expect),
        "preempt_pick" => run_pick(&scene, &newest, &case.policy.plugin, &case.expect),
        other => Err(format!("unknown stage {other:?}")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectConfigError {
    kind: String,
    field: String,
}

fn config_error(profile: &Profile, field: &str) -> Result<(), String> {
    let found = profile.validate().err().unwrap_or_default();
    let is_meant = |it: &str| it == field || it.ends_with(&format!(".{field}"));
    if found.iter().any(|it| is_meant(&it.field)) {
        return Ok(());
    }
    Err(format!("found {found:?}, expected an error of {field}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectScores {
    kind: String,
    #[serde(default)]
    scores: BTreeMap<String, i64>,
    #[serde(default)]
    skipped: bool,
    #[serde(default)]
    reason: String,
}

/// Scores by name, and whether the plugin skipped the pod.
fn scored(
    scene: &Scene,
    profile: &Profile,
    plugin: &str,
) -> Result<(BTreeMap<String, i64>, bool), String> {
    let rows = &scene.candidates;
    let choice = Choice { profile, cluster: &scene.cluster, pod: &scene.pod, rows };
    let column = scores::column(score(plugin)?.0, choice).map_err(|it| it.to_string())?;
    let skipped = column.is_none();
    let values = column.map_or(vec![0; rows.len()], |mut it| {
        it.normalise.apply(&mut it.values);
        it.values
    });
    Ok((rows.iter().map(|&row| scene.name(row)).zip(values).collect(), skipped))
}

fn run_score(scene: &Scene, profile: &Profile, plugin: &str, expect: &Value) -> Result<(), String> {
    let expected: ExpectScores = read(expect)?;
    score(plugin)?;
    match (expected.kind.as_str(), scored(scene, profile, plugin)) {
        ("error", Err(why)) if why.contains(&expected.reason) => Ok(()),
        ("scores", Ok(found)) => same("scores", &found, &(expected.scores, expected.skipped)),
        (kind, found) => Err(format!("found {found:?}, expected {kind} {}", expected.reason)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectFilter {
    kind: String,
    status: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
}

/// What the vectors write for nodes that are never looked at because the pod's terms name others. The real
/// system keeps one status for all of them together.
const NOT_LOOKED_AT: &str = "(excluded by PreFilterResult)";

/// Statuses and reasons by name. What cannot be parsed is said at length by the real system: only that it is
/// said counts.
fn compare_filters(
    scene: &Scene,
    profile: &Profile,
    found: &BTreeMap<usize, Option<Rejection>>,
    status: &BTreeMap<String, String>,
    reasons: &BTreeMap<String, String>,
) -> Result<(), String> {
    let status_of = |it: &Option<Rejection>| it.as_ref().map_or(Status::Success, Rejection::status);
    let statuses =
        found.iter().map(|(&row, it)| (scene.name(row), status_of(it).name().to_owned()));
    same("status", &statuses.collect(), status)?;
    let mut said = BTreeMap::new();
    for (&row, rejection) in found {
        let Some(rejection) = rejection else { continue };
        let mut reason = rejection.reasons(scene.node(row), profile.release).join("; ");
        match (rejection, reasons.get(&scene.name(row))) {
            (Rejection::NotAmongNames, _) => NOT_LOOKED_AT.clone_into(&mut reason),
            (Rejection::Terms(_), Some(it))
                if it.contains(&reason) || reason.contains(it.as_str()) =>
            {
                reason.clone_from(it);
            }
            _ => {}
        }
        said.insert(scene.name(row), reason);
    }
    same("reasons", &said, reasons)
}

fn run_filter(
    scene: &Scene,
    mut profile: Profile,
    plugin: &str,
    expect: &Value,
) -> Result<(), String> {
    profile.filters = vec![filter(plugin)?];
    let prepared = Prepared::new(&profile, &scene.cluster, &scene.pod);
    if expect["kind"] == "error" {
        let expected: ExpectScores = read(expect)?;
        let (Err(Refused::Error(error)) | Err(Refused::Rejected(Rejection::Terms(error)))) =
            prepared
        else {
            return Err(format!("found no error, expected {} {}", expected.kind, expected.reason));
        };
        return same("reason", &error.to_string().contains(&expected.reason), &true);
    }
    let prepared = match prepared {
        Ok(prepared) => Ok(prepared),
        Err(Refused::Rejected(why)) => Err(why),
        Err(Refused::Error(error)) => return Err(format!("cannot be parsed: {error}")),
    };
    let expected: ExpectFilter = read(expect)?;
    same("kind", &expected.kind.as_str(), &"filter")?;
    let check = |row: usize| match &prepared {
        Err(why) => Some(why.clone()),
        Ok(prepared) => prepared.check(scene.node(row), scene.node(row).used()).err(),
    };
    let found = scene.candidates.iter().map(|&row| (row, check(row))).collect();
    compare_filters(scene, &profile, &found, &expected.status, &expected.reasons)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectPlace {
    kind: String,
    status: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
    placement_any_of: BTreeSet<String>,
    #[serde(default)]
    weighted_scores: BTreeMap<String, BTreeMap<String, i64>>,
    #[serde(default)]
    totals: BTreeMap<String, i64>,
    #[serde(default)]
    skipped_score_plugins: BTreeSet<String>,
}

fn run_place(scene: &Scene, profile: &Profile, plugin: &str, expect: &Value) -> Result<(), String> {
    same("plugin", &plugin, &"default-profile")?;
    let expected: ExpectPlace = read(expect)?;
    same("kind", &expected.kind.as_str(), &"place")?;
    let (cluster, pod) = (&scene.cluster, &scene.pod);
    let mut said = Explanation::default();
    let decision = decide(profile, cluster, pod, Start::default(), &mut said);
    let decision = decision.map_err(|it| it.to_string())?;
    let quiet = decide(profile, cluster, pod, Start::default(), &mut ());
    same("decision without a record", &quiet.as_ref(), &Ok(&decision))?;

    let found = said.nodes.iter().map(|(&row, it)| (row, it.rejection.clone())).collect();
    compare_filters(scene, profile, &found, &expected.status, &expected.reasons)?;
    let scored = || said.nodes.iter().filter(|(_, it)| !it.scores.is_empty());
    let weighted = scored().map(|(&row, it)| {
        let terms = it.scores.iter().map(|(score, it)| (score.name().to_owned(), it.weighted));
        (scene.name(row), terms.collect())
    });
    same("weighted scores", &weighted.collect(), &expected.weighted_scores)?;
    let totals = scored().map(|(&row, it)| (scene.name(row), it.total())).collect();
    same("totals", &totals, &expected.totals)?;
    let skipped = said.skipped.iter().map(|it| it.name().to_owned()).collect();
    same("skipped", &skipped, &expected.skipped_score_plugins)?;
    let best = decision.best.iter().map(|&row| scene.name(row)).collect();
    same("placement", &best, &expected.placement_any_of)?;
    let taken = decision.taken.map(|row| scene.name(row));
    let is_one = taken.as_ref().map_or(best.is_empty(), |it| best.contains(it));
    same("taken is one of the best", &is_one, &true)
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectCandidate {
    victims: Vec<String>,
    pdb_violations: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectVictims {
    kind: String,
    candidates: BTreeMap<String, ExpectCandidate>,
}

fn run_dry(scene: &Scene, profile: &Profile, plugin: &str, expect: &Value) -> Result<(), String> {
    same("plugin", &plugin, &"DefaultPreemption")?;
    let expected: ExpectVictims = read(expect)?;
    same("kind", &expected.kind.as_str(), &"victims")?;
    let found = preemption::dry_run(profile, &scene.cluster, &scene.pod, &scene.candidates, 0);
    let found = found.iter().map(|it| {
        let pdb_violations = it.violations;
        (scene.name(it.row), ExpectCandidate { victims: scene.victims(it), pdb_violations })
    });
    same("candidates", &found.collect(), &expected.candidates)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectNodes {
    kind: String,
    nodes: BTreeSet<String>,
    victims: Option<BTreeMap<String, Vec<String>>>,
}

fn run_pick(scene: &Scene, profile: &Profile, plugin: &str, expect: &Value) -> Result<(), String> {
    same("plugin", &plugin, &"DefaultPreemption")?;
    let expected: ExpectNodes = read(expect)?;
    same("kind", &expected.kind.as_str(), &"node_set")?;
    let found = preemption::dry_run(profile, &scene.cluster, &scene.pod, &scene.candidates, 0);
    let best = preemption::best(&found).into_iter().map(|at| scene.name(found[at].row));
    same("nodes", &best.collect(), &expected.nodes)?;
    let victims = found.iter().map(|it| (scene.name(it.row), scene.victims(it)));
    expected.victims.map_or(Ok(()), |expected| same("victims", &victims.collect(), &expected))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectValue {
    kind: String,
    value: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nodes {
    nodes: i64,
    percentage: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    points: Vec<PointFile>,
    at: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    reverse: bool,
    max: i64,
    scores: Vec<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    image: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attempts {
    initial: u64,
    max: u64,
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InQuestion {
    potential_nodes: i64,
    percentage: i64,
    absolute: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Joined {
    nodes_in_add_order: Vec<JoinedNode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinedNode {
    name: String,
    labels: Labels,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cycles {
    nodes: i64,
    percentage: i64,
    all_feasible: bool,
    cycles: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feasible {
    feasible_in_order: Vec<FeasibleNode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeasibleNode {
    name: String,
    score: i64,
}

fn function(name: &str, input: &Value) -> Result<Value, String> {
    Ok(match name {
        "numFeasibleNodesToFind" => {
            let input: Nodes = read(input)?;
            json!(sampling::enough(input.nodes, input.percentage))
        }
        "brokenLinear" => {
            let input: Line = read(input)?;
            let points = || input.points.iter().map(|it| (it.utilization, it.score));
            let values = input.at.iter().map(|&at| broken_linear(points(), at));
            json!(values.collect::<Vec<_>>())
        }
        "defaultNormalizeScore" => {
            let mut input: Plain = read(input)?;
            share_of_highest(&mut input.scores, input.max, input.reverse);
            json!(input.scores)
        }
        "normalizedImageName" => json!(full_name(&read::<Image>(input)?.image)),
        "backoffDuration" => {
            let input: Attempts = read(input)?;
            let back_off = BackOff { first_us: input.initial, longest_us: input.max };
            json!(back_off.duration_us(input.count))
        }
        "preemptionNumCandidates" => {
            let input: InQuestion = read(input)?;
            json!(preemption::enough(input.potential_nodes, input.percentage, input.absolute))
        }
        "nodeTreeList" => {
            let input: Joined = read(input)?;
            let mut tree = NodeTree::default();
            for (row, node) in input.nodes_in_add_order.iter().enumerate() {
                tree.add(row, &node.labels);
            }
            let name = |row: usize| input.nodes_in_add_order[row].name.as_str();
            json!(tree.list().into_iter().map(name).collect::<Vec<_>>())
        }
        "nextStartNodeIndex" => {
            let input: Cycles = read(input)?;
            let enough = sampling::enough(input.nodes, input.percentage);
            let looked = if input.all_feasible { enough } else { input.nodes } as usize;
            let mut at = 0;
            let mut starts = Vec::new();
            for _ in 0..input.cycles {
                at = sampling::next_start(at, looked, input.nodes as usize);
                starts.push(at);
            }
            json!(starts)
        }
        "heapOrder" => {
            let input: Feasible = read(input)?;
            let totals = input.feasible_in_order.into_iter().map(|it| (it.score, it.name));
            json!(Ranking::new(totals.collect()).map(|it| it.1).collect::<Vec<_>>())
        }
        other => return Err(format!("unknown function {other:?}")),
    })
}
