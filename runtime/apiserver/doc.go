// Package apiserver serves the Kubernetes API: the kinds of the table, custom
// resources and aggregated APIs, on top of k8s.io/apiserver and etcd.
//
// Read server.go first: it is the order in which a server is put together. The
// parts have packages of their own below this one: kinds (what a kind is),
// registry (how it is stored and served), tokens, rbac, nodeauth (who may do
// what), revoked (whose certificates are refused), admission, services (addresses),
// reconcilers (the endpoints of the masters), poststarthook (what every cluster
// has), openapi.
//
// It may import runtime/config and the packages below it. With runtime/etcd it is
// the only one that knows a store.
package apiserver
