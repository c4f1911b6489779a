package bootstrap

import (
	"github.com/gantry-run/gantry/bootstrap/controlplane"
	"github.com/gantry-run/gantry/bootstrap/workers"
)

type masters = *controlplane.Operation

// createCluster makes a cluster of bare servers, or takes up a create that was cut.
func createCluster() phases[masters] {
	encrypts := condition[masters]{"another key is to encrypt", controlplane.Encrypts}
	return phases[masters]{name: "create cluster"}.
		then("connect to the masters", masters.Connect).
		then("find out what an earlier create left", masters.Identify).
		then("load the authorities, or make new ones", masters.LoadOrMakeAuthorities).
		then("preflight", masters.Preflight).
		then("prepare all masters at once", masters.Prepare).
		then("join etcd, one voter at a time", masters.JoinEtcd).
		then("start the nodes of new masters at once", masters.StartNodes).
		thenWhen(encrypts, "encrypt secrets with another key, one master at a time", masters.Encrypt).
		then("see that a master came up", masters.CheckUp)
}

// updateCluster grows, shrinks, moves and upgrades masters. New ones come before old
// ones go, but for the dead, since etcd takes no new member while one is down, and for
// those whose name goes to another server.
func updateCluster() phases[masters] {
	touched := condition[masters]{"masters are touched", func(o masters) bool { return len(o.Change.Touch) > 0 }}
	first := condition[masters]{"masters leave that are dead or move", controlplane.RemovesFirst}
	moves := condition[masters]{"masters move", controlplane.Moves}
	last := condition[masters]{"other masters leave", controlplane.RemovesLast}
	encrypts := condition[masters]{"another key is to encrypt", controlplane.Encrypts}
	return phases[masters]{name: "update cluster"}.
		then("connect to the masters", masters.Connect).
		then("load the authorities", masters.LoadAuthorities).
		then("mark the cluster as known", masters.MarkKnown).
		then("decide who leaves first", masters.OrderRemovals).
		thenWhen(first, "remove masters, one voter at a time", masters.RemoveFirst).
		thenWhen(moves, "see that the names are free", masters.CheckMoved).
		thenWhen(touched, "preflight", masters.Preflight).
		thenWhen(touched, "prepare all masters at once", masters.Prepare).
		thenWhen(touched, "join etcd or upgrade, one master at a time", masters.JoinEtcd).
		thenWhen(touched, "start the nodes of new masters at once", masters.StartNodes).
		thenWhen(last, "remove masters, one voter at a time", masters.RemoveLast).
		thenWhen(encrypts, "encrypt secrets with another key, one master at a time", masters.Encrypt).
		then("report", masters.End)
}

// destroyCluster makes every master as bare as it was.
func destroyCluster() phases[masters] {
	abandons := condition[masters]{"unreachable hosts are abandoned", func(o masters) bool { return o.AbandonUnreachable }}
	return phases[masters]{name: "destroy cluster"}.
		then("connect to the masters", masters.Connect).
		then("wipe all masters at once", masters.WipeAll).
		thenWhen(abandons, "give up the masters that are not reached", masters.Abandon)
}

type pool = *workers.Operation

// applyPool creates, grows, shrinks, moves, upgrades and destroys pools. Hosts are
// independent: all that is done on them is done at once.
func applyPool() phases[pool] {
	moves := condition[pool]{"hosts move", workers.Moves}
	joins := condition[pool]{"hosts are touched", workers.Joins}
	leaves := condition[pool]{"other hosts leave", workers.Removes}
	alone := condition[pool]{"no master is reached and the pool is destroyed", workers.NotReached}
	reached := condition[pool]{"a master is reached", workers.Reached}
	return phases[pool]{name: "apply pool"}.
		then("reach the cluster", pool.Reach).
		then("connect to the hosts", pool.Connect).
		thenWhen(alone, "wipe the hosts and give up those that are not reached", pool.Abandon).
		thenWhen(moves, "cordon, drain and remove the hosts that move", pool.RemoveMoving).
		thenWhen(moves, "see that the names are free", pool.CheckMoved).
		thenWhen(joins, "preflight", pool.Preflight).
		thenWhen(joins, "join the hosts", pool.Join).
		thenWhen(leaves, "cordon, drain and remove the hosts that leave", pool.RemoveOthers).
		thenWhen(reached, "report", pool.End)
}
