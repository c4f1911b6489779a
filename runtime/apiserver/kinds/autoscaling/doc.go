// Package autoscaling holds the kinds of autoscaling.
//
// +k8s:validation-gen=TypesWithField=TypeMeta
// +k8s:validation-gen-input=k8s.io/api/autoscaling/v2
// +k8s:validation-gen-scheme-registry=nil
package autoscaling
