//! The project's own commands: test, codegen, tidy, bench.

fn main() {}
