// Package discovery holds the kinds of discovery.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/discovery/v1
// +k8s:validation-gen-scheme-registry=nil
package discovery
