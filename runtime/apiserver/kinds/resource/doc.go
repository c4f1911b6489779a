// Package resource holds the kinds of resource.k8s.io: devices, and who asks for them.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/resource/v1
// +k8s:validation-gen-scheme-registry=nil
package resource
