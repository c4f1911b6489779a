// Package certificates holds the kinds of certificates.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/certificates/v1
// +k8s:validation-gen-scheme-registry=nil
package certificates
