// Package core decides where a pod goes. It holds the state of the cluster as
// compiled nodes and pods, kept up to date change by change, and answers one
// question: on which node is this pod placed, or why on none. It knows no API
// client, no clock and no randomness: ties are broken by a function that is passed
// in, so equal input gives equal placements.
//
// A decision runs through three stages:
//
//  1. prepare: what is the same for all nodes is computed once per pod (matching
//     counts of affinity and spread constraints by topology).
//  2. filter: which nodes can take the pod, in order of cost; with many nodes the
//     search ends when enough are found (see sampleSize).
//  3. score: the feasible nodes are rated 0–100 by each scorer, weighted, summed.
//
// A Cluster is not safe for concurrent use: its owner serializes access.
package core
