// Package dns is the cluster's DNS: CoreDNS as a library, one process on every
// node. Each node holds the cluster DNS address itself, on a dummy interface,
// so that a pod's question never leaves its node and needs no translation. It
// may import runtime/client and runtime/config.
package dns
