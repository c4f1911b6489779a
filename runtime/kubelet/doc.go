// Package kubelet runs the pods that are bound to this node: it registers the node and
// keeps its heartbeat, starts and stops containers, probes them, fills their volumes and
// serves their logs and sessions.
//
// It holds the wiring only. Each room below it has one task and declares the few things
// that it needs of others:
//
//	podsource      which pods are to run here
//	podworker      a pod's life; podworker/plan decides, purely
//	admit          whether a pod can run here, one handler a file
//	containerspec  from a pod to the runtime's description of a container
//	images         pulls, credentials, back-off, what is in use
//	volume         volumes, one plugin a file; objects, token: what fills them
//	cm             cgroups
//	stats          what the node and its pods use;  eviction: pods that use more than they may
//	devices        the devices of device plugins
//	plugins        the drivers that announce themselves;  csi: the volumes of CSI drivers
//	runtimeclass   how the runtime runs a pod's containers
//	sandbox        the namespaces that the containers of a pod share
//	userns         the users of pods that have their own
//	prober, probe, lifecycle   health and hooks
//	status         the status of pods;  nodestatus: the Node, its conditions, its lease
//	pleg           the ends of containers
//	server         health, logs, sessions
//	containerd     the container runtime;  containertest: a model of it for tests
//
// cmd/gantry joins it with containerd and runtime/network. It may import runtime/client,
// runtime/config, runtime/pod and its own rooms.
package kubelet
