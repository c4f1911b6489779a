// Package apps holds the kinds of apps. It imports core for the pod templates.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/apps/v1
// +k8s:validation-gen-scheme-registry=nil
// +k8s:defaulter-gen=TypeMeta
// +k8s:defaulter-gen-input=k8s.io/api/apps/v1
package apps
