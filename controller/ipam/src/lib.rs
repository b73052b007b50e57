//! 5. Addresses that must be recorded before they are used: allocation as set arithmetic; pure.
