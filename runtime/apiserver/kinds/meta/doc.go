// Package meta holds the rules that are generated for the types of meta/v1, which
// those of all groups call. It imports nothing of ours.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/apimachinery/pkg/apis/meta/v1
// +k8s:validation-gen-scheme-registry=nil
package meta
