// Package userns gives each pod with hostUsers: false a range of the server's users and
// groups, which no other pod has and nobody else on the server. What is given is in the
// pod's directory and goes with it. It may import runtime/kubelet/container and
// runtime/kubelet/poddir.
package userns
