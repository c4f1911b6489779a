// Package networking holds the kinds of networking.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/networking/v1
// +k8s:validation-gen-scheme-registry=nil
package networking
