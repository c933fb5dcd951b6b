//! Which of the nodes with the best total is taken.
//!
//! Source: Kubernetes v1.35, `selectHost` in `pkg/scheduler/schedule_one.go`, and `container/heap` of Go.
//! Without extenders nothing is drawn: a binary heap is made of the list of nodes that passed, in the order
//! in which they passed, and its top is taken. In the real scheduler that order is a race between filter
//! workers; here it is the order of the walk. Earlier releases draw uniformly.

/// A binary heap with the highest total on top, whose order among equals is that of Go's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking<T> {
    heap: Vec<(i64, T)>,
}

impl<T> Ranking<T> {
    /// Makes it of totals in the order in which nodes passed.
    pub fn new(totals: Vec<(i64, T)>) -> Self {
        let mut ranking = Self { heap: totals };
        for at in (0..ranking.heap.len() / 2).rev() {
            ranking.sink(at, ranking.heap.len());
        }
        ranking
    }

    /// The one that is taken.
    pub fn top(&self) -> Option<&(i64, T)> {
        self.heap.first()
    }

    fn sink(&mut self, mut at: usize, end: usize) {
        loop {
            let left = 2 * at + 1;
            if left >= end {
                return;
            }
            let right = left + 1;
            let goes_right = right < end && self.heap[right].0 > self.heap[left].0;
            let child = if goes_right { right } else { left };
            if self.heap[child].0 <= self.heap[at].0 {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }
}

impl<T> Iterator for Ranking<T> {
    type Item = (i64, T);

    fn next(&mut self) -> Option<(i64, T)> {
        let last = self.heap.len().checked_sub(1)?;
        self.heap.swap(0, last);
        self.sink(0, last);
        self.heap.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(totals: &[i64]) -> Vec<usize> {
        let totals = totals.iter().enumerate().map(|(at, &it)| (it, at)).collect();
        Ranking::new(totals).map(|it| it.1).collect()
    }

    #[test]
    fn orders() {
        assert!(order(&[]).is_empty());
        assert_eq!(order(&[1, 3, 2]), [1, 2, 0]);
        // Among equals: the last one takes the place of what is taken.
        assert_eq!(order(&[5, 5, 5]), [0, 2, 1]);
        assert_eq!(order(&[5, 5, 5, 5]), [0, 3, 2, 1]);
    }
}
