//! The built plugin, with and without a daemon: what it forwards, prints and exits with.

#[cfg(test)]
mod shim {
    mod answers;
    mod daemon;
    mod errors;
    mod plugin;
}
