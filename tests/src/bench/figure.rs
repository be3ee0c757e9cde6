//! A figure, what stands beside it, and the report of a run.

use serde::Serialize;

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// Benchmark.
    pub bench: &'static str,
    /// What was measured.
    pub what: String,
    /// Unit of the samples.
    pub unit: &'static str,
    /// Every sample, in the order of measuring.
    pub samples: Vec<f64>,
    /// What it is compared with, measured in turns with it.
    pub beside: Option<Beside>,
    /// What we want it to be.
    pub goal: Option<&'static str>,
}

/// What a figure is compared with.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    /// What that is.
    pub what: String,
    /// Its samples.
    pub samples: Vec<f64>,
}

/// Smallest, middle, 99th percentile and largest of some samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Middle.
    pub median: f64,
    /// 99th percentile; with fewer than 100 samples the largest.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Spread {
    /// Of these samples; zeros where there are none.
    #[must_use]
    pub fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let last = sorted.len().saturating_sub(1);
            let index = (part * last as f64).ceil() as usize;
            sorted.get(index).copied().unwrap_or_default()
        };
        Self {
            min: at(0.0),
            median: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The machine: processor, cores, memory, kernel.
    pub machine: String,
    /// The servers, with versions.
    pub servers: Vec<String>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What was not measured, and why.
    pub not_run: Vec<String>,
}

impl Report {
    /// An empty report of this machine.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            machine: machine(),
            ..Self::default()
        }
    }

    /// The report for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{}\nservers: {}\n\n", self.machine, self.servers.join(", "));
        text.push_str("| bench | what | unit | min | median | p99 | max | n | beside | its median | ratio | goal |\n");
        text.push_str("|---|---|---|---|---|---|---|---|---|---|---|---|\n");
        for figure in &self.figures {
            let own = Spread::of(&figure.samples);
            let (beside, its, ratio) = match &figure.beside {
                None => (String::new(), String::new(), String::new()),
                Some(beside) => {
                    let its = Spread::of(&beside.samples).median;
                    (
                        beside.what.clone(),
                        number(its),
                        format!("{:.2}", own.median / its),
                    )
                }
            };
            text.push_str(&format!(
                "| {} | {} | {} | {} | {} | {} | {} | {} | {beside} | {its} | {ratio} | {} |\n",
                figure.bench,
                figure.what,
                figure.unit,
                number(own.min),
                number(own.median),
                number(own.p99),
                number(own.max),
                figure.samples.len(),
                figure.goal.unwrap_or_default(),
            ));
        }
        for sentence in &self.not_run {
            text.push_str(&format!("\nNOT RUN {sentence}\n"));
        }
        text
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, key: &str| {
        let found = text
            .lines()
            .find(|l| l.starts_with(key))
            .and_then(|l| l.split_once(':'));
        found
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{}, {cores} cores, memory {}, Linux {}",
        line(&read("/proc/cpuinfo"), "model name"),
        line(&read("/proc/meminfo"), "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_few_and_of_none() {
        let spread = Spread::of(&[3.0, 1.0, 2.0]);
        assert_eq!(
            spread,
            Spread {
                min: 1.0,
                median: 2.0,
                p99: 3.0,
                max: 3.0
            }
        );
        assert_eq!(Spread::of(&[]).max, 0.0);
    }
}
