package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// leftovers lists what is of pods, nodes or members that are no more.
func (c *cluster) leftovers(ctx context.Context, api *master) ([]string, error) {
	var pods corev1.PodList
	if err := api.get(ctx, "/api/v1/pods", &pods); err != nil {
		return nil, err
	}
	known := map[string]map[string]bool{} // by node: UIDs and names of links
	for _, n := range c.nodes() {
		known[n] = map[string]bool{}
	}
	for _, p := range pods.Items {
		if known[p.Spec.NodeName] != nil {
			known[p.Spec.NodeName][string(p.UID)] = true
			known[p.Spec.NodeName][config.PodLink(string(p.UID))] = true
		}
	}
	var nodes corev1.NodeList
	if err := api.get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return nil, err
	}
	var out []string
	for _, name := range c.nodes() {
		found, err := c.ofPods(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if id := f[strings.LastIndex(f, " ")+1:]; !known[name][id] {
				out = append(out, "on "+name+": "+f)
			}
		}
		h, err := c.flow.Lab.Host(name)
		if err != nil {
			return nil, err
		}
		addresses, err := ruled(h)
		if err != nil {
			return nil, err
		}
		for _, a := range orphans(addresses, nodes.Items, pods.Items) {
			out = append(out, fmt.Sprintf("on %s: a rule of %s, which no pod has", name, a))
		}
	}
	var leases coordinationv1.LeaseList
	if err := api.get(ctx, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", &leases); err != nil {
		return nil, err
	}
	for _, l := range leases.Items {
		if known[l.Name] == nil {
			out = append(out, "the lease of node "+l.Name)
		}
	}
	members, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(members, slices.Sorted(slices.Values(c.flow.Masters))) {
		out = append(out, fmt.Sprintf("members of the store are %v", members))
	}
	return out, nil
}

// ofPods lists what a host has of pods: a kind, and the UID or the name of a link.
func (c *cluster) ofPods(ctx context.Context, host string) ([]string, error) {
	h, err := c.flow.Lab.Host(host)
	if err != nil {
		return nil, err
	}
	out, err := h.Run(ctx, strings.Join([]string{
		"ls " + config.KubeletDir + "/pods | sed 's/^/directory /'",
		"ls " + config.NamespaceDir + " 2>/dev/null | sed 's/^/namespaces /'",
		"find /sys/fs/cgroup -path '*" + config.CgroupRoot + "*' -type d -name 'pod*' -printf '%f\\n' | sort -u | sed 's/^pod/cgroup /'",
		"sed -nE 's#.* " + config.KubeletDir + "/pods/([^/ ]+).*#mount \\1#p' /proc/mounts | sort -u",
		"ip -o link | grep -o '" + config.PodLinkPrefix + "[a-z2-7]*' | grep -v '" + config.LinkPrefix + "proxy' | sort -u | sed 's/^/link /'",
	}, "; "))
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }), nil
}

// members are the voters of the store, by name, as a master's own status tells.
func (c *cluster) members(ctx context.Context) ([]string, error) {
	h, err := c.flow.Lab.Host(c.flow.Masters[0])
	if err != nil {
		return nil, err
	}
	out, err := h.Run(ctx, config.Binary("gantry")+" cluster status -o json")
	var status struct {
		Store []struct {
			Name, Role, Problem string
		}
		StoreProblem string
	}
	if bad := json.Unmarshal(out, &status); bad != nil {
		return nil, errors.Join(err, bad)
	}
	var names []string
	for _, m := range status.Store {
		if m.Role == "learner" || m.Problem != "" {
			m.Name += " (" + m.Role + " " + m.Problem + ")"
		}
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names, nil
}
