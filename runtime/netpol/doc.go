// Package netpol enforces NetworkPolicies on the pods of a node, in one nftables table
// that forwarded packets pass after a Service's address has become its endpoint's.
//
// The flow is one way: a NetworkPolicy → what it means (policy.go, pure) → the rules of
// this node, kept up to date event by event (state.go, ruleset.go, pure) → one
// transaction per change (table.go). A pod of this node is known by the name of its
// link, which follows from its UID: it is isolated from the moment it is bound, before
// it has an address, and a link that is not known yet passes nothing. Other pods are
// known by address.
//
// The first NetworkPolicy of a cluster starts all of it, the last one ends it: without
// any the table is empty, and of pods and namespaces nothing is followed. The table
// stands once the policies are known, and outlives this process: runtime/network waits
// for it before it attaches a pod, and has pods send from their own addresses alone. It
// may import runtime/client and runtime/config.
package netpol
