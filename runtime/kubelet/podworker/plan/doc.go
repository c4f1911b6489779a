// Package plan decides what a pod needs next: which of its containers are to be
// started, ended or resized, and in which order. Everything in it is pure: the same view
// gives the same decision. It may import runtime/pod and runtime/kubelet/container.
package plan
