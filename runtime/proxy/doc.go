// Package proxy forwards Services to pods: it compiles Services and
// EndpointSlices into one nftables table of this node, and prefers endpoints
// on the caller's own node, by weight where nobody says otherwise.
//
// The flow is one way: objects → rules of one Service (compile.go, pure) →
// changes of the whole (ruleset.go, pure) → one transaction (table.go). It may
// import runtime/client and runtime/config.
package proxy
