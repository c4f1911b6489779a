// Package registry maps rows of the kinds table to k8s.io/apiserver's generic
// registry: scheme, update rules, storage, tables and the subresources that are
// the same for every kind, and the few that belong to one kind (binding,
// eviction, logs, tokens …). It may import runtime/apiserver/kinds and the
// packages below it; it knows neither the HTTP server nor etcd.
package registry
