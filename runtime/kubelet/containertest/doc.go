// Package containertest is a model of a container runtime and its image store, for the
// tests of the rooms that work with one. Containers in it run programs on paper, by the
// clock of the test (testing/synctest), and it can be away, slow, or fail in the middle.
// It may import runtime/kubelet/container.
package containertest
