//! gRPC on TCP by mutual TLS.

use tokio_stream::wrappers::UnixListenerStream;

use super::{Bound, ServeError, attend, router};
use crate::{
    listen::Listener,
    shutdown::Shutdown,
    tls::{Identity, accept},
};

impl Bound {
    /// Serves members of `identity`'s installation until shutdown, as [`Bound::serve`] does. A unix
    /// socket is served without TLS: only its owner can open it.
    ///
    /// # Errors
    /// [`ServeError::Transport`].
    pub async fn serve_tls(self, identity: Identity, shutdown: Shutdown) -> Result<(), ServeError> {
        let router = router(self.routes);
        let listener = self.listener;
        let ended = shutdown.clone().cancelled_owned();
        let serving = async {
            match listener {
                Listener::Tcp(listener) => {
                    let incoming = accept(listener, identity);
                    router.serve_with_incoming_shutdown(incoming, ended).await
                }
                Listener::Unix(listener, _file) => {
                    let incoming = UnixListenerStream::new(listener);
                    router.serve_with_incoming_shutdown(incoming, ended).await
                }
            }
        };
        attend(Box::pin(serving), self.listen, self.health, shutdown).await
    }
}
