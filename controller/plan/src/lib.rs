//! 2. The planner: inputs -> desired rows of the OVN northbound database; pure.
