// Package kinds is the table of the API's kinds: one row each, with its names,
// defaulting, validation, update rules, columns and selectable fields as pure
// functions over the published v1 types. The row and its functions are all that
// one reads to learn a kind, or writes to add one.
//
// It knows nothing of k8s.io/apiserver, storage or the network; it may import
// k8s.io/api and k8s.io/apimachinery, and nothing of ours. The adapter in
// runtime/apiserver maps rows to the generic registry.
package kinds
