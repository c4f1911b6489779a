// Package registry maps rows of the kinds table to k8s.io/apiserver's generic
// registry: scheme with versions and conversion, update rules, storage, tables, and
// the subresources. Those that are the same for every kind follow from the row's
// fields; those of one kind (binding, eviction, logs, tokens …), and reviews, are
// named in the row and bound to what they need by [Binder].
//
// It may import runtime/apiserver/kinds, services, tokens, runtime/addr and runtime/pod; it
// knows neither the HTTP server nor etcd.
package registry
