// Package dra has the drivers of the node prepare the devices that ResourceClaims of its
// pods were allocated, before the pods' containers start, and unprepare them after the last
// of the pods has ended. What is prepared is kept on disk before a driver is asked: whatever
// happens to this process, nothing is left prepared.
//
// The protocol is v1 of the kubelet's DRA plugin API:
// https://github.com/kubernetes/kubelet/tree/master/pkg/apis/dra/v1
//
// It may import runtime/durable, and of the kubelet container.
package dra
