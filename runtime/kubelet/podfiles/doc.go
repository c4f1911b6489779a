// Package podfiles computes and writes the files of the network that every container
// of a pod has: /etc/hosts, /etc/hostname and /etc/resolv.conf. It may import
// runtime/kubelet/poddir.
package podfiles
