//! Fuzzing, in process and on stable Rust: mutate what is known, keep what behaves in a new way, report what panics.
//!
//! A target takes any bytes and says in a word what they were ("refused: no such route"). A word that was not heard
//! before makes its input worth mutating further: that is a coarser guide than branch coverage, and one that needs no
//! instrumented build, so that the same targets run in every `cargo test`.
//!
//! The corpus of a target is the folder `tests/corpus/NAME`, one input per file. Each run replays it first. With
//! `MUSTER_FUZZ_SECONDS` (as `cargo xtask fuzz` sets it) new inputs are added to it; an input that panics, or that takes
//! too long, is always saved there, to be replayed for ever.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use muster_lab::cache::workspace_root;
use muster_lab::effort;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// An input that takes longer than this is a finding, as one that panics.
const SLOW: Duration = Duration::from_secs(5);
/// Inputs kept in memory and on disk for one target.
const CORPUS_MAX: usize = 2_000;

/// One thing that takes outside input.
pub struct Target<'a> {
    /// Its name: of the folder of its corpus, and of the test without `fuzz_`.
    pub name: &'a str,
    /// Valid inputs to begin with, beside the corpus.
    pub seeds: Vec<Vec<u8>>,
    /// Pieces that inputs of this kind are made of.
    pub pieces: &'a [&'a str],
    /// Longest input that is tried, in bytes.
    pub bytes_max: usize,
}

/// What a run did.
#[derive(Debug)]
pub struct Findings {
    /// Inputs tried, the corpus included.
    pub tried: u64,
    /// Different words that the target said.
    pub words: usize,
}

impl Target<'_> {
    /// Replays the corpus, then goes beyond it for [`effort::fuzz`]. Panics with the path of the input that `judge` did
    /// not survive.
    pub fn run(&self, judge: impl Fn(&[u8]) -> String) -> Findings {
        let folder = workspace_root().join("tests/corpus").join(self.name);
        self.run_in(&folder, effort::fuzz(), judge)
    }

    /// The same, with this folder and for this long.
    pub fn run_in(
        &self,
        folder: &Path,
        lasts: Duration,
        judge: impl Fn(&[u8]) -> String,
    ) -> Findings {
        let keeps = std::env::var_os(effort::FUZZ_VARIABLE).is_some();
        let mut words = HashSet::new();
        let mut tried = 0;
        let mut corpus = Vec::new();
        let on_disk = read(folder);
        for input in on_disk.iter().chain(&self.seeds) {
            tried += 1;
            words.insert(attempt(folder, input, &judge));
            corpus.push(input.clone());
        }
        assert!(!corpus.is_empty(), "{}: nothing to begin with", self.name);
        let seed: u64 = rand::rng().random();
        let mut random = StdRng::seed_from_u64(seed);
        let began = Instant::now();
        while began.elapsed() < lasts {
            let input = self.mutant(&corpus, &mut random);
            tried += 1;
            if words.insert(attempt(folder, &input, &judge)) && corpus.len() < CORPUS_MAX {
                if keeps {
                    save(folder, "", &input);
                }
                corpus.push(input);
            }
        }
        Findings {
            tried,
            words: words.len(),
        }
    }

    /// Something known, changed in one to eight places.
    fn mutant(&self, corpus: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
        let mut input = corpus.choose(random).cloned().unwrap_or_default();
        for _ in 0..1 << random.random_range(0..4) {
            self.change(&mut input, corpus, random);
        }
        input.truncate(self.bytes_max);
        input
    }

    fn change(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut StdRng) {
        let at = random.random_range(0..=input.len());
        let end = random.random_range(at..=input.len().min(at + 64));
        match random.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
            1 if at < input.len() => input[at] = *EDGES.choose(random).unwrap_or(&0),
            2 => drop(input.drain(at..end)),
            3 => {
                let copy = input[at..end].to_vec();
                let times = random.random_range(1..20);
                for _ in 0..times {
                    input.splice(at..at, copy.iter().copied());
                }
            }
            4 => {
                let piece = self.pieces.choose(random).unwrap_or(&"");
                input.splice(at..end, piece.bytes());
            }
            5 => {
                let piece = self.pieces.choose(random).unwrap_or(&"");
                input.splice(at..at, piece.bytes());
            }
            6 => {
                let other = corpus.choose(random).map_or(&[][..], Vec::as_slice);
                let from = random.random_range(0..=other.len());
                input.splice(at.., other[from..].iter().copied());
            }
            7 => number(input, at, random),
            _ => input.truncate(at),
        }
    }
}

/// Bytes at the edges of something.
const EDGES: [u8; 14] = [
    0, 1, 0x7f, 0x80, 0xff, b'"', b'\\', b'{', b'[', b'-', b'\n', b' ', b'9', 0xf0,
];

/// Numbers at the edges of something.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "0.5",
    "00",
];

/// Replaces the next number after `at` by another.
fn number(input: &mut Vec<u8>, at: usize, random: &mut StdRng) {
    let Some(begin) = (at..input.len()).find(|i| input[*i].is_ascii_digit()) else {
        return;
    };
    let end = (begin..input.len())
        .find(|i| !input[*i].is_ascii_digit())
        .unwrap_or(input.len());
    let other = NUMBERS.choose(random).unwrap_or(&"0");
    input.splice(begin..end, other.bytes());
}

fn attempt(folder: &Path, input: &[u8], judge: &impl Fn(&[u8]) -> String) -> String {
    let began = Instant::now();
    let judged = catch_unwind(AssertUnwindSafe(|| judge(input)));
    let took = began.elapsed();
    match judged {
        Ok(word) if took < SLOW => word,
        Ok(_) => {
            let path = save(folder, "slow-", input);
            panic!("this input took {took:?}: {}", path.display());
        }
        Err(why) => {
            let path = save(folder, "failing-", input);
            let why = why
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| why.downcast_ref::<&str>().copied())
                .unwrap_or("a panic without words");
            panic!("this input was not survived: {} ({why})", path.display());
        }
    }
}

fn read(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| fs::read(path).ok())
        .collect()
}

/// Saves an input under a name made from its bytes.
fn save(folder: &Path, kind: &str, input: &[u8]) -> PathBuf {
    // FNV-1a: the same input gets the same name on every machine.
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let path = folder.join(format!("{kind}{hash:016x}"));
    if let Err(error) = fs::create_dir_all(folder).and_then(|()| fs::write(&path, input)) {
        say_unsaved(&path, &error);
    }
    path
}

/// A folder that cannot be written to must not hide the finding itself.
fn say_unsaved(path: &Path, error: &std::io::Error) {
    eprintln!("{} could not be saved: {error}", path.display());
}

/// An error's text as a word: its beginning, without numbers, up to the first quotation of what was wrong. Of a missing
/// field the name is kept, because there are only so many.
#[must_use]
pub fn word(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let missing = text.find("missing field");
    text[missing.unwrap_or(0)..]
        .chars()
        .take_while(|c| missing.is_some() || !matches!(c, '`' | '"' | '\''))
        .filter(|c| !c.is_ascii_digit())
        .take(120)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target<'static> {
        Target {
            name: "itself",
            seeds: vec![b"seed 7".to_vec()],
            pieces: &["magic"],
            bytes_max: 100,
        }
    }

    #[test]
    fn what_is_not_survived_is_found_and_saved() {
        let folder = tempfile::tempdir().unwrap();
        let found = catch_unwind(|| {
            target().run_in(folder.path(), Duration::from_secs(20), |input| {
                let text = String::from_utf8_lossy(input);
                assert!(!(text.contains("magic") && text.contains("65536")), "found");
                format!("{}{}", text.contains("magic"), text.contains("65536"))
            })
        });
        assert!(found.is_err());
        let saved = read(folder.path());
        assert_eq!(saved.len(), 1);
        assert!(String::from_utf8_lossy(&saved[0]).contains("magic"));
        // And replayed by the next run, before anything else.
        let again = catch_unwind(|| {
            target().run_in(folder.path(), Duration::ZERO, |input| {
                assert!(!input.windows(5).any(|part| part == b"magic"));
                String::new()
            })
        });
        assert!(again.is_err());
    }

    #[test]
    fn words_hold_what_repeats() {
        assert_eq!(word(&"bad value `abc` at line 7"), "bad value ");
        assert_eq!(
            word(&"the body: missing field `own` at line 17"),
            "missing field `own` at line "
        );
    }
}
