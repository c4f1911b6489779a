// Command gantry-conformance runs Kubernetes' conformance suite, as upstream has
// built it and with its own time-outs, against a cluster on the lab's servers:
// one master and two workers with the default configuration. It serves the suite's
// images from a registry on the lab's network, writes down what passed and what
// failed and why, and fails when a spec fails that passed before.
//
// The flow is one way: servers and images (cluster.go) → the suite (suite.go) → what
// it reports (results.go) → the document and the verdict (document.go, main.go).
package main
