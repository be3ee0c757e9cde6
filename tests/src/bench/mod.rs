//! Benchmarks: figures beside what they are compared with in the same run, interleaved.

pub mod agents;
pub mod figure;
pub mod oltp;
pub mod tables;
pub mod times;

pub use figure::{Figure, Report};
