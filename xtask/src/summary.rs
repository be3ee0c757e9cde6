//! The counts and the failures in what `cargo test` writes.

/// Totals over all test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
    /// Names of tests that failed.
    pub failures: Vec<String>,
}

impl Summary {
    /// Takes one line of output into account.
    pub fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result:") {
            let count = |word: &str| -> u64 {
                let before = counts.split(&format!(" {word}")).next().unwrap_or_default();
                before
                    .rsplit([' ', ';', '.'])
                    .find(|part| !part.is_empty())
                    .and_then(|n| n.parse().ok())
                    .unwrap_or(0)
            };
            self.passed += count("passed");
            self.failed += count("failed");
            self.ignored += count("ignored");
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_over_programs() {
        let mut summary = Summary::default();
        for line in [
            "running 4 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 13 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.02s",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 4.93s",
        ] {
            summary.read(line);
        }
        assert_eq!(
            summary,
            Summary {
                passed: 16,
                failed: 1,
                ignored: 2,
                failures: vec!["a::c".to_owned()]
            }
        );
    }
}
