//! The client against servers that are old, broken or hostile.

#[cfg(test)]
mod broken;
#[cfg(test)]
mod old;
#[cfg(test)]
mod peer;
