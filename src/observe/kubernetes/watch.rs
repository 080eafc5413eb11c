//! Objects kept in view: listed once, then followed by a watch, so that a look costs no request and a change is known at once.
//!
//! A look takes what is kept only while its watch is known to run. Where it was lost, or is just being taken up again, the look reads for
//! itself. A lost watch goes on from the version that it had; where that is gone (410), everything is listed anew. Who may not list or
//! watch is asked again once a minute, and looks read for themselves meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Error, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::observe::wake::Wake;

/// How long a watch may last, and be of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// After this the server ends a watch, and the next one goes on from there; a connection that has died unseen is known by it, too.
    pub lasts: Duration,
    /// What nobody has looked at for so long is not watched any more.
    pub idle: Duration,
    /// After a watch began: what happened before may still be on its way.
    pub settles: Duration,
    /// The longest time between two tries.
    pub pause: Duration,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            settles: Duration::from_millis(300),
            pause: Duration::from_secs(30),
        }
    }
}

/// Which objects of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Which {
    Named(String),
    /// A label selector.
    Labelled(String),
}

impl Which {
    fn list(&self) -> ListParams {
        match self {
            Self::Named(name) => ListParams::default().fields(&format!("metadata.name={name}")),
            Self::Labelled(labels) => ListParams::default().labels(labels),
        }
    }

    fn watch(&self, lasts: Duration) -> WatchParams {
        let params = WatchParams::default().timeout(u32::try_from(lasts.as_secs()).unwrap_or(30).clamp(1, 290));
        match self {
            Self::Named(name) => params.fields(&format!("metadata.name={name}")),
            Self::Labelled(labels) => params.labels(labels),
        }
    }
}

/// Namespace and which → what is kept of it.
type Places<T> = HashMap<(String, Which), Arc<Place<T>>>;

/// What is kept of one kind of object.
pub(super) struct Shelf<T> {
    places: Mutex<Places<T>>,
}

/// Objects of one list.
struct Place<T> {
    objects: Mutex<Objects<T>>,
}

struct Objects<T> {
    by_name: BTreeMap<String, Arc<T>>,
    /// The watch runs, so these are all there are.
    whole: bool,
    used: Instant,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

impl<T> Place<T> {
    fn lock(&self) -> MutexGuard<'_, Objects<T>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: PartialEq + Send + Sync + 'static> Shelf<T> {
    /// What is there now; `None` where that is not known, and the caller must read. Begins a watch where there is none. Must be called
    /// inside the runtime.
    pub(super) fn look<K>(
        self: &Arc<Self>,
        namespace: &str,
        which: Which,
        api: &Api<K>,
        take: fn(K) -> Option<T>,
        (watching, wake): (Watching, &Arc<Wake>),
    ) -> Option<Vec<Arc<T>>>
    where
        K: ResourceExt + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let key = (namespace.to_owned(), which);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places.get(&key) {
            let mut objects = place.lock();
            objects.used = Instant::now();
            return objects.whole.then(|| objects.by_name.values().cloned().collect());
        }
        let objects = Objects { by_name: BTreeMap::new(), whole: false, used: Instant::now() };
        let place = Arc::new(Place { objects: Mutex::new(objects) });
        places.insert(key.clone(), Arc::clone(&place));
        let keeper = Keeper { api: api.clone(), which: key.1.clone(), take, watching, wake: Arc::clone(wake), place };
        let shelf = Arc::downgrade(self);
        tokio::spawn(async move {
            keeper.keep().await;
            if let Some(shelf) = shelf.upgrade() {
                shelf.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            }
        });
        None
    }
}

struct Keeper<K, T> {
    api: Api<K>,
    which: Which,
    take: fn(K) -> Option<T>,
    watching: Watching,
    wake: Arc<Wake>,
    place: Arc<Place<T>>,
}

/// Why a watch is over.
enum End {
    /// The server's time limit.
    Time,
    /// The version is too old.
    Gone,
    Lost,
    /// Not allowed, or not served.
    Refused,
}

impl<K, T> Keeper<K, T>
where
    K: ResourceExt + Clone + DeserializeOwned + Debug + Send + 'static,
    T: PartialEq + Send + Sync + 'static,
{
    /// Until nobody looks any more.
    async fn keep(self) {
        let mut version: Option<String> = None;
        let mut failures = 0u32;
        while self.place.lock().used.elapsed() < self.watching.idle {
            let end = match version.take() {
                None => match self.list().await {
                    Ok(listed) => {
                        version = Some(listed);
                        continue;
                    }
                    Err(end) => end,
                },
                Some(from) => {
                    let start = Instant::now();
                    let (end, reached) = self.watch(from).await;
                    version = Some(reached);
                    // Who ends each watch as soon as it begins is not asked without a pause.
                    if matches!(end, End::Time) && start.elapsed() < self.watching.lasts / 2 { End::Lost } else { end }
                }
            };
            self.place.lock().whole = false;
            let pause = match end {
                End::Time => {
                    failures = 0;
                    continue;
                }
                End::Gone => {
                    version = None;
                    failures += 1;
                    Duration::from_millis(100)
                }
                End::Lost => {
                    failures += 1;
                    Duration::from_millis(250 << failures.min(8))
                }
                End::Refused => {
                    version = None;
                    Duration::from_secs(60)
                }
            };
            // A change of what can be seen is news, too.
            self.wake.ring();
            tokio::time::sleep(pause.min(self.watching.pause)).await;
        }
    }

    /// Lists everything. Gives the list's version.
    async fn list(&self) -> Result<String, End> {
        let list = tokio::time::timeout(Duration::from_secs(10), self.api.list(&self.which.list())).await;
        let list = list.map_err(|_| End::Lost)?.map_err(|error| end(&error))?;
        let version = list.metadata.resource_version.clone().ok_or(End::Refused)?;
        let found: BTreeMap<String, Arc<T>> =
            list.items.into_iter().filter_map(|item| Some((item.name_any(), Arc::new((self.take)(item)?)))).collect();
        let mut objects = self.place.lock();
        let changed = objects.by_name != found;
        objects.by_name = found;
        drop(objects);
        if changed {
            self.wake.ring();
        }
        Ok(version)
    }

    /// Follows what happens after a version. Gives the last version that was heard of.
    async fn watch(&self, mut version: String) -> (End, String) {
        let params = self.which.watch(self.watching.lasts);
        let begun = tokio::time::timeout(Duration::from_secs(10), self.api.watch(&params, &version)).await;
        let events = match begun {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return (end(&error), version),
            Err(_) => return (End::Lost, version),
        };
        let mut events = pin!(events);
        let start = Instant::now();
        let (settled, over) = (start + self.watching.settles, start + self.watching.lasts + Duration::from_secs(10));
        loop {
            let whole = self.place.lock().whole;
            let until = if whole { over } else { settled };
            let Ok(event) = tokio::time::timeout_at(until, events.next()).await else {
                if whole {
                    return (End::Lost, version);
                }
                self.place.lock().whole = true;
                continue;
            };
            match event {
                None => return (End::Time, version),
                Some(Ok(WatchEvent::Bookmark(bookmark))) => version = bookmark.metadata.resource_version,
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    version = object.resource_version().unwrap_or(version);
                    let name = object.name_any();
                    let taken = (self.take)(object).map(Arc::new);
                    let mut objects = self.place.lock();
                    let before = match taken {
                        Some(taken) if objects.by_name.get(&name) == Some(&taken) => continue,
                        Some(taken) => objects.by_name.insert(name, taken),
                        None => objects.by_name.remove(&name),
                    };
                    drop((objects, before));
                    self.wake.ring();
                }
                Some(Ok(WatchEvent::Deleted(object))) => {
                    version = object.resource_version().unwrap_or(version);
                    self.place.lock().by_name.remove(&object.name_any());
                    self.wake.ring();
                }
                Some(Ok(WatchEvent::Error(status))) => return (of_code(status.code), version),
                Some(Err(error)) => return (end(&error), version),
            }
            if self.place.lock().used.elapsed() >= self.watching.idle {
                return (End::Time, version);
            }
        }
    }
}

fn end(error: &Error) -> End {
    match error {
        Error::Api(status) => of_code(status.code),
        _ => End::Lost,
    }
}

fn of_code(code: u16) -> End {
    match code {
        410 => End::Gone,
        401 | 403 | 404 | 405 => End::Refused,
        _ => End::Lost,
    }
}
