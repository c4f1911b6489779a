// Package core holds the kinds of the core group (v1). What a pod spec may say
// is here too, for the groups whose kinds hold a pod template.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/core/v1
// +k8s:validation-gen-scheme-registry=nil
// +k8s:defaulter-gen=TypeMeta
// +k8s:defaulter-gen-input=k8s.io/api/core/v1
package core
