package core

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestWhatANewPodHasNot(t *testing.T) {
	const bare = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: {containers: [{name: a, image: b}]}"
	c := func(name, to, want string) kindtest.Case {
		return kindtest.Change(name, bare, "containers:", to+" containers:", want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("debug containers", "ephemeralContainers: [{name: d, image: e}],", "spec.ephemeralContainers: Forbidden: cannot be set on create"),
		c("a node behind gates", "nodeName: n, schedulingGates: [{name: a}],", "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"),
		c("gates", "schedulingGates: [{name: a}],", ""),
		c("a node", "nodeName: n,", ""),
		kindtest.Change("a mirror of no node's", bare, "namespace: b", "namespace: b, annotations: {kubernetes.io/config.mirror: x}", "must set spec.nodeName if mirror pod annotation is set"),
		kindtest.Change("a mirror", strings.Replace(bare, "containers:", "nodeName: n, containers:", 1), "namespace: b", "namespace: b, annotations: {kubernetes.io/config.mirror: x}", ""),
	})
}

func TestAMirrorStaysOne(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {annotations: {a: b}}\nspec: {nodeName: n, containers: [{name: a, image: b}]}\nstatus: {qosClass: BestEffort}"
	const path = `metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not `
	const refused, refusedNew = path + "remove or update mirror pod annotation", path + "add mirror pod annotation"
	mirror := strings.Replace(pod, "a: b}", "kubernetes.io/config.mirror: x}", 1)
	cases := []kindtest.Case{
		kindtest.Change("added", pod, "a: b}", "kubernetes.io/config.mirror: ''}", refusedNew),
		kindtest.Change("removed", mirror, "kubernetes.io/config.mirror: x", "a: b", refused),
		kindtest.Change("changed", mirror, "mirror: x", "mirror: z", refused),
		kindtest.Change("kept", mirror, "mirror: x", "mirror: x, a: b", ""),
	}
	kindtest.Update(t, Kinds(), cases)
	kindtest.UpdateStatus(t, Kinds(), cases)
}

func TestPodUpdate(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePod, from, to, want)
	}
	const other = "pod updates may not change fields other than"
	gated := "apiVersion: v1\nkind: Pod\nspec: {schedulingGates: [{name: a}, {name: b}], nodeSelector: {a: b}, containers: [{name: a, image: b}]}"
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("nothing", "", "", ""),
		c("image", "nginx:1.27", "nginx:1.28", ""),
		c("image of an init container", "setup:1", "setup:2", ""),
		c("command", "imagePullPolicy: Always", "command: [sh]", other),
		c("container added", "  containers:", "  containers:\n  - {name: more, image: a}", "may not add or remove containers"),
		c("init container removed", "  - {name: setup, image: \"setup:1\"}\n", "", "may not add or remove containers"),
		c("node selector", "disk: ssd", "disk: hdd", other),
		c("toleration added", "  tolerations:", "  tolerations:\n  - {key: b, operator: Exists}", ""),
		c("toleration taken away", "{key: a, operator", "{key: b, operator", "existing toleration can not be modified"),
		c("toleration for longer", "tolerationSeconds: 10", "tolerationSeconds: 20", ""),
		c("deadline shorter", "DeadlineSeconds: 100", "DeadlineSeconds: 50", ""),
		c("deadline longer", "DeadlineSeconds: 100", "DeadlineSeconds: 101", "must be less than or equal to previous value"),
		c("deadline taken away", "  activeDeadlineSeconds: 100\n", "", "must not update from a positive integer to nil value"),
		c("grace period", "terminationGracePeriodSeconds: 20", "terminationGracePeriodSeconds: 21", other),
		kindtest.Change("gate opened", gated, "{name: a}, {name: b}", "{name: b}", ""),
		kindtest.Change("gate added", gated, "{name: b}", "{name: b}, {name: c}", "only deletion is allowed, but found new scheduling gate 'c'"),
		kindtest.Change("narrower while gated", gated, "{a: b}", "{a: b, c: d}", ""),
		kindtest.Change("wider while gated", gated, "{a: b}", "{}", other),
		kindtest.Change("debug container", gated, "containers:", "ephemeralContainers: [{name: d, image: e}], containers:", "may only be changed through the ephemeralcontainers subresource"),
	})
}

func TestPodStatusUpdate(t *testing.T) {
	const pod = `
apiVersion: v1
kind: Pod
spec: {restartPolicy: Never, containers: [{name: a, image: b}]}
status: {phase: Running, qosClass: BestEffort, nominatedNodeName: n1, podIPs: [{ip: 10.0.0.1}], containerStatuses: [{name: a, state: {terminated: {exitCode: 0}}}]}
`
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, pod, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("nothing", "", "", ""),
		c("phase", "phase: Running", "phase: Jogging", ""), // as upstream
		c("nominated node", "nominatedNodeName: n1", "nominatedNodeName: N_1", "status.nominatedNodeName: Invalid value"),
		c("address", "10.0.0.1", "10.0.0", "status.podIPs[0]: Invalid value"),
		c("class", "qosClass: BestEffort", "qosClass: Burstable", "status.qosClass: Invalid value"),
		c("class left out", "qosClass: BestEffort, ", "", ""),
		c("back to life", "terminated: {exitCode: 0}", "running: {}", "may not be transitioned to non-terminated state"),
		c("volume health", "podIPs:", "volumeHealth: [{name: a}, {name: a}], podIPs:", "status.volumeHealth[1]: Duplicate value"),
	})
	const fails = "\napiVersion: v1\nkind: Pod\nspec: {restartPolicy: OnFailure, containers: [{name: a, image: b}]}\nstatus: {containerStatuses: [{name: a, state: {terminated: {exitCode: 1}}}]}"
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		kindtest.Change("back to life where it restarts", fails, "terminated: {exitCode: 1}", "running: {}", ""),
		kindtest.Change("where its own policy does", strings.Replace(fails, "image: b}", "image: b, restartPolicy: Never}", 1), "terminated: {exitCode: 1}", "running: {}", "may not be transitioned to non-terminated state"),
		kindtest.Change("where its own rule does", strings.Replace(fails, "image: b}", "image: b, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]}", 1), "terminated: {exitCode: 1}", "running: {}", ""),
	})
}
