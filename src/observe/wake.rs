//! A bell: whoever watches rings it, whoever waits hears it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What rang since the last wait is heard by the next one.
#[derive(Debug, Default)]
pub struct Wake {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Wake {
    pub fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.bell.notify_all();
    }

    /// Waits until it rings, at most this long. Says whether it rang.
    pub fn wait(&self, longest: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self.bell.wait_timeout_while(rung, longest, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rung)
    }
}
