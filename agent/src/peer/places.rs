//! A limited number of places for connections, overall and for each caller.
//!
//! Whoever comes when all places are taken gets the place of the one who has sat there longest. Among those who have not
//! proven anything yet that is just, because an honest caller needs his place for milliseconds: the idle and the slow
//! lose theirs, and a flood from one address pushes out itself first. Among the connections of one known peer the
//! oldest is the one that died unnoticed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The places.
#[derive(Debug)]
pub(super) struct Places<K> {
    taken: Mutex<VecDeque<(K, Arc<Notify>)>>,
    places_max: usize,
    per_caller_max: usize,
}

/// One of them, given back when dropped.
#[derive(Debug)]
pub(super) struct Place<K> {
    places: Arc<Places<K>>,
    lost: Arc<Notify>,
}

impl<K: Copy + PartialEq> Places<K> {
    pub(super) fn new(places_max: usize, per_caller_max: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::new(VecDeque::new()),
            places_max,
            per_caller_max,
        })
    }

    /// Takes a place, at the cost of the oldest if need be.
    pub(super) fn take(self: &Arc<Self>, caller: K) -> Place<K> {
        let lost = Arc::new(Notify::new());
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let here = taken.iter().filter(|(of, _)| *of == caller).count();
        let leaves = if here >= self.per_caller_max {
            taken.iter().position(|(of, _)| *of == caller)
        } else if taken.len() >= self.places_max {
            Some(0)
        } else {
            None
        };
        if let Some((_, oldest)) = leaves.and_then(|at| taken.remove(at)) {
            oldest.notify_one();
        }
        taken.push_back((caller, Arc::clone(&lost)));
        debug_assert!(taken.len() <= self.places_max);
        Place {
            places: Arc::clone(self),
            lost,
        }
    }
}

impl<K> Place<K> {
    /// Waits until somebody else has got this place.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl<K> Drop for Place<K> {
    fn drop(&mut self) {
        self.places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(_, lost)| !Arc::ptr_eq(lost, &self.lost));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    async fn is_lost(place: &Place<IpAddr>) -> bool {
        timeout(Duration::ZERO, place.lost()).await.is_ok()
    }

    #[tokio::test]
    async fn the_oldest_of_the_same_caller_leaves_first_then_the_oldest_of_all() {
        let places = Places::new(4, 2);
        let honest = places.take(address(1));
        let first = places.take(address(2));
        let second = places.take(address(2));
        let third = places.take(address(2));
        assert!(!is_lost(&honest).await && is_lost(&first).await);
        assert!(!is_lost(&second).await && !is_lost(&third).await);
        let _fourth = places.take(address(3));
        let _fifth = places.take(address(4));
        assert!(is_lost(&honest).await);
        assert_eq!(places.taken.lock().unwrap().len(), 4);
    }

    #[tokio::test]
    async fn a_place_that_was_left_is_free() {
        let places = Places::new(2, 2);
        let stays = places.take(address(1));
        for _ in 0..10 {
            drop(places.take(address(2)));
        }
        assert!(!is_lost(&stays).await);
        assert_eq!(places.taken.lock().unwrap().len(), 1);
    }
}
