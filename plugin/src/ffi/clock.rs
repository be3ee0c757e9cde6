//! CLOCK_BOOTTIME: the clock of every age and deadline. It goes on while the machine sleeps, and nobody can set it.

/// Milliseconds since the machine started.
pub fn boot_ms() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a timespec that lives through the call. CLOCK_BOOTTIME exists since Linux 2.6.39.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) } != 0;
    assert!(!failed, "this kernel has no CLOCK_BOOTTIME");
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}

/// Nanoseconds that a thread of this process has spent on a processor, up to this moment; none where it is gone.
pub fn thread_ran_ns(thread_id: u32) -> Option<u64> {
    /// "The clock of one thread", and "time on a processor": how Linux writes such a clock's number.
    const OF_A_THREAD: libc::clockid_t = 4 | 2;
    let id = libc::clockid_t::try_from(thread_id).ok()?;
    let clock = (!id << 3) | OF_A_THREAD;
    let mut ran = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `ran` is a timespec that lives through the call; a number that is no clock is refused.
    let failed = unsafe { libc::clock_gettime(clock, &mut ran) } != 0;
    (!failed).then(|| ran.tv_sec.unsigned_abs() * 1_000_000_000 + ran.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_that_computes_spends_time_and_one_that_is_not_there_has_none() {
        let own = std::fs::read_link("/proc/thread-self").unwrap();
        let own: u32 = own.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let before = super::thread_ran_ns(own).unwrap();
        let begun = std::time::Instant::now();
        while super::thread_ran_ns(own).unwrap() < before + 1_000_000 {
            assert!(begun.elapsed().as_secs() < 20);
        }
        assert_eq!(super::thread_ran_ns(u32::MAX), None);
        // A thread of another process.
        assert_eq!(super::thread_ran_ns(1), None);
    }

    #[test]
    fn it_goes_forward() {
        let before = super::boot_ms();
        assert!(before > 0 && super::boot_ms() >= before);
    }
}
