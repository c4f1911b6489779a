// Package devices hands the devices of device plugins to containers: it takes up the
// plugins that register on a socket of the node, watches what they have, chooses devices
// for the pods that ask for them, and keeps what was chosen in each pod's directory, so
// that it holds over a restart of this process. While no plugin is there it only listens.
//
// The protocol is v1beta1 of the kubelet's device plugin API:
// https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
//
// It may import runtime/durable, runtime/pod, and of the kubelet admit, container and
// poddir.
package devices
