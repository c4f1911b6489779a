// Package provider is HCL and Terraform's protocol on one side and the engine of
// package bootstrap on the other: schema, plan, state, diagnostics. Resources are
// thin: model → spec → one engine call → state. It may import bootstrap and its
// packages.
package provider
