// Package machine is what any server goes through on its way into a cluster and out
// of it, master or worker: preflight, the steps of its node, the comparison with what
// it should be, the drain of its Node, and the wipe. Files use those below them:
// remove, lost, preflight, reach, observe, join, machine. It may import what those
// concerns are in (bootstrap/access, drain, fleet, install, nodes, preflight, step,
// wipe), bootstrap/bundle, bootstrap/spec and runtime/config.
package machine
