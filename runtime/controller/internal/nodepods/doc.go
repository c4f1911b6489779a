// Package nodepods finds the pods on a node in the shared informer of pods.
//
// It imports its sibling package reconcile.
package nodepods
