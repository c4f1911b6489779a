package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

var (
	_ resource.ResourceWithImportState = (*clusterResource)(nil)
	_ resource.ResourceWithImportState = (*poolResource)(nil)
)

// parseLogin reads [user@]address[:port].
func parseLogin(s string) (spec.Host, error) {
	h := spec.Host{Name: "master"}
	user, rest, found := strings.Cut(s, "@")
	if !found {
		user, rest = "", s
	}
	h.SSH.User, h.Address = user, strings.Trim(rest, "[]")
	if address, port, err := net.SplitHostPort(rest); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return h, fmt.Errorf("%q: %q is not a port", s, port)
		}
		h.Address, h.SSH.Port = address, int(n)
	}
	if h.Address == "" || (found && user == "") || strings.ContainsAny(h.Address, " /@") {
		return h, fmt.Errorf("%q: expected [user@]address[:port]", s)
	}
	return h, nil
}

// discover reads the cluster of the master that an import's ID names.
func (s *session) discover(ctx context.Context, master, pool string, diags *diag.Diagnostics) (bootstrap.Imported, bool) {
	if !s.usable(diags) {
		return bootstrap.Imported{}, false
	}
	via, err := parseLogin(master)
	if err != nil {
		diags.AddError("The import ID cannot be used", err.Error())
		return bootstrap.Imported{}, false
	}
	if via.SSH.User == cmp.Or(s.logins[""].User, "root") {
		via.SSH.User = "" // as for every server
	}
	d, err := s.engine(ctx, 0).Import(ctx, via, pool)
	if err != nil {
		diags.AddError("Nothing was imported", said(err))
		return d, false
	}
	for _, name := range slices.Sorted(maps.Keys(d.Unreached)) {
		diags.AddWarning(fmt.Sprintf("Host %s could not be reached", name),
			fmt.Sprintf("Its host key is not known, and the next plan goes to the host once more. It said: %v", d.Unreached[name]))
	}
	return d, true
}

// said is a failure of looking only, with advice where it is about the way there.
func said(err error) string {
	var way *host.Error
	var failed *host.CommandError
	if errors.As(err, &way) || errors.As(err, &failed) {
		return err.Error() + "\n\n" + advice(err)
	}
	return err.Error()
}

// imported is what state holds of hosts that were found. Their status is as if
// they were what they should be: the read that follows every import compares.
func (s *session) imported(ctx context.Context, hosts []spec.Host, d bootstrap.Imported, node func(string) (spec.Node, bool), diags *diag.Diagnostics) (map[string]hostModel, map[string]hostStatus) {
	version, digest := s.version()
	models, status := map[string]hostModel{}, map[string]hostStatus{}
	for _, h := range hosts {
		models[h.Name] = hostModelOf(ctx, h, diags)
		entry := hostStatus{
			State: types.StringValue(string(bootstrap.Ready)), Address: types.StringValue(h.Address), HostKey: orNull(h.SSH.HostKey),
			Version: types.StringValue(d.Versions[h.Name]), Message: types.StringValue(""), Config: types.StringValue(""),
		}
		// The digest of another version is not known here: the next plan updates it.
		if n, ok := node(h.Name); ok && (d.Versions[h.Name] == version || version == "") {
			entry.Config = types.StringValue(n.Hash(digest))
		}
		status[h.Name] = entry
	}
	return models, status
}

func hostModelOf(ctx context.Context, h spec.Host, diags *diag.Diagnostics) hostModel {
	ssh := types.ObjectNull(hostSSHType())
	if h.SSH.User != "" || h.SSH.Port != 0 || h.SSH.Profile != "" {
		port := types.Int64Null()
		if h.SSH.Port != 0 {
			port = types.Int64Value(int64(h.SSH.Port))
		}
		v, d := types.ObjectValueFrom(ctx, hostSSHType(), hostSSHModel{User: orNull(h.SSH.User), Port: port, Profile: orNull(h.SSH.Profile)})
		diags.Append(d...)
		ssh = v
	}
	return hostModel{
		Address: types.StringValue(h.Address), NodeIP: orNull(h.NodeIP), HostKey: types.StringNull(),
		Labels: mapOf(ctx, h.Labels, diags), Annotations: mapOf(ctx, h.Annotations, diags), SSH: ssh,
	}
}

func orNull(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

func mapOf(ctx context.Context, m map[string]string, diags *diag.Diagnostics) types.Map {
	if len(m) == 0 {
		return types.MapNull(types.StringType)
	}
	v, d := types.MapValueFrom(ctx, types.StringType, m)
	diags.Append(d...)
	return v
}

// importing sets attributes of an imported resource one by one: those that it does
// not name stay null.
type importing struct {
	ctx  context.Context
	resp *resource.ImportStateResponse
}

func (i importing) set(name string, value any) {
	i.resp.Diagnostics.Append(i.resp.State.SetAttribute(i.ctx, path.Root(name), value)...)
}

func (i importing) kubelet(k spec.Kubelet) {
	if k.MaxPods == 0 && len(k.Reserved) == 0 {
		return
	}
	i.set("kubelet", kubeletModel{MaxPods: intOrNull(k.MaxPods), Reserved: mapOf(i.ctx, k.Reserved, &i.resp.Diagnostics)})
}

func intOrNull(n int) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(n))
}

// ImportState takes up a cluster by [user@]address[:port] of any of its masters.
func (r *clusterResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	d, ok := r.session.discover(ctx, req.ID, "", &resp.Diagnostics)
	if !ok {
		return
	}
	c, diags := d.Cluster, &resp.Diagnostics
	masters, status := r.session.imported(ctx, c.Masters, d, c.Master, diags)
	in := importing{ctx, resp}
	in.set("id", c.ID)
	in.set("name", c.Name)
	in.set("network", networkOf(c.Network))
	in.set("masters", masters)
	in.set("workloads_on_masters", c.WorkloadsOnMasters)
	in.kubelet(c.Kubelet)
	if m := c.ControllerManager; m != (spec.ControllerManager{}) {
		settings := controllerManagerModel{TerminatedPodThreshold: intOrNull(m.TerminatedPodThreshold)}
		if m.NodeMonitorGracePeriod != 0 {
			settings.NodeMonitorGracePeriod = types.StringValue(m.NodeMonitorGracePeriod.String())
		}
		in.set("controller_manager", settings)
	}
	in.set("drain_timeout", defaultDrainTimeout)
	in.set("on_drain_timeout", keepNode)
	in.set("status", status)
	in.set("endpoints", endpoints(ctx, c, diags))
	in.set("ca_fingerprint", d.CAFingerprint)
	in.set("handle", handleOf(ctx, c, diags))
}

// handleOf is the handle of a cluster whose keys are known.
func handleOf(ctx context.Context, c spec.Cluster, diags *diag.Diagnostics) types.Object {
	keys := map[string]types.String{}
	for _, h := range c.Masters {
		keys[h.Name] = orNull(h.SSH.HostKey)
	}
	return connectionOf(ctx, types.StringValue(c.ID), types.StringValue(c.Name), networkOf(c.Network), connectionMasters(ctx, c.Masters, keys, diags), diags)
}

// ImportState takes up a pool by the login of a master, a slash and its name.
func (r *poolResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	master, name, found := strings.Cut(req.ID, "/")
	if !found || name == "" {
		resp.Diagnostics.AddError("The import ID cannot be used", fmt.Sprintf("%q: expected [user@]address[:port] of a master, a slash and the pool's name, such as 10.0.0.11/workers.", req.ID))
		return
	}
	d, ok := r.session.discover(ctx, master, name, &resp.Diagnostics)
	if !ok {
		return
	}
	p, c, diags := d.Pools[name], d.Cluster, &resp.Diagnostics
	hosts, status := r.session.imported(ctx, p.Hosts, d, func(host string) (spec.Node, bool) { return p.Worker(c.Connection(), host) }, diags)
	in := importing{ctx, resp}
	in.set("id", c.ID+"/"+name)
	in.set("cluster", handleOf(ctx, c, diags))
	in.set("name", name)
	in.set("hosts", hosts)
	in.set("labels", mapOf(ctx, p.Labels, diags))
	in.kubelet(p.Kubelet)
	in.set("annotations", mapOf(ctx, p.Annotations, diags))
	if len(p.Taints) > 0 {
		var taints []taintModel
		for _, t := range p.Taints {
			taints = append(taints, taintModel{types.StringValue(t.Key), orNull(t.Value), types.StringValue(t.Effect)})
		}
		in.set("taints", taints)
	}
	in.set("drain_timeout", defaultDrainTimeout)
	in.set("on_drain_timeout", keepNode)
	in.set("status", status)
}
