//! The first places of lines in order: mostly none or one.

use super::Place;
use crate::ids::ShapeId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;

type Head = (Place, ShapeId);

#[derive(Debug, Clone, Default)]
pub(super) struct Heads {
    first: Option<Head>,
    /// All behind the first; none without a first.
    others: BTreeSet<Head>,
}

impl Heads {
    pub(super) fn first(&self) -> Option<Head> {
        self.first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Head> {
        self.first.into_iter().chain(self.others.iter().copied())
    }

    pub(super) fn insert(&mut self, head: Head) {
        match self.first {
            None => self.first = Some(head),
            Some(first) if head < first => {
                self.others.insert(first);
                self.first = Some(head);
            }
            Some(_) => {
                self.others.insert(head);
            }
        }
    }

    pub(super) fn remove(&mut self, head: Head) {
        if self.first == Some(head) {
            self.first = self.others.pop_first();
        } else {
            self.others.remove(&head);
        }
    }

    /// A line goes on to its next task.
    pub(super) fn replace(&mut self, old: Head, new: Head) {
        if self.first == Some(old) && self.others.first().is_none_or(|it| new < *it) {
            self.first = Some(new);
        } else {
            self.remove(old);
            self.insert(new);
        }
    }
}

/// As a set.
impl Serialize for Heads {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let heads: Vec<Head> = self.iter().collect();
        heads.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Heads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut others = BTreeSet::<Head>::deserialize(deserializer)?;
        Ok(Self { first: others.pop_first(), others })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as a sorted set, whatever comes and goes.
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec((0..3u8, 0..9u32, 0..9u32), 0..80)) {
            let (mut heads, mut model) = (Heads::default(), BTreeSet::new());
            let head = |it: u32| (Place { primary: u64::from(it / 3), sequence: it.into() }, ShapeId(it));
            for (step, a, b) in steps {
                match step {
                    0 if !model.contains(&head(a)) => {
                        heads.insert(head(a));
                        model.insert(head(a));
                    }
                    1 => {
                        heads.remove(head(a));
                        model.remove(&head(a));
                    }
                    _ if model.contains(&head(a)) && !model.contains(&head(b)) => {
                        heads.replace(head(a), head(b));
                        model.remove(&head(a));
                        model.insert(head(b));
                    }
                    _ => {}
                }
                prop_assert_eq!(heads.first(), model.first().copied());
                prop_assert_eq!((heads.is_empty(), heads.len()), (model.is_empty(), model.len()));
                prop_assert!(heads.iter().eq(model.iter().copied()));
                let bytes = postcard::to_stdvec(&heads).unwrap();
                prop_assert_eq!(&bytes, &postcard::to_stdvec(&model).unwrap());
                let again: Heads = postcard::from_bytes(&bytes).unwrap();
                prop_assert!(again.iter().eq(heads.iter()));
            }
        }
    }
}
