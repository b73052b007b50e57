//! 3. Desired against replica -> changes -> one transaction; the only writer to NB.
