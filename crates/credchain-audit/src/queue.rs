//! What was noted and is not written yet.

use std::collections::VecDeque;
use std::time::SystemTime;

use crate::gap::{Gap, GapReason};
use crate::writer::Pending;

/// How many events wait at most.
pub(crate) const CAPACITY: usize = 1024;

/// How many are written at once.
pub(crate) const BATCH: usize = 64;

/// Events in the order in which they were noted, of bounded number.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    events: VecDeque<Pending>,
    /// How many had no room, and since when.
    dropped: Option<(u64, SystemTime)>,
}

impl Queue {
    /// Puts an event at the end, or counts it if there is no room.
    pub(crate) fn push(&mut self, event: Pending) {
        if self.events.len() < CAPACITY {
            self.events.push_back(event);
        } else {
            self.drop_one(event.stamp.at);
        }
    }

    /// Takes out what is to be written next.
    pub(crate) fn take(&mut self) -> Batch {
        let count = self.events.len().min(BATCH);
        Batch {
            events: self.events.drain(..count).collect(),
            dropped: self.dropped.take(),
        }
    }

    /// Takes back what could not be written.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        for event in batch.events.into_iter().rev() {
            if self.events.len() < CAPACITY {
                self.events.push_front(event);
            } else {
                self.drop_one(event.stamp.at);
            }
        }
        if let Some((count, since)) = batch.dropped {
            let (more, later) = self.dropped.unwrap_or((0, since));
            self.dropped = Some((count.saturating_add(more), since.min(later)));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped.is_none()
    }

    /// How many had no room and are not in the log's account of itself yet.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.map_or(0, |(count, _)| count)
    }

    fn drop_one(&mut self, at: SystemTime) {
        let (count, since) = self.dropped.unwrap_or((0, at));
        self.dropped = Some((count.saturating_add(1), since.min(at)));
    }
}

/// Events that are written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Pending>,
    dropped: Option<(u64, SystemTime)>,
}

impl Batch {
    /// What is to be said before them.
    pub(crate) fn gap(&self) -> Option<Gap> {
        self.dropped.map(|dropped| Gap {
            dropped: Some(dropped),
            ..Gap::new(GapReason::Dropped)
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped.is_none()
    }
}

#[cfg(test)]
mod tests {
    use credchain_core::Clock;

    use super::*;
    use crate::action::Action;
    use crate::event::Event;
    use crate::writer::Stamp;

    fn pending(generation: u64) -> Pending {
        Pending {
            event: Event::new(Action::Resolve).generation(generation),
            stamp: Stamp::now(&Clock::system()).unwrap(),
        }
    }

    fn order(queue: &mut Queue) -> Vec<String> {
        let mut order = Vec::new();
        while !queue.is_empty() {
            let batch = queue.take();
            order.extend(
                batch
                    .events
                    .iter()
                    .map(|event| format!("{:?}", event.event)),
            );
        }
        order
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let mut queue = Queue::default();
        for number in 0..CAPACITY as u64 + 7 {
            queue.push(pending(number));
        }
        assert_eq!((queue.len(), queue.dropped()), (CAPACITY, 7));
        assert!(queue.take().gap().is_some() && queue.take().gap().is_none());
        assert_eq!(queue.len(), CAPACITY - 2 * BATCH);
    }

    #[test]
    fn what_could_not_be_written_comes_first_again() {
        let mut queue = Queue::default();
        let mut same = Queue::default();
        for number in 0..=CAPACITY as u64 {
            queue.push(pending(number));
            same.push(pending(number));
        }
        let batch = queue.take();
        queue.put_back(batch);
        assert_eq!(queue.dropped(), 1);
        assert_eq!(order(&mut queue), order(&mut same));
        // What was noted meanwhile takes the place of what comes back.
        let mut queue = Queue::default();
        queue.push(pending(0));
        let batch = queue.take();
        for number in 0..CAPACITY as u64 {
            queue.push(pending(number));
        }
        queue.put_back(batch);
        assert_eq!((queue.len(), queue.dropped()), (CAPACITY, 1));
    }
}
