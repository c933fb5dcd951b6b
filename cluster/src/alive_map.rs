//! A map for what is alive for a while and has a number: tasks, groups.
//!
//! Numbers mostly come in ascending order, and most of what they stand for is soon over. So the newest numbers stand in
//! pages, and what outlives its page's like is moved to a hash map. Values stand in slots that are used again, the one
//! freed last first. Memory grows with what is alive (and by eight bytes per 1,024 numbers between the oldest page and the
//! newest); a look at a young number costs no hashing, and a look at what was looked at lately no cache miss.
//!
//! It cannot be iterated, so that its order can never matter.

use crate::ids::{GroupId, TaskId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;

/// An id as a number. Numbers from 2^62 on are counted apart.
pub trait Numbered: Copy + Ord {
    /// Below 2^63.
    fn number(self) -> u64;

    /// The id of that number.
    fn of(number: u64) -> Self;
}

impl Numbered for TaskId {
    #[inline]
    fn number(self) -> u64 {
        self.0
    }

    #[inline]
    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Numbered for GroupId {
    #[inline]
    fn number(self) -> u64 {
        self.0.into()
    }

    #[inline]
    fn of(number: u64) -> Self {
        Self(number as u32)
    }
}

/// Numbers of a page.
const PAGE: usize = 1 << 10;
/// With fewer that are alive, a page that is not the newest is given up.
const SPARSE: u32 = 1 << 7;
/// With more pages skipped, pages begin anew.
const SKIPPED: u64 = 1 << 6;
/// The slot of a number that is not alive.
const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Page {
    alive: u32,
    slots: [u32; PAGE],
}

impl Page {
    fn new() -> Box<Self> {
        Box::new(Self { alive: 0, slots: [NOWHERE; PAGE] })
    }
}

/// Numbers to slots.
#[derive(Debug, Clone, Default)]
struct Index {
    /// Number of the first page. The last one is always there, and no page behind it ever was.
    first: u64,
    pages: Vec<Option<Box<Page>>>,
    /// Pages before the first that is there.
    gone: usize,
    /// All numbers without a page.
    others: FxHashMap<u64, u32>,
}

impl Index {
    #[inline]
    fn at(number: u64) -> (u64, usize) {
        (number / PAGE as u64, (number % PAGE as u64) as usize)
    }

    #[inline]
    fn get(&self, number: u64) -> Option<u32> {
        let (page, at) = Self::at(number);
        match self.pages.get(page.wrapping_sub(self.first) as usize) {
            Some(Some(page)) => Some(page.slots[at]).filter(|it| *it != NOWHERE),
            _ => self.others.get(&number).copied(),
        }
    }

    /// `number` must not be there.
    #[inline]
    fn insert(&mut self, number: u64, slot: u32) {
        let (page, at) = Self::at(number);
        if page >= self.first + self.pages.len() as u64 {
            self.open(page);
        }
        match self.pages.get_mut(page.wrapping_sub(self.first) as usize) {
            Some(Some(page)) => {
                page.alive += 1;
                page.slots[at] = slot;
            }
            _ => {
                self.others.insert(number, slot);
            }
        }
    }

    #[inline]
    fn remove(&mut self, number: u64) -> Option<u32> {
        let (page, at) = Self::at(number);
        let row = page.wrapping_sub(self.first) as usize;
        let Some(Some(page)) = self.pages.get_mut(row) else { return self.others.remove(&number) };
        let slot = std::mem::replace(&mut page.slots[at], NOWHERE);
        if slot == NOWHERE {
            return None;
        }
        page.alive -= 1;
        if page.alive < SPARSE && row + 1 < self.pages.len() {
            self.give_up(row);
        }
        Some(slot)
    }

    /// Opens a page behind all others.
    #[cold]
    fn open(&mut self, page: u64) {
        let behind = self.first + self.pages.len() as u64;
        if self.pages.is_empty() || page - behind > SKIPPED {
            (0..self.pages.len()).for_each(|row| self.move_out(row));
            self.pages.clear();
            (self.first, self.gone) = (page, 0);
        } else {
            let last = self.pages.len() - 1;
            self.pages.extend((behind..page).map(|_| None));
            let is_sparse =
                |it: &Option<Box<Page>>| it.as_ref().is_some_and(|it| it.alive < SPARSE);
            if is_sparse(&self.pages[last]) {
                self.move_out(last);
            }
        }
        self.pages.push(Some(Page::new()));
        self.trim();
    }

    #[cold]
    fn give_up(&mut self, row: usize) {
        self.move_out(row);
        self.trim();
    }

    fn move_out(&mut self, row: usize) {
        let Some(page) = self.pages[row].take() else { return };
        let start = (self.first + row as u64) * PAGE as u64;
        let alive = page.slots.iter().zip(start..).filter(|it| *it.0 != NOWHERE);
        self.others.extend(alive.map(|(&slot, number)| (number, slot)));
    }

    fn trim(&mut self) {
        while let Some(None) = self.pages.get(self.gone) {
            self.gone += 1;
        }
        if self.gone > self.pages.len() / 2 {
            self.pages.drain(..self.gone);
            self.first += self.gone as u64;
            self.gone = 0;
        }
    }

    /// All numbers and slots, in no order.
    fn all(&self) -> impl Iterator<Item = (u64, u32)> {
        let pages = self.pages.iter().zip(self.first..);
        let pages = pages.filter_map(|(page, number)| Some((page.as_ref()?, number)));
        pages
            .flat_map(|(page, number)| page.slots.iter().copied().zip(number * PAGE as u64..))
            .filter(|it| it.0 != NOWHERE)
            .map(|(slot, number)| (number, slot))
            .chain(self.others.iter().map(|(&number, &slot)| (number, slot)))
    }
}

/// Ids to values; look up, insert, remove, nothing else.
#[derive(Debug, Clone)]
pub struct AliveMap<K, V> {
    numbers: Index,
    /// Those from 2^62 on.
    apart: Index,
    values: Vec<Option<V>>,
    free: Vec<u32>,
    ids: PhantomData<K>,
}

impl<K, V> Default for AliveMap<K, V> {
    fn default() -> Self {
        Self {
            numbers: Index::default(),
            apart: Index::default(),
            values: Vec::new(),
            free: Vec::new(),
            ids: PhantomData,
        }
    }
}

impl<K: Numbered, V> AliveMap<K, V> {
    #[inline]
    fn index(&self, id: K) -> &Index {
        if id.number() < TaskId::REPLICAS { &self.numbers } else { &self.apart }
    }

    #[inline]
    fn index_mut(&mut self, id: K) -> &mut Index {
        if id.number() < TaskId::REPLICAS { &mut self.numbers } else { &mut self.apart }
    }

    #[inline]
    fn slot(&self, id: K) -> Option<usize> {
        self.index(id).get(id.number()).map(|it| it as usize)
    }

    /// The value of an id.
    #[inline]
    pub fn get(&self, id: K) -> Option<&V> {
        self.values[self.slot(id)?].as_ref()
    }

    /// The value of an id, to be changed.
    #[inline]
    pub fn get_mut(&mut self, id: K) -> Option<&mut V> {
        let slot = self.slot(id)?;
        self.values[slot].as_mut()
    }

    /// Whether the id is there.
    #[inline]
    pub fn contains(&self, id: K) -> bool {
        self.slot(id).is_some()
    }

    /// Sets the value of an id and shows it; `None`, and nothing happened, if the id is there already.
    #[inline]
    pub fn insert(&mut self, id: K, value: V) -> Option<&mut V> {
        if self.slot(id).is_some() {
            return None;
        }
        Some(self.add(id, value))
    }

    #[inline]
    fn add(&mut self, id: K, value: V) -> &mut V {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.values.push(None);
            u32::try_from(self.values.len() - 1).expect("fewer than 2^32 alive")
        });
        self.index_mut(id).insert(id.number(), slot);
        self.values[slot as usize].insert(value)
    }

    /// The value of an id, made by `make` if there is none.
    #[inline]
    pub fn get_or_insert_with(&mut self, id: K, make: impl FnOnce() -> V) -> &mut V {
        match self.slot(id) {
            Some(slot) => self.values[slot].get_or_insert_with(make),
            None => self.add(id, make()),
        }
    }

    /// Takes an id out.
    #[inline]
    pub fn remove(&mut self, id: K) -> Option<V> {
        let slot = self.index_mut(id).remove(id.number())?;
        self.free.push(slot);
        self.values[slot as usize].take()
    }

    /// How many ids are there.
    pub fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Written in the order of ids, so that equal maps have equal bytes however they came to be.
impl<K: Numbered + Serialize, V: Serialize> Serialize for AliveMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all: Vec<(u64, u32)> = self.numbers.all().chain(self.apart.all()).collect();
        all.sort_unstable();
        let value = |slot: u32| self.values[slot as usize].as_ref().expect("its slot is filled");
        serializer.collect_seq(all.iter().map(|&(number, slot)| (K::of(number), value(slot))))
    }
}

impl<'de, K: Numbered + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for AliveMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Self::default();
        for (id, value) in Vec::<(K, V)>::deserialize(deserializer)? {
            map.insert(id, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, Clone)]
    enum Step {
        /// So many that follow the last one, some left out.
        Come {
            count: u64,
            every: u64,
        },
        /// A jump ahead.
        Skip(u64),
        /// One from before.
        Late(u64),
        Replica(u64),
        /// Of those that are there, in order, all but every so many, from a share on.
        Go {
            keep_every: usize,
            from_percent: usize,
        },
        Remove(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1..3000u64, 1..4u64).prop_map(|(count, every)| Step::Come { count, every }),
            1 => prop_oneof![0..5000u64, 60_000..80_000u64, 0..(1u64 << 60)].prop_map(Step::Skip),
            2 => (0..20_000u64).prop_map(Step::Late),
            1 => (0..9u64).prop_map(Step::Replica),
            3 => (1..40usize, 0..100usize)
                .prop_map(|(keep_every, from_percent)| Step::Go { keep_every, from_percent }),
            2 => (0..20_000u64).prop_map(Step::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The same as a sorted map, whoever comes and goes.
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec(step(), 0..12)) {
            let (mut map, mut model) = (AliveMap::<TaskId, u64>::default(), BTreeMap::new());
            let (mut next, mut value) = (0u64, 0);
            for step in steps {
                let come: Vec<u64> = match &step {
                    Step::Come { count, every } => (next..next + count).step_by(*every as usize).collect(),
                    Step::Late(it) => vec![*it],
                    Step::Replica(it) => vec![TaskId::replica(*it).0],
                    _ => vec![],
                };
                for it in come.into_iter().filter(|it| *it < TaskId::REPLICAS << 1) {
                    value += 1;
                    let id = TaskId(it);
                    prop_assert_eq!(map.contains(id), model.contains_key(&id));
                    if let Some(there) = model.get(&id) {
                        prop_assert_eq!(map.get_or_insert_with(id, || 0), there);
                        continue;
                    }
                    prop_assert!(map.insert(id, value).is_some());
                    prop_assert!(map.insert(id, 0).is_none());
                    model.insert(id, value);
                    next = if it < TaskId::REPLICAS { next.max(it + 1) } else { next };
                }
                let go: Vec<TaskId> = match step {
                    Step::Go { keep_every, from_percent } => {
                        let all = model.keys().copied().enumerate();
                        let from = model.len() * from_percent / 100;
                        all.filter(|it| it.0 >= from && it.0 % keep_every != 0).map(|it| it.1).collect()
                    }
                    Step::Remove(it) => vec![TaskId(it)],
                    Step::Skip(ahead) => {
                        next = (next + ahead).min(1 << 61);
                        vec![]
                    }
                    _ => vec![],
                };
                for id in go {
                    prop_assert_eq!(map.remove(id), model.remove(&id));
                    prop_assert_eq!(map.get(id), None);
                }
                prop_assert_eq!(map.len(), model.len());
                for (&id, value) in &model {
                    prop_assert_eq!(map.get(id), Some(value));
                }
            }
            let bytes = postcard::to_stdvec(&map).unwrap();
            let pairs: Vec<(TaskId, u64)> = model.into_iter().collect();
            prop_assert_eq!(&bytes, &postcard::to_stdvec(&pairs).unwrap());
            let again: AliveMap<TaskId, u64> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(&bytes, &postcard::to_stdvec(&again).unwrap());
        }
    }

    /// A long run in which one in a hundred lives for ever and the others for a while.
    #[test]
    fn memory_grows_with_what_is_alive() {
        let mut map = AliveMap::<TaskId, ()>::default();
        for it in 0..200_000u64 {
            map.insert(TaskId(it), ());
            if let Some(old) = it.checked_sub(2_000).filter(|it| it % 100 != 0) {
                map.remove(TaskId(old));
            }
        }
        assert_eq!(map.len(), 2_000 + 1_980);
        assert!(map.values.len() < 4_100, "{} slots", map.values.len());
        let pages = map.numbers.pages.iter().flatten().count();
        assert!(pages <= 4 && map.numbers.pages.len() <= 8, "{pages} pages");
        assert!(map.numbers.others.len() < 2_000, "{} others", map.numbers.others.len());
    }
}
