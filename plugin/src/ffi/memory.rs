//! Reads memory whose layout is not certain yet, without a fault where nothing is mapped.

use std::ffi::c_void;

/// Copies `words` machine words from `address` of this process; none where that memory cannot be read as a whole.
pub fn words(address: usize, words: usize) -> Option<Vec<usize>> {
    if address == 0 || !address.is_multiple_of(align_of::<usize>()) {
        return None;
    }
    let mut copy = vec![0_usize; words];
    let bytes = words * size_of::<usize>();
    let to = libc::iovec {
        iov_base: copy.as_mut_ptr().cast(),
        iov_len: bytes,
    };
    let from = libc::iovec {
        iov_base: address as *mut c_void,
        iov_len: bytes,
    };
    // SAFETY: `to` describes `copy`, which is large enough; the kernel checks `from` and reports what is not mapped
    // instead of faulting. Our own process is always ours to read.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &to, 1, &from, 1, 0) };
    (usize::try_from(read) == Ok(bytes)).then_some(copy)
}

/// As many words as can be read from `address` on, at most `max`, in steps of a cache line.
pub fn words_up_to(address: usize, max: usize) -> Vec<usize> {
    if let Some(all) = words(address, max) {
        return all;
    }
    let mut found = Vec::new();
    while found.len() < max {
        match words(
            address + found.len() * size_of::<usize>(),
            8.min(max - found.len()),
        ) {
            Some(more) => found.extend(more),
            None => break,
        }
    }
    found
}

/// Whether this process may read itself that way; a sandbox can forbid it.
pub fn can_read() -> bool {
    let probe = [0x5EED_usize; 4];
    words(probe.as_ptr() as usize, probe.len()).is_some_and(|copy| copy == probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_memory_is_copied_and_unmapped_is_refused() {
        let here = [1_usize, 2, 3];
        assert_eq!(words(here.as_ptr() as usize, 3), Some(vec![1, 2, 3]));
        assert!(can_read());
        for nowhere in [0, 8, 4096, usize::MAX - 7, here.as_ptr() as usize + 1] {
            assert_eq!(words(nowhere, 1), None, "{nowhere:x}");
        }
    }
}
