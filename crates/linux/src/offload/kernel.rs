//! Offloads through ethtool's ioctl, on a thread inside the link's namespace.

use super::{TxChecksum, diff};
use crate::{Error, LinkName, Namespace, ffi};

/// The setting of the link `name`.
///
/// # Errors
/// When there is no such link, or its driver does not tell.
pub async fn observe(namespace: &Namespace, name: &LinkName) -> Result<TxChecksum, Error> {
    let link = name.clone();
    let setting = namespace.run(move || ffi::tx_checksum(&link)).await?;
    setting.map_err(|source| Error::kernel(format!("read the offloads of {name}"), source))
}

/// Changes the setting of the link `name`.
///
/// # Errors
/// When there is no such link, or its driver refuses.
pub async fn apply(
    namespace: &Namespace,
    name: &LinkName,
    change: TxChecksum,
) -> Result<(), Error> {
    let link = name.clone();
    let result = namespace
        .run(move || ffi::set_tx_checksum(&link, change))
        .await?;
    result.map_err(|source| Error::kernel(format!("set an offload of {name}"), source))
}

/// Makes the setting of the link `name` as desired. Returns the number of changes.
///
/// # Errors
/// As [`observe`] and [`apply`].
pub async fn reconcile(
    namespace: &Namespace,
    name: &LinkName,
    desired: TxChecksum,
) -> Result<usize, Error> {
    match diff(desired, observe(namespace, name).await?) {
        Some(change) => apply(namespace, name, change).await.map(|()| 1),
        None => Ok(0),
    }
}
