//! The gRPC interfaces between the programs, versioned by package.
