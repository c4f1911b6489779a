// Package node holds the kinds of node.k8s.io. It imports core for tolerations.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/node/v1
// +k8s:validation-gen-scheme-registry=nil
package node
