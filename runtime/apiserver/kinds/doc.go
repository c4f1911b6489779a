// Package kinds is the table of the API's kinds. Below it is a package per API
// group, and in that a file per kind with its whole row: names, versions, storage,
// subresources, defaulting, validation, update rules, columns and selectable
// fields, as pure functions over the published types. The row is all that one
// reads to learn a kind; a new one is a file and a line in its group's Kinds.
//
// What the published types declare by +default and +k8s: tags is generated, for the
// groups that have such tags; by hand is what no tag says. Generated defaults come
// first. Regenerate
// after a change of the k8s.io versions:
//
//	go generate ./runtime/apiserver/kinds
//
// Packages below it know nothing of k8s.io/apiserver, storage or the network. They
// may import k8s.io/api, k8s.io/apimachinery and runtime/pod; registry maps rows to
// the generic registry.
package kinds

//go:generate go tool validation-gen --go-header-file=../openapi/header.txt --output-file=zz_generated.validations.go --readonly-pkg=k8s.io/api/scheduling/v1alpha3,k8s.io/apimachinery/pkg/api/resource,k8s.io/apimachinery/pkg/runtime,k8s.io/apimachinery/pkg/runtime/schema,k8s.io/apimachinery/pkg/types,k8s.io/apimachinery/pkg/util/intstr,time ./meta ./admissionregistration ./apps ./autoscaling ./batch ./certificates ./core ./discovery ./flowcontrol ./networking ./node ./rbac ./resource ./storage
//go:generate go tool defaulter-gen --go-header-file=../openapi/header.txt --output-file=zz_generated.defaults.go ./core ./apps ./batch
