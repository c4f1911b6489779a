// Package storage holds the kinds of storage.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/storage/v1
// +k8s:validation-gen-scheme-registry=nil
package storage
