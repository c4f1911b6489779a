package manifests

import (
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Program stands in for every program of a manifest.
type Program struct {
	// Image has it, and Path is where.
	Image, Path string
	// Identity is its certificate and key, PEM.
	Identity string
}

// templates says where a kind has its pod's metadata and spec.
var templates = map[string][]string{
	"Pod":         {},
	"Deployment":  {"spec", "template"},
	"StatefulSet": {"spec", "template"},
	"DaemonSet":   {"spec", "template"},
	"ReplicaSet":  {"spec", "template"},
	"Job":         {"spec", "template"},
	"CronJob":     {"spec", "jobTemplate", "spec", "template"},
}

// StandIn puts the program into the pods of the objects, and changes nothing else of them.
// A container listens on the TCP ports that it declares and that its probes name, the first
// one also where Services reach the pod otherwise. What runs once ends at once.
func (p Program) StandIn(objects []*unstructured.Unstructured) {
	for _, o := range objects {
		path, ok := templates[o.GetKind()]
		if !ok {
			continue
		}
		pod := o.Object
		for _, field := range path {
			pod = mapOf(pod, field)
		}
		spec := mapOf(pod, "spec")
		for _, c := range containers(spec, "initContainers") {
			if c["restartPolicy"] == "Always" {
				p.serve(c, ports(c))
			} else {
				p.place(c, "true")
			}
		}
		if o.GetKind() == "Job" || o.GetKind() == "CronJob" {
			for _, c := range containers(spec, "containers") {
				p.place(c, "true")
			}
			continue
		}
		p.pod(spec, reached(objects, o.GetNamespace(), mapOf(mapOf(pod, "metadata"), "labels")))
	}
}

// pod shares the ports among the containers: each is one's.
func (p Program) pod(spec map[string]any, reached []int64) {
	own := map[int64]bool{}
	all := containers(spec, "containers")
	for _, c := range all {
		for _, port := range ports(c) {
			own[port] = true
		}
	}
	var others []int64
	for _, port := range reached {
		if !own[port] {
			others = append(others, port)
		}
	}
	taken := map[int64]bool{}
	for i, c := range all {
		listen := ports(c)
		if i == 0 {
			listen = append(listen, others...)
		}
		listen = slices.DeleteFunc(listen, func(port int64) bool { return taken[port] })
		for _, port := range listen {
			taken[port] = true
		}
		p.serve(c, listen)
	}
}

func (p Program) serve(c map[string]any, listen []int64) {
	slices.Sort(listen)
	args := []any{"serve"}
	for _, port := range slices.Compact(listen) {
		args = append(args, strconv.FormatInt(port, 10))
	}
	p.place(c, args...)
	env, _ := c["env"].([]any)
	c["env"] = append(env, map[string]any{"name": "IDENTITY", "value": p.Identity})
}

// place makes a container run the program, with what it would run in it besides: the
// commands of probes and of hooks.
func (p Program) place(c map[string]any, args ...any) {
	c["image"], c["command"], c["args"] = p.Image, []any{p.Path}, args
	delete(c, "imagePullPolicy") // no registry has it
	for _, probe := range probes {
		p.command(mapOf(c, probe))
	}
	for _, hook := range []string{"postStart", "preStop"} {
		p.command(mapOf(mapOf(c, "lifecycle"), hook))
	}
}

func (p Program) command(handler map[string]any) {
	if exec := mapOf(handler, "exec"); exec != nil {
		exec["command"] = []any{p.Path, "true"}
	}
}

var probes = []string{"livenessProbe", "readinessProbe", "startupProbe"}

// ports are those that a container declares and those of its probes.
func ports(c map[string]any) []int64 {
	var out []int64
	for _, port := range mapsOf(c, "ports") {
		if n, ok := port["containerPort"].(int64); ok && (port["protocol"] == nil || port["protocol"] == "TCP") {
			out = append(out, n)
		}
	}
	for _, probe := range probes {
		for _, how := range []string{"httpGet", "tcpSocket"} {
			if n, ok := mapOf(mapOf(c, probe), how)["port"].(int64); ok {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// reached are the ports by number at which the Services of a namespace reach a pod.
func reached(objects []*unstructured.Unstructured, namespace string, labels map[string]any) []int64 {
	var out []int64
	for _, o := range objects {
		if o.GetKind() != "Service" || o.GetNamespace() != namespace || !selects(mapOf(mapOf(o.Object, "spec"), "selector"), labels) {
			continue
		}
		for _, port := range mapsOf(mapOf(o.Object, "spec"), "ports") {
			if port["protocol"] != nil && port["protocol"] != "TCP" {
				continue
			}
			target, named := port["targetPort"]
			if !named {
				target = port["port"]
			}
			if n, ok := target.(int64); ok {
				out = append(out, n)
			}
		}
	}
	return out
}

func selects(selector, labels map[string]any) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return len(selector) > 0
}

func containers(spec map[string]any, field string) []map[string]any { return mapsOf(spec, field) }

// mapOf is a field that is an object, nil where it is none.
func mapOf(o map[string]any, field string) map[string]any {
	m, _ := o[field].(map[string]any)
	return m
}

// mapsOf is a field that is a list of objects.
func mapsOf(o map[string]any, field string) []map[string]any {
	list, _ := o[field].([]any)
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}
