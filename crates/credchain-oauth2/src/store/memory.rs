//! In memory, for one program.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use credchain_core::{Context, Result, async_trait};
use tokio::sync::OwnedMutexGuard;

use super::{Backend, Enough, Record, Turn};
use crate::key::Key;

type Slot = Arc<tokio::sync::Mutex<Option<Record>>>;

#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Slot>>);

impl Memory {
    fn slot(&self, key: &Key) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(key.as_str().to_owned()).or_default().clone()
    }
}

#[async_trait]
impl Backend for Memory {
    async fn peek(&self, key: &Key, _: &Context) -> Result<Option<Record>> {
        let slot = self.slot(key);
        Ok(slot.try_lock().ok().and_then(|record| record.clone()))
    }

    async fn enter(
        &self,
        key: &Key,
        _: &Enough<'_>,
        cx: &Context,
    ) -> Result<Option<Box<dyn Turn>>> {
        let slot = self.slot(key);
        let guard = cx.in_time(async { Ok(slot.lock_owned().await) }).await?;
        Ok(Some(Box::new(Held(guard))))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

#[derive(Debug)]
struct Held(OwnedMutexGuard<Option<Record>>);

#[async_trait]
impl Turn for Held {
    async fn load(&mut self) -> Result<Option<Record>> {
        Ok(self.0.clone())
    }

    async fn save(&mut self, record: &Record) -> Result<()> {
        *self.0 = Some(record.clone());
        Ok(())
    }

    async fn clear(&mut self) -> Result<()> {
        *self.0 = None;
        Ok(())
    }
}
