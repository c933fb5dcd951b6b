//! How long a task takes from being placed to running.

use cluster::chance::{Chance, Purpose};
use cluster::ids::TaskId;
use cluster::units::Span;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// As the command line takes it.
impl fmt::Display for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("0"),
            Self::Fixed(span) => write!(f, "{span}"),
            Self::LogNormal { median, sigma } => {
                write!(f, "lognormal:median={median},sigma={sigma}")
            }
        }
    }
}

impl Startup {
    /// The lognormal model that makes these start-up times most likely: its median is their geometric
    /// mean, its sigma the standard deviation of their logarithms (dividing by their number). Rounded to
    /// a millisecond (to a microsecond below 100 ms) and to thousandths, so that its text is all of it.
    /// Without samples [`Startup::None`], without spread [`Startup::Fixed`].
    pub fn fit(samples: impl Iterator<Item = Span>) -> Self {
        // As in `draw`: less than a microsecond is none.
        let logs: Vec<f64> = samples.map(|it| it.as_secs_f64().max(1e-6).ln()).collect();
        if logs.is_empty() {
            return Self::None;
        }
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count;
        let sigma = (variance.sqrt() * 1e3).round() / 1e3;
        let median = Span::from_secs_f64(mean.exp());
        let median = if median.0 < 100_000 { median } else { Span((median.0 + 500) / 1000 * 1000) };
        match sigma > 0.0 {
            _ if median <= Span(1) => Self::None,
            true => Self::LogNormal { median, sigma },
            false => Self::Fixed(median),
        }
    }

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
    fn a_fit_finds_the_model_again_and_prints_as_it_is_typed() {
        let law = Startup::LogNormal { median: Span::from_secs(2), sigma: 0.5 };
        let fit = Startup::fit((0..2001).map(|it| law.draw(7, TaskId(it), 1)));
        // Standard errors are about 1.1 % of the median and 0.008.
        let Startup::LogNormal { median, sigma } = fit else { panic!("{fit}") };
        assert!((1.93..2.07).contains(&median.as_secs_f64()), "{fit}");
        assert!((0.475..0.525).contains(&sigma), "{fit}");
        assert_eq!(law.to_string(), "lognormal:median=2s,sigma=0.5");
        let same = [Span(250_000); 3].into_iter();
        assert_eq!(Startup::fit(same), Startup::Fixed(Span(250_000)));
        assert_eq!(Startup::fit([Span::ZERO; 2].into_iter()), Startup::None);
        assert_eq!(Startup::fit(std::iter::empty()), Startup::None);
    }

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
