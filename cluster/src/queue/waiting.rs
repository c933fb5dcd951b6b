//! The tasks of one line in order.
//!
//! Almost all tasks come in order and leave from the front: those stand in a ring. One that leaves from its middle
//! leaves a gap, and one that comes out of order (it lost its node, or is more important) stands in a tree beside it.

use super::Place;
use crate::ids::TaskId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// Ascending. Neither the first nor the last is a gap.
    ring: VecDeque<(Place, Option<TaskId>)>,
    gaps: usize,
    /// None of these places is in the ring.
    others: BTreeMap<Place, TaskId>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.others.is_empty()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<(Place, TaskId)> {
        let front = self.ring.front().map(|&(place, task)| (place, task.expect("no gap is first")));
        if self.others.is_empty() {
            return front;
        }
        let Some((&place, &task)) = self.others.first_key_value() else { return front };
        let other = (place, task);
        Some(front.map_or(other, |it| it.min(other)))
    }

    #[inline]
    pub(super) fn first_place(&self) -> Option<Place> {
        let front = self.ring.front().map(|it| it.0);
        if self.others.is_empty() {
            return front;
        }
        let other = self.others.first_key_value().map(|it| *it.0);
        front.into_iter().chain(other).min()
    }

    pub(super) fn insert(&mut self, place: Place, task: TaskId) {
        if self.ring.back().is_none_or(|&(last, _)| last < place) {
            self.ring.push_back((place, Some(task)));
        } else if let Some(at) = self.position(place) {
            // Back where it left a gap.
            self.ring[at].1 = Some(task);
            self.gaps -= 1;
        } else {
            self.others.insert(place, task);
        }
    }

    /// Where the place stands in the ring, gap or not.
    fn position(&self, place: Place) -> Option<usize> {
        let &(first, _) = self.ring.front()?;
        if first == place {
            return Some(0);
        }
        self.ring.binary_search_by_key(&place, |it| it.0).ok()
    }

    pub(super) fn contains(&self, place: Place) -> bool {
        let in_ring = self.position(place).is_some_and(|it| self.ring[it].1.is_some());
        in_ring || self.others.contains_key(&place)
    }

    /// `false` if nobody waits there.
    pub(super) fn remove(&mut self, place: Place) -> bool {
        let Some(at) = self.position(place) else { return self.others.remove(&place).is_some() };
        if self.ring[at].1.take().is_none() {
            return false;
        }
        self.gaps += 1;
        while let Some((_, None)) = self.ring.front() {
            self.ring.pop_front();
            self.gaps -= 1;
        }
        while let Some((_, None)) = self.ring.back() {
            self.ring.pop_back();
            self.gaps -= 1;
        }
        if self.gaps > self.ring.len() / 2 {
            self.ring.retain(|it| it.1.is_some());
            self.gaps = 0;
        }
        true
    }

    /// Those of these places, in no order.
    pub(super) fn range(
        &self,
        places: impl RangeBounds<Place> + Clone,
    ) -> impl Iterator<Item = (Place, TaskId)> {
        let others = self.others.range(places.clone()).map(|(&place, &task)| (place, task));
        let ring = self.ring.iter().filter(move |it| places.contains(&it.0));
        ring.filter_map(|&(place, task)| Some((place, task?))).chain(others)
    }

    /// Takes out all from this place on, in no order.
    pub(super) fn split_off(&mut self, from: Place) -> Vec<(Place, TaskId)> {
        let behind: Vec<(Place, TaskId)> = self.range(from..).collect();
        for &(place, _) in &behind {
            self.remove(place);
        }
        behind
    }

    fn in_order(&self) -> Vec<(Place, TaskId)> {
        let mut all: Vec<(Place, TaskId)> = self.range(..).collect();
        all.sort_unstable();
        all
    }
}

/// As a map from places to tasks.
impl Serialize for Waiting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.in_order())
    }
}

impl<'de> Deserialize<'de> for Waiting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut waiting = Self::default();
        for (place, task) in BTreeMap::<Place, TaskId>::deserialize(deserializer)? {
            waiting.insert(place, task);
        }
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push,
        Early(u64),
        Remove(u64),
        RemoveFirst,
        Split(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => Just(Step::Push),
            2 => (0..60u64).prop_map(Step::Early),
            3 => (0..60u64).prop_map(Step::Remove),
            3 => Just(Step::RemoveFirst),
            1 => (0..60u64).prop_map(Step::Split),
        ]
    }

    fn place(sequence: u64) -> Place {
        Place { primary: 0, sequence }
    }

    proptest! {
        /// The same as a sorted map, whatever comes and goes.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec(step(), 0..120)) {
            let (mut waiting, mut model) = (Waiting::default(), BTreeMap::new());
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Push => {
                        waiting.insert(place(next), TaskId(next));
                        model.insert(place(next), TaskId(next));
                        next += 1;
                    }
                    // One that was there before and left may come back to its place.
                    Step::Early(it) if it < next && !model.contains_key(&place(it)) => {
                        waiting.insert(place(it), TaskId(it));
                        model.insert(place(it), TaskId(it));
                    }
                    Step::Early(_) => {}
                    Step::Remove(it) => {
                        prop_assert_eq!(waiting.contains(place(it)), model.contains_key(&place(it)));
                        prop_assert_eq!(waiting.remove(place(it)), model.remove(&place(it)).is_some());
                    }
                    Step::RemoveFirst => {
                        if let Some((place, _)) = model.pop_first() {
                            prop_assert!(waiting.remove(place));
                        }
                    }
                    Step::Split(it) => {
                        let mut behind = waiting.split_off(place(it));
                        behind.sort_unstable();
                        let want: Vec<_> = model.split_off(&place(it)).into_iter().collect();
                        prop_assert_eq!(behind, want);
                    }
                }
                let first = model.first_key_value().map(|(&place, &task)| (place, task));
                prop_assert_eq!(waiting.first(), first);
                prop_assert_eq!(waiting.is_empty(), model.is_empty());
                prop_assert!(waiting.gaps <= waiting.ring.len() / 2);
                let bytes = postcard::to_stdvec(&waiting).unwrap();
                prop_assert_eq!(&bytes, &postcard::to_stdvec(&model).unwrap());
                let again: Waiting = postcard::from_bytes(&bytes).unwrap();
                prop_assert_eq!(again.in_order(), waiting.in_order());
            }
        }
    }
}
