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

#[cfg(test)]
mod tests {
    #[test]
    fn it_goes_forward() {
        let before = super::boot_ms();
        assert!(before > 0 && super::boot_ms() >= before);
    }
}
