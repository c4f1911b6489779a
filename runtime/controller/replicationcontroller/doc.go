// Package replicationcontroller keeps the pods of every ReplicationController: each is
// reconciled as the ReplicaSet that means the same, by the controller of those.
package replicationcontroller
