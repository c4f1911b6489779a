// Package ledger answers, for each field of each served type, what the cluster does with
// it: it is enforced (by a file, as a test shows), refused (with an error), accepted with
// a warning that nothing acts on it, dropped because its feature is off as it is
// upstream, inert for a reason that upstream shares, or a status that is not written. The
// answers are in fields/*.yaml; docs/kubernetes.md is made of them. Its test fails for a field without an answer, so
// that a new version of k8s.io/api brings none in unseen.
//
// It imports the kinds, and is imported by its generator and tests alone.
package ledger

//go:generate go run ./generate -out ../../../../docs/kubernetes.md -version v1.37.2
