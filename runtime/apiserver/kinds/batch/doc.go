// Package batch holds the kinds of batch. It imports core for the pod
// templates.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/batch/v1
// +k8s:validation-gen-scheme-registry=nil
// +k8s:defaulter-gen=TypeMeta
// +k8s:defaulter-gen-input=k8s.io/api/batch/v1
package batch
