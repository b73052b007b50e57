//! The process: arguments, telemetry, metrics, admin HTTP, gRPC health, named tasks, back-off.
