// Package rbac holds the kinds of rbac.authorization.k8s.io.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/rbac/v1
// +k8s:validation-gen-scheme-registry=nil
package rbac
