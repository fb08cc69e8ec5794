//! What is measured: a row of the report and the samples in it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::accounting::Usage;
use crate::load::Outcome;
use crate::number;
use crate::peers::Subject;

/// What a row's figures count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// Requests per second.
    Requests,
    /// Whole images per second.
    Images,
    /// Megabytes (10^6) per second.
    Megabytes,
    /// Milliseconds; less is better.
    Milliseconds,
    /// Microseconds; less is better.
    Microseconds,
    /// The 99th percentile in milliseconds; less is better.
    Percentile99,
    /// KiB; less is better.
    Kibibytes,
    /// MiB; less is better.
    Mebibytes,
    /// Questions that a cluster was asked; less is better.
    Reviews,
}

impl Unit {
    /// Its sign in the report.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Requests => "requests/s",
            Self::Images => "images/s",
            Self::Megabytes => "MB/s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Percentile99 => "p99 ms",
            Self::Kibibytes => "KiB",
            Self::Mebibytes => "MiB",
            Self::Reviews => "reviews",
        }
    }

    /// What CPU time is given per.
    pub(crate) fn cpu_sign(self) -> &'static str {
        match self {
            Self::Requests | Self::Percentile99 => "CPU µs/request",
            Self::Images => "CPU µs/image",
            Self::Megabytes => "CPU ms/GB",
            Self::Milliseconds => "CPU µs/turn",
            Self::Microseconds | Self::Kibibytes | Self::Mebibytes | Self::Reviews => "CPU ms",
        }
    }

    /// Whether a larger figure is the better one.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::Requests | Self::Images | Self::Megabytes)
    }
}

/// One run's figures.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// In the row's unit.
    pub(crate) value: f64,
    /// Latency percentiles in milliseconds.
    pub(crate) latency: Option<Percentiles>,
    /// Percentiles of the time from the last byte sent to the last reply, in milliseconds.
    pub(crate) tail: Option<Percentiles>,
    /// CPU time per unit, see [`Unit::cpu_sign`].
    pub(crate) cpu: Option<f64>,
    /// The server's peak of resident memory in the run, in bytes.
    pub(crate) peak: Option<u64>,
    /// Its anonymous memory at the run's end, in bytes.
    pub(crate) anonymous: Option<u64>,
    /// How busy the generator's cores were, 0 to 1: near 1 the figure is the generator's, not the server's.
    pub(crate) generator: Option<f64>,
    /// Turns that failed.
    pub(crate) errors: u64,
    /// What the first failure said.
    pub(crate) first_error: Option<String>,
}

/// Percentiles of a histogram, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    /// The median.
    pub(crate) p50: f64,
    /// The 99th.
    pub(crate) p99: f64,
    /// The 99.9th.
    pub(crate) p999: f64,
}

impl Percentiles {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| number(histogram.value_at_quantile(quantile)) / 1e3;
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        })
    }
}

impl Sample {
    /// Of a load run: a rate, or for units of time the median or 99th percentile of latency.
    pub(crate) fn of(unit: Unit, outcome: &Outcome, usage: &Usage) -> Self {
        let seconds = outcome.elapsed.as_secs_f64();
        let latency = Percentiles::of(&outcome.latencies);
        let (value, cpu) = match unit {
            Unit::Megabytes => (
                number(outcome.bytes) / 1e6 / seconds,
                per(usage.cpu * 1e3, number(outcome.bytes) / 1e9),
            ),
            Unit::Milliseconds => (
                latency.map_or(f64::NAN, |latency| latency.p50),
                per(usage.cpu * 1e6, number(outcome.turns)),
            ),
            Unit::Percentile99 => (
                latency.map_or(f64::NAN, |latency| latency.p99),
                per(usage.cpu * 1e6, number(outcome.turns)),
            ),
            _ => (
                number(outcome.turns) / seconds,
                per(usage.cpu * 1e6, number(outcome.turns)),
            ),
        };
        Self {
            value,
            latency,
            tail: Percentiles::of(&outcome.tails),
            cpu,
            peak: Some(usage.peak),
            anonymous: Some(usage.anonymous),
            generator: Some(outcome.busy),
            errors: outcome.errors,
            first_error: outcome.first_error.clone(),
        }
    }

    /// A bare figure.
    pub(crate) fn bare(value: f64) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

fn per(amount: f64, units: f64) -> Option<f64> {
    (units > 0.0).then(|| amount / units)
}

/// What DESIGN.md §9 or the project's own bar asks of a row.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Aim {
    /// At least so many times what `of` does, in this row or, where `row` names one, in another row of the case.
    Times {
        /// The factor.
        factor: f64,
        /// Whom.
        of: Subject,
        /// Another row's name.
        row: Option<&'static str>,
    },
    /// At most this, in the row's unit.
    Below(f64),
}

/// One row: the same load on every subject.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measure {
    /// What was done.
    pub(crate) name: String,
    /// What is counted.
    pub(crate) unit: Unit,
    /// What is asked of Slipway.
    pub(crate) aims: Vec<Aim>,
    /// The rounds of each subject.
    pub(crate) samples: BTreeMap<Subject, Vec<Sample>>,
    /// Why a subject has none, or fewer.
    pub(crate) notes: BTreeMap<Subject, String>,
}

impl Measure {
    /// A row without samples yet.
    pub(crate) fn new(name: impl Into<String>, unit: Unit, aims: &[Aim]) -> Self {
        Self {
            name: name.into(),
            unit,
            aims: aims.to_vec(),
            samples: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Adds a round's sample, or notes why there is none.
    pub(crate) fn add(&mut self, subject: Subject, sample: anyhow::Result<Sample>) {
        match sample {
            Ok(sample) => {
                if let (true, Some(error)) = (sample.errors > 0, &sample.first_error) {
                    let note = format!("{} failed, first: {error}", sample.errors);
                    self.notes.insert(subject, note);
                }
                self.samples.entry(subject).or_default().push(sample);
            }
            Err(error) => {
                self.notes.insert(subject, format!("{error:#}"));
            }
        }
    }

    /// The figures of a subject, sorted.
    pub(crate) fn values(&self, subject: Subject) -> Vec<f64> {
        let samples = self.samples.get(&subject).map_or(&[][..], Vec::as_slice);
        let mut values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The median figure of a subject.
    pub(crate) fn median(&self, subject: Subject) -> Option<f64> {
        median(self.values(subject))
    }

    /// The median of something else in the samples.
    pub(crate) fn median_of(
        &self,
        subject: Subject,
        what: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<f64> {
        median(
            self.samples
                .get(&subject)?
                .iter()
                .filter_map(what)
                .collect(),
        )
    }
}

/// The middle value, of an even number the mean of the middle two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_failed_round_is_noted_and_not_counted() {
        let mut measure = Measure::new("row", Unit::Requests, &[]);
        measure.add(Subject::Zot, Ok(Sample::bare(5.0)));
        measure.add(Subject::Zot, Err(anyhow::anyhow!("gone")));
        assert_eq!(measure.median(Subject::Zot), Some(5.0));
        assert_eq!(measure.notes[&Subject::Zot], "gone");
    }
}
