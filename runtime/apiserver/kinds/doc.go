// Package kinds is the table of the API's kinds. Below it is a package per API
// group, and in that a file per kind with its whole row: names, versions, storage,
// subresources, defaulting, validation, update rules, columns and selectable
// fields, as pure functions over the published types. The row is all that one
// reads to learn a kind; a new one is a file and a line in its group's Kinds.
//
// Packages below it know nothing of k8s.io/apiserver, storage or the network. They
// may import k8s.io/api, k8s.io/apimachinery and runtime/pod; registry maps rows to
// the generic registry.
package kinds
