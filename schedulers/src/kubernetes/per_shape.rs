//! Answers that depend on a pod's shape alone, worked out once for each shape.

use super::pod::{Pod, PodSpec};
use cluster::id_map::IdMap;
use std::sync::Arc;

/// Answers by shape, for as long as one decision takes. Shapes are told apart by where they are, so pods that
/// are alike should share one; the cluster keeps them where they are meanwhile.
#[derive(Debug)]
pub struct PerShape<T>(IdMap<usize, T>);

impl<T> Default for PerShape<T> {
    fn default() -> Self {
        Self(IdMap::default())
    }
}

impl<T> PerShape<T> {
    /// The answer for the pod's shape; worked out if it is the first of its shape.
    pub fn ask<'a>(&mut self, pod: &'a Pod, answer: impl FnOnce(&'a PodSpec) -> T) -> &T {
        let shape = Arc::as_ptr(&pod.shape) as usize;
        self.0.get_or_insert_with(shape, || answer(pod.spec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::pod::{PodId, PodShape};

    #[test]
    fn asks_once_per_shape() {
        let shapes = [0, 1].map(|_| Arc::new(PodShape::new(PodSpec::default())));
        let (mut answers, mut asked) = (PerShape::default(), 0);
        for (at, shape) in [0, 1, 0, 1, 1].into_iter().map(|at| (at, &shapes[at])) {
            let pod = Pod::new(PodId(0), shape.clone());
            let answer = *answers.ask(&pod, |_| {
                asked += 1;
                at == 1
            });
            assert_eq!(answer, at == 1);
        }
        assert_eq!(asked, 2);
    }
}
