// Package bootstrap turns servers into a cluster and back. operations.go is the
// story: what each operation does, as a list of named phases with conditions, which
// one runner (phases.go) walks. The phases of masters are in package controlplane,
// those of pools in package workers; what only looks is beside them: observe,
// preflight, preview, import, status, facts. Files use those below them: bootstrap and
// those that look, operations, phases, runlock, engine. It may import its own
// packages, runtime/config and runtime/client.
package bootstrap
