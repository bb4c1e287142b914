//! What a group's values usually are, and how unlikely a new one is.
//!
//! Not raw z-scores: these flood on noisy series. A value is an anomaly when its deviation is large
//! against the deviations of the recent past (likelihood) and beyond three scales of the model.
//! Values are learned clipped to the band, so that an attack does not become the norm at once.

use serde::{Deserialize, Serialize};

use crate::rule::{Baseline, Model};

/// Weight of a new value in a mean over all hours, and in that of one season's hour.
const ALPHA: f64 = 0.05;
const ALPHA_SEASON: f64 = 0.2;
/// Weight of a new deviation in the short and the long history.
const ALPHA_SHORT: f64 = 0.5;
const ALPHA_LONG: f64 = 0.02;
/// Least deviation, in scales, that may alarm; half-width of the band.
const BAND: f64 = 3.0;
/// Mean absolute deviation to standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.2533;
/// Smallest spread of the history of deviations.
const HISTORY_FLOOR: f64 = 0.3;
/// Values the quantile is taken from.
const VALUES: usize = 128;

/// Mean and mean absolute deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moments {
    count: u32,
    mean: f64,
    deviation: f64,
}

impl Moments {
    fn learn(&mut self, value: f64, alpha: f64) {
        self.count = self.count.saturating_add(1);
        // A plain mean first, weighted once there are enough values.
        let alpha = alpha.max(1.0 / f64::from(self.count));
        let off = (value - self.mean).abs();
        self.mean += alpha * (value - self.mean);
        if self.count > 1 {
            self.deviation += alpha * (off - self.deviation);
        }
    }
}

/// The learned state of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learned {
    seasons: Vec<Moments>,
    values: Vec<f64>,
    next: usize,
    seen: u32,
    short: f64,
    long: Moments,
}

/// How a value stands to what was expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// Middle and band of the expectation.
    pub(crate) expected: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// 0 to 1; for the quantile model 1 outside the band.
    pub(crate) likelihood: f64,
    /// Whether it alarms.
    pub(crate) alarms: bool,
}

impl Learned {
    /// Judges a value of the bucket in hour `hour` (since the epoch), then learns it.
    pub(crate) fn judge(&mut self, rule: &Baseline, hour: i64, value: f64) -> Judgement {
        let judgement = match rule.model {
            Model::Quantile => self.by_quantile(rule, value),
            Model::Ewma => self.by_moments(rule, (1, 0, ALPHA), value),
            Model::Seasonal { hours } => {
                let season = usize::try_from(hour.rem_euclid(i64::from(hours))).unwrap_or(0);
                self.by_moments(rule, (usize::from(hours), season, ALPHA_SEASON), value)
            }
        };
        self.seen = self.seen.saturating_add(1);
        judgement
    }

    fn warm(&self, rule: &Baseline) -> bool {
        self.seen >= rule.warmup
    }

    fn by_moments(
        &mut self,
        rule: &Baseline,
        (seasons, season, alpha): (usize, usize, f64),
        value: f64,
    ) -> Judgement {
        self.seasons.resize(seasons, Moments::default());
        let warm = self.warm(rule);
        let Some(moments) = self.seasons.get_mut(season) else { return unknown(value) };
        if moments.count == 0 {
            moments.learn(value, alpha);
            return unknown(value);
        }
        let scale = (moments.deviation * MAD_TO_SIGMA).max(rule.min_scale);
        let (expected, reach) = (moments.mean, BAND * scale);
        let (low, high) = ((expected - reach).max(0.0), expected + reach);
        let clipped = if warm { value.clamp(low, high) } else { value };
        moments.learn(clipped, alpha);
        let off = (value - expected) / scale;
        let directed = directed(rule, off);
        let likelihood = self.likelihood(directed, warm);
        let alarms = warm && directed >= BAND && likelihood >= rule.likelihood;
        Judgement { expected, low, high, likelihood, alarms }
    }

    /// How far the short history of deviations is out of the long one.
    fn likelihood(&mut self, off: f64, warm: bool) -> f64 {
        let clipped = if warm { off.clamp(-BAND, BAND) } else { off };
        let spread = (self.long.deviation * MAD_TO_SIGMA).max(HISTORY_FLOOR);
        let short = self.short + ALPHA_SHORT * (off - self.short);
        let found = 1.0 - tail((short - self.long.mean) / spread);
        self.short += ALPHA_SHORT * (clipped - self.short);
        self.long.learn(clipped, ALPHA_LONG);
        found
    }

    fn by_quantile(&mut self, rule: &Baseline, value: f64) -> Judgement {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| pick(&sorted, share);
        let (low, middle, high) = (at(1.0 - rule.likelihood), at(0.5), at(rule.likelihood));
        let (low, high) = ((low - rule.min_scale).max(0.0), high + rule.min_scale);
        let warm = self.warm(rule) && sorted.len() >= 8;
        let out = (rule.up && value > high) || (rule.down && value < low);
        let clipped = if warm { value.clamp(low, high) } else { value };
        if self.values.len() < VALUES {
            self.values.push(clipped);
        } else if let Some(slot) = self.values.get_mut(self.next) {
            *slot = clipped;
            self.next = self.next.saturating_add(1) % VALUES;
        }
        let likelihood = if out { 1.0 } else { 0.0 };
        Judgement { expected: middle, low, high, likelihood, alarms: warm && out }
    }

    /// Approximate size, bytes.
    pub(crate) fn bytes(&self) -> usize {
        let seasons = self.seasons.capacity().saturating_mul(size_of::<Moments>());
        seasons.saturating_add(self.values.capacity().saturating_mul(size_of::<f64>()))
    }
}

fn unknown(value: f64) -> Judgement {
    Judgement { expected: value, low: value, high: value, likelihood: 0.0, alarms: false }
}

/// The deviation in the direction that alarms.
fn directed(rule: &Baseline, off: f64) -> f64 {
    match (rule.up, rule.down) {
        (true, true) => off.abs(),
        (false, true) => -off,
        _ => off,
    }
}

/// The value below which a share of the sorted values lies.
fn pick(sorted: &[f64], share: f64) -> f64 {
    let last = u32::try_from(sorted.len().saturating_sub(1)).unwrap_or(0);
    let mut at = 0_u32;
    while at < last && f64::from(at) < share * f64::from(last) {
        at = at.saturating_add(1);
    }
    usize::try_from(at).ok().and_then(|at| sorted.get(at)).copied().unwrap_or(0.0)
}

/// Upper tail of the standard normal distribution.
///
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.17 (error below 7.5e-8).
fn tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - tail(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let coefficients =
        [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let series = coefficients.iter().fold(0.0, |sum, c| (sum + c) * t);
    (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measure;

    fn rule(model: Model) -> Baseline {
        Baseline {
            model,
            measure: Measure::Count,
            warmup: 48,
            min_scale: 1.0,
            likelihood: if model == Model::Quantile { 0.99 } else { 0.9999 },
            up: true,
            down: false,
        }
    }

    /// Deterministic noise from -0.5 to 0.5.
    fn noise(n: i64) -> f64 {
        let mixed = n.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
        (mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1_u64 << 24) as f64 - 0.5
    }

    fn daily(hour: i64) -> f64 {
        let office = (8..18).contains(&hour.rem_euclid(24));
        if office { 1_000.0 + 100.0 * noise(hour) } else { 20.0 + 10.0 * noise(hour) }
    }

    #[test]
    fn tail_of_the_normal_distribution() {
        for (z, expected) in [(0.0, 0.5), (1.0, 0.158_655), (3.0, 0.001_35), (-1.0, 0.841_345)] {
            assert!((tail(z) - expected).abs() < 1e-5, "{z}");
        }
    }

    #[test]
    fn a_spike_alarms_and_noise_does_not() {
        for model in [Model::Ewma, Model::Quantile, Model::Seasonal { hours: 24 }] {
            let (rule, mut learned) = (rule(model), Learned::default());
            for hour in 0..2_000 {
                let value = 100.0 + 20.0 * noise(hour);
                assert!(!learned.judge(&rule, hour, value).alarms, "{model:?} {hour}");
            }
            let spike = learned.judge(&rule, 2_000, 1_000.0);
            assert!(spike.alarms && spike.high < 250.0 && spike.low > 0.0, "{model:?} {spike:?}");
            assert!(learned.bytes() < 6_000);
        }
    }

    #[test]
    fn only_the_seasonal_model_sees_night_traffic_at_daytime_height() {
        for (model, sees) in [(Model::Seasonal { hours: 24 }, true), (Model::Ewma, false)] {
            let (rule, mut learned) = (rule(model), Learned::default());
            let mut alarms = 0;
            for hour in 0..24 * 30 {
                alarms += u32::from(learned.judge(&rule, hour, daily(hour)).alarms);
            }
            let night = 24 * 30 + 3;
            assert_eq!(learned.judge(&rule, night, 900.0).alarms, sees, "{model:?}");
            assert!(alarms <= 1, "{model:?}: {alarms} on normal days");
        }
    }

    #[test]
    fn no_alarm_before_the_warmup() {
        let (rule, mut learned) = (rule(Model::Ewma), Learned::default());
        for hour in 0..47 {
            learned.judge(&rule, hour, 1.0);
        }
        assert!(!learned.judge(&rule, 47, 1e9).alarms);
    }

    #[test]
    fn downwards() {
        let mut rule = rule(Model::Ewma);
        (rule.up, rule.down) = (false, true);
        let mut learned = Learned::default();
        for hour in 0..200 {
            assert!(!learned.judge(&rule, hour, 100.0 + 5.0 * noise(hour)).alarms);
        }
        assert!(!learned.judge(&rule, 200, 500.0).alarms);
        assert!(learned.judge(&rule, 201, 0.0).alarms);
    }

    #[test]
    fn a_flat_series_needs_more_than_the_smallest_scale() {
        let (rule, mut learned) = (rule(Model::Ewma), Learned::default());
        for hour in 0..200 {
            learned.judge(&rule, hour, 5.0);
        }
        assert!(!learned.judge(&rule, 200, 6.0).alarms);
        assert!(learned.judge(&rule, 201, 50.0).alarms);
    }
}
