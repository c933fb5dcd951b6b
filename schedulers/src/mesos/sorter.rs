//! The DRF sorter: who is to be served first, in a tree of clients.
//!
//! Source: Mesos c1b42f79, `allocator/mesos/sorter/drf/sorter.cpp`; A. Ghodsi et al., "Dominant resource fairness",
//! NSDI 2011. Roles are sorted by one sorter, the frameworks of each role by another.
//!
//! A client is a path such as `eng/web`. A node's share is the largest of what it and all below it hold of
//! any kind, as a part of all there is, divided by the weight of its path. Siblings stand by share, then by
//! how often anything was ever allocated there, then by path. A client that others stand below is a leaf
//! `.` of its own node, with weight 1. Inactive clients are not listed, but what they hold counts above them.
//!
//! Shares are floats, compared without tolerance, and worked out by the same operations as in Mesos.
//!
//! Differs in what are faults of the source: there a change of weight goes unnoticed for a path that only
//! has clients below it and was sorted before, and a client that is inactive when the last one below it is
//! removed hides the siblings behind it. Here both behave as everywhere else.
//!
//! Cost: what is allocated, given back or listed, and clients that come or go, move the nodes above among their
//! siblings; weights and totals sort the tree anew when it is next listed.

use super::quantity::{Kind, Quantities, float};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A client of a sorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Client(u32);

/// A tree of clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sorter {
    /// The root comes first. Removed nodes keep their row until it is used again.
    nodes: Vec<Node>,
    free_rows: Vec<usize>,
    /// Node of each client, none once it was removed.
    clients: Vec<Option<usize>>,
    /// Numbers of removed clients.
    free_clients: Vec<Client>,
    by_path: BTreeMap<String, Client>,
    weights: BTreeMap<String, f64>,
    total: Quantities,
    /// Kinds that do not count for shares.
    excluded: Vec<Kind>,
    is_sorted: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Node {
    name: String,
    /// Of a virtual leaf with the `.`.
    path: String,
    parent: usize,
    role: Place,
    /// Sorted; the inactive leaves come last.
    children: Vec<usize>,
    allocated: Quantities,
    /// How often something was allocated, here or below.
    count: u64,
    weight: f64,
    share: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Internal,
    Leaf { client: Client, is_active: bool },
}

const ROOT: usize = 0;
const VIRTUAL: &str = ".";

/// How one node of the tree stands, for explanations.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Its path, of a virtual leaf with the `.`.
    pub path: String,
    /// Largest share of any kind.
    pub dominant: f64,
    /// The kind with the largest share, if anything is held.
    pub kind: Option<Kind>,
    /// What it is divided by.
    pub weight: f64,
    /// How often something was allocated, here or below.
    pub count: u64,
    /// Whether it is listed: not an inactive client.
    pub is_active: bool,
}

impl Sorter {
    /// Without clients; `excluded` kinds do not count.
    pub fn new(excluded: Vec<Kind>) -> Self {
        let root = Node {
            name: String::new(),
            path: String::new(),
            parent: ROOT,
            role: Place::Internal,
            children: Vec::new(),
            allocated: Quantities::NONE,
            count: 0,
            weight: 1.0,
            share: 0.0,
        };
        Self {
            nodes: vec![root],
            free_rows: Vec::new(),
            clients: Vec::new(),
            free_clients: Vec::new(),
            by_path: BTreeMap::new(),
            weights: BTreeMap::new(),
            total: Quantities::NONE,
            excluded,
            is_sorted: true,
        }
    }

    /// Adds a client, inactive and with nothing.
    ///
    /// # Panics
    ///
    /// If there is one with that path.
    pub fn add(&mut self, path: &str) -> Client {
        let client = self.free_clients.pop().unwrap_or_else(|| {
            self.clients.push(None);
            Client(u32::try_from(self.clients.len() - 1).expect("fewer than 2^32 clients"))
        });
        assert!(!self.by_path.contains_key(path), "{path}: is a client already");
        let leaf = Place::Leaf { client, is_active: false };
        let mut at = ROOT;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.peek() {
            if let Place::Leaf { client: of_leaf, .. } = self.nodes[at].role {
                let place = self.nodes[at].role;
                let below = self.put(at, VIRTUAL, place);
                self.nodes[below].allocated = self.nodes[at].allocated.clone();
                self.nodes[below].count = self.nodes[at].count;
                self.clients[of_leaf.0 as usize] = Some(below);
                self.nodes[at].role = Place::Internal;
                self.rerank(below);
                self.rerank(at);
                break;
            }
            match self.child(at, name) {
                Some(child) => at = child,
                None => break,
            }
            names.next();
        }
        if names.peek().is_none() {
            at = self.put(at, VIRTUAL, leaf);
        }
        while let Some(name) = names.next() {
            let place = if names.peek().is_none() { leaf } else { Place::Internal };
            at = self.put(at, name, place);
        }
        self.clients[client.0 as usize] = Some(at);
        self.by_path.insert(path.to_owned(), client);
        client
    }

    /// The child of that name. Most paths are new, and then no child need be looked at.
    fn child(&self, at: usize, name: &str) -> Option<usize> {
        let path = self.path_below(at, name);
        let below = format!("{path}/");
        let is_above = |(it, _): (&String, _)| it.starts_with(&below);
        let is_there = name == VIRTUAL
            || self.by_path.contains_key(&path)
            || self.by_path.range(below.clone()..).next().is_some_and(is_above);
        let is_it = |it: &&usize| self.nodes[**it].name == *name;
        self.nodes[at].children.iter().find(is_it).filter(|_| is_there).copied()
    }

    fn path_below(&self, parent: usize, name: &str) -> String {
        match parent {
            ROOT => name.to_owned(),
            _ => format!("{}/{name}", self.nodes[parent].path),
        }
    }

    /// Removes a client with all it holds.
    pub fn remove(&mut self, client: Client) {
        let leaf = self.node(client);
        let path = self.path(client).to_owned();
        self.by_path.remove(&path);
        self.clients[client.0 as usize] = None;
        self.free_clients.push(client);
        let held = self.nodes[leaf].allocated.clone();
        let mut at = leaf;
        while at != ROOT {
            let parent = self.nodes[at].parent;
            self.nodes[parent].allocated.subtract(&held);
            match self.nodes[at].children[..] {
                [] => {
                    let place = self.place_of(at);
                    self.nodes[parent].children.remove(place);
                    self.free_rows.push(at);
                }
                // The virtual leaf is not needed any more. The node keeps its own count.
                [child] if self.nodes[child].name == VIRTUAL => {
                    self.nodes[at].role = self.nodes[child].role;
                    self.nodes[at].children.clear();
                    if let Place::Leaf { client, .. } = self.nodes[at].role {
                        self.clients[client.0 as usize] = Some(at);
                    }
                    self.free_rows.push(child);
                    self.rerank(at);
                }
                _ => self.rerank(at),
            }
            at = parent;
        }
    }

    /// Lists a client, or does not.
    pub fn set_active(&mut self, client: Client, is_active: bool) {
        let at = self.node(client);
        let role = Place::Leaf { client, is_active };
        if self.nodes[at].role != role {
            self.nodes[at].role = role;
            self.rerank(at);
        }
    }

    /// Puts the weight of a path, whether there are clients or not; 1 unless said otherwise.
    ///
    /// # Panics
    ///
    /// If it is not above 0.
    pub fn set_weight(&mut self, path: &str, weight: f64) {
        assert!(weight > 0.0, "{path}: a weight of {weight}");
        self.weights.insert(path.to_owned(), weight);
        for node in self.nodes.iter_mut().filter(|it| it.path == path) {
            node.weight = weight;
        }
        self.is_sorted = false;
    }

    /// Gives a client more.
    pub fn allocated(&mut self, client: Client, more: &Quantities) {
        let mut at = self.node(client);
        loop {
            self.nodes[at].allocated.add(more);
            self.nodes[at].count += 1;
            if at == ROOT {
                return;
            }
            self.rerank(at);
            at = self.nodes[at].parent;
        }
    }

    /// As if nothing had been allocated that often, and taken away again.
    pub(super) fn count_more(&mut self, client: Client, times: u64) {
        let mut at = self.node(client);
        loop {
            self.nodes[at].count += times;
            if at == ROOT {
                return;
            }
            self.rerank(at);
            at = self.nodes[at].parent;
        }
    }

    /// As if that had never been allocated, in so many times.
    pub(super) fn forget(&mut self, client: Client, held: &Quantities, times: u64) {
        let mut at = self.node(client);
        loop {
            self.nodes[at].allocated.subtract(held);
            self.nodes[at].count -= times;
            if at == ROOT {
                return;
            }
            self.rerank(at);
            at = self.nodes[at].parent;
        }
    }

    /// Puts a node in its place among its siblings, if they stand in order but for it.
    fn rerank(&mut self, at: usize) {
        if !self.is_sorted {
            return;
        }
        self.nodes[at].share = self.share(at);
        let parent = self.nodes[at].parent;
        let from = self.place_of(at);
        let mut children = std::mem::take(&mut self.nodes[parent].children);
        let is_before = |it: &usize| self.order_of(*it, at).is_lt();
        let to = children[..from].partition_point(is_before);
        if to < from {
            children[to..=from].rotate_right(1);
        } else {
            let to = from + children[from + 1..].partition_point(is_before);
            children[from..=to].rotate_left(1);
        }
        self.nodes[parent].children = children;
    }

    /// A node's place among its siblings.
    fn place_of(&self, at: usize) -> usize {
        let siblings = &self.nodes[self.nodes[at].parent].children;
        siblings.iter().position(|it| *it == at).expect("a child of its parent")
    }

    /// Takes something from a client. That it had it once still counts.
    pub fn unallocated(&mut self, client: Client, less: &Quantities) {
        self.change(client, less, &Quantities::NONE);
    }

    /// Exchanges what a client holds, which does not count as an allocation.
    pub fn update(&mut self, client: Client, old: &Quantities, new: &Quantities) {
        self.change(client, old, new);
    }

    fn change(&mut self, client: Client, old: &Quantities, new: &Quantities) {
        let mut at = self.node(client);
        let held = &self.nodes[at].allocated;
        assert!(held.contains(old), "{client:?} holds {held:?}, not {old:?}");
        loop {
            self.nodes[at].allocated.subtract(old);
            self.nodes[at].allocated.add(new);
            if at == ROOT {
                return;
            }
            self.rerank(at);
            at = self.nodes[at].parent;
        }
    }

    /// There is more to share, whoever it is reserved to.
    pub fn add_total(&mut self, more: &Quantities) {
        self.total.add(more);
        self.is_sorted = false;
    }

    /// There is less to share.
    pub fn remove_total(&mut self, less: &Quantities) {
        self.total.subtract(less);
        self.is_sorted = false;
    }

    /// All there is to share.
    pub fn total(&self) -> &Quantities {
        &self.total
    }

    /// What all clients hold.
    pub fn all_allocated(&self) -> &Quantities {
        &self.nodes[ROOT].allocated
    }

    /// What a client holds.
    pub fn held(&self, client: Client) -> &Quantities {
        &self.nodes[self.node(client)].allocated
    }

    /// The client with that path.
    pub fn find(&self, path: &str) -> Option<Client> {
        self.by_path.get(path).copied()
    }

    /// A client's path.
    pub fn path(&self, client: Client) -> &str {
        let node = &self.nodes[self.node(client)];
        if node.name == VIRTUAL { &self.nodes[node.parent].path } else { &node.path }
    }

    /// The active clients, the first to be served first.
    pub fn order(&mut self) -> Vec<Client> {
        self.sort();
        self.sorted().collect()
    }

    /// As [`Sorter::order`], one by one, of a tree that is [sorted](Sorter::sort).
    pub(super) fn sorted(&self) -> impl Iterator<Item = Client> {
        assert!(self.is_sorted, "listed before it was sorted");
        let mut open = vec![self.nodes[ROOT].children.iter()];
        std::iter::from_fn(move || {
            while let Some(children) = open.last_mut() {
                match children.next().map(|it| &self.nodes[*it]) {
                    Some(Node { role: Place::Leaf { client, is_active: true }, .. }) => {
                        return Some(*client);
                    }
                    Some(Node { role: Place::Internal, children, .. }) => {
                        open.push(children.iter())
                    }
                    // Inactive ones come last.
                    Some(_) | None => drop(open.pop()),
                }
            }
            None
        })
    }

    /// How all nodes stand: each before those below it, siblings in order, inactive ones last.
    pub fn standings(&mut self) -> Vec<Standing> {
        self.sort();
        let mut standings = Vec::new();
        self.visit(ROOT, &mut |sorter, at| {
            let node = &sorter.nodes[at];
            let (dominant, kind) = sorter.dominant(&node.allocated);
            standings.push(Standing {
                path: node.path.clone(),
                dominant,
                kind,
                weight: node.weight,
                count: node.count,
                is_active: sorter.is_ranked(at),
            });
        });
        standings
    }

    fn visit(&self, at: usize, tell: &mut impl FnMut(&Self, usize)) {
        for child in &self.nodes[at].children {
            tell(self, *child);
            self.visit(*child, tell);
        }
    }

    /// Puts all siblings in order.
    pub(super) fn sort(&mut self) {
        if self.is_sorted {
            return;
        }
        for at in 1..self.nodes.len() {
            self.nodes[at].share = self.share(at);
        }
        for at in 0..self.nodes.len() {
            let mut children = std::mem::take(&mut self.nodes[at].children);
            children.sort_unstable_by(|a, b| self.order_of(*a, *b));
            self.nodes[at].children = children;
        }
        self.is_sorted = true;
    }

    fn order_of(&self, a: usize, b: usize) -> Ordering {
        let (left, right) = (&self.nodes[a], &self.nodes[b]);
        (self.is_ranked(b).cmp(&self.is_ranked(a)))
            .then(left.share.total_cmp(&right.share))
            .then(left.count.cmp(&right.count))
            .then_with(|| left.path.cmp(&right.path))
    }

    fn is_ranked(&self, at: usize) -> bool {
        !matches!(self.nodes[at].role, Place::Leaf { is_active: false, .. })
    }

    fn share(&self, at: usize) -> f64 {
        let node = &self.nodes[at];
        self.dominant(&node.allocated).0 / node.weight
    }

    /// The largest part of any kind, and which kind that is.
    fn dominant(&self, held: &Quantities) -> (f64, Option<Kind>) {
        let mut largest = (0.0, None);
        for (kind, total) in self.total.iter().filter(|it| !self.excluded.contains(&it.0)) {
            let part = float(held.get(kind)) / float(total);
            if part > largest.0 {
                largest = (part, Some(kind));
            }
        }
        largest
    }

    fn node(&self, client: Client) -> usize {
        self.clients[client.0 as usize].unwrap_or_else(|| panic!("{client:?}: was removed"))
    }

    fn put(&mut self, parent: usize, name: &str, role: Place) -> usize {
        let path = self.path_below(parent, name);
        let node = Node {
            name: name.to_owned(),
            weight: self.weights.get(&path).copied().unwrap_or(1.0),
            path,
            parent,
            role,
            children: Vec::new(),
            allocated: Quantities::NONE,
            count: 0,
            share: 0.0,
        };
        let at = match self.free_rows.pop() {
            Some(at) => {
                self.nodes[at] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        let siblings = &self.nodes[parent].children;
        let place = match self.is_sorted {
            true => siblings.partition_point(|it| self.order_of(*it, at).is_lt()),
            false => siblings.len(),
        };
        self.nodes[parent].children.insert(place, at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantity::check::some;
    use super::*;
    use proptest::prelude::*;

    /// Clients as `PATH CPUS MEM`, separated by `, `, all active; of 100 and 100.
    fn sorter(clients: &str) -> Sorter {
        let mut it = Sorter::new(Vec::new());
        it.add_total(&some("100 100"));
        for client in clients.split(", ").filter(|it| !it.is_empty()) {
            let (path, held) = client.split_once(' ').unwrap();
            let client = it.add(path);
            it.set_active(client, true);
            it.allocated(client, &some(held));
        }
        it
    }

    #[track_caller]
    fn check(it: &mut Sorter, want: &str) {
        let order = it.order();
        let got: Vec<_> = order.iter().map(|client| it.path(*client)).collect();
        assert_eq!(got.join(" "), want);
    }

    #[test]
    fn the_dominant_share_counts() {
        check(&mut sorter("a 5 5, b 6 1, c 1 7, d 3 3"), "d a b c");
        check(&mut sorter(""), "");
        let mut it = sorter("a 5 1, b 1 4");
        it.excluded = vec![Kind::CPUS];
        it.is_sorted = false;
        check(&mut it, "a b");
    }

    #[test]
    fn shares_are_compared_as_raw_floats() {
        // As floats, 0.15 / 3 is a little less than 0.1 / 2.
        let mut it = sorter("a 10, b 15");
        it.set_weight("a", 2.0);
        it.set_weight("b", 3.0);
        check(&mut it, "b a");
    }

    #[test]
    fn equal_shares_go_by_count_and_path() {
        let mut it = sorter("b 2 2, a 2 2");
        check(&mut it, "a b");
        let a = it.find("a").unwrap();
        it.allocated(a, &some("1"));
        it.unallocated(a, &some("1"));
        check(&mut it, "b a");
        let b = it.find("b").unwrap();
        it.update(b, &some("2 2"), &some("2 1"));
        check(&mut it, "b a");
    }

    #[test]
    fn weights_divide() {
        let mut it = sorter("a 5 5, b 6 6");
        it.set_weight("b", 2.0);
        check(&mut it, "b a");
        it.set_weight("new", 10.0);
        let new = it.add("new");
        it.set_active(new, true);
        it.allocated(new, &some("29"));
        check(&mut it, "new b a");
    }

    #[test]
    fn siblings_are_compared_first() {
        check(&mut sorter("a/x 5 5, a/y 1 1, b/x 5 5"), "b/x a/y a/x");
        check(&mut sorter("a 2 2, a/x 1 1, b 4 4"), "a/x a b");
    }

    #[test]
    fn a_weight_of_a_parent_is_noticed_later_too() {
        let mut it = sorter("a/x 5 5, b/x 6 6");
        check(&mut it, "a/x b/x");
        it.set_weight("b", 2.0);
        check(&mut it, "b/x a/x");
        it.set_weight("b", 1.0);
        check(&mut it, "a/x b/x");
    }

    #[test]
    fn inactive_clients_count_above() {
        let mut it = sorter("a 10 10, a/x 1 1, b 5 5");
        let a = it.find("a").unwrap();
        it.set_active(a, false);
        check(&mut it, "b a/x");
        let below = it.find("a/x").unwrap();
        it.remove(below);
        check(&mut it, "b");
        it.set_active(a, true);
        check(&mut it, "b a");
        assert_eq!(it.all_allocated(), &some("15 15"));
    }

    #[test]
    fn the_tree_grows_and_shrinks() {
        let mut it = sorter("a 9 9, a/b/c 1 1, d 4 4");
        check(&mut it, "d a/b/c a");
        let a = it.find("a").unwrap();
        it.remove(a);
        check(&mut it, "a/b/c d");
        let c = it.find("a/b/c").unwrap();
        it.remove(c);
        check(&mut it, "d");
        assert_eq!(it.nodes.len() - it.free_rows.len(), 2);
    }

    #[test]
    fn standings_explain_the_order() {
        let mut it = sorter("a 2 4, a/x 1 1, b 3 3");
        it.set_weight("a", 2.0);
        let got: Vec<_> = (it.standings().iter())
            .map(|it| {
                format!(
                    "{} {:?} {} / {} #{}",
                    it.path,
                    it.kind.unwrap(),
                    it.dominant,
                    it.weight,
                    it.count
                )
            })
            .collect();
        let want = [
            "a Kind(1) 0.05 / 2 #2",
            "a/x Kind(0) 0.01 / 1 #1",
            "a/. Kind(1) 0.04 / 1 #1",
            "b Kind(0) 0.03 / 1 #1",
        ];
        assert_eq!(got, want);
    }

    proptest! {
        /// Moving nodes as they change, come and go gives the order of sorting everything.
        #[test]
        fn small_moves_sort_as_well(steps in prop::collection::vec((0..9usize, 0..6u32, 0..4u32), 1..90)) {
            const PATHS: [&str; 9] = ["a", "b", "a/x", "a/y", "c/d/e", "c/d", "c/f", "ab", "c"];
            let mut it = sorter("");
            it.order();
            for (at, how, mem) in steps {
                match (it.find(PATHS[at]), how) {
                    (None, _) => drop(it.add(PATHS[at])),
                    (Some(client), 0) => it.remove(client),
                    (Some(client), 1) => it.set_active(client, mem == 0),
                    (Some(client), 2) => it.unallocated(client, &it.held(client).clone()),
                    (Some(client), _) => it.allocated(client, &some(&format!("{how} {mem}"))),
                }
                prop_assert!(it.is_sorted);
                let moved = it.standings();
                let listed = it.order();
                it.is_sorted = false;
                prop_assert_eq!(moved, it.standings());
                prop_assert_eq!(listed, it.order());
            }
        }
    }
}
