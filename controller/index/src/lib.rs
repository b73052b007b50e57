//! 1. Kubernetes watch -> typed tables -> the planner's inputs and dirty owners.
