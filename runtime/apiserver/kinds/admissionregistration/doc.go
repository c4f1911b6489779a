// Package admissionregistration holds the kinds of
// admissionregistration.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/admissionregistration/v1
// +k8s:validation-gen-scheme-registry=nil
package admissionregistration
