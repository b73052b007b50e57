//! 4. Allocations, problems and outcomes -> Kubernetes objects.
