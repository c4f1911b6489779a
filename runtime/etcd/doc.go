// Package etcd is the cluster's store: one etcd member, embedded in our binary
// and run as a process of its own. Clients and peers are served over mutual TLS
// only. It may import runtime/config.
package etcd
