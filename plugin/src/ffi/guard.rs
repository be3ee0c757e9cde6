//! Every way in from the server leads through here: a panic of ours ends here and is logged.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::server::Level;

/// Runs `body`; when it panics, logs that and returns `fallback`.
pub fn guard<R>(entry: &str, fallback: R, body: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => {
            // A second panic, in the logging, must not get out either.
            let logged = catch_unwind(AssertUnwindSafe(|| {
                super::log::line(
                    Level::Error,
                    &format!("a panic in {entry} was stopped: {}", message(&*panic)),
                );
            }));
            // Dropping a payload runs code of whoever panicked; rather leak it.
            std::mem::forget(panic);
            if let Err(second) = logged {
                std::mem::forget(second);
            }
            fallback
        }
    }
}

/// What a panic said.
pub fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_fallback() {
        assert_eq!(guard("a test", 7, || panic!("on purpose")), 7);
        assert_eq!(guard("a test", 7, || 3), 3);
    }
}
