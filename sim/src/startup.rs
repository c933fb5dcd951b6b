//! How long a task takes from being placed to running.

use cluster::chance::{Chance, Purpose};
use cluster::ids::TaskId;
use cluster::units::Span;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};

/// A model of start-up times (image pull, container creation). Nothing in a trace says how long that
/// took, so it is zero unless asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub enum Startup {
    /// Tasks run as soon as they are placed.
    #[default]
    None,
    /// Always the same.
    Fixed(Span),
    /// Lognormal, drawn per task and attempt from its own stream.
    LogNormal {
        /// Half of all start-ups are faster.
        median: Span,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

impl Startup {
    /// The start-up time of one attempt of a task. Depends on seed, task and attempt alone, so that two
    /// policies see the same.
    pub fn draw(&self, seed: u64, task: TaskId, attempt: u32) -> Span {
        match *self {
            Self::None => Span::ZERO,
            Self::Fixed(span) => span,
            Self::LogNormal { median, sigma } => {
                // 2^40 tasks and 2^24 attempts before two entities could share a stream.
                let entity = task.0 ^ (u64::from(attempt) << 40);
                let mut chance = Chance::new(seed, Purpose::Startup, entity);
                match LogNormal::new(median.as_secs_f64().max(1e-6).ln(), sigma) {
                    Ok(law) => Span::from_secs_f64(law.sample(chance.rng())),
                    Err(_) => median,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_median_asked_for_and_repeat() {
        let law = Startup::LogNormal { median: Span::from_secs(2), sigma: 0.5 };
        let mut draws: Vec<Span> = (0..2001).map(|it| law.draw(7, TaskId(it), 1)).collect();
        assert_eq!(draws[3], law.draw(7, TaskId(3), 1));
        assert_ne!(draws[3], law.draw(7, TaskId(3), 2));
        draws.sort_unstable();
        // Standard error of the median of 2001 draws is about 1.4 % of it.
        let median = draws[1000].as_secs_f64();
        assert!((1.88..2.12).contains(&median), "median {median}");
    }
}
