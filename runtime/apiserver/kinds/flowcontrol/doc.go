// Package flowcontrol holds the kinds of flowcontrol.apiserver.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/flowcontrol/v1
// +k8s:validation-gen-scheme-registry=nil
package flowcontrol
