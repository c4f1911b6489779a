// Package replicaset keeps the number of pods that each ReplicaSet asks for.
package replicaset
