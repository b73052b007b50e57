//! Watches: the API server's events into the index.

use std::convert::Infallible;
use std::fmt::Debug;

use controller_index::{Listing, Shared, Watched};
use futures::StreamExt;
use kit::shutdown::Shutdown;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde::de::DeserializeOwned;

/// So many objects are listed at a time: after a restart pods wait for the lists of pods and
/// records, and each page costs a while beside its objects; all at once would take the memory.
const PAGE: u32 = 1000;

/// Follows one kind until shutdown. A list is taken over as a whole when it is complete, so that
/// what vanished while nobody watched vanishes here too.
pub(crate) async fn watch<K>(
    client: Client,
    index: Shared,
    shutdown: Shutdown,
) -> Result<(), Infallible>
where
    K: Watched + kube::Resource<DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + 'static,
{
    let objects: Api<K> = Api::all(client);
    let config = watcher::Config::default().page_size(PAGE);
    let events =
        watcher::watcher(objects, kit::watch::config(config)).backoff(kit::watch::backoff());
    let mut events = std::pin::pin!(events);
    let mut listed: Listing<K> = Listing::default();
    while let Some(Some(event)) = shutdown.run_until_cancelled(events.next()).await {
        match event {
            Ok(Event::Init) => listed = Listing::default(),
            Ok(Event::InitApply(object)) => listed.push(&object),
            Ok(Event::InitDone) => {
                let all = std::mem::take(&mut listed);
                tracing::debug!(kind = K::KIND.name(), objects = all.len(), "Listed");
                index.write(|index| index.replace(all));
            }
            Ok(Event::Apply(object)) => index.write(|index| index.apply(&object)),
            Ok(Event::Delete(object)) => index.write(|index| index.delete(&object)),
            Err(error) => {
                let error = kit::error::Chain(&error);
                tracing::warn!(kind = K::KIND.name(), %error, "Watch failed, trying again");
            }
        }
    }
    Ok(())
}
