// Package pod says what a pod means, once for the API server, the scheduler, the
// controllers and the kubelet: its QoS class, its effective requests and limits, its
// containers and their order, its host ports, what it tolerates, its conditions.
//
// Everything here is pure: functions of API objects and of values that are passed
// in. It imports nothing of ours.
package pod
